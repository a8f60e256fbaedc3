"""Nested tables as XML, the way back from how the gateway reads it: `@name` and `element@name` are attributes."""

import re
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

_TAG: Final = re.compile(r"[A-Za-z_][\w.-]*")
_MOST_DEEP: Final = 40


def inside(value: Any, depth: int = 0) -> str:
    """Return the inside of an element; what no element can be called is left out."""
    if isinstance(value, Mapping):
        names = dict.fromkeys(str(name).partition("@")[0] for name in value)
        told = [_elements(name, value, depth) for name in names if _TAG.fullmatch(name)]
        return "".join(told) if depth < _MOST_DEEP else ""
    return escape(_plain(value))


def _elements(name: str, above: Mapping[str, Any], depth: int) -> str:
    """Return an element, or one for each of a list, with the attributes that stand in it or beside it."""
    beside = {key.partition("@")[2]: told for key, told in above.items() if key.startswith(f"{name}@")}
    longest = max((len(told) for told in beside.values() if isinstance(told, list)), default=1)
    part, parts = above.get(name, [""] * longest), []
    for i, one in enumerate(part if isinstance(part, list) else [part]):
        own = {told: _at(listed, i) for told, listed in beside.items()}
        parts.append(f"<{name}{attributes(own)}{attributes(one, '@')}>{inside(one, depth + 1)}</{name}>")
    return "".join(parts)


def _at(listed: Any, i: int) -> Any:
    return (listed[i] if i < len(listed) else None) if isinstance(listed, list) else listed


def attributes(told: Any, mark: str = "") -> str:
    """Return the attributes of a table, those whose names begin with `mark`."""
    if not isinstance(told, Mapping):
        return ""
    named = {key[len(mark) :]: part for key, part in told.items() if key.startswith(mark) and part is not None}
    plain = {
        name: part for name, part in named.items() if _TAG.fullmatch(name) and not isinstance(part, Mapping | list)
    }
    return "".join(f" {name}={quoteattr(_plain(part))}" for name, part in plain.items())


def _plain(value: Any) -> str:
    if value in (None, [], {}):
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
