"""Bodies as a department reads and writes them: bytes into facts, values put into recorded text, texts made anew."""

import csv
import io
import re
from email.parser import BytesParser
from email.policy import HTTP
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import msgspec
from lxml import etree

from onestop.gateway.bodies import codecs, forms
from onestop.gateway.manifest import Operation
from onestop.onboarding.simulator_paths import split, step
from onestop.onboarding.xml_writing import attributes, inside
from onestop.outbound.decoding import decode_json, decode_xml
from onestop.outbound.errors import BadBody

_SOAP = {
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "soap12": "http://www.w3.org/2003/05/soap-envelope",
}
_TYPES = {
    "json": "application/json",
    "xml": "application/xml",
    "soap": "text/xml",
    "form": "application/x-www-form-urlencoded",
    "csv": "text/csv",
    "text": "text/plain",
    "binary": "application/octet-stream",
}
_MOST_FACTS = 5000


def read_request(operation: Operation, body: bytes, content_type: str = "") -> Any:
    """Return a request's body as nested values; None where it has none.

    Raises:
        BadBody: it is not what the operation declares.
    """
    codec, charset = operation.request_codec, operation.charset
    if codec == "none" or not body:
        return None
    if codec == "form":
        return forms.read(body, charset)
    if codec == "text":
        return {"text": _text(body, charset)}
    if codec == "csv":
        rows = list(csv.DictReader(io.StringIO(_text(body, charset))))
        return rows[0] if rows else {}
    if codec == "multipart":
        return _multipart(body, content_type)
    if codec == "json":
        return decode_json(body, charset=charset)
    return codecs.reader(msgspec.structs.replace(operation, response_codec="soap" if "soap" in codec else "xml"))(body)


def _text(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset)
    except UnicodeDecodeError as fault:
        raise BadBody("charset", f"byte {fault.start} is not {charset}") from fault


def _multipart(body: bytes, content_type: str) -> dict[str, str]:
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    found: dict[str, str] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            found[name] = payload.decode("utf-8", "replace")
    return found


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Return nested values as `a.b.0` → text; what is empty stands with an empty text."""
    found: dict[str, str] = {}

    def walk(part: Any, name: str) -> None:
        if len(found) > _MOST_FACTS:
            return
        if isinstance(part, dict) and part:
            for key, inner in part.items():
                walk(inner, f"{name}.{step(str(key))}" if name else step(str(key)))
        elif isinstance(part, list) and part:
            for index, inner in enumerate(part):
                walk(inner, f"{name}.{index}" if name else str(index))
        elif name:
            found[name] = plain(part)

    walk(value, prefix)
    return found


def nested(values: dict[str, str], onto: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return `payload.a` → x as {"payload": {"a": x}}, written into `onto` where that is given.

    Where both `payload.a` and `payload.a.b` have a value, the longer name holds.
    """
    tree: dict[str, Any] = {} if onto is None else onto
    for name in sorted(values, key=lambda name: len(split(name))):
        *parents, last = split(name)
        inner = tree
        for parent in parents:
            if not isinstance(inner.get(parent), dict):
                inner[parent] = {}
            inner = inner[parent]
        inner[last] = values[name]
    return tree


def plain(value: Any) -> str:
    """Return a leaf as text."""
    if value in (None, [], {}):
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def media_type(operation: Operation) -> str:
    """Return the Content-Type of the operation's replies."""
    kind = _TYPES.get(operation.response_codec, "application/octet-stream")
    plain_json = operation.response_codec == "json" and operation.charset == "utf-8"
    return kind if plain_json or operation.response_codec == "binary" else f"{kind}; charset={operation.charset}"


def write_reply(operation: Operation, tree: Any) -> bytes:
    """Write nested values as the operation's replies are written."""
    codec, charset = operation.response_codec, operation.charset
    if codec == "json":
        return msgspec.json.encode(tree).decode().encode(charset)
    if codec in ("xml", "soap"):
        return _write_xml(tree, codec, charset)
    if codec == "form":
        return urlencode(flat(tree), encoding=charset).encode()
    if codec == "csv":
        return _write_csv(tree).encode(charset)
    text = tree.get("text", "") if isinstance(tree, dict) else tree
    return plain(text).encode(charset)


def _write_xml(tree: Any, codec: str, charset: str) -> bytes:
    inner = inside(tree)
    if codec == "soap":
        inner = f'<soap:Envelope xmlns:soap="{_SOAP["soap"]}"><soap:Body>{inner}</soap:Body></soap:Envelope>'
    else:
        inner = f"<response{attributes(tree, '@')}>{inner}</response>"
    return f'<?xml version="1.0" encoding="{charset.upper()}"?>{inner}'.encode(charset)


def _write_csv(tree: Any) -> str:
    rows = tree if isinstance(tree, list) else next((v for v in tree.values() if isinstance(v, list)), [tree])
    table = [flat(row) for row in rows]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(table[0]) if table else [])
    writer.writeheader()
    writer.writerows(table)
    return out.getvalue()


# --- other values in a recorded reply ---------------------------------------------------------------------------------


def put(operation: Operation, body: bytes, changes: dict[str, Any]) -> bytes:
    """Return a reply with other values at some paths; a path that is not there is made.

    None takes away what stands there but leaves the place itself, as departments say that they have nothing.

    Raises:
        BadBody: the reply is not what the operation declares.
    """
    if not changes:
        return body
    if operation.response_codec == "json":
        tree = decode_json(body, charset=operation.charset)
        for path, value in changes.items():
            _put_value(tree, split(path), value)
        return write_reply(operation, tree)
    if operation.response_codec in ("xml", "soap"):
        return _put_xml(operation, body, changes)
    return body


def _put_value(tree: Any, steps: list[str], value: Any) -> None:
    for name, following in pairwise(steps):
        if isinstance(tree, list):
            if not tree:
                return
            tree = tree[min(int(name), len(tree) - 1) if name.isdigit() else 0]
        elif isinstance(tree, dict):
            if not isinstance(tree.get(name), (dict, list)):
                tree[name] = [] if following.isdigit() else {}
            tree = tree[name]
    if isinstance(tree, dict):
        old = tree.get(steps[-1])
        tree[steps[-1]] = int(value) if type(old) is int and plain(value).isdigit() else value


def _put_xml(operation: Operation, body: bytes, changes: dict[str, Any]) -> bytes:
    root = decode_xml(body, charset=operation.charset)
    top = root
    if operation.response_codec == "soap":
        top = next((part for part in root if etree.QName(part).localname == "Body"), root)
    for path, value in changes.items():
        element = top
        *parents, last = split(path)
        for name in parents:
            element = _child(element, name)
        tag, mark, attribute = last.partition("@")
        element = _child(element, tag) if tag else element
        if mark:
            element.set(attribute, "" if value is None else plain(value))
            continue
        for child in list(element):
            element.remove(child)
        element.text = None if value is None else plain(value)
    inner: str = etree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="{operation.charset.upper()}"?>{inner}'.encode(operation.charset)


def _child(element: Any, step: str) -> Any:
    children = [part for part in element if isinstance(part.tag, str)]
    if step.isdigit():
        return element
    for part in children:
        if etree.QName(part).localname == step:
            return part
    space = etree.QName(element).namespace
    inherit = space if space and space not in _SOAP.values() else None
    return etree.SubElement(element, f"{{{inherit}}}{step}" if inherit else step)


def exchange(operation: Operation, body: bytes, values: dict[str, str], *, shortest: int = 4) -> bytes:
    """Return a reply in which recorded texts are replaced by others, all at once, longest first."""
    told = {old: new for old, new in values.items() if len(old) >= shortest and old != new}
    if not told or operation.response_codec == "binary":
        return body
    xml = operation.response_codec in ("xml", "soap")
    text = body.decode(operation.charset, "surrogateescape")
    pattern = re.compile("|".join(re.escape(_written(old, xml)) for old in sorted(told, key=len, reverse=True)))
    by_written = {_written(old, xml): _written(new, xml) for old, new in told.items()}
    return pattern.sub(lambda found: by_written[found[0]], text).encode(operation.charset, "surrogateescape")


def _written(value: str, xml: bool) -> str:
    return escape(value, {'"': "&quot;"}) if xml else msgspec.json.encode(value).decode()[1:-1]
