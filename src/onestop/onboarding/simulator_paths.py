"""Places in requests and replies by one text each, such as `body.page.no`; a name that holds a dot stands in quotes.

What an expression of a manifest reads is asked of the mapping language itself, so that both mean the same place.
"""

import re
from collections.abc import Iterable

from onestop.gateway.mapping.language import path_of

_STEP = re.compile(r'"([^"]+)"|([^.]+)')


def step(name: str) -> str:
    """Return one name as a step of a place."""
    return f'"{name}"' if "." in name and '"' not in name else name


def joined(names: Iterable[str]) -> str:
    """Return the place that these names lead to."""
    return ".".join(step(name) for name in names)


def split(place: str) -> list[str]:
    """Return the names that lead to a place."""
    return [quoted or bare for quoted, bare in _STEP.findall(place)]


def place_of(expression: str | None) -> str | None:
    """Return the place an expression reads; None where it reads a literal, the whole body, or is none.

    Raises:
        BadManifest: a quote or a bracket of it is not closed.
    """
    names = path_of(expression) if expression else None
    return joined(names) if names else None


def member_of(expression: str | None) -> str | None:
    """Return the same as a schema's members are listed: names joined by dots, without quotes."""
    names = path_of(expression) if expression else None
    return ".".join(names) if names else None
