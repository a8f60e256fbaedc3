"""A manifest as text that a person likes to read: a line for each value, tables under headings, comments where due.

Small rather than a library's: those that write TOML know neither where to break a line nor what to say above it.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH: Final = 116
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def key(name: str) -> str:
    """Return a key as TOML writes it."""
    return name if _BARE.fullmatch(name) else text(name)


def text(value: str) -> str:
    """Return a basic string."""
    return (
        '"'
        + "".join(_ESCAPES.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c) for c in value)
        + '"'
    )


def value(told: Any) -> str:
    """Return any value on one line.

    Raises:
        TypeError: TOML has no such value.
    """
    if isinstance(told, bool):
        return "true" if told else "false"
    if isinstance(told, str):
        return text(told)
    if isinstance(told, int):
        return str(told) if -(2**63) <= told < 2**63 else text(str(told))
    if isinstance(told, float):
        return repr(told) if math.isfinite(told) else text(str(told))
    if isinstance(told, Mapping):
        inner = ", ".join(f"{key(str(name))} = {value(part)}" for name, part in told.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(told, list | tuple):
        return f"[{', '.join(value(part) for part in told)}]"
    raise TypeError(type(told).__name__)


def block(told: str) -> str:
    """Return a text of several lines as it is, in quotes that keep it, where it has none of them itself."""
    plain = all(c in "\n\t" or (ord(c) >= 32 and ord(c) != 127) for c in told)
    if "\n" in told and "'''" not in told and plain and not told.endswith("'"):
        return f"'''\n{told}'''"
    return text(told)


def lines(name: str, told: Any, comment: str = "") -> Iterator[str]:
    """Yield `name = value`, an array of tables and a long text over several lines, its comment above."""
    for part in comment.splitlines():
        yield f"# {part}"
    if isinstance(told, str):
        yield f"{name} = {block(told)}"
        return
    one = f"{name} = {value(told)}"
    if len(one) > _WIDTH and isinstance(told, list) and told:
        yield f"{name} = ["
        for part in told:
            yield f"  {value(part)},"
        yield "]"
        return
    yield one


def section(path: str, told: Mapping[str, Any], comments: Mapping[str, str], where: str) -> Iterator[str]:
    """Yield a table under its heading: what fits on a line first, then larger tables under headings of their own."""
    large: list[str] = []
    short: list[str] = []
    for name, part in told.items():
        comment = comments.get(f"{where}.{name}", "")
        if isinstance(part, Mapping) and part and len(f"{key(name)} = {value(part)}") > _WIDTH:
            large += ["", *(f"# {line}" for line in comment.splitlines())]
            large += section(f"{path}.{key(name)}", part, comments, f"{where}.{name}")
        else:
            short += lines(key(name), part, comment)
    if short or not large:
        yield f"[{path}]"
        yield from short
        yield from large
    else:
        yield from large[1:]
