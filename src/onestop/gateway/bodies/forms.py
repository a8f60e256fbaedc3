"""Forms: nested values as `a[b]=…`, lists as a name that comes again, or as `a[0][b]` where they hold tables."""

import re
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from onestop.gateway.mapping.values import MappingFailed, Value, plain
from onestop.outbound.decoding import decode_text
from onestop.outbound.errors import BadBody

_MOST_PAIRS: Final = 1000
_MOST_DEPTH: Final = 8
_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_INNER: Final = re.compile(r"\[([^\[\]]*)\]")


def write(made: dict[str, Any], charset: str) -> bytes:
    """Write nested values as a form.

    Raises:
        MappingFailed: they are nested too deeply.
        UnicodeEncodeError: the charset has no such character.
    """
    told = [pair for name, value in made.items() for pair in pairs(name, value)]
    return urlencode(told, encoding=charset, errors="strict").encode("ascii")


def pairs(name: str, value: Value) -> list[tuple[str, str]]:
    """Return the names and values that one member of a form or of a query stands for; none for an empty list.

    Raises:
        MappingFailed: it is nested too deeply.
    """
    found: list[tuple[str, str]] = []
    _add(found, name, value, 0)
    return found


def _add(pairs: list[tuple[str, str]], name: str, value: Value, depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise MappingFailed("request", value, f"needs at most {_MOST_DEPTH} levels in a form or query")
    if isinstance(value, dict):
        for member, inner in value.items():
            _add(pairs, f"{name}[{member}]", inner, depth + 1)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _add(pairs, f"{name}[{i}]" if isinstance(item, (dict, list)) else name, item, depth + 1)
    else:
        pairs.append((name, "" if value is None else plain(value)))


def read(body: bytes, charset: str) -> dict[str, Any]:
    """Read a form into nested values; a name that comes again makes a list.

    Raises:
        BadBody: it is not of the charset, has too many pairs, or names that contradict each other.
    """
    text = decode_text(body, charset).strip()  # type: ignore[arg-type]  # a charset of the manifest
    if text and "=" not in text:
        raise BadBody("form_malformed")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, encoding=charset, errors="strict", max_num_fields=_MOST_PAIRS)
    except UnicodeDecodeError:
        raise BadBody("charset") from None
    except ValueError:
        raise BadBody("too_many_parts") from None
    table: dict[str, Any] = {}
    for name, value in pairs:
        _put(table, name, value)
    return table


def _put(table: dict[str, Any], name: str, value: str) -> None:
    found = _NAME.fullmatch(name)
    steps = [name] if found is None else [found[1], *_INNER.findall(found[2])]
    if steps[-1] == "" and len(steps) > 1:
        steps.pop()  # `a[]` is `a` that comes again
    if len(steps) > _MOST_DEPTH:
        raise BadBody("too_deep")
    for step in steps[:-1]:
        table = table.setdefault(step, {})
        if not isinstance(table, dict):
            raise BadBody("form_malformed")
    last = steps[-1]
    if last not in table:
        table[last] = value
    elif isinstance(table[last], list):
        table[last].append(value)
    elif isinstance(table[last], str):
        table[last] = [table[last], value]
    else:
        raise BadBody("form_malformed")
