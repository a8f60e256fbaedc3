"""The shape of answers: learnt from examples or told by a schema, and how a new answer departs from it; pure.

A shape knows types and forms, never content: nothing of an answer leaves here but paths and the names of types. Own
code rather than a schema validator, because a finding must say what was there and what is there now, and because most
manifests have examples and no schema.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

import msgspec

from onestop.gateway.manifest import Operation
from onestop.gateway.mapping.paths import outwards
from onestop.onboarding.simulator_paths import member_of

FindingKind = Literal["vanished", "type_changed", "null_new", "enum_new", "member_new", "format_changed"]

_MOST_PATHS: Final = 2000
_MOST_DEEP: Final = 16
_FORMS: Final = (
    ("date", re.compile(r"\d{4}-\d{2}-\d{2}")),
    ("instant", re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?(Z|[+-]\d{2}:?\d{2})?")),
    ("slashed", re.compile(r"\d{4}/\d{1,2}/\d{1,2}( \d{2}:\d{2}(:\d{2})?)?")),
    ("compact day", re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])")),
    ("compact instant", re.compile(r"(19|20)\d{12}")),
)
_CLOCKED: Final = re.compile(r"\|\s*(date|instant)\b")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which an answer departs from what was known."""

    kind: FindingKind
    path: str  # `data.members[].name`
    expected: str
    got: str


class Known(msgspec.Struct):
    """What is known of one path."""

    types: set[str]
    forms: set[str]  # of the texts seen; "" where one had none of the known forms
    enum: frozenset[str] | None = None  # told by a schema
    required: bool = True  # there whenever its parent is
    nullable: bool = False
    open: bool = False  # a schema says nothing about what is below


class Shape:
    """What is known of an operation's answers, path by path."""

    def __init__(self) -> None:
        self.paths: dict[str, Known] = {}
        self.told = False  # by a schema, not learnt

    @property
    def members(self) -> set[str]:
        """The paths that are known."""
        return set(self.paths)


def kind_of(value: Any) -> str:
    """Return the name of a value's type, as JSON calls it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else "record"


def form_of(text: str) -> str:
    """Return the known form of a text; empty where it has none."""
    if not 8 <= len(text) <= 32 or not text[0].isdigit():
        return ""
    return next((name for name, pattern in _FORMS if pattern.fullmatch(text)), "")


def walk(value: Any, *, xml: bool) -> Iterable[tuple[str, Any]]:
    """Yield every path of a value; XML lists and single records are one."""
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    count = 0
    while stack and count < _MOST_PATHS:
        path, part, depth = stack.pop()
        count += 1
        if not (xml and isinstance(part, list)):
            yield path, part
        if depth >= _MOST_DEEP:
            continue
        if isinstance(part, dict):
            stack += [(f"{path}.{name}" if path else str(name), inner, depth + 1) for name, inner in part.items()]
        elif isinstance(part, list):
            below = path if xml else f"{path}[]"
            stack += [(below, inner, depth + 1) for inner in part[:50]]


def learn(values: Sequence[Any], *, xml: bool = False) -> Shape:
    """Learn a shape from good answers; a member that one of them lacks may be missing."""
    shape = Shape()
    parents: dict[str, int] = {}
    seen: dict[str, int] = {}
    for value in values:
        for path, part in walk(value, xml=xml):
            known = shape.paths.setdefault(path, Known(set(), set()))
            seen[path] = seen.get(path, 0) + 1
            if part is None:
                known.nullable = True
            else:
                known.types.add(kind_of(part))
            if isinstance(part, str) and part:
                known.forms.add(form_of(part))
            if isinstance(part, dict):
                parents[path] = parents.get(path, 0) + 1
            if xml and part == "":
                known.nullable = True
    for path, known in shape.paths.items():
        above = _parent(path)
        known.required = not path or path.endswith("[]") or seen[path] >= parents.get(above, 0)
    return shape


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def from_schema(schema: dict[str, Any]) -> Shape:
    """Read a shape from a JSON Schema; what uses `oneOf`, `anyOf` or foreign references is left open."""
    shape = Shape()
    shape.told = True
    _read(schema, schema, "", True, shape, 0)
    return shape


_TYPES = {"object": "record", "array": "list", "string": "text", "integer": "number", "number": "number"}


def _read(part: Any, root: dict[str, Any], path: str, required: bool, shape: Shape, depth: int) -> None:
    if not isinstance(part, dict) or depth > _MOST_DEEP or len(shape.paths) > _MOST_PATHS:
        return
    part = _resolved(part, root)
    told = part.get("type")
    names = told if isinstance(told, list) else [told] if told else []
    nullable = "null" in names or part.get("nullable") is True
    loose = not names or bool({"oneOf", "anyOf", "allOf"} & set(part))
    types = set() if loose else {_TYPES.get(str(name), str(name)) for name in names if name != "null"}
    enum = frozenset(str(value) for value in part["enum"]) if isinstance(part.get("enum"), list) else None
    form = {"date": {"date"}, "date-time": {"instant"}}.get(str(part.get("format")), set())
    shape.paths[path] = Known(types, set(form), enum, required, nullable, open="properties" not in part)
    needed = set(part.get("required", ()))
    for name, inner in part.get("properties", {}).items():
        _read(inner, root, f"{path}.{name}" if path else name, name in needed, shape, depth + 1)
    if isinstance(part.get("items"), dict):
        _read(part["items"], root, f"{path}[]", True, shape, depth + 1)


def _resolved(part: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    for _ in range(8):
        ref = part.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#/"):
            return part
        found: Any = root
        for step in ref[2:].split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            return {}
        part = found
    return {}


def compare(shape: Shape, value: Any, *, xml: bool = False) -> list[Finding]:
    """Return how an answer departs from a shape."""
    found: dict[tuple[str, str], Finding] = {}
    there: dict[str, int] = {}
    records: dict[str, int] = {}
    for path, part in walk(value, xml=xml):
        there[path] = there.get(path, 0) + 1
        records[path] = records.get(path, 0) + isinstance(part, dict)
        finding = _departs(shape, path, part, xml)
        if finding is not None:
            found[finding.kind, path] = finding
    for path, known in shape.paths.items():
        above = _parent(path)
        if known.required and path and not path.endswith("[]") and there.get(path, 0) < records.get(above, 0):
            words = "/".join(sorted(known.types)) or "anything"
            found["vanished", path] = Finding(kind="vanished", path=path, expected=words, got="nothing")
    return list(found.values())


def _departs(shape: Shape, path: str, part: Any, xml: bool) -> Finding | None:
    known, kind = shape.paths.get(path), kind_of(part)
    if known is None:
        above = shape.paths.get(_parent(path) if not path.endswith("[]") else path[:-2])
        if above is None or (above.open and shape.told) or (path.endswith("[]") and not shape.told):
            return None
        return Finding(kind="member_new", path=path, expected="nothing", got=kind)
    empty = part is None or (xml and part == "")
    if empty:
        null = not known.nullable and (bool(known.types) and "list" not in known.types)
        return Finding(kind="null_new", path=path, expected="/".join(sorted(known.types)), got="null") if null else None
    if known.types and kind not in known.types and not (xml and known.nullable):
        return Finding(kind="type_changed", path=path, expected="/".join(sorted(known.types)), got=kind)
    if known.enum is not None and str(part) not in known.enum:
        return Finding(kind="enum_new", path=path, expected=f"one of {len(known.enum)}", got=kind)
    if isinstance(part, str) and part and known.forms and "" not in known.forms and form_of(part) not in known.forms:
        expected, got = "/".join(sorted(known.forms)), form_of(part) or "another form"
        return Finding(kind="format_changed", path=path, expected=expected, got=got)
    return None


# --- what of it matters -----------------------------------------------------------------------------------------------


def mapped_paths(operation: Operation) -> set[str]:
    """Return the paths that the manifest reads, and their parents, with and without the marks of lists."""
    reply = operation.reply
    sources = [reply.found, reply.as_of, reply.subject, reply.key, reply.reference, reply.reason]
    sources.append(reply.outcome.path if reply.outcome else None)
    found: set[str] = set()
    for source in sources:
        _reads(source, [""], found)
    _reads(reply.fields, [""], found)
    following = member_of(operation.paging.next) if operation.paging is not None else None
    return found - {following} if following else found  # the last page names none that follows


def _reads(source: Any, below: list[str], found: set[str]) -> None:
    """Add what an expression reads; `below` is where its record stands, the last, and those around it."""
    if isinstance(source, dict) and set(source) == {"each", "fields"}:
        levels, rest = outwards(source["each"].strip())
        base, place = below[-1 - levels], member_of(rest)
        for record in (place, f"{place}[]") if place else ():
            _reads(source["fields"], [*below, f"{base}{record}."], found)
        if place:
            _add(base + place, found)
    elif isinstance(source, dict):
        for part in source.values():
            _reads(part, below, found)
    elif isinstance(source, list):
        for part in source:
            _reads(part, below, found)
    elif isinstance(source, str):
        levels, rest = outwards(source.strip())
        if (place := member_of(rest)) is not None:
            _add(below[-1 - levels] + re.sub(r"\.\d+(?=\.|$)", "[]", place), found)


def _add(path: str, found: set[str]) -> None:
    steps = path.split(".")
    for end in range(1, len(steps) + 1):
        found.add(".".join(steps[:end]))


def breaking(operation: Operation, finding: Finding) -> bool:
    """Tell whether a finding may make answers wrong: it touches what the manifest reads, and how it reads it."""
    if finding.kind == "member_new" or finding.path not in mapped_paths(operation):
        return False
    if finding.kind == "enum_new":
        rule = operation.reply.outcome
        return rule is not None and rule.default is None and member_of(rule.path) == finding.path
    if finding.kind == "format_changed":
        return any(
            member_of(source) == finding.path for source in _clocked(operation.reply.as_of, operation.reply.fields)
        )
    return True


def _clocked(*sources: Any) -> Iterable[str]:
    for source in sources:
        if isinstance(source, str) and _CLOCKED.search(source):
            yield source
        elif isinstance(source, dict):
            yield from _clocked(*source.values())
