"""What is wrong with the form of a manifest: every unknown, missing or unfit key at once; the types name only one.

What can be read in spite of its faults is handed on, so that the other rules can look at it too.
"""

import re
from collections.abc import Callable
from datetime import time
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from msgspec import inspect

from onestop.gateway.lint.findings import Hit, Path, Subject, hit
from onestop.gateway.manifest import Manifest

_KIND: Final = inspect.type_info(Manifest)
_BAD: Final = object()
_ESSENTIAL: Final = {"total_s": "ADP-010", "basis": "ADP-011", "idempotent": "ADP-012", "purpose": "ADP-013"}
# Stand for what is missing while the rest is looked at; never used for more.
_STAND_INS: Final[dict[str, Any]] = {
    "total_s": 2.0,
    "basis": {"zh": "—", "en": "—"},
    "purpose": {"zh": "—", "en": "—"},
    "title": {"zh": "—", "en": "—"},
    "officer": {"zh": "—", "en": "—"},
    "contact": "a@example.com",
    "code": "11990100MB9T0002XE",
    "region": "990100",
    "version": "1.0.0",
}
_WORDS: Final[list[tuple[type, str]]] = [
    (bool, "true/false"), (int, "number"), (float, "number"), (str, "text"), (list, "array"), (dict, "table"),
]  # fmt: skip


def read_form(raw: dict[str, Any]) -> tuple[list[Hit], Subject | None]:
    """Return what is wrong with the form, and what can be read all the same; None where hardly anything can."""
    hits: list[Hit] = []
    operations = raw.get("operations")
    listed = operations if isinstance(operations, list) else []
    head = _Reading(hits).table({**raw, "operations": []} if listed else raw, _KIND, ())
    kept = [(i, _Reading(hits).table(one, _operation(), ("operations", i))) for i, one in enumerate(listed)]
    good = [(i, one) for i, one in kept if one is not _BAD]
    if head is _BAD:
        return hits, None
    head["operations"] = [one for _, one in good]
    try:
        manifest = msgspec.convert(head, Manifest)
    except msgspec.ValidationError as fault:
        # The reading above is meant to be as strict as the types; where it was not, the types have the last word.
        return hits or [hit("ADP-003", (), wanted=str(fault), got="—")], None
    return hits, Subject(manifest, raw, [i for i, _ in good], whole=not hits)


def _operation() -> inspect.StructType:
    [field] = [one for one in _KIND.fields if one.name == "operations"]  # type: ignore[attr-defined]
    kind: inspect.StructType = field.type.item_type
    return kind


class _Reading:
    """One walk through values beside their types; returns what is good of them."""

    def __init__(self, hits: list[Hit]) -> None:
        self._hits = hits

    def value(self, value: Any, kind: inspect.Type, path: Path) -> Any:
        """Return a value that fits its type, without what did not; `_BAD` where nothing is left."""
        match kind:
            case inspect.AnyType():
                return value
            case inspect.Metadata():
                return self.value(value, kind.type, path)
            case inspect.StructType():
                return self.table(value, kind, path)
            case inspect.UnionType():
                return self._one_of(value, kind, path)
            case inspect.LiteralType():
                return self._word(value, kind, path)
            case inspect.ListType() | inspect.VarTupleType():
                return self._items(value, kind, path)
            case inspect.DictType():
                return self._members(value, kind, path)
        return self._plain(value, kind, path)

    def table(self, value: Any, kind: inspect.Type, path: Path) -> Any:
        """Return a table with only the keys its struct has, each of its type."""
        if not isinstance(kind, inspect.StructType) or not isinstance(value, dict):
            return self._wrong(value, "table", path)
        fields = {field.encode_name: field for field in kind.fields}
        known = [*fields, *([kind.tag_field] if kind.tag_field else [])]
        for name in value:
            if name not in known:
                self._hits.append(hit("ADP-002", (*path, name), name=name, near=_near(name, known)))
        good: dict[str, Any] = {kind.tag_field: kind.tag} if kind.tag_field else {}
        for name, field in fields.items():
            read = self._field(value, field, path)
            if read is _BAD:
                return _BAD
            if read is not None:
                good[name] = read
        return good

    def _field(self, table: dict[str, Any], field: inspect.Field, path: Path) -> Any:
        name = field.encode_name
        stand_in = _STAND_INS.get(name)
        if name == "idempotent":
            stand_in = "safe" if table.get("kind") not in ("submit", "cancel", None) else "key"
        if name not in table:
            if not field.required:
                return None
            self._hits.append(hit(_ESSENTIAL.get(name, "ADP-006"), (*path, name), name=name))
            return _BAD if stand_in is None else stand_in
        read = self.value(table[name], field.type, (*path, name))
        if read is not _BAD:
            return read
        return None if not field.required else _BAD if stand_in is None else stand_in

    def _items(self, value: Any, kind: Any, path: Path) -> Any:
        if not isinstance(value, list):
            return self._wrong(value, "array", path)
        read = [self.value(item, kind.item_type, (*path, i)) for i, item in enumerate(value)]
        return _BAD if _BAD in read else read

    def _members(self, value: Any, kind: inspect.DictType, path: Path) -> Any:
        if not isinstance(value, dict):
            return self._wrong(value, "table", path)
        read = {name: self.value(item, kind.value_type, (*path, name)) for name, item in value.items()}
        return _BAD if _BAD in read.values() else read

    def _one_of(self, value: Any, kind: inspect.UnionType, path: Path) -> Any:
        structs = [one for one in kind.types if isinstance(one, inspect.StructType)]
        if structs and isinstance(value, dict):
            return self._tagged(value, structs, path)
        # The type that takes the value, or the one a person most likely meant, for its words.
        options = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        for one in options:
            quiet: list[Hit] = []
            if _Reading(quiet).value(value, one, path) is not _BAD and not quiet:
                return value
        return self.value(value, options[0], path)

    def _tagged(self, value: dict[str, Any], structs: list[inspect.StructType], path: Path) -> Any:
        name = structs[0].tag_field
        if name is None:
            return self.table(value, structs[0], path)
        if name not in value:
            self._hits.append(hit("ADP-006", (*path, name), name=name))
            return _BAD
        for struct in structs:
            if value[name] == struct.tag:
                return self.table(value, struct, path)
        allowed = [str(struct.tag) for struct in structs]
        self._hits.append(_unknown_word(value[name], allowed, (*path, name)))
        return _BAD

    def _word(self, value: Any, kind: inspect.LiteralType, path: Path) -> Any:
        if any(value == one and type(value) is type(one) for one in kind.values):
            return value
        self._hits.append(_unknown_word(value, [str(one) for one in kind.values], path))
        return _BAD

    def _plain(self, value: Any, kind: inspect.Type, path: Path) -> Any:
        words, types = _PLAIN_KINDS.get(type(kind), ("value", (object,)))
        fits = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
        if isinstance(kind, inspect.TimeType) and not fits:
            return self._wrong(value, "time", path)
        if isinstance(kind, inspect.IntType) and isinstance(value, float):
            fits = value.is_integer()
        if not fits:
            return self._wrong(value, words, path)
        for rule, wanted in filter(None, (_bounds(value, kind), _pattern(value, kind))):
            self._hits.append(hit(rule, path, wanted=wanted))
            return _BAD
        return value

    def _wrong(self, value: Any, wanted: str, path: Path) -> Any:
        got = next((word for kind, word in _WORDS if isinstance(value, kind)), type(value).__name__)
        self._hits.append(hit("ADP-003", path, wanted=wanted, got=got))
        return _BAD


_PLAIN_KINDS: Final[dict[type, tuple[str, tuple[type, ...]]]] = {
    inspect.StrType: ("text", (str,)),
    inspect.IntType: ("whole number", (int, float)),
    inspect.FloatType: ("number", (int, float)),
    inspect.BoolType: ("true/false", (bool,)),
    inspect.TimeType: ("time", (time,)),
}


def _bounds(value: Any, kind: Any) -> tuple[str, str] | None:
    """Return the bound a number, or the length of a text, breaks."""
    checks: list[tuple[str, str, Callable[[Any, Any], bool]]] = [
        ("ge", "≥", lambda a, b: a >= b), ("gt", ">", lambda a, b: a > b),
        ("le", "≤", lambda a, b: a <= b), ("lt", "<", lambda a, b: a < b),
    ]  # fmt: skip
    bounds = [(f"{sign} {bound:g}", holds(value, bound)) for name, sign, holds in checks
              if (bound := getattr(kind, name, None)) is not None]  # fmt: skip
    if isinstance(value, str):
        most, least = getattr(kind, "max_length", None), getattr(kind, "min_length", None)
        bounds = [(f"≤ {most}", most is None or len(value) <= most), (f"≥ {least}", len(value) >= (least or 0))]
    broken = [words for words, holds in bounds if not holds]
    return ("ADP-004", broken[0]) if broken else None


def _pattern(value: Any, kind: Any) -> tuple[str, str] | None:
    pattern = getattr(kind, "pattern", None)
    return ("ADP-007", pattern) if pattern is not None and re.search(pattern, value) is None else None


def _near(name: str, known: list[str]) -> str:
    found = get_close_matches(name, known, n=1, cutoff=0.6)
    return found[0] if found else "—"


def _unknown_word(value: Any, allowed: list[str], path: Path) -> Hit:
    return hit("ADP-005", path, word=str(value)[:40], allowed=" ".join(allowed), near=_near(str(value), allowed))
