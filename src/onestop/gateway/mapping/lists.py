"""Functions of the mapping language that work on lists; docs/mapping.md shows each."""

from typing import Final

from onestop.gateway.mapping.arguments import Spot, integers, parts, unquoted
from onestop.gateway.mapping.values import Getter, MappingFailed, Value, plain, spend_parts, spend_text

_EMPTY: Final[tuple[Value, ...]] = (None, "", [], {})


def _listed(value: Value) -> list[Value]:
    """Return a list; a single record is a list of one, as XML makes them."""
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def first(_: str, __: Spot) -> Getter:
    return lambda value: (value[0] if value else None) if isinstance(value, list) else value


def last(_: str, __: Spot) -> Getter:
    return lambda value: (value[-1] if value else None) if isinstance(value, list) else value


def at(argument: str, spot: Spot) -> Getter:
    index = integers(argument, spot, "at(n) needs one whole number", 1, 1)[0]

    def convert(value: Value) -> Value:
        items = _listed(value)
        return items[index] if -len(items) <= index < len(items) else None

    return convert


def count(_: str, __: Spot) -> Getter:
    return lambda value: len(value) if isinstance(value, list) else 0 if value is None else 1


def join(glue: str, spot: Spot) -> Getter:
    between = unquoted(glue) or ","

    def convert(value: Value) -> Value:
        if value is None:
            return None
        if not isinstance(value, list):
            raise MappingFailed(spot.source, value, "needs a list")
        texts = [plain(item) for item in value]
        spend_text(sum(map(len, texts)) + len(between) * len(texts), spot.source, value)
        return between.join(texts)

    return convert


def split(argument: str, spot: Spot) -> Getter:
    mark = unquoted(argument) or ","

    def convert(value: Value) -> Value:
        if value in (None, ""):
            return []
        if not isinstance(value, str):
            raise MappingFailed(spot.source, value, "needs a text")
        spend_parts(value.count(mark) + 1, spot.source, value)
        return [piece.strip() for piece in value.split(mark)]

    return convert


def where(argument: str, spot: Spot) -> Getter:
    """Keep the records in which a path reads a value; without a value, those in which it reads anything."""
    told = parts(argument)
    if len(told) > 2 or not told[0]:
        raise spot.wrong("where(path,value) needs a path, and a value or none")
    read = spot.path(told[0])
    wanted = unquoted(told[1]) if len(told) == 2 else None

    def convert(value: Value) -> Value:
        if wanted is None:
            return [item for item in _listed(value) if read(item) not in _EMPTY]
        return [item for item in _listed(value) if (told := read(item)) is not None and plain(told) == wanted]

    return convert


def get(argument: str, spot: Spot) -> Getter:
    return spot.path(argument)


def each(argument: str, spot: Spot) -> Getter:
    """Read one path from every record of a list; where it reads nothing there is no item."""
    read = spot.path(argument)
    return lambda value: [told for item in _listed(value) if (told := read(item)) is not None]


def unique(_: str, __: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if not isinstance(value, list):
            return value
        seen: dict[str, Value] = {}
        for item in value:
            seen.setdefault(f"{type(item).__name__} {plain(item)}", item)
        return list(seen.values())

    return convert


def sort(argument: str, spot: Spot) -> Getter:
    """Put texts, or numbers, or the records that a path reads them from, in order; what reads nothing comes last."""
    read = spot.path(argument or ".")

    def convert(value: Value) -> Value:
        if not isinstance(value, list):
            return value
        keys = [read(item) for item in value]
        kinds = {type(key) for key in keys if key is not None}
        if not (kinds <= {int, float} or kinds <= {str}):
            raise MappingFailed(spot.source, value, "needs texts alone, or numbers alone, to sort")
        stand_in = "" if kinds == {str} else 0
        order = sorted(range(len(value)), key=lambda i: (keys[i] is None, stand_in if keys[i] is None else keys[i]))
        return [value[i] for i in order]

    return convert
