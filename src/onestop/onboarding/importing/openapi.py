"""OpenAPI 2.0, 3.0 and 3.1 as departments write them, into a `Description`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from onestop.onboarding.importing.errors import DocumentUnusable
from onestop.onboarding.importing.foreign import refuse
from onestop.onboarding.importing.models import (
    Answer,
    Described,
    Description,
    Format,
    Media,
    Parameter,
    Place,
    Shape,
)
from onestop.onboarding.importing.openapi_security import read_schemes, read_security
from onestop.onboarding.importing.rules_styles import style_of
from onestop.onboarding.importing.shapes import Shaper
from onestop.onboarding.importing.source import At, Source

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_UNUSED: Final = ("head", "options", "trace", "query", "connect")
_MOST_OPERATIONS: Final = 2000
_LONGEST_ABOUT: Final = 20_000
_GLANCED: Final = 120  # members of a body
_GLANCED_DEEP: Final = 3  # else the first of its members could use all of it
_ANY_CALLBACK: Final = Media(type="application/json", shape=Shape())
_OTHERS: Final = ("asyncapi", "swaggerVersion", "raml", "arazzo")
_PLACES: Final[Mapping[str, Place]] = {"path": "path", "query": "query", "header": "header", "cookie": "cookie"}


class OpenApi:
    """The reader of one document."""

    def __init__(self, source: Source) -> None:
        self.source, self.notes = source, source.notes
        self.shaper = Shaper(source)
        root = source.root
        if not isinstance(root, dict):
            raise DocumentUnusable("not_a_document", file=source.main)
        self.root: dict[str, Any] = root
        self.format = self._format()
        self.old = self.format == "openapi-2.0"

    def describe(self) -> Description:
        """Return everything but the bodies.

        Raises:
            DocumentUnusable: no operation can be found.
        """
        info = self._table(self.root.get("info"))
        if not info.get("title"):
            self._note("info_missing", At((self.source.main, "")))
        contact = self._table(info.get("contact"))
        operations = list(self._operations())
        webhooks = isinstance(self.root.get("webhooks"), dict) and bool(self.root["webhooks"])
        if not operations:
            raise DocumentUnusable("only_webhooks" if webhooks else "no_operations", file=self.source.main)
        if webhooks:
            self._note("webhooks", At((self.source.main, "/webhooks")))
        schemes = read_schemes(self.source, self.root, old=self.old)
        tags = self.root.get("tags")
        said = [info, *(tag for tag in tags if isinstance(tag, dict))] if isinstance(tags, list) else [info]
        about = [_one_line(one.get("description")) for one in said] + [scheme.about for scheme in schemes.values()]
        about += [_limits_told(self.root), _limits_told(info)]
        return Description(
            format=self.format,
            title=_one_line(info.get("title"))[:80],
            version=_one_line(info.get("version"))[:40],
            contact=_one_line(contact.get("email") or contact.get("url") or contact.get("name"))[:120],
            servers=self._servers(),
            schemes=schemes,
            security=read_security(self.root.get("security")) or (),
            operations=operations,
            about=" ".join(about)[:_LONGEST_ABOUT],
        )

    def _format(self) -> Format:
        if any(word in self.root for word in _OTHERS):
            raise refuse(self.root, self.source.main)
        told = str(self.root.get("openapi", self.root.get("swagger", "")))
        if "swagger" in self.root and told.startswith("2"):
            return "openapi-2.0"
        if told.startswith("3.0") or told == "3":
            return "openapi-3.0"
        if told.startswith("3."):
            if not told.startswith("3.1"):
                self._note("version_newer", At((self.source.main, "/openapi")), version=told)
            return "openapi-3.1"
        if not isinstance(self.root.get("paths"), dict):
            raise refuse(self.root, self.source.main)
        self._note("version_missing", At((self.source.main, "")), version=told)
        return "openapi-2.0" if {"definitions", "basePath", "host"} & self.root.keys() else "openapi-3.0"

    def _note(self, code: str, at: At, level: Any = "note", **params: object) -> None:
        self.notes.add(code, self.source.spot(at), level, **params)

    @staticmethod
    def _table(value: Any) -> dict[str, Any]:
        return value if isinstance(value, dict) else {}

    def _servers(self) -> list[str]:
        if self.old:
            host, base = self.root.get("host"), self.root.get("basePath")
            schemes = self.root.get("schemes")
            scheme = schemes[0] if isinstance(schemes, list) and schemes else "https"
            path = base if isinstance(base, str) and base != "/" else ""
            return [f"{scheme}://{host}{path}"] if isinstance(host, str) else ([path] if path else [])
        return self._addresses(self.root)

    def _addresses(self, owner: Mapping[str, Any]) -> list[str]:
        """Return the addresses that a document, a path or an operation names."""
        told = owner.get("servers")
        servers = [s for s in told if isinstance(s, dict)] if isinstance(told, list) else []
        return [
            _filled(server["url"], self._table(server.get("variables")))
            for server in servers[:10]
            if isinstance(server.get("url"), str)
        ]

    # --- operations -----------------------------------------------------------------------------------------------

    def _operations(self) -> Iterator[Described]:
        paths = self.root.get("paths")
        top = At((self.source.main, "/paths"))
        if not isinstance(paths, dict):
            return
        count = 0
        for path, told in paths.items():
            if not isinstance(path, str) or path.startswith("x-"):
                continue
            item, at, _ = self.source.follow(told, top / path)
            if not isinstance(item, dict):
                self._note("path_odd", top / path, "warning", path=path)
                continue
            for method in item:
                if method in _UNUSED:
                    self._note("method_unused", at / method, "note", method=method.upper())
                if method not in _METHODS:
                    continue
                operation = item[method]
                if not isinstance(operation, dict):
                    self._note("path_odd", at / method, "warning", path=path)
                    continue
                count += 1
                if count > _MOST_OPERATIONS:
                    self._note("too_many_operations", at, "warning", most=_MOST_OPERATIONS)
                    return
                yield self._operation(path, method, item, operation, at)

    def _operation(self, path: str, method: str, item: dict[str, Any], operation: dict[str, Any], at: At) -> Described:
        here = at / method
        clean = self._path(path, here)
        name = operation.get("operationId")
        if not isinstance(name, str) or not name.strip():
            name = f"{method} {path}"
        text = operation.get("summary") or operation.get("description") or item.get("summary") or ""
        tags = operation.get("tags")
        return Described(
            pointer=here.pointer,
            method=method.upper(),
            path=clean,
            name=name,
            text=_sentence(_one_line(text)),
            about=_one_line(operation.get("description"))[:4000],
            extensions=_limits_told(operation),
            tags=tuple(str(tag) for tag in tags[:5]) if isinstance(tags, list) else (),
            deprecated=operation.get("deprecated") is True,
            security=read_security(operation["security"]) if "security" in operation else None,
            raw=(item, operation, here),
            server=next(iter(self._addresses(operation) or self._addresses(item)), ""),
        )

    def _path(self, path: str, at: At) -> str:
        # As RFC 6570 writes them: {.format}, {id*} and {+path} are places, {?page,size} is what the parameters say.
        path = re.sub(r"\{[?&;#][^{}]*\}", "", path)
        path = re.sub(r"\{([./+]?)([^{}*:]+)[^{}]*\}", lambda m: m[1].replace("+", "") + "{" + m[2] + "}", path)
        clean, _, query = path.partition("?")
        if query:
            self._note("path_query", at, "warning", path=path)
        if not clean.startswith("/"):
            self._note("path_no_slash", at, "note", path=path)
            clean = "/" + clean
        return re.sub(r"[\s#]+", "-", clean)

    # --- what one operation takes and gives -----------------------------------------------------------------------

    def glance(self, described: Described) -> None:
        """Read what choosing among operations needs: the first members of each body. `detail` reads the rest.

        Whole bodies of many operations would cost seconds and hundreds of megabytes, and most are not taken.
        """
        self.shaper.begin(_GLANCED, _GLANCED_DEEP)
        self._read(described)

    def detail(self, described: Described) -> None:
        """Read parameters, bodies and answers of one operation into it, whole."""
        described.parameters, described.bodies, described.answers, described.callbacks = [], [], [], []
        self.shaper.begin()
        self._read(described)

    def _read(self, described: Described) -> None:
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
                self._note("parameter_odd", here, "warning", name=told.get("name", "?"))
        self._missing_places(described, at)
        if self.old:
            described.bodies = self._old_bodies(operation, old_body, fields)
        elif "requestBody" in operation:
            body, here, _ = self.source.follow(operation["requestBody"], at / "requestBody")
            described.bodies = self._media(self._table(body).get("content"), here / "content")
        described.answers = list(self._answers(operation, at))
        described.callbacks = self._callbacks(operation, at)

    def _parameters(self, item: dict[str, Any], operation: dict[str, Any], at: At) -> list[tuple[dict[str, Any], At]]:
        above = At((at.file, at.pointer.rpartition("/")[0]))
        found: dict[tuple[str, str], tuple[dict[str, Any], At]] = {}
        for owner, place in ((item, above), (operation, at)):
            told = owner.get("parameters")
            for index, parameter in enumerate(told if isinstance(told, list) else []):
                value, here, _ = self.source.follow(parameter, place / "parameters" / index)
                if not isinstance(value, dict) or not isinstance(value.get("name"), str):
                    self._note("parameter_odd", place / "parameters" / index, "warning", name="?")
                    continue
                found[(value["name"], str(value.get("in")))] = (value, here)
        return list(found.values())

    def _parameter(self, told: dict[str, Any], at: At, place: Place) -> Parameter:
        schema, here = told.get("schema"), at / "schema"
        content = self._table(told.get("content"))
        if schema is None and content:
            first = next(iter(content))
            schema, here = self._table(content[first]).get("schema"), at / "content" / first / "schema"
        if schema is None:
            schema, here = {k: v for k, v in told.items() if k not in ("name", "in", "required", "description")}, at
        shape = self.shaper.shape(schema, here)
        given = _first_example(told)
        if given is not None:
            shape.example, shape.has_example = given, True
        shape.style = style_of(told, old=self.old)
        text = _one_line(told.get("description"))[:300]
        required = told.get("required") is True or place == "path"
        return Parameter(name=told["name"], place=place, required=required, shape=shape, pointer=at.pointer, text=text)

    def _missing_places(self, described: Described, at: At) -> None:
        """Declare what the path names and the parameters do not."""
        known = {p.name for p in described.parameters if p.place == "path"}
        for name in re.findall(r"\{([^{}]+)\}", described.path):
            if name not in known:
                self._note("place_undeclared", at, "warning", name=name)
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
        types = _types(operation.get("consumes", self.root.get("consumes")))
        if bodies:
            told, at = bodies[0]
            shape = self.shaper.shape(told.get("schema"), at / "schema")
            examples = _old_examples(told)
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

    def _answers(self, operation: dict[str, Any], at: At) -> Iterator[Answer]:
        told = operation.get("responses")
        if not isinstance(told, dict) or not told:
            self._note("no_answers", at, "warning")
            return
        for status, value in told.items():
            if str(status).startswith("x-"):
                continue
            answer, here, _ = self.source.follow(value, at / "responses" / str(status))
            answer = self._table(answer)
            if self.old:
                media = self._old_answer(operation, answer, here)
            else:
                media = self._media(answer.get("content"), here / "content")
            yield Answer(
                status=str(status).upper() if str(status)[-2:].lower() == "xx" else str(status).lower(),
                media=media,
                headers=tuple(str(name) for name in self._table(answer.get("headers"))),
                header_notes=self._header_notes(answer, here),
                text=_one_line(answer.get("description"))[:200],
                pointer=here.pointer,
                types=tuple(_types(operation.get("produces", self.root.get("produces")))) if self.old else (),
            )

    def _callbacks(self, operation: dict[str, Any], at: At) -> list[Media]:
        """Return what the body of the first callback may be; none where no callback is declared."""
        for name, told in self._table(operation.get("callbacks")).items():
            callback, here, _ = self.source.follow(told, at / "callbacks" / str(name))
            for expression, item in self._table(callback).items():
                for method, called in self._table(item).items():
                    if method not in _METHODS or not isinstance(called, dict):
                        continue
                    there = here / str(expression) / method / "requestBody"
                    body, there, _ = self.source.follow(called.get("requestBody"), there)
                    return self._media(self._table(body).get("content"), there / "content") or [_ANY_CALLBACK]
        return []

    def _header_notes(self, answer: dict[str, Any], at: At) -> dict[str, str]:
        notes = {}
        for name, told in list(self._table(answer.get("headers")).items())[:40]:
            header, _, _ = self.source.follow(told, at / "headers" / str(name))
            if isinstance(header, dict):
                shown = _first_example(header) or _first_example(self._table(header.get("schema")))
                notes[str(name)] = f"{_one_line(header.get('description'))} {_one_line(shown)}"[:400]
        return notes

    def _old_answer(self, operation: dict[str, Any], answer: dict[str, Any], at: At) -> list[Media]:
        types = _types(operation.get("produces", self.root.get("produces"))) or ["application/json"]
        examples = self._table(answer.get("examples"))
        if "schema" not in answer and not examples:
            return []
        shape = self.shaper.shape(answer.get("schema"), at / "schema")
        kinds = [*types, *(kind for kind in map(str, examples) if "/" in kind and kind not in types)]
        return [
            Media(type=kind.lower(), shape=shape, examples=[("example", examples[kind])] if kind in examples else [])
            for kind in kinds
        ]

    def _media(self, content: Any, at: At) -> list[Media]:
        found: list[Media] = []
        for kind, told in self._table(content).items():
            media, here, _ = self.source.follow(told, at / kind)
            if not isinstance(media, dict):
                media = {}
            shape = self.shaper.shape(media.get("schema"), here / "schema")
            found.append(Media(type=str(kind).lower().strip(), shape=shape, examples=self._examples(media, here)))
        return found

    def _examples(self, media: dict[str, Any], at: At) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        if "example" in media:
            found.append(("example", media["example"]))
        told = media.get("examples")
        if isinstance(told, list):
            found += [(f"example_{index}", value) for index, value in enumerate(told[:5], 1)]
        for name, given in self._table(told).items():
            example, _, _ = self.source.follow(given, at / "examples" / name)
            if isinstance(example, dict) and "externalValue" in example and "value" not in example:
                self._note("example_elsewhere", at / "examples" / name, "note")
            elif isinstance(example, dict) and "value" in example:
                found.append((str(name), example["value"]))
        return found[:5]


# --- small pieces ---------------------------------------------------------------------------------------------------


def _types(told: Any) -> list[str]:
    return [str(kind).lower().strip() for kind in told if isinstance(kind, str)] if isinstance(told, list) else []


def _old_examples(told: dict[str, Any]) -> list[tuple[str, Any]]:
    given = told.get("x-example", told.get("x-examples", told.get("examples")))
    if isinstance(given, dict) and given and all("/" in str(kind) for kind in given):
        given = next(iter(given.values()))
    return [("example", given)] if given is not None else []


def _first_example(told: dict[str, Any]) -> Any:
    for word in ("example", "x-example"):
        if told.get(word) is not None:
            return told[word]
    given = told.get("examples")
    if isinstance(given, dict) and given:
        first = next(iter(given.values()))
        return first.get("value") if isinstance(first, dict) else first
    return given[0] if isinstance(given, list) and given else None


def _filled(url: str, variables: dict[str, Any]) -> str:
    """Put the defaults of a server's variables into its address."""

    def default(match: re.Match[str]) -> str:
        told = variables.get(match[1])
        value = told.get("default") if isinstance(told, dict) else None
        return match[0] if value is None else str(value)

    return re.sub(r"\{([^{}]+)\}", default, url)[:300]


def _limits_told(owner: dict[str, Any]) -> str:
    """Return what extensions say of limits as one text: `x-rate-limit: {limit: 10, period: second}` and the like."""
    parts = []
    for name, told in owner.items():
        if str(name).startswith("x-") and re.search(r"(?i)rate|throttl|limit|quota", str(name)):
            inner = told.values() if isinstance(told, dict) else [told]
            parts.append("limit " + " per ".join(_one_line(one) for one in inner if _one_line(one)))
    return " . ".join(parts)[:400]


def _one_line(value: Any) -> str:
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def _sentence(text: str) -> str:
    """Return the first sentence without markup, at most 80 characters."""
    plain = re.sub(r"<[^<>]{1,200}>|\[([^\]]{1,200})\]\([^)]{1,300}\)|[`*]", lambda m: m[1] or "", text)
    first = re.split(r"(?<=[.。!！?？])\s|[。；]", plain.strip(), maxsplit=1)[0].strip().rstrip(".。")
    return first if len(first) <= 80 else first[:79].rstrip() + "…"
