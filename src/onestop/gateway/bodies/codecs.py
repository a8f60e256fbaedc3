"""Bodies: our values into the department's bytes, its bytes into nested values, strictly as declared.

A reply's own word about what it is counts only where a refusal comes in another form than answers do.
"""

import base64
from collections.abc import Callable
from typing import Final

import msgspec

from onestop.gateway.bodies import envelopes, forms, multipart, tables
from onestop.gateway.manifest import Operation
from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.language import Codes, Compiler, Getter, Value, check_size
from onestop.gateway.mapping.values import most_text, plain
from onestop.outbound.decoding import decode_json, decode_text
from onestop.outbound.models import Reply

Writer = Callable[[Value], bytes]
Reader = Callable[[bytes], Value]
Encode = Callable[[Value], bytes]

_json = msgspec.json.Encoder()
_TYPES: Final = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "application/xml",
    "soap": "text/xml",
    "soap12": "application/soap+xml",
    "csv": "text/csv",
    "text": "text/plain",
}
_ACCEPTS: Final = {
    "json": "application/json",
    "xml": "text/xml, application/xml",
    "soap": "text/xml, application/soap+xml, application/xml",
    "csv": "text/csv",
    "text": "text/plain",
    "form": "application/x-www-form-urlencoded",
}


def content_type(operation: Operation) -> str | None:
    """Return the Content-Type of the operation's requests; None where they have no body."""
    if operation.content_type:
        return operation.content_type
    codec = operation.request_codec
    if codec == "multipart":
        return f"multipart/form-data; boundary={multipart.boundary(operation)}"
    kind = _TYPES.get(codec)
    if kind is None or (codec == "json" and operation.charset == "utf-8"):
        return kind
    action = envelopes.action(operation) if codec == "soap12" else None
    return f"{kind}; charset={operation.charset}" + (f'; action="{action}"' if action else "")


def accept_type(operation: Operation) -> str:
    """Return the Accept header of the operation's requests."""
    return operation.accept_type or _ACCEPTS.get(operation.response_codec, "*/*")


def writer(operation: Operation, codes: Codes) -> Writer:
    """Compile what makes the body of a request.

    Raises:
        BadManifest: an expression cannot be compiled, or a template is no XML.
    """
    codec, told = operation.request_codec, operation.request.body
    if codec in ("xml", "soap", "soap12"):
        return envelopes.writer(operation, codes, most_text(operation.max_request_bytes))
    if codec == "none" or told is None:
        return lambda _: b""
    fill, encode = _filler(operation, codes), _encoder(operation)
    return lambda root: encode(fill(root))


def _filler(operation: Operation, codes: Codes) -> Getter:
    most = most_text(operation.max_request_bytes)
    compiler = Compiler(codes)
    fill = compiler.counted(compiler.tree(operation.request.body), most)
    if operation.request.omit_null:
        fill = _without_nulls(fill)
    if operation.kind == "query" and not compiler.grows:
        return fill  # what a question is made of is small

    def checked(root: Value) -> Value:
        made = fill(root)
        check_size(made, most, "request.body")
        return made

    return checked


def _encoder(operation: Operation) -> Encode:
    codec, charset = operation.request_codec, operation.charset
    if codec == "form":
        return lambda made: forms.write(made, charset)
    if codec == "csv":
        return lambda made: tables.write(made, charset)
    if codec == "multipart":
        mark = multipart.boundary(operation)
        return lambda made: multipart.write(made, mark, charset)
    if codec == "text":
        if set(operation.request.body or {}) != {"text"}:
            raise BadManifest("a text request has `body = { text = … }`")
        return lambda made: ("" if made["text"] is None else plain(made["text"])).encode(charset)
    if charset == "utf-8":
        return _json.encode
    return lambda made: _json.encode(made).decode().encode(charset)


def _without_nulls(fill: Getter) -> Getter:
    return lambda root: told_parts(fill(root)) or {}


def told_parts(value: Value) -> Value:
    """Return a value without the members that hold nothing; a table of which nothing is left is nothing."""
    if isinstance(value, dict):
        return {name: kept for name, part in value.items() if (kept := told_parts(part)) is not None} or None
    return [told_parts(part) for part in value] if isinstance(value, list) else value


def reader(operation: Operation) -> Reader:
    """Return what turns the body of a reply into nested values; it raises BadBody."""
    charset = operation.charset
    match operation.response_codec:
        case "json":
            return lambda body: decode_json(body, charset=charset)
        case "xml":
            return lambda body: envelopes.read(body, charset)
        case "soap":
            return lambda body: envelopes.read_soap(body, charset)
        case "csv":
            return lambda body: tables.read(body, charset)
        case "form":
            return lambda body: forms.read(body, charset)
        case "text":
            return lambda body: {"text": decode_text(body, charset)}
        case "binary":
            return lambda body: {"base64": base64.b64encode(body).decode(), "bytes": len(body), "content_type": None}
        case "none":
            return lambda _: {}


def says_json(reply: Reply) -> bool:
    """Tell whether a reply says that it is JSON, as problem details (RFC 9457) do: a refusal may be, of any codec."""
    kind = (reply.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))
