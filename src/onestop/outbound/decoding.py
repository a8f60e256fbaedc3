"""Strict reading of answers: by the declared charset, bounded in depth and size, never by the answer's own word.

What an answer says of itself (content type, charset, XML declaration) is not looked at: the adapter's manifest says
what it is. Every failure is `BadBody` with a short reason, and no message quotes the answer.
"""

import re
from typing import Any, Literal, TypeVar, overload

import msgspec
from lxml import etree

from onestop.outbound.errors import BadBody

T = TypeVar("T")
Charset = Literal["utf-8", "gb18030", "gbk", "iso-8859-1"]

# gbk is read as its superset: systems that say GBK send GB 18030 as soon as a name needs it.
_CODECS = {"utf-8": "utf-8", "gb18030": "gb18030", "gbk": "gb18030", "iso-8859-1": "iso-8859-1"}
_MAX_DEPTH = 32
_NAMESPACE_IS_NO_ADDRESS = etree.ErrorTypes.WAR_NS_URI
_MAX_NODES = 100_000  # a container or a member each; small things cost up to a hundred times their bytes in memory
_MAX_NUMBER = 40  # characters
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_SHAPE = bytes(set(range(256)) - set(b'[]{}"'))
_STRING = re.compile(rb'"[^"]*"')
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_LONG_DIGITS = b"0" * 19  # the shortest run that may not fit 64 bits
_NUMBER = re.compile(rb"-?[0-9]+([.eE][-+.0-9eE]*)?")
_any = msgspec.json.Decoder()


def decode_text(body: bytes, charset: Charset = "utf-8") -> str:
    """Decode a body by its declared charset, every byte valid; a UTF-8 byte order mark is dropped, no NUL let through.

    Raises:
        BadBody: reason `charset`, `byte_order_mark` or `nul`.
    """
    try:
        text = body.decode(_CODECS[charset])
    except UnicodeDecodeError as cause:
        raise BadBody("charset", f"byte {cause.start} is not {charset}") from None
    if text.startswith("\ufeff"):
        if charset != "utf-8":
            raise BadBody("byte_order_mark")
        text = text[1:]
    if "\0" in text:
        raise BadBody("nul")
    return text


@overload
def decode_json(body: bytes, *, charset: Charset = ..., max_depth: int = ...) -> Any: ...
@overload
def decode_json(body: bytes, shape: type[T], *, charset: Charset = ..., max_depth: int = ...) -> T: ...
def decode_json(body: bytes, shape: Any = Any, *, charset: Charset = "utf-8", max_depth: int = _MAX_DEPTH) -> Any:
    """Read JSON into `shape`; whole numbers fit 64 bits signed, nesting is at most `max_depth`.

    Raises:
        BadBody: reason `empty`, `markup`, `json_malformed`, `json_shape` (with the path as detail), `too_deep`,
            `too_many_parts`, `number`, or one of `decode_text`.
    """
    text = decode_text(body, charset)
    plain = _utf8(body, text, charset)
    if not text or text.isspace():
        raise BadBody("empty")
    if text.lstrip().startswith("<"):
        raise BadBody("markup")
    del text  # a large one need not be held three times
    _check_json(plain, max_depth)
    try:
        return _any.decode(plain) if shape is Any else msgspec.json.decode(plain, type=shape)
    except msgspec.ValidationError as cause:
        # Only the path: the rest of the message may quote a value, and values are people's.
        raise BadBody(
            "json_shape", str(cause).rpartition(" - at ")[2].strip("`") if " - at " in str(cause) else "$"
        ) from None
    except RecursionError:
        raise BadBody("too_deep") from None
    except (msgspec.DecodeError, UnicodeError, ValueError):
        raise BadBody("json_malformed") from None


def decode_xml(body: bytes, *, charset: Charset = "utf-8") -> etree._Element:
    """Read XML; no document type, so no entities of its own; nothing is fetched; comments and instructions are dropped.

    Raises:
        BadBody: reason `empty`, `doctype`, `xml_malformed`, `too_many_parts`, or one of `decode_text`.
    """
    text = decode_text(body, charset)
    if not text or text.isspace():
        raise BadBody("empty")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise BadBody("doctype")
    if text.count("<") + text.count("=") > _MAX_NODES:
        raise BadBody("too_many_parts")
    plain = _utf8(body, text, charset).lstrip()
    del text
    try:
        return parse_xml(plain)
    except (etree.XMLSyntaxError, ValueError):
        raise BadBody("xml_malformed") from None


def parse_xml(plain: bytes) -> etree._Element:
    """Parse UTF-8 that declares no document type; comments and instructions are left out.

    A namespace need not be an address: departments write names with spaces, and XML calls that no fault. libxml2 does.

    Raises:
        lxml.etree.XMLSyntaxError: it is not well-formed.
        ValueError: it holds a character that XML cannot.
    """
    strict = _xml_parser(recover=False)
    try:
        return etree.fromstring(plain, strict)
    except etree.XMLSyntaxError:
        if strict.error_log[0].type != _NAMESPACE_IS_NO_ADDRESS:
            raise
        lenient = _xml_parser(recover=True)
        root = etree.fromstring(plain, lenient)
        if root is None or any(entry.type != _NAMESPACE_IS_NO_ADDRESS for entry in lenient.error_log):
            raise
        return root


def _xml_parser(*, recover: bool) -> etree.XMLParser:
    # The encoding given here overrides the document's own declaration.
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=recover,
        remove_comments=True,
        remove_pis=True,
    )


def _utf8(body: bytes, text: str, charset: Charset) -> bytes:
    """Return a body that was read as UTF-8, without a byte order mark; its own bytes where it came so."""
    return text.encode() if charset != "utf-8" else body.removeprefix(b"\xef\xbb\xbf")


def _check_json(plain: bytes, max_depth: int) -> None:
    # All by C-speed passes over the bytes: no loop over characters on the way of every answer.
    opened = plain.count(b"[") + plain.count(b"{")
    if len(plain) > _MAX_NODES and opened + plain.count(b",") > _MAX_NODES:
        raise BadBody("too_many_parts")
    deep, long, escaped = opened > max_depth, _LONG_DIGITS in plain.translate(_DIGITS), b"\\" in plain
    if not (deep or long or (escaped and b"\\u0000" in plain)):
        return
    if escaped:
        plain = plain.replace(b"\\\\", b"")  # a run of backslashes pairs up from its left
        if b"\\u0000" in plain:
            raise BadBody("nul")
        plain = plain.replace(b'\\"', b"")
    if deep:
        _check_depth(plain, max_depth)
    if long:
        _check_numbers(_STRING.sub(b'""', plain))


def _check_depth(plain: bytes, max_depth: int) -> None:
    shape = plain.translate(None, _ALL_BUT_SHAPE).replace(b'""', b"")
    if b'"' in shape:
        shape = _STRING.sub(b"", shape)
    shape = shape.translate(_BRACKETS)
    for _ in range(max_depth):  # each pass takes away what holds nothing
        shorter = shape.replace(b"[]", b"")
        if not shorter:
            return
        if len(shorter) == len(shape):
            raise BadBody("json_malformed")
        shape = shorter
    raise BadBody("too_deep")


def _check_numbers(plain: bytes) -> None:
    for found in _NUMBER.finditer(plain):
        number = found.group()
        if len(number) < 19:
            continue
        if len(number) > _MAX_NUMBER or (found.group(1) is None and not -(2**63) <= int(number) < 2**63):
            raise BadBody("number")
