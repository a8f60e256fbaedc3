"""The mapping language: paths and a closed list of functions, compiled once into closures.

No loops, no conditions, no arithmetic: a mapping decides nothing about control flow, and its work is bounded by the
size of the value it reads. docs/manifest.md is the reference.
"""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from onestop.clock import CHINA
from onestop.gateway.manifest import BadManifest
from onestop.identity.rules import mask_number

Value = Any  # what JSON can hold
Getter = Callable[[Value], Value]
Codes = Mapping[str, Mapping[str, str]]

_MAX_LENGTH = 200
_MAX_FUNCTIONS = 8
_MAX_RECORDS = 1000
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_PATH = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*|\.")
_CALL = re.compile(r"([a-z][a-z0-9]*)(?:\((.*)\))?", re.DOTALL)
_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_XML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})


class MappingFailed(Exception):
    """A value does not have the form its expression needs; says which expression and which form, never the value."""

    def __init__(self, expression: str, value: Value, need: str) -> None:
        super().__init__(f"{expression}: {need}, got {shape(value)}")


def shape(value: Value) -> str:
    """Describe a value without its content: what a person needs to see in a log."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(map(str, value))[:8]) + "}"
    if isinstance(value, list):
        return f"list of {len(value)}"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    return "nothing" if value is None else type(value).__name__


def expression(source: str, codes: Codes | None = None) -> Getter:
    """Compile one expression.

    Raises:
        BadManifest: it is too long, or uses a function or a code map that does not exist.
    """
    if len(source) > _MAX_LENGTH:
        raise BadManifest(f"expression longer than {_MAX_LENGTH} characters: {source[:40]}…")
    head, *calls = _split(source)
    if len(calls) > _MAX_FUNCTIONS:
        raise BadManifest(f"more than {_MAX_FUNCTIONS} functions: {source}")
    steps = [_function(call, source, codes or {}) for call in calls]
    first = _head(head, source)
    if not steps:
        return first
    if len(steps) == 1:
        only = steps[0]
        return lambda root: only(first(root))

    def chain(root: Value) -> Value:
        value = first(root)
        for step in steps:
            value = step(value)
        return value

    return chain


def _split(source: str) -> list[str]:
    """Split at bars outside quotes and brackets."""
    parts: list[str] = []
    depth, quoted, start = 0, False, 0
    for i, character in enumerate(source):
        if character == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "|" and depth == 0:
            parts.append(source[start:i].strip())
            start = i + 1
    return [*parts, source[start:].strip()]


def _head(head: str, source: str) -> Getter:
    if len(head) >= 2 and head[0] == head[-1] == "'":
        literal = head[1:-1]
        return lambda _: literal
    if not _PATH.fullmatch(head):
        raise BadManifest(f"not a path, nor a literal in single quotes: {source}")
    if head == ".":
        return lambda root: root
    steps = [int(step) if step.isdigit() else step for step in head.split(".")]
    named = all(isinstance(step, str) for step in steps)
    if named and len(steps) == 1:
        only = steps[0]
        return lambda root: root.get(only) if type(root) is dict else _step(root, only)
    if named and len(steps) == 2:
        one, two = steps

        def pair(root: Value) -> Value:
            inner = root.get(one) if type(root) is dict else _step(root, one)
            return inner.get(two) if type(inner) is dict else _step(inner, two)

        return pair

    def walk(root: Value) -> Value:
        for step in steps:
            root = root.get(step) if named and type(root) is dict else _step(root, step)
            if root is None:
                return None
        return root

    return walk


def _step(value: Value, step: str | int) -> Value:
    """Take one step into a value that is not a dict, or by a number."""
    if isinstance(value, list) and isinstance(step, int):
        return value[step] if step < len(value) else None
    if isinstance(value, dict) and str(step) in value:
        return value[str(step)]
    return value if step == 0 else None  # XML makes a list of one a plain record


def _function(call: str, source: str, codes: Codes) -> Getter:
    match = _CALL.fullmatch(call)
    maker = _FUNCTIONS.get(match[1]) if match else None
    if match is None or maker is None:
        raise BadManifest(f"no function {call!r} in {source!r}; there are: {', '.join(sorted(_FUNCTIONS))}")
    argument = match[2] or ""
    if match[1] == "code":
        if argument not in codes:
            raise BadManifest(f"no [codes.{argument}] for {source!r}")
        table = codes[argument]
        return lambda value: None if value is None else table.get(str(value), str(value))
    return maker(argument, source)


# --- the closed list of functions; each maker takes the argument and the whole expression ---------------------------


def _text(_: str, __: str) -> Getter:
    return lambda value: None if value is None else value if isinstance(value, str) else _plain(value)


def _plain(value: Value) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)


def _int(_: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value is None or value == "":
            return None
        try:
            return int(value)
        except (TypeError, ValueError) as fault:
            raise MappingFailed(source, value, "needs a whole number") from fault

    return convert


def _decimal(value: Value, source: str, need: str) -> Decimal:
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation as fault:
        raise MappingFailed(source, value, need) from fault
    if not number.is_finite() or abs(number) > Decimal(10) ** 15:
        raise MappingFailed(source, value, need)
    return number


def _number(_: str, source: str) -> Getter:
    return lambda value: None if value in (None, "") else float(_decimal(value, source, "needs a number"))


def _fen(_: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        return None if value in (None, "") else int(_decimal(value, source, "needs an amount in yuan") * 100)

    return convert


def _parse(value: Value, pattern: str, source: str) -> datetime:
    try:
        if pattern:
            return datetime.strptime(str(value), pattern)  # the zone is told below
        return datetime.fromisoformat(str(value))
    except ValueError as fault:
        raise MappingFailed(source, value, f"needs a date as {pattern or 'RFC 3339'}") from fault


def _date(pattern: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        return None if value in (None, "") else _parse(value, pattern, source).date().isoformat()

    return convert


def _instant(pattern: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        at = _parse(value, pattern, source)
        return (at.replace(tzinfo=CHINA) if at.tzinfo is None else at).isoformat()

    return convert


def _day(pattern: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        return None if value in (None, "") else _parse(value, "", source).strftime(pattern or "%Y%m%d")

    return convert


def _mask(_: str, __: str) -> Getter:
    return lambda value: mask_number(value) if isinstance(value, str) else value


def _first(_: str, __: str) -> Getter:
    return lambda value: (value[0] if value else None) if isinstance(value, list) else value


def _count(_: str, __: str) -> Getter:
    return lambda value: len(value) if isinstance(value, list) else 0 if value is None else 1


def _join(glue: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value is None:
            return None
        if not isinstance(value, list):
            raise MappingFailed(source, value, "needs a list")
        return (glue or ",").join(_plain(item) for item in value)

    return convert


def _default(argument: str, __: str) -> Getter:
    stand_in = argument.strip("'")
    return lambda value: stand_in if value is None or value == "" else value


def _yes(argument: str, __: str) -> Getter:
    words = {word.strip() for word in argument.split(",") if word.strip()} or {"true", "1", "Y", "yes"}
    return lambda value: None if value is None else _plain(value) in words


def _json(_: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value in (None, ""):
            return None
        try:
            return msgspec.json.decode(value if isinstance(value, (str, bytes)) else _plain(value))
        except (msgspec.DecodeError, RecursionError) as fault:
            raise MappingFailed(source, value, "needs a JSON text") from fault

    return convert


def _b64(_: str, __: str) -> Getter:
    return lambda value: None if value is None else base64.b64encode(_plain(value).encode()).decode()


def _unb64(_: str, source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value is None:
            return None
        try:
            return base64.b64decode(_plain(value), validate=True).decode("utf-8")
        except ValueError as fault:  # binascii.Error and UnicodeDecodeError are; so is what is not ASCII
            raise MappingFailed(source, value, "needs base64 of UTF-8 text") from fault

    return convert


def _cut(argument: str, source: str) -> Getter:
    bounds = [int(bound) for bound in argument.split(",") if bound.strip().isdigit()]
    if len(bounds) != 2:
        raise BadManifest(f"cut(from,to) needs two numbers: {source}")
    return lambda value: None if value is None else _plain(value)[bounds[0] : bounds[1]]


def _concat(argument: str, __: str) -> Getter:
    tail = argument.strip("'")
    return lambda value: None if value is None else _plain(value) + tail


def _on_text(change: Callable[[str], str]) -> Callable[[str, str], Getter]:
    return lambda _, __: lambda value: change(value) if isinstance(value, str) else value


_FUNCTIONS: dict[str, Callable[[str, str], Getter]] = {
    "text": _text,
    "int": _int,
    "number": _number,
    "fen": _fen,
    "date": _date,
    "instant": _instant,
    "day": _day,
    "mask": _mask,
    "first": _first,
    "count": _count,
    "join": _join,
    "default": _default,
    "yes": _yes,
    "json": _json,
    "b64": _b64,
    "unb64": _unb64,
    "cut": _cut,
    "concat": _concat,
    "trim": _on_text(str.strip),
    "upper": _on_text(str.upper),
    "lower": _on_text(str.lower),
    "code": _text,  # replaced where it is compiled: it needs the manifest's tables
}


# --- trees ----------------------------------------------------------------------------------------------------------


def tree(source: Any, codes: Codes | None = None) -> Getter:
    """Compile a tree whose strings are expressions; `{each, fields}` maps a list.

    Raises:
        BadManifest: an expression in it cannot be compiled.
    """
    if isinstance(source, str):
        return expression(source, codes)
    if isinstance(source, dict):
        if set(source) == {"each", "fields"}:
            return _each(expression(source["each"], codes), tree(source["fields"], codes))
        return _table(source, codes)
    if isinstance(source, list):
        items = [tree(item, codes) for item in source]
        return lambda root: [get(root) for get in items]
    return lambda _: source


def _table(source: dict[str, Any], codes: Codes | None) -> Getter:
    """Compile a table; members that are a plain name are read together, without a call for each.

    Most members of most replies are plain names, and every reply of every department comes through here.
    """
    plain = {name: path for name, path in source.items() if isinstance(path, str) and _NAME.fullmatch(path)}
    rest = [(name, tree(part, codes)) for name, part in source.items() if name not in plain]
    order = list(source) if rest and plain else None

    def convert(root: Value) -> Value:
        if type(root) is dict:
            get = root.get
            table = {name: get(path) for name, path in pairs}
        else:
            table = {name: _step(root, path) for name, path in pairs}
        for name, read in rest:
            table[name] = read(root)
        return table if order is None else {name: table[name] for name in order}

    pairs = list(plain.items())
    return convert


def _each(records: Getter, fields: Getter) -> Getter:
    def convert(root: Value) -> Value:
        found = records(root)
        if found is None or found == "":
            return []
        if not isinstance(found, list):
            found = [found]
        return [fields(record) for record in found[:_MAX_RECORDS]]

    return convert


def template(source: str, codes: Codes | None = None) -> Callable[[Value], str]:
    """Compile an XML text with `{{ expression }}` places; values are escaped, null is empty.

    Raises:
        BadManifest: an expression in it cannot be compiled.
    """
    texts: list[str] = []
    getters: list[Getter] = []
    end = 0
    for match in _PLACE.finditer(source):
        texts.append(source[end : match.start()])
        getters.append(expression(match[1].strip(), codes))
        end = match.end()
    tail = source[end:]

    def fill(root: Value) -> str:
        parts: list[str] = []
        for text, get in zip(texts, getters, strict=True):
            value = get(root)
            parts += (text, "" if value is None else _plain(value).translate(_XML_ESCAPES))
        return "".join([*parts, tail])

    return fill


def masked(value: Value, names: frozenset[str]) -> Value:
    """Return a copy of nested values in which the texts under these names are masked, at any depth."""
    if isinstance(value, dict):
        return {
            name: mask_number(item) if name in names and isinstance(item, str) else masked(item, names)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item, names) for item in value]
    return value
