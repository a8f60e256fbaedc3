"""A request as it came in and a reply as it goes out, before any department's own format."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypeVar
from xml.sax.saxutils import escape

import msgspec

from onestop.demo.people import Behaviour

JSON = "application/json"
Shape = TypeVar("Shape")
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


class Request(msgspec.Struct, kw_only=True):
    """One request; header names are in lower case."""

    method: str
    path: str
    raw_query: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    behaviour: Behaviour = Behaviour.NORMAL  # set once it is known whom the request is about


class Reply(msgspec.Struct, frozen=True):
    """One reply; `effect` tells that this very request changed the department's ledger."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    effect: bool = False


def json_reply(
    content: Any, status: int = 200, *, effect: bool = False, headers: Mapping[str, str] | None = None
) -> Reply:
    """Build a JSON reply."""
    pairs = tuple((name.encode(), value.encode()) for name, value in (headers or {}).items())
    return Reply(msgspec.json.encode(content), status, JSON, pairs, effect)


def without_declaration(xml: str) -> str:
    """Return an XML text that was already decoded without its declaration, whose encoding no longer holds."""
    return _XML_DECLARATION.sub("", xml, count=1)


def element(name: str, content: Any, attributes: str = "") -> str:
    """Write one XML element: a mapping becomes children, a list the same element repeated, None an empty one."""
    if isinstance(content, list):
        return "".join(element(name, each) for each in content)
    if isinstance(content, Mapping):
        inner = "".join(element(child, value) for child, value in content.items())
    else:
        inner = escape(_text(content))
    return f"<{name}{attributes}>{inner}</{name}>"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def decoded(body: bytes | str, shape: type[Shape]) -> Shape:
    """Read a JSON body.

    Raises:
        ValueError: it is not JSON of this shape; the sentence names the place.
    """
    return msgspec.json.decode(body, type=shape)
