"""What one operation of OpenAPI takes and gives: its parameters, and the bodies of either side."""

import re
from collections.abc import Mapping
from typing import Any, Final

from onestop.onboarding.importing.models import Described, Media, Parameter, Place, Shape
from onestop.onboarding.importing.openapi_bodies import Bodies, old_examples, types_of
from onestop.onboarding.importing.openapi_texts import first_example, one_line, table
from onestop.onboarding.importing.rules_styles import style_of
from onestop.onboarding.importing.shapes import Shaper
from onestop.onboarding.importing.source import At, Source

_PLACES: Final[Mapping[str, Place]] = {"path": "path", "query": "query", "header": "header", "cookie": "cookie"}


class Calls:
    """Reads operations of one document."""

    def __init__(self, source: Source, root: Mapping[str, Any], *, old: bool) -> None:
        self.source, self.root, self.old = source, root, old
        self.shaper = Shaper(source)
        self.bodies = Bodies(source, self.shaper, root, old=old)

    def read(self, described: Described, *bounds: int) -> None:
        """Read an operation into its description; `bounds`: members and levels of a body, where not the whole."""
        self.shaper.begin(*bounds)
        item, operation, at = described.raw
        old_body: list[tuple[dict[str, Any], At]] = []
        fields: list[tuple[dict[str, Any], At]] = []
        for told, here in self._parameters(item, operation, at):
            place = told.get("in")
            if place == "body":
                old_body.append((told, here))
            elif place == "formData":
                fields.append((told, here))
            elif isinstance(place, str) and place in _PLACES:
                described.parameters.append(self._parameter(told, here, _PLACES[place]))
            else:
                self.source.note("parameter_odd", here, "warning", name=told.get("name", "?"))
        self._missing_places(described, at)
        if self.old:
            described.bodies = self._old_bodies(operation, old_body, fields)
        elif "requestBody" in operation:
            body, here, _ = self.source.follow(operation["requestBody"], at / "requestBody")
            described.bodies = self.bodies.media(table(body).get("content"), here / "content")
        described.answers = list(self.bodies.answers(operation, at))
        described.callbacks = self.bodies.callbacks(operation, at)

    def _parameters(self, item: dict[str, Any], operation: dict[str, Any], at: At) -> list[tuple[dict[str, Any], At]]:
        above = At((at.file, at.pointer.rpartition("/")[0]))
        found: dict[tuple[str, str], tuple[dict[str, Any], At]] = {}
        for owner, place in ((item, above), (operation, at)):
            told = owner.get("parameters")
            for index, parameter in enumerate(told if isinstance(told, list) else []):
                value, here, _ = self.source.follow(parameter, place / "parameters" / index)
                if not isinstance(value, dict) or not isinstance(value.get("name"), str):
                    self.source.note("parameter_odd", place / "parameters" / index, "warning", name="?")
                    continue
                found[(value["name"], str(value.get("in")))] = (value, here)
        return list(found.values())

    def _parameter(self, told: dict[str, Any], at: At, place: Place) -> Parameter:
        schema, here = told.get("schema"), at / "schema"
        content = table(told.get("content"))
        if schema is None and content:
            first = next(iter(content))
            schema, here = table(content[first]).get("schema"), at / "content" / first / "schema"
        if schema is None:
            schema, here = {k: v for k, v in told.items() if k not in ("name", "in", "required", "description")}, at
        shape = self.shaper.shape(schema, here)
        given = first_example(told)
        if given is not None:
            shape.example, shape.has_example = given, True
        shape.style = style_of(told, old=self.old)
        text = one_line(told.get("description"))[:300]
        required = told.get("required") is True or place == "path"
        return Parameter(name=told["name"], place=place, required=required, shape=shape, pointer=at.pointer, text=text)

    def _missing_places(self, described: Described, at: At) -> None:
        """Declare what the path names and the parameters do not."""
        known = {p.name for p in described.parameters if p.place == "path"}
        for name in re.findall(r"\{([^{}]+)\}", described.path):
            if name not in known:
                self.source.note("place_undeclared", at, "warning", name=name)
                described.parameters.append(
                    Parameter(name=name, place="path", required=True, shape=Shape(kind="value"), pointer=at.pointer)
                )
        named = set(re.findall(r"\{([^{}]+)\}", described.path))
        described.parameters = [p for p in described.parameters if p.place != "path" or p.name in named]

    def _old_bodies(
        self,
        operation: dict[str, Any],
        bodies: list[tuple[dict[str, Any], At]],
        fields: list[tuple[dict[str, Any], At]],
    ) -> list[Media]:
        types = types_of(operation.get("consumes", self.root.get("consumes")))
        if bodies:
            told, at = bodies[0]
            shape = self.shaper.shape(told.get("schema"), at / "schema")
            examples = old_examples(told)
            return [Media(type=kind, shape=shape, examples=examples) for kind in types or ["application/json"]]
        if not fields:
            return []
        form = Shape(kind="object", pointer=fields[0][1].pointer)
        for told, at in fields:
            part = self._parameter(told, at, "form")
            form.members[part.name] = part.shape
            part.shape.text = part.shape.text or part.text
            if told.get("required") is True:
                form.required |= {part.name}
        files = any(told.get("type") == "file" for told, _ in fields)
        kind = (
            "multipart/form-data" if files or types == ["multipart/form-data"] else "application/x-www-form-urlencoded"
        )
        return [Media(type=kind, shape=form)]
