"""The mapping language: paths and a closed list of functions, compiled once into closures.

No loops, no conditions, no arithmetic: a mapping decides nothing about control flow, and its work is bounded by the
size of the value it reads. docs/manifest.md is the reference.
"""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from onestop.gateway.manifest import BadManifest
from onestop.gateway.mapping_functions import FUNCTIONS, Getter, MappingFailed, Value, plain
from onestop.gateway.mapping_lists import LISTS
from onestop.gateway.mapping_paths import path, step_into
from onestop.gateway.mapping_texts import TEXTS
from onestop.identity.rules import mask_number

__all__ = ("Codes", "Getter", "MappingFailed", "Value", "expression", "masked", "template", "tree")

_FUNCTIONS = {**FUNCTIONS, **LISTS, **TEXTS}
Codes = Mapping[str, Mapping[str, str]]

_MAX_LENGTH = 200
_MAX_FUNCTIONS = 8
_MAX_RECORDS = 1000
_NAME = re.compile(r"[^\W\d][\w-]*")
_CALL = re.compile(r"([a-z][a-z0-9]*)(?:\((.*)\))?", re.DOTALL)
_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_XML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})


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
    depth, quoted, start = 0, "", 0
    for i, character in enumerate(source):
        if character in "'\"" and quoted in ("", character):
            quoted = "" if quoted else character
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
    return path(head, source)


def _function(call: str, source: str, codes: Codes) -> Getter:
    match = _CALL.fullmatch(call)
    maker = _FUNCTIONS.get(match[1]) if match else None
    if match is None or maker is None:
        near = get_close_matches(call.partition("(")[0], _FUNCTIONS, 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise BadManifest(f"no function {call!r} in {source!r}{meant} There are: {', '.join(sorted(_FUNCTIONS))}")
    argument = match[2] or ""
    if match[1] in ("code", "strict"):
        if argument not in codes:
            raise BadManifest(f"no [codes.{argument}] for {source!r}")
        table = codes[argument]
        if match[1] == "strict":
            return _strict(table, source)
        return lambda value: None if value is None else table.get(str(value), str(value))
    return maker(argument, source)


def _strict(table: Mapping[str, str], source: str) -> Getter:
    def convert(value: Value) -> Value:
        if value is None:
            return None
        if str(value) not in table:
            raise MappingFailed(source, value, "needs a value that the code map lists")
        return table[str(value)]

    return convert


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
    """Compile a table into one function; members that are a plain name are read in it, without a call for each.

    Most members of most replies are plain names, and every reply of every department comes through here.
    """
    reads: list[Getter] = []
    of_dict, of_other = [], []
    for name, part in source.items():
        if isinstance(part, str) and _NAME.fullmatch(part):
            of_dict.append(f"{name!r}: root.get({part!r})")
            of_other.append(f"{name!r}: step(root, {part!r})")
        else:
            member = f"{name!r}: reads[{len(reads)}](root)"
            reads.append(tree(part, codes))
            of_dict.append(member)
            of_other.append(member)
    text = f"lambda root: {{{', '.join(of_dict)}}} if type(root) is dict else {{{', '.join(of_other)}}}"
    # Names of the manifest get into the text only as `repr` writes them: as literals.
    convert: Getter = eval(text, {"step": step_into, "reads": reads})  # noqa: S307 - nothing in it but literals and calls
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
            parts += (text, "" if value is None else plain(value).translate(_XML_ESCAPES))
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
