"""Functions of the mapping language over texts, times and what stands inside a text; each result is bounded."""

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from lxml import etree

from onestop.clock import CHINA
from onestop.gateway.manifest import BadManifest
from onestop.gateway.mapping_functions import Getter, MappingFailed, Value, plain
from onestop.outbound.decoding import decode_json, decode_xml
from onestop.outbound.errors import BadBody

_MOST: Final = 262_144  # characters one function may give or read
_MOST_DEEP: Final = 32
_PARTIAL: Final = re.compile(r"(\d{4})[-/.年]?(\d{2})?[-/.月]?(\d{2})?日?")


def _on_text(change: Callable[[str], Value]) -> Callable[[str, str], Getter]:
    """Make a function that leaves nothing as it is and refuses more text than a mapping may hold."""

    def make(_: str, source: str) -> Getter:
        def convert(value: Value) -> Value:
            if value is None:
                return None
            text = plain(value)
            if len(text) > _MOST:
                raise MappingFailed(source, value, f"needs a text of at most {_MOST} characters")
            try:
                return change(text)
            except (ValueError, OverflowError, BadBody, msgspec.DecodeError, RecursionError) as fault:
                raise MappingFailed(source, value, "needs another text than this") from fault

        return convert

    return make


def _two(argument: str, source: str) -> tuple[str, str]:
    one, comma, two = argument.partition(",")
    if not comma:
        raise BadManifest(f"needs two arguments, with a comma between: {source}")
    return one.strip("'"), two.strip("'")


def _replace(argument: str, source: str) -> Getter:
    old, new = _two(argument, source)
    if not old or len(new) > 20:
        raise BadManifest(f"replace(a,b) needs a text to replace, and at most 20 characters instead: {source}")
    return _on_text(lambda text: text.replace(old, new))("", source)


def _split(argument: str, source: str) -> Getter:
    mark = argument.strip("'") or ","
    return _on_text(lambda text: [part.strip() for part in text.split(mark, 1000)])("", source)


def _pad(argument: str, source: str) -> Getter:
    width, fill = _two(argument, source)
    if not width.strip().isdigit() or int(width) > 100 or len(fill) != 1:
        raise BadManifest(f"pad(n,c) needs a width of at most 100 and one character: {source}")
    return _on_text(lambda text: text.rjust(int(width), fill))("", source)


def _flag(argument: str, source: str) -> Getter:
    yes, no = _two(argument, source)
    true = {"true", "1", "y", "yes", "是"}
    return lambda value: None if value is None else yes if plain(value).lower() in true else no


def _epoch(text: str) -> str:
    return datetime.fromtimestamp(float(text), UTC).astimezone(CHINA).isoformat()


def _to_epoch(text: str) -> int:
    at = datetime.fromisoformat(text)
    return int((at.replace(tzinfo=CHINA) if at.tzinfo is None else at).timestamp())


def _partial_date(text: str) -> str | None:
    """Return as much of a date as is known: YYYY, YYYY-MM or YYYY-MM-DD; zeros stand for what is not."""
    match = _PARTIAL.fullmatch(text.strip())
    if match is None:
        raise ValueError(text[:0])
    parts: list[str] = []
    for part in match.groups():
        if part is None or int(part) == 0:
            break
        parts.append(part)
    if len(parts) > 1:
        datetime(int(parts[0]), int(parts[1]), int(parts[2]) if len(parts) > 2 else 1, tzinfo=UTC)
    return "-".join(parts) or None


def _xml(text: str) -> Value:
    return nested(decode_xml(text.encode()))


def _b64json(text: str) -> Value:
    padded = text + "=" * (-len(text) % 4)
    return decode_json(base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True))


def nested(element: Any, depth: int = 0) -> Value:
    """Turn an element into text, or into a table of its children by local name; repeated ones become a list.

    Attributes of an element with children stand beside them as `@name`, those of a leaf in its parent as `leaf@name`.

    Raises:
        BadBody: deeper than a mapping reads.
    """
    if depth > _MOST_DEEP:
        raise BadBody("too_deep")
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return (element.text or "").strip()
    table: dict[str, Value] = {f"@{name}": value for name, value in _attributes(element)}
    for child in children:
        name, value = etree.QName(child).localname, nested(child, depth + 1)
        if not isinstance(value, dict):
            table |= {f"{name}@{attribute}": told for attribute, told in _attributes(child)}
        if name not in table:
            table[name] = value
        elif isinstance(table[name], list):
            table[name].append(value)
        else:
            table[name] = [table[name], value]
    return table


def _attributes(element: Any) -> list[tuple[str, str]]:
    return [
        (etree.QName(name).localname, value)
        for name, value in element.attrib.items()
        if "XMLSchema-instance" not in name
    ]


def _to_json(_: str, __: str) -> Getter:
    return lambda value: None if value is None else msgspec.json.encode(value).decode()


def _to_b64json(_: str, __: str) -> Getter:
    return lambda value: None if value is None else base64.b64encode(msgspec.json.encode(value)).decode()


def _yuan(text: str) -> str:
    fen = int(text)
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02}"


TEXTS: dict[str, Callable[[str, str], Getter]] = {
    "replace": _replace,
    "split": _split,
    "pad": _pad,
    "before": lambda mark, source: _on_text(lambda text: text.partition(mark.strip("'"))[0])("", source),
    "after": lambda mark, source: _on_text(lambda text: text.partition(mark.strip("'"))[2])("", source),
    "prefix": lambda told, source: _on_text(lambda text: told.strip("'") + text)("", source),
    "squeeze": _on_text(lambda text: " ".join(text.split())),
    "sha256": _on_text(lambda text: hashlib.sha256(text.encode()).hexdigest()),
    "flag": _flag,
    "epoch": _on_text(_epoch),
    "epochms": _on_text(lambda text: _epoch(str(float(text) / 1000))),
    "toepoch": _on_text(_to_epoch),
    "toepochms": _on_text(lambda text: _to_epoch(text) * 1000),
    "partial": _on_text(_partial_date),
    "xml": _on_text(_xml),
    "b64json": _on_text(_b64json),
    "tojson": _to_json,
    "tob64json": _to_b64json,
    "yuan": _on_text(_yuan),
    "strict": lambda _, __: lambda value: value,  # replaced where it is compiled: it needs the manifest's tables
}
