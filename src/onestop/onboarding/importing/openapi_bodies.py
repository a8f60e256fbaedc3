"""Bodies and answers of one operation of OpenAPI, old and new: media types, shapes, examples, headers, callbacks."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from onestop.onboarding.importing.models import Answer, Media, Shape
from onestop.onboarding.importing.openapi_texts import first_example, one_line, table
from onestop.onboarding.importing.shapes import Shaper
from onestop.onboarding.importing.source import At, Source

METHODS: Final = ("get", "post", "put", "patch", "delete")


class Bodies:
    """Reads what stands in bodies; `shaper` bounds how much of them."""

    def __init__(self, source: Source, shaper: Shaper, root: Mapping[str, Any], *, old: bool) -> None:
        self.source, self.shaper, self.root, self.old = source, shaper, root, old

    def answers(self, operation: dict[str, Any], at: At) -> Iterator[Answer]:
        """Yield the documented answers, each with its status in one spelling: `200`, `2XX`, `default`."""
        told = operation.get("responses")
        if not isinstance(told, dict) or not told:
            self.source.note("no_answers", at, "warning")
            return
        for status, value in told.items():
            if str(status).startswith("x-"):
                continue
            answer, here, _ = self.source.follow(value, at / "responses" / str(status))
            answer = table(answer)
            if self.old:
                media = self._old_answer(operation, answer, here)
            else:
                media = self.media(answer.get("content"), here / "content")
            yield Answer(
                status=str(status).upper() if str(status)[-2:].lower() == "xx" else str(status).lower(),
                media=media,
                headers=tuple(str(name) for name in table(answer.get("headers"))),
                header_notes=self._header_notes(answer, here),
                text=one_line(answer.get("description"))[:200],
                pointer=here.pointer,
                types=tuple(types_of(operation.get("produces", self.root.get("produces")))) if self.old else (),
            )

    def callbacks(self, operation: dict[str, Any], at: At) -> list[Media]:
        """Return what the body of the first callback may be; none where no callback is declared."""
        for name, told in table(operation.get("callbacks")).items():
            callback, here, _ = self.source.follow(told, at / "callbacks" / str(name))
            for expression, item in table(callback).items():
                for method, called in table(item).items():
                    if method not in METHODS or not isinstance(called, dict):
                        continue
                    there = here / str(expression) / method / "requestBody"
                    body, there, _ = self.source.follow(called.get("requestBody"), there)
                    return self.media(table(body).get("content"), there / "content") or [
                        Media(type="application/json", shape=Shape())
                    ]
        return []

    def _header_notes(self, answer: dict[str, Any], at: At) -> dict[str, str]:
        notes = {}
        for name, told in list(table(answer.get("headers")).items())[:40]:
            header, _, _ = self.source.follow(told, at / "headers" / str(name))
            if isinstance(header, dict):
                shown = first_example(header) or first_example(table(header.get("schema")))
                notes[str(name)] = f"{one_line(header.get('description'))} {one_line(shown)}"[:400]
        return notes

    def _old_answer(self, operation: dict[str, Any], answer: dict[str, Any], at: At) -> list[Media]:
        types = types_of(operation.get("produces", self.root.get("produces"))) or ["application/json"]
        examples = table(answer.get("examples"))
        if "schema" not in answer and not examples:
            return []
        shape = self.shaper.shape(answer.get("schema"), at / "schema")
        kinds = [*types, *(kind for kind in map(str, examples) if "/" in kind and kind not in types)]
        return [
            Media(type=kind.lower(), shape=shape, examples=[("example", examples[kind])] if kind in examples else [])
            for kind in kinds
        ]

    def media(self, content: Any, at: At) -> list[Media]:
        """Return the forms of a body that stand below `content`."""
        found: list[Media] = []
        for kind, told in table(content).items():
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
        for name, given in table(told).items():
            example, _, _ = self.source.follow(given, at / "examples" / name)
            if isinstance(example, dict) and "externalValue" in example and "value" not in example:
                self.source.note("example_elsewhere", at / "examples" / name, "note")
            elif isinstance(example, dict) and "value" in example:
                found.append((str(name), example["value"]))
        return found[:5]


def types_of(told: Any) -> list[str]:
    """Return the media types of a list."""
    return [str(kind).lower().strip() for kind in told if isinstance(kind, str)] if isinstance(told, list) else []


def old_examples(told: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the example of a body of 2.0, which has no word for it but extensions."""
    given = told.get("x-example", told.get("x-examples", told.get("examples")))
    if isinstance(given, dict) and given and all("/" in str(kind) for kind in given):
        given = next(iter(given.values()))
    return [("example", given)] if given is not None else []
