"""Functions of the mapping language that work on texts and truth values; docs/mapping.md shows each."""

import hashlib
import re
from collections.abc import Callable
from typing import Final

from onestop.gateway.mapping.arguments import Spot, integers, parts, unquoted, words
from onestop.gateway.mapping.values import Getter, MappingFailed, Value, plain, spend_text
from onestop.identity.rules import mask_number

Both = Callable[[Value, Value], Value]  # of the value so far, and of what the whole expression reads

_MOST_PADDED: Final = 200
_SPACES: Final = re.compile(r"\s+")


def text(_: str, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value is None or isinstance(value, str):
            return value
        made = plain(value)
        spend_text(len(made), spot.source, value)
        return made

    return convert


def mask(_: str, __: Spot) -> Getter:
    return lambda value: mask_number(value) if isinstance(value, str) else value


def default(argument: str, __: Spot) -> Getter:
    stand_in = argument.strip("'")
    return lambda value: stand_in if value is None or value == "" else value


def cut(argument: str, spot: Spot) -> Getter:
    bounds = integers(argument, spot, "cut(from,to) needs one or two whole numbers", 1, 2)
    piece = slice(bounds[0], bounds[1] if len(bounds) == 2 else None)
    return lambda value: None if value is None else plain(value)[piece]


def before(argument: str, spot: Spot) -> Getter:
    mark = _mark(argument, spot, "before(x)")
    return lambda value: None if value is None else plain(value).partition(mark)[0]


def after(argument: str, spot: Spot) -> Getter:
    mark = _mark(argument, spot, "after(x)")

    def convert(value: Value) -> Value:
        _, found, rest = plain(value).partition(mark) if value is not None else ("", "", "")
        return rest if found else None

    return convert


def _mark(argument: str, spot: Spot, name: str) -> str:
    mark = unquoted(argument)
    if not mark:
        raise spot.wrong(f"{name} needs a text")
    return mark


def replace(argument: str, spot: Spot) -> Getter:
    found = [unquoted(part) for part in parts(argument)]
    if len(found) != 2 or not found[0]:
        raise spot.wrong("replace(a,b) needs what to replace, and by what")
    old, new = found

    def convert(value: Value) -> Value:
        if value is None:
            return None
        told = plain(value)
        spend_text(len(told) + told.count(old) * max(len(new) - len(old), 0), spot.source, value)
        return told.replace(old, new)

    return convert


def pad(argument: str, spot: Spot) -> Getter:
    found = [unquoted(part) for part in parts(argument)]
    fill = found[1] if len(found) == 2 else "0"
    width = integers(found[0], spot, "pad(n,c) needs a width", 1, 1)[0]
    if not 1 <= width <= _MOST_PADDED or len(fill) != 1 or len(found) > 2:
        raise spot.wrong(f"pad(n,c) needs a width of 1 to {_MOST_PADDED} and one character")

    def convert(value: Value) -> Value:
        if value is None:
            return None
        spend_text(width, spot.source, value)
        return plain(value).rjust(width, fill)

    return convert


def concat(argument: str, spot: Spot) -> Getter:
    """Add a text behind; nothing stays nothing."""
    added = _mark(argument, spot, "concat(x)")
    return _joined(lambda told: told + added, spot)


def prefix(argument: str, spot: Spot) -> Getter:
    """Add a text before; nothing stays nothing."""
    added = _mark(argument, spot, "prefix(x)")
    return _joined(lambda told: added + told, spot)


def _joined(change: Callable[[str], str], spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value is None:
            return None
        made = change(plain(value))
        spend_text(len(made), spot.source, value)
        return made

    return convert


def append(argument: str, spot: Spot) -> Both:
    """Add what a path reads; nothing stays nothing."""
    tail = spot.path(argument)

    def convert(value: Value, root: Value) -> Value:
        added = tail(root)
        if value is None or added is None:
            return value
        made = plain(value) + plain(added)
        spend_text(len(made), spot.source, value)
        return made

    return convert


def otherwise(argument: str, spot: Spot) -> Both:
    stand_in = spot.operand(argument)
    return lambda value, root: stand_in(root) if value is None or value in ("", [], {}) else value


def yes(argument: str, __: Spot) -> Getter:
    accepted = set(words(argument)) or {"true", "1", "Y", "yes"}
    return lambda value: None if value is None else plain(value) in accepted


def yes_no(argument: str, spot: Spot) -> Getter:
    true, false = _pair(argument, spot, "yes_no")

    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        told = plain(value)
        if told not in (true, false):
            raise MappingFailed(spot.source, value, f"needs {true} or {false}")
        return told == true

    return convert


def flag(argument: str, spot: Spot) -> Getter:
    true, false = _pair(argument, spot, "flag")

    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        told = plain(value).lower()
        if told not in ("true", "false", "1", "0", "yes", "no"):
            raise MappingFailed(spot.source, value, "needs a truth value")
        return true if told in ("true", "1", "yes") else false

    return convert


def _pair(argument: str, spot: Spot, name: str) -> tuple[str, str]:
    found = words(argument)
    if len(found) != 2 or found[0] == found[1]:
        raise spot.wrong(f"{name}(yes,no) needs two different words")
    return found[0], found[1]


def sha256(_: str, __: Spot) -> Getter:
    return lambda value: (
        None if value is None else hashlib.sha256(plain(value).encode("utf-8", "surrogatepass")).hexdigest()
    )


def length(_: str, __: Spot) -> Getter:
    return lambda value: len(value) if isinstance(value, (list, str)) else 0 if value is None else len(plain(value))


def code(argument: str, spot: Spot) -> Getter:
    table = spot.codes.get(argument)
    if table is None:
        raise spot.wrong(f"no [codes.{argument}]")

    def convert(value: Value) -> Value:
        if value is None:
            return None
        theirs = value if type(value) is str else plain(value)
        return table.get(theirs, theirs)

    return convert


def strict(argument: str, spot: Spot) -> Getter:
    table = spot.codes.get(argument)
    if table is None:
        raise spot.wrong(f"no [codes.{argument}]")

    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        ours = table.get(plain(value))
        if ours is None:
            raise MappingFailed(spot.source, value, f"needs one of the {len(table)} codes of [codes.{argument}]")
        return ours

    return convert


def on_text(change: Callable[[str], str]) -> Callable[[str, Spot], Getter]:
    """Make a function of what changes a text; whatever is no text stays as it is."""
    return lambda _, __: lambda value: change(value) if isinstance(value, str) else value


def squeeze(value: str) -> str:
    return _SPACES.sub(" ", value).strip()
