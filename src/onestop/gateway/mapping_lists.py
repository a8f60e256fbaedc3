"""Functions of the mapping language over lists; each is bounded by the list it reads."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from onestop.gateway.manifest import BadManifest
from onestop.gateway.mapping_functions import Getter, MappingFailed, Value, plain
from onestop.gateway.mapping_paths import path


def _items(value: Value) -> list[Value]:
    """Return a list as it is, a single record as a list of one, nothing as an empty list."""
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _where(argument: str, source: str) -> Getter:
    place, comma, wanted = argument.rpartition(",")
    if not comma:
        raise BadManifest(f"where(path,value) needs both: {source}")
    get, wanted = path(place.strip(), source), wanted.strip().strip("'")
    return lambda value: [one for one in _items(value) if (found := get(one)) is not None and plain(found) == wanted]


def _get(argument: str, source: str) -> Getter:
    return path(argument.strip(), source)


def _pick(argument: str, source: str) -> Getter:
    get = path(argument.strip(), source)
    return lambda value: [found for one in _items(value) if (found := get(one)) is not None]


def _at(argument: str, source: str) -> Getter:
    if not argument.strip().lstrip("-").isdigit():
        raise BadManifest(f"at(n) needs a number: {source}")
    place = int(argument)

    def pick(value: Value) -> Value:
        items = _items(value)
        return items[place] if -len(items) <= place < len(items) else None

    return pick


def _sum(argument: str, source: str) -> Getter:
    get = path(argument.strip() or ".", source)

    def add(value: Value) -> Value:
        try:
            total = sum((Decimal(str(get(one) or 0)) for one in _items(value)), Decimal(0))
        except InvalidOperation as fault:
            raise MappingFailed(source, value, "needs numbers") from fault
        return int(total) if total == int(total) else float(total)

    return add


def _unique(_: str, __: str) -> Getter:
    return lambda value: list({plain(one): one for one in _items(value)}.values())


def _sort(argument: str, source: str) -> Getter:
    get = path(argument.strip() or ".", source)
    return lambda value: sorted(_items(value), key=lambda one: plain(get(one)))


LISTS: dict[str, Callable[[str, str], Getter]] = {
    "where": _where,
    "get": _get,
    "pick": _pick,
    "at": _at,
    "last": lambda _, source: _at("-1", source),
    "sum": _sum,
    "unique": _unique,
    "sort": _sort,
}
