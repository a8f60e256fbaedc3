"""The closed list of functions of the mapping language; docs/manifest.md says what each does.

Each maker takes the argument between the brackets and the whole expression, for its failures to name.
"""

import base64
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from onestop.clock import CHINA
from onestop.gateway.manifest import BadManifest
from onestop.identity.rules import mask_number

Value = Any  # what JSON can hold
Getter = Callable[[Value], Value]


class MappingFailed(Exception):
    """A value does not have the form its expression needs; says which expression and which form, never the value."""

    def __init__(self, expression: str, value: Value, need: str) -> None:
        self.expression, self.need, self.shape = expression, need, shape(value)
        super().__init__(f"{expression}: {need}, got {self.shape}")


def shape(value: Value) -> str:
    """Describe a value without its content: what a person needs to see in a log."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(map(str, value))[:8]) + "}"
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    return "nothing" if value is None else type(value).__name__


def _text(_: str, __: str) -> Getter:
    return lambda value: None if value is None else value if isinstance(value, str) else plain(value)


def plain(value: Value) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)


def _int(_: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value is None or value == "":
            return None
        try:
            return int(value)
        except (TypeError, ValueError) as fault:
            raise MappingFailed(source, value, "needs a whole number") from fault

    return convert


def _decimal(value: Value, source: str, need: str) -> Decimal:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation as fault:
        raise MappingFailed(source, value, need) from fault
    if not number.is_finite() or abs(number) > Decimal(10) ** 15:
        raise MappingFailed(source, value, need)
    return number


def _number(_: str, source: str) -> Getter:
    return lambda value: None if value in (None, "") else float(_decimal(value, source, "needs a number"))


def _fen(_: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        return None if value in (None, "") else int(_decimal(value, source, "needs an amount in yuan") * 100)

    return convert


_EPOCH: Final = {"s": 1, "ms": 1000}  # `instant(ms)`: milliseconds since 1970


def _parse(value: Value, pattern: str, source: str) -> datetime:
    try:
        if pattern in _EPOCH:
            return datetime.fromtimestamp(int(value) / _EPOCH[pattern], CHINA)
        if pattern:
            return datetime.strptime(str(value), pattern)  # the zone is told below
        return datetime.fromisoformat(str(value))
    except (ValueError, TypeError, OverflowError, OSError) as fault:
        raise MappingFailed(source, value, f"needs a date as {pattern or 'RFC 3339'}") from fault


def _date(pattern: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        return None if value in (None, "") else _parse(value, pattern, source).date().isoformat()

    return convert


def _instant(pattern: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        at = _parse(value, pattern, source)
        return (at.replace(tzinfo=CHINA) if at.tzinfo is None else at).isoformat()

    return convert


def _day(pattern: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        return None if value in (None, "") else _parse(value, "", source).strftime(pattern or "%Y%m%d")

    return convert


def _mask(_: str, __: str) -> Getter:
    return lambda value: mask_number(value) if isinstance(value, str) else value


def _first(_: str, __: str) -> Getter:
    return lambda value: (value[0] if value else None) if isinstance(value, list) else value


def _count(_: str, __: str) -> Getter:
    return lambda value: len(value) if isinstance(value, list) else 0 if value is None else 1


def _join(glue: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value is None:
            return None
        if not isinstance(value, list):
            raise MappingFailed(source, value, "needs a list")
        return (glue or ",").join(plain(item) for item in value)

    return convert


def _default(argument: str, __: str) -> Getter:
    stand_in = argument.strip("'")
    return lambda value: stand_in if value is None or value == "" else value


def _yes(argument: str, __: str) -> Getter:
    words = {word.strip() for word in argument.split(",") if word.strip()} or {"true", "1", "Y", "yes"}
    return lambda value: None if value is None else plain(value) in words


def _json(_: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        try:
            return msgspec.json.decode(value if isinstance(value, (str, bytes)) else plain(value))
        except (msgspec.DecodeError, RecursionError) as fault:
            raise MappingFailed(source, value, "needs a JSON text") from fault

    return convert


def _b64(_: str, __: str) -> Getter:
    return lambda value: None if value is None else base64.b64encode(plain(value).encode()).decode()


def _unb64(_: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value is None:
            return None
        try:
            return base64.b64decode(plain(value), validate=True).decode("utf-8")
        except ValueError as fault:  # binascii.Error and UnicodeDecodeError are; so is what is not ASCII
            raise MappingFailed(source, value, "needs base64 of UTF-8 text") from fault

    return convert


def _cut(argument: str, source: str) -> Getter:
    bounds = [int(bound) for bound in argument.split(",") if bound.strip().isdigit()]
    if len(bounds) != 2:
        raise BadManifest(f"cut(from,to) needs two numbers: {source}")
    return lambda value: None if value is None else plain(value)[bounds[0] : bounds[1]]


def _concat(argument: str, __: str) -> Getter:
    tail = argument.strip("'")
    return lambda value: None if value is None else plain(value) + tail


def _on_text(change: Callable[[str], str]) -> Callable[[str, str], Getter]:
    return lambda _, __: lambda value: change(value) if isinstance(value, str) else value


FUNCTIONS: dict[str, Callable[[str, str], Getter]] = {
    "text": _text,
    "int": _int,
    "number": _number,
    "fen": _fen,
    "date": _date,
    "instant": _instant,
    "day": _day,
    "mask": _mask,
    "first": _first,
    "count": _count,
    "join": _join,
    "default": _default,
    "yes": _yes,
    "json": _json,
    "b64": _b64,
    "unb64": _unb64,
    "cut": _cut,
    "concat": _concat,
    "trim": _on_text(str.strip),
    "upper": _on_text(str.upper),
    "lower": _on_text(str.lower),
    "code": _text,  # replaced where it is compiled: it needs the manifest's tables
}
