"""Recorded exchanges of a manifest, and what the manifest can say where none was recorded."""

import base64
import binascii
import copy
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from onestop.gateway.manifest import ErrorCase, Example, Manifest, Operation
from onestop.gateway.mapping.language import MappingFailed, expression
from onestop.gateway.operations import Prepared
from onestop.onboarding.simulator_bodies import made_body
from onestop.onboarding.simulator_paths import place_of, split
from onestop.onboarding.simulator_requests import Form, Request
from onestop.onboarding.simulator_wire import flat, media_type, nested, plain, put, write_reply
from onestop.outbound.errors import BadBody
from onestop.outbound.models import Reply

_REQUEST = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)\.request\.\w+")
_RESPONSE = re.compile(r"([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)\.(\d{3})\.response\.\w+")
_CALLBACK = re.compile(r"([a-z][a-z0-9_]*)\.callback\.\w+")
_MOST_FILES = 2000
_STATUS = {
    "denied": 401,
    "not_found": 404,
    "invalid": 400,
    "busy": 429,
    "down": 500,
    "declined": 409,
    "correction": 422,
}


class Recorded(msgspec.Struct, kw_only=True):
    """One exchange: what was asked (None: not recorded) and what the department said."""

    operation: str
    name: str
    status: int
    headers: dict[str, str]
    body: bytes
    facts: dict[str, str] | None = None  # the request, part by part
    values: dict[str, str] = {}  # the caller's values in it
    given: dict[str, Any] = {}  # those that the manifest's own example gives, as it gives them
    reads_as: str = ""  # what the manifest makes of the reply
    made: bool = False  # by the simulator, not recorded

    @property
    def good(self) -> bool:
        """Tell whether it is an answer, not a refusal."""
        return self.reads_as in ("ok", "completed", "pending")

    def asking(self, over: Mapping[str, str]) -> dict[str, Any]:
        """Return what a line is asked with to bring this answer; `over` takes the place of the example's own.

        Numbers, lists and tables of the manifest's example stay what they are: a department may refuse them as texts.
        """
        own = flat(self.given)
        held = {".".join(steps[:n]) for name in own if (steps := name.split(".")) for n in range(1, len(steps) + 1)}
        told = {name: value for name, value in self.values.items() if name not in held}
        return nested({**told, **over}, copy.deepcopy(self.given))


def as_reply(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Return an answer as the pool would hand it over."""
    told = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return Reply(status, told, body, reused=False, connect_s=0, started=0, written=0, first_byte=0, ended=0)


def reading(prepared: Prepared, status: int, headers: Mapping[str, str], body: bytes, number: str | None = None) -> str:
    """Return what the manifest makes of a reply in one word: an outcome, or the kind of answer."""
    answer = prepared.answer(as_reply(status, headers, body), number)
    return str(answer.outcome) if answer.kind == "ok" and answer.outcome else answer.kind


class Book:
    """The examples of one operation, and answers made where it has none."""

    def __init__(self, manifest: Manifest, operation: Operation, prepared: Prepared, form: Form) -> None:
        self.manifest, self.operation, self.prepared, self.form = manifest, operation, prepared, form
        self.examples: list[Recorded] = []
        self._made: dict[str, Recorded | None] = {}

    def add(self, example: Recorded) -> None:
        """Take an example; its own values are read from the request and, where that is not recorded, the reply."""
        if example.facts is not None:
            example.values = {**self.form.values(example.facts), **example.values}
        for name, value in self.told_by(example.body).items():
            example.values.setdefault(name, value)
        example.reads_as = reading(self.prepared, example.status, example.headers, example.body)
        self.examples.append(example)

    def told_by(self, body: bytes) -> dict[str, str]:
        """Return what a reply itself says of whom and what it is about."""
        reply, codes = self.operation.reply, self.manifest.codes
        found: dict[str, str] = {}
        tree = self.tree(body)
        for name, source in (("subject.number", reply.subject), ("key", reply.key), ("reference", reply.reference)):
            try:
                value = expression(source, codes)(tree) if source and tree is not None else None
            except MappingFailed:
                continue
            if isinstance(value, (str, int)) and plain(value):
                found[name] = plain(value)
        return found

    def tree(self, body: bytes) -> Any:
        """Return a reply's body as the manifest's expressions see it; None where it cannot be read."""
        from onestop.gateway.bodies import codecs

        try:
            return codecs.reader(self.operation)(body)
        except BadBody:
            return None

    def named(self, name: str | None, status: int | None) -> Recorded | None:
        """Return the example that a caller asked for by name or status; None where there is none."""
        for example in self.examples:
            if (name is None or example.name == name) and (status is None or example.status == status):
                return example
        return None

    def nearest(self, facts: dict[str, str]) -> Recorded:
        """Return the example whose request is most like this one; among equals one that is an answer."""
        plain_ones = [e for e in self.examples if e.facts is None or e.good] or self.examples
        if not self.examples:
            return self.saying("ok") or self._plain()

        def far(example: Recorded) -> tuple[int, bool, bool]:
            apart = (
                len(self.form.distance(facts, example.facts)) if example.facts is not None else len(self.form.leaves)
            )
            return apart, not example.good, example.reads_as == "pending"

        exact = [e for e in self.examples if e.facts is not None and not self._people_differ(facts, e.facts)]
        return min(exact or plain_ones, key=far)

    def _people_differ(self, facts: dict[str, str], other: dict[str, str]) -> bool:
        """Tell whether two requests differ in any number of a person, or have none."""
        mine = {w: v for w, v in facts.items() if _PERSON.fullmatch(v)}
        return not mine or any(other.get(where) != value for where, value in mine.items())

    def saying(self, word: str) -> Recorded | None:
        """Return how this department says something: as recorded, by its error map, or by its outcome map.

        None where the manifest has no word for it.
        """
        for example in self.examples:
            if example.reads_as == word or (word == "ok" and example.good):
                return example
        if word not in self._made:
            self._made[word] = next((c for c in self._candidates(word) if self._reads(c, word)), None)
        return self._made[word]

    def _reads(self, made: Recorded, word: str) -> bool:
        made.reads_as = reading(self.prepared, made.status, made.headers, made.body)
        return made.reads_as == word or (word == "ok" and made.good)

    def _plain(self) -> Recorded:
        return self._new("made", self.operation.accept[0], b"")

    def _new(self, name: str, status: int, body: bytes, like: Recorded | None = None) -> Recorded:
        headers = {"content-type": media_type(self.operation)}
        return Recorded(
            operation=self.operation.id, name=name, status=status, headers=headers, body=body, made=True,
            values=dict(like.values) if like else self.told_by(body),
        )  # fmt: skip

    def _candidates(self, word: str) -> Iterable[Recorded]:
        """Yield answers that may be read as this word, the department's own ways first."""
        for case in self.operation.errors:
            if case.outcome == word:
                yield self._new(word, case.status or self._refusal_status(case), self._error_body(case))
        good = next((e for e in self.examples if e.good), None)
        if good is None:
            body = made_body(self.manifest, self.operation)
            good = self._new("made", self.operation.accept[0], body)
        if word in ("ok", "completed", "pending"):
            yield good
        yield from self._by_outcome(good, word)
        found = place_of(self.operation.reply.found)
        if word == "not_found" and found is not None:
            for changes in ({found: None}, {found: ""}):
                yield self._new(word, good.status, _or_same(self.operation, good.body, changes), good)
        if word in _STATUS:
            yield self._new(word, _STATUS[word], write_reply(self.operation, {"message": word}))

    def _by_outcome(self, good: Recorded, word: str) -> Iterable[Recorded]:
        rule = self.operation.reply.outcome
        place = place_of(rule.path) if rule else None
        for theirs, ours in rule.map.items() if rule else ():
            if ours == word and place is not None:
                changes: dict[str, Any] = {place: theirs}
                yield self._new(word, good.status, _or_same(self.operation, good.body, changes), good)

    def _refusal_status(self, case: ErrorCase) -> int:
        return self.operation.accept[0] if case.path else _STATUS[case.outcome]

    def _error_body(self, case: ErrorCase) -> bytes:
        tree: dict[str, Any] = {}
        place = place_of(case.path)
        if place is not None:
            value = case.equals if case.equals is not None else next(iter(case.one_of), "x")
            _grow(tree, place, value)
        reason = place_of(case.reason)
        if reason is not None:
            _grow(tree, reason, "演示：按您的要求模拟 / simulated as ordered")
        return write_reply(self.operation, tree or {"message": case.outcome})


_PERSON = re.compile(r"99\d{15}[\dX]")


def _grow(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = split(path)
    for step in parents:
        inner = tree.setdefault(step, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.setdefault(last, value)


def _or_same(operation: Operation, body: bytes, changes: dict[str, Any]) -> bytes:
    try:
        return put(operation, body, changes)
    except BadBody:
        return body


# --- where examples are kept ------------------------------------------------------------------------------------------


def inline(book: Book, example: Example) -> Recorded:
    """Return an example of the manifest itself as a recorded exchange; its request is made as a line would make it."""
    body = example.body.encode(book.operation.charset)
    if example.base64:
        try:
            body = base64.b64decode(example.body, validate=True)
        except binascii.Error:
            body = b""
    recorded = Recorded(
        operation=book.operation.id, name=example.name, status=example.status, body=body,
        headers=example.headers or {"content-type": media_type(book.operation)},
        values=flat(example.values), given=example.values,
    )  # fmt: skip
    if example.values:
        with suppress(MappingFailed):  # what cannot be asked for is still an answer
            recorded.facts = book.form.facts(as_request(book.prepared, example.values))
    return recorded


def as_request(prepared: Prepared, values: dict[str, Any]) -> Request:
    """Return what a line would send for these values, without credentials."""
    from urllib.parse import parse_qsl

    path, query, headers, body = prepared.request(values)
    told = dict(headers)
    return Request(
        method=prepared.spec.method, path=path, query=dict(parse_qsl(query, keep_blank_values=True)),
        headers={name.lower(): value for name, value in told.items()}, body=body, raw_query=query,
    )  # fmt: skip


def read_folder(folder: Path, books: Mapping[str, Book]) -> dict[str, bytes]:
    """Add what lies in an adapter's `examples` folder to its operations' books; return callbacks by operation."""
    requests: dict[tuple[str, str], bytes] = {}
    callbacks: dict[str, bytes] = {}
    paths = sorted(folder.glob("*.*"))[:_MOST_FILES] if folder.is_dir() else []
    for path in paths:
        if found := _REQUEST.fullmatch(path.name):
            requests[found[1], found[2]] = path.read_bytes()
        elif found := _CALLBACK.fullmatch(path.name):
            callbacks[found[1]] = path.read_bytes()
    for path in paths:
        found = _RESPONSE.fullmatch(path.name)
        book = books.get(found[1]) if found else None
        if found is not None and book is not None:
            book.add(_filed(book, found[2], int(found[3]), path.read_bytes(), requests.get((found[1], found[2]))))
    return callbacks


def _filed(book: Book, name: str, status: int, body: bytes, asked: bytes | None) -> Recorded:
    operation = book.operation
    recorded = Recorded(
        operation=operation.id, name=name, status=status, body=body, headers={"content-type": media_type(operation)}
    )
    if asked is not None:
        kind = {"content-type": "multipart/form-data"} if operation.request_codec == "multipart" else {}
        facts = book.form.facts(
            Request(method=operation.method, path=operation.path, query={}, headers=kind, body=asked)
        )
        recorded.facts = {where: value for where, value in facts.items() if where.startswith("body.")}
    return recorded
