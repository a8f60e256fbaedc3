"""Bodies: our values into the department's bytes, its bytes into nested values, strictly as declared."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
from lxml import etree

from onestop.gateway.manifest import Operation
from onestop.gateway.mapping import Codes, Getter, Value, template, tree
from onestop.gateway.mapping_texts import nested
from onestop.outbound.decoding import decode_json, decode_xml
from onestop.outbound.errors import BadBody

Writer = Callable[[Value], bytes]
Reader = Callable[[bytes], Value]

_json = msgspec.json.Encoder()
_SOAP = (
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>{}</soap:Body></soap:Envelope>'
)
_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "application/xml",
    "soap": "text/xml",
}
# XML 1.0 has no way to write these; a value that holds one is refused rather than sent as something else.
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def content_type(operation: Operation) -> str | None:
    """Return the Content-Type of the operation's requests; None where they have no body."""
    if operation.content_type:
        return operation.content_type
    kind = _TYPES.get(operation.request_codec)
    if kind is None:
        return None
    return (
        kind if operation.charset == "utf-8" and kind == "application/json" else f"{kind}; charset={operation.charset}"
    )


def writer(operation: Operation, codes: Codes) -> Writer:
    """Compile what makes the body of a request.

    Raises:
        BadManifest: an expression cannot be compiled.
    """
    charset = operation.charset
    if operation.request_codec in ("xml", "soap"):
        return _xml_writer(operation, codes)
    if operation.request_codec == "none" or operation.request.body is None:
        return lambda _: b""
    fill = tree(operation.request.body, codes)
    if operation.request.omit_null:
        fill = _without_nulls(fill)
    if operation.request_codec == "form":
        return lambda root: urlencode(_flat(fill(root)), encoding=charset).encode("ascii")
    if charset == "utf-8":
        return lambda root: _json.encode(fill(root))
    return lambda root: _json.encode(fill(root)).decode().encode(charset)


def _without_nulls(fill: Getter) -> Getter:
    return lambda root: _told(fill(root)) or {}


def _told(value: Value) -> Value:
    """Return a value without the members that hold nothing; a table of which nothing is left is nothing."""
    if isinstance(value, dict):
        return {name: kept for name, part in value.items() if (kept := _told(part)) is not None} or None
    return [_told(part) for part in value] if isinstance(value, list) else value


def _flat(value: Value) -> list[tuple[str, str]]:
    return [(name, "" if item is None else str(item)) for name, item in value.items()]


def _xml_writer(operation: Operation, codes: Codes) -> Writer:
    fill = template(operation.request.template or "", codes)
    head = f'<?xml version="1.0" encoding="{operation.charset.upper()}"?>'
    soap = operation.request_codec == "soap"

    def write(root: Value) -> bytes:
        text = _NOT_XML.sub("", fill(root))
        return (head + (_SOAP.replace("{}", text) if soap else text)).encode(operation.charset)

    return write


def reader(operation: Operation) -> Reader:
    """Return what turns the body of a reply into nested values; it raises BadBody."""
    charset = operation.charset
    if operation.response_codec == "json":
        return lambda body: decode_json(body, charset=charset)
    if operation.response_codec == "xml":
        return lambda body: nested(decode_xml(body, charset=charset))
    return lambda body: _soap_body(decode_xml(body, charset=charset))


def _soap_body(envelope: Any) -> Value:
    if etree.QName(envelope).localname != "Envelope":
        raise BadBody("not_soap")
    for part in envelope:
        if isinstance(part.tag, str) and etree.QName(part).localname == "Body":
            inner = nested(part, 1)
            return inner if isinstance(inner, dict) else {}
    raise BadBody("not_soap")
