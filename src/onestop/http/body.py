"""The decode guard: bytes in, a checked value out, or a refusal that says where. Never a 500.

JSON is read once, by the C scanner of the standard library with hooks, and then made into the route's own type.
Refused besides bad syntax: text that is no UTF-8, byte-order marks, NUL, lone surrogates, nesting beyond 32, keys that
come twice, integers beyond 64 bit, numbers beyond a double, NaN and Infinity.
"""

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NoReturn, cast
from urllib.parse import parse_qsl

import msgspec

from onestop.errors import FieldError, Invalid, TooLarge, UnsupportedType
from onestop.http.errors import BadBody
from onestop.http.models import Receive, RouteFacts

MAX_DEPTH = 32
_MAX_FIELD_ERRORS = 50
_INT_LOW, _INT_HIGH = -(2**63), 2**63 - 1

# The closing quote may lack: a text that ends inside a string is taken in one step, so the search stays linear.
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# Escapes that may stand for NUL or for half a character; a whole pair is found too and then looked at closely.
_SUSPICIOUS_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")

_SURROGATE = re.compile(r"[\ud800-\udfff]")

_MEDIA = {
    "json": b"application/json",
    "form": b"application/x-www-form-urlencoded",
    "multipart": b"multipart/form-data",
}


class _Refused(Exception):
    """A hook's way out of the scanner, with the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _refuse(reason: str, pointer: str | None = None, **known: int) -> NoReturn:
    errors = () if pointer is None else (FieldError(pointer=pointer, code=f"json.{reason}"),)
    raise BadBody(reason=reason, errors=errors, **known)  # type: ignore[arg-type]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("duplicate_key")
    return found


def _integer(digits: str) -> int:
    if len(digits) > 20 or not _INT_LOW <= (number := int(digits)) <= _INT_HIGH:
        raise _Refused("integer_range")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _Refused("float_range")
    return number


def _constant(_: str) -> NoReturn:
    raise _Refused("not_a_number")


_scan = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
).decode


class _Pairs(list[tuple[str, Any]]):
    """An object whose keys are kept as they came, to find the place of a fault."""


class _Fault(str):
    """A number that cannot be taken, in the place where it stood."""


def _or_fault(check: Any) -> Any:
    def read(digits: str) -> Any:
        try:
            return check(digits)
        except _Refused as refused:
            return _Fault(refused.reason)

    return read


_scan_for_faults = json.JSONDecoder(
    object_pairs_hook=_Pairs,
    parse_int=_or_fault(_integer),
    parse_float=_or_fault(_float),
    parse_constant=_or_fault(_constant),
).decode


def token(key: str | int) -> str:
    """Return one step of a JSON pointer (RFC 6901)."""
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def _members(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, _Pairs):
        yield from value
    elif isinstance(value, list):
        yield from enumerate(value)


def _fault_of_text(text: str) -> str | None:
    if "\0" in text:
        return "nul"
    return "surrogate" if _SURROGATE.search(text) else None


def _find(value: Any, pointer: str = "") -> tuple[str, str] | None:
    """Return reason and pointer of the first fault in document order; depth is bounded before this runs."""
    if isinstance(value, _Fault):
        return str(value), pointer
    if isinstance(value, str):
        reason = _fault_of_text(value)
        return (reason, pointer) if reason else None
    seen: set[str | int] = set()
    for key, inner in _members(value):
        here = pointer + token(key)
        if key in seen:
            return "duplicate_key", here
        seen.add(key)
        if isinstance(key, str) and (reason := _fault_of_text(key)):
            return reason, pointer  # the key itself cannot be shown
        if found := _find(inner, here):
            return found
    return None


def _check_depth(body: bytes) -> None:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    brackets = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    if max(accumulate(_STEP[b] for b in brackets), default=0) > MAX_DEPTH:
        _refuse("depth", most=MAX_DEPTH)


def _refuse_at_its_place(text: str, reason: str) -> NoReturn:
    """Read again, leniently, to say where the fault is; a text that breaks off behind it has no place to name."""
    try:
        found = _find(_scan_for_faults(text))
    except json.JSONDecodeError:
        found = None
    if found is None:
        _refuse(reason)
    _refuse(found[0], pointer=found[1])


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        BadBody: it is not JSON, or not JSON that onestop takes.
    """
    if not body:
        _refuse("empty")
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        _refuse("bom")
    try:
        text = body.decode()
    except UnicodeDecodeError as fault:
        _refuse("utf8", position=fault.start)
    _check_depth(body)
    try:
        value = _scan(text)
    except _Refused as refused:
        _refuse_at_its_place(text, refused.reason)
    except json.JSONDecodeError as fault:
        _refuse("syntax", position=fault.pos, line=fault.lineno, column=fault.colno)
    except RecursionError:
        _refuse("depth", most=MAX_DEPTH)
    if b"\\u" in body and _SUSPICIOUS_ESCAPE.search(body) and (found := _find(value)):
        _refuse(found[0], pointer=found[1])
    return value


# What msgspec says, and the word for it in the texts. Values are never repeated: they may be somebody's.
_SAID = (
    (re.compile(r"Object missing required field `(?P<name>.+?)`"), "missing"),
    (re.compile(r"Object contains unknown field `(?P<name>.*?)`", re.DOTALL), "unknown"),
    (re.compile(r"Expected `(?P<type>\w+)` (?P<relation>>=|<=|>|<) (?P<limit>[-\d.e+]+)"), "range"),
    (re.compile(r"Expected `\w+` of length (?P<relation>>=|<=|==)? ?(?P<limit>\d+)"), "length"),
    (re.compile(r"Expected `str` matching regex"), "pattern"),
    (re.compile(r"Expected `(?P<expected>.+?)`, got `(?P<got>.+?)`"), "type"),
    (re.compile(r"Invalid UUID"), "pattern"),
    (re.compile(r"Invalid enum value"), "choice"),
    (re.compile(r"Invalid value"), "choice"),
    (re.compile(r"Invalid RFC3339|Invalid.*(?:date|time)"), "date"),
    (re.compile(r"out of range"), "out_of_range"),
)
_AT = re.compile(r" - at (?:`key` in )?`\$(?P<path>.*)`$", re.DOTALL)
_STEP_OF_PATH = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def field_error(said: str, prefix: str = "") -> FieldError:
    """Return one complaint of msgspec as a field error below `prefix`."""
    at = _AT.search(said)
    pointer = prefix
    for name, index in _STEP_OF_PATH.findall(at["path"].split("[...]")[0] if at else ""):
        pointer += token(name or index)
    for pattern, code in _SAID:
        match = pattern.search(said)
        if match is None:
            continue
        params = {k: v for k, v in match.groupdict().items() if v is not None}
        if code in ("missing", "unknown"):
            pointer += token(params.pop("name"))
        return FieldError(pointer=pointer, code=code, params=params)
    return FieldError(pointer=pointer, code="invalid")


def _each_field(value: dict[str, Any], kind: Any) -> Iterator[FieldError]:
    known = set()
    for field in msgspec.structs.fields(kind):
        known.add(field.encode_name)
        here = token(field.encode_name)
        if field.encode_name not in value:
            if field.required:
                yield FieldError(pointer=here, code="missing")
            continue
        try:
            msgspec.convert(value[field.encode_name], field.type)
        except msgspec.ValidationError as fault:
            yield field_error(str(fault), here)
    config = kind.__struct_config__
    if config.forbid_unknown_fields:
        for name in sorted(value.keys() - known - {config.tag_field}):
            yield FieldError(pointer=token(name), code="unknown")


def as_kind(value: Any, kind: Any) -> Any:
    """Return a JSON value as the route's own type; strings are not taken for numbers.

    Raises:
        Invalid: it does not fit; one error for each field of a struct, at most 50.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        said = str(fault)
    errors: list[FieldError] = []
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        errors = list(_each_field(value, kind))[:_MAX_FIELD_ERRORS]
    raise Invalid(errors=errors or (field_error(said),), count=len(errors) or 1)


def read_form(body: bytes) -> dict[str, str | list[str]]:
    """Return the fields of a form post; a name that came several times has a list.

    Raises:
        BadBody: not ASCII, escapes that are no UTF-8, a NUL, or more than 1,000 fields.
    """
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError:  # UnicodeDecodeError is one
        _refuse("form")
    fields: dict[str, str | list[str]] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            _refuse("nul")
        before = fields.get(name)
        if before is None:
            fields[name] = value
        else:
            fields[name] = [*before, value] if isinstance(before, list) else [before, value]
    return fields


def check_media_type(facts: RouteFacts, header: bytes | None, encoding: bytes | None) -> None:
    """Compare the declared media type with what the route takes.

    Raises:
        UnsupportedType: another type, none at all, another charset than UTF-8, or compressed.
    """
    if encoding is not None and encoding.lower() != b"identity":
        raise UnsupportedType(expected="identity")
    if facts.reads is None or facts.reads == "raw":
        return
    expected = _MEDIA[facts.reads]
    declared, _, parameters = (header or b"").partition(b";")
    if declared.strip().lower() != expected:
        raise UnsupportedType(expected=expected.decode())
    parameters = parameters.strip().lower()
    if parameters.startswith(b"charset=") and parameters[8:].strip(b'"') != b"utf-8":
        raise UnsupportedType(expected=expected.decode() + "; charset=utf-8")


async def collect(receive: Receive, declared: bytes | None, most: int) -> bytes:
    """Return the whole body, counted while it comes.

    Raises:
        TooLarge: more than `most` bytes, declared or sent.
        BadBody: the caller went away, or the declared length is no number.
    """
    if declared is not None:
        if not declared.isdigit():
            _refuse("length")
        if int(declared) > most:
            raise TooLarge(most=most)
    message = await receive()
    body = cast(bytes, message.get("body", b""))
    if message["type"] == "http.request" and not message.get("more_body", False):
        if len(body) > most:
            raise TooLarge(most=most)
        return body
    pieces = [body]
    size = len(body)
    while message["type"] == "http.request" and message.get("more_body", False):
        if size > most:
            raise TooLarge(most=most)
        message = await receive()
        piece = message.get("body", b"")
        size += len(piece)
        pieces.append(piece)
    if message["type"] != "http.request":
        _refuse("cut")
    if size > most:
        raise TooLarge(most=most)
    return b"".join(pieces)
