"""Functions of the mapping language for a format inside a text: JSON, XML, base64; docs/mapping.md shows each."""

import base64

import msgspec

from onestop.gateway.mapping.arguments import Spot, words
from onestop.gateway.mapping.trees import Writer, is_name, nested
from onestop.gateway.mapping.values import Getter, MappingFailed, Value, plain, spend, spend_text
from onestop.outbound.decoding import decode_json, decode_xml
from onestop.outbound.errors import BadBody


def _of_json(value: Value, body: bytes, source: str) -> Value:
    try:
        return spend(decode_json(body), source)
    except BadBody as fault:
        raise MappingFailed(source, value, f"needs a JSON text ({fault.reason})") from fault


def _utf8(value: Value, source: str, need: str) -> bytes:
    try:
        return plain(value).encode()
    except UnicodeEncodeError as fault:
        raise MappingFailed(source, value, need) from fault


def json(_: str, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        return _of_json(value, _utf8(value, spot.source, "needs a JSON text"), spot.source)

    return convert


def to_json(_: str, spot: Spot) -> Getter:
    return lambda value: _as_json(value, spot.source).decode()


def _as_json(value: Value, source: str) -> bytes:
    try:
        made = msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError, RecursionError) as fault:
        raise MappingFailed(source, value, "needs what JSON can hold") from fault
    spend_text(len(made), source, value)
    return made


def b64json(_: str, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        return _of_json(value, _decoded(value, spot.source, "needs base64 of a JSON text"), spot.source)

    return convert


def to_b64json(_: str, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        made = base64.b64encode(_as_json(value, spot.source)).decode()
        spend_text(len(made), spot.source, value)
        return made

    return convert


def xml(_: str, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        body = _utf8(value, spot.source, "needs an XML text")
        spend_text(len(body), spot.source, value)  # before it is read: it costs more than it brings
        try:
            return spend(nested(decode_xml(body)), spot.source)
        except BadBody as fault:
            raise MappingFailed(spot.source, value, f"needs an XML text ({fault.reason})") from fault

    return convert


def to_xml(argument: str, spot: Spot) -> Getter:
    """Write a table or a text as an element, or a list as an element of elements."""
    names = words(argument)
    if not 1 <= len(names) <= 2 or not all(map(is_name, names)):
        raise spot.wrong("to_xml(root) needs the name of the root element; of a list, to_xml(root,item) two")

    def convert(value: Value) -> Value:
        if value is None:
            return None
        if isinstance(value, list) and len(names) == 2:
            value = {names[1]: value}
        return Writer(spot.source).write(names[0], value)

    return convert


def b64(_: str, spot: Spot) -> Getter:
    def convert(value: Value) -> Value:
        if value is None:
            return None
        made = base64.b64encode(_utf8(value, spot.source, "needs a text")).decode()
        spend_text(len(made), spot.source, value)
        return made

    return convert


def unb64(_: str, spot: Spot) -> Getter:
    need = "needs base64 of UTF-8 text"

    def convert(value: Value) -> Value:
        if value is None:
            return None
        try:
            made = _decoded(value, spot.source, need).decode()
        except UnicodeDecodeError as fault:
            raise MappingFailed(spot.source, value, need) from fault
        spend_text(len(made), spot.source, value)
        return made

    return convert


def _decoded(value: Value, source: str, need: str) -> bytes:
    try:
        return base64.b64decode(plain(value), validate=True)
    except ValueError as fault:  # binascii.Error is; so is what is not ASCII
        raise MappingFailed(source, value, need) from fault
