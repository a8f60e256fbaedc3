"""What the mapping language works on: values, their failures told without content, and the bounds of its work."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

Value = Any  # what JSON can hold
Getter = Callable[[Value], Value]
Made = TypeVar("Made")
Codes = Mapping[str, Mapping[str, str]]

MOST_PARTS: Final = 20_000  # records, members and leaves that one mapping may make
MOST_TEXT: Final = 4 * 1_048_576  # characters that one mapping may make
_GROWTH: Final = 4  # the same, in times of what may be read or sent
MOST_DEPTH: Final = 40
_NAME: Final = re.compile(r"(?!.*\d{5})[^\W\d][\w.@-]{0,39}")


class MappingFailed(Exception):
    """A value does not have the form its expression needs; says which expression and which form, never the value."""

    def __init__(self, expression: str, value: Value, need: str) -> None:
        self.expression, self.need, self.shape = expression, need, shape(value)
        super().__init__(f"{expression}: {need}, got {self.shape}")


def shape(value: Value) -> str:
    """Describe a value without its content: what a person needs to see in a log."""
    if isinstance(value, dict):
        names = sorted(name if _NAME.fullmatch(name) else "…" for name in map(str, value))
        return "table of " + (", ".join(names[:8]) + (", …" if len(names) > 8 else "") if names else "nothing")
    if isinstance(value, list):
        kinds = {_kind(item) for item in value}
        kind = kinds.pop() if len(kinds) == 1 else "value"
        return f"list of {len(value)} {kind}{'' if len(value) == 1 else 's'}"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    return "nothing" if value is None else _kind(value)


def _kind(value: Value) -> str:
    if isinstance(value, dict):
        return "table"
    if isinstance(value, bool):
        return "truth value"
    return {str: "text", list: "list", int: "number", float: "number"}.get(type(value), "value")


def plain(value: Value) -> str:
    """Return a value as text: truth values as in JSON, lists and tables as JSON."""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return msgspec.json.encode(value).decode()
    return str(value)


class _Work:
    """What the mapping under way may still make. Mappings never wait, so one is under way at a time."""

    __slots__ = ("around", "parts", "text")

    def __init__(self) -> None:
        self.parts, self.text = MOST_PARTS, MOST_TEXT
        self.around: list[Value] = []  # the records whose lists are being mapped, the outermost first


_work = _Work()


def bounded(convert: Getter, most_text: int) -> Getter:
    """Return a mapping that starts with fresh bounds each time."""

    def run(root: Value) -> Value:
        _work.parts, _work.text = MOST_PARTS, most_text
        _work.around.clear()  # one that failed left it as it was
        return convert(root)

    return run


def of_each(convert: Callable[[Value], Made], records: list[Value], outer: Value) -> list[Made]:
    """Map the records of a list that stands in `outer`, which `around` then gives."""
    _work.around.append(outer)
    made = [convert(record) for record in records]
    _work.around.pop()
    return made


def around(levels: int) -> Value:
    """Return the record so many lists outwards."""
    return _work.around[-levels]


def most_text(most_bytes: int) -> int:
    """Return how much text a mapping of a body of at most so many bytes may make; base64 of all of it always fits."""
    return max(min(_GROWTH * most_bytes, MOST_TEXT), most_bytes * 3 // 2)


def spend_parts(count: int, source: str, value: Value) -> None:
    """Count records or members that are made.

    Raises:
        MappingFailed: the mapping has made more than it may.
    """
    _work.parts -= count
    if _work.parts < 0:
        raise MappingFailed(source, value, f"makes more than {MOST_PARTS} parts")


def spend_text(count: int, source: str, value: Value) -> None:
    """Count characters that are made.

    Raises:
        MappingFailed: as `spend_parts`.
    """
    _work.text -= count
    if _work.text < 0:
        raise MappingFailed(source, value, "makes more text than it may")


def spend(made: Value, source: str) -> Value:
    """Count a whole value that was made of a text, and return it.

    Raises:
        MappingFailed: it is too large or too deep.
    """
    _spend(made, source, 0)
    return made


def _spend(value: Value, source: str, depth: int) -> None:
    spend_parts(1, source, value)
    if isinstance(value, str):
        spend_text(len(value), source, value)
    elif isinstance(value, (dict, list)):
        if depth > MOST_DEPTH:
            raise MappingFailed(source, value, f"needs at most {MOST_DEPTH} levels")
        for item in value.values() if isinstance(value, dict) else value:
            _spend(item, source, depth + 1)


def check_size(made: Value, most_text: int, source: str) -> None:
    """Refuse a whole result that is larger than one mapping may make.

    Raises:
        MappingFailed: it has too many parts, too much text, or too many levels.
    """
    _work.parts, _work.text = MOST_PARTS, most_text
    _spend(made, source, 0)
