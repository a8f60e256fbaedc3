"""The mapping language: paths and a closed list of functions, compiled once into closures.

No loops, no conditions, no arithmetic: a mapping decides nothing about control flow, and what it makes is counted while
it works. docs/mapping.md is the reference.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.arguments import Spot, is_quoted
from onestop.gateway.mapping.functions import FUNCTIONS, GROWING, OF_ROOT, unknown
from onestop.gateway.mapping.paths import SIMPLE, names_of, reader_around, take
from onestop.gateway.mapping.text import Both
from onestop.gateway.mapping.values import (
    MOST_TEXT,
    Codes,
    Getter,
    MappingFailed,
    Value,
    bounded,
    check_size,
    of_each,
    spend_parts,
)
from onestop.identity.rules import mask_number

__all__ = (
    "Codes", "Compiler", "Getter", "MappingFailed", "Value", "calls_of", "check_size", "expression", "is_literal",
    "masked", "path_of", "tree",
)  # fmt: skip

_MAX_LENGTH: Final = 200
_MAX_FUNCTIONS: Final = 8
_MAX_NESTING: Final = 16
# A number of thousands of digits, half a character, or a thousand levels: our own callers could hand these over.
_NOT_JSON: Final = (ValueError, OverflowError, RecursionError)
_NEED: Final = "needs what JSON can hold"
_CALL: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(?:\((.*)\))?", re.DOTALL)


def expression(source: str, codes: Codes | None = None, most_text: int = MOST_TEXT, inside: int = 0) -> Getter:
    """Compile one expression; `inside` so many lists it may lead out of them.

    Raises:
        BadManifest: it is too long, or uses a function or a code map that does not exist; says where in it.
    """
    compiler = Compiler(codes, inside)
    return compiler.counted(compiler.expression(source), most_text)


def tree(source: Any, codes: Codes | None = None, most_text: int = MOST_TEXT) -> Getter:
    """Compile a tree whose strings are expressions; `{each, fields}` maps a list.

    Raises:
        BadManifest: an expression in it cannot be compiled.
    """
    compiler = Compiler(codes)
    return compiler.counted(compiler.tree(source), most_text)


def path_of(source: str) -> list[str] | None:
    """Return the names of the path that an expression begins with; None where it begins with a literal."""
    head = _split(source)[0][0]
    return None if is_quoted(head) else names_of(head)


def calls_of(source: str) -> list[str]:
    """Return the functions of an expression as they are written, in order."""
    return [call for call, _ in _split(source)[1:]]


def is_literal(source: Any) -> str | None:
    """Return the text of an expression that is a literal and nothing else; None for any other."""
    told = source.strip() if isinstance(source, str) else ""
    return told[1:-1] if is_quoted(told) and "'" not in told[1:-1] else None


class Compiler:
    """Compiles expressions and trees, and finds out whether what they make must be counted."""

    def __init__(self, codes: Codes | None = None, inside: int = 0) -> None:
        self._codes = codes or {}
        self._inside = inside  # how many lists what is compiled now stands in
        self.grows = False
        self.leaves = 0  # each may give as much as was read

    def counted(self, convert: Getter, most_text: int) -> Getter:
        """Return what was compiled, with fresh bounds each time where it needs any."""
        return bounded(convert, most_text) if self.grows else convert

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Compile what is mapped for each record of a list."""
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def expression(self, source: str) -> Getter:
        """Compile one expression, to be counted with all others."""
        self.leaves += 1
        if len(source) > _MAX_LENGTH:
            raise BadManifest(f"expression longer than {_MAX_LENGTH} characters: {source[:40]}…")
        (head, _), *calls = _split(source)
        if len(calls) > _MAX_FUNCTIONS:
            raise BadManifest(f"more than {_MAX_FUNCTIONS} functions: {source}")
        first = _head(head, source, self._inside)
        steps = [self._function(call, at, source) for call, at in calls]
        if not steps:
            return first
        if any(of_root for _, of_root in steps):
            return _rooted(first, steps, source)
        return _chained(first, [step for step, _ in steps], source)

    def _function(self, call: str, at: int, source: str) -> tuple[Any, bool]:
        """Compile one function: what converts, and whether that needs the root besides the value."""
        spot = Spot(source, at, self._codes, self._inside)
        match = _CALL.fullmatch(call)
        if match is None:
            raise spot.wrong(f"{call[:40]!r} is no function")
        name, argument = match[1], match[2] or ""
        self.grows = self.grows or name in GROWING
        if name in OF_ROOT:
            return OF_ROOT[name](argument, spot), True
        if name not in FUNCTIONS:
            raise unknown(name, spot)
        return FUNCTIONS[name](argument, spot), False

    def tree(self, source: Any, depth: int = 0) -> Getter:
        """Compile a tree, to be counted with all others."""
        if depth > _MAX_NESTING:
            raise BadManifest(f"a mapping is nested deeper than {_MAX_NESTING} levels")
        if isinstance(source, str):
            return self.expression(source)
        if isinstance(source, dict):
            if set(source) == {"each", "fields"}:
                return self._each(source["each"], source["fields"], depth)
            return self._table(source, depth)
        if isinstance(source, list):
            items = [self.tree(item, depth + 1) for item in source]
            return lambda root: [get(root) for get in items]
        return lambda _: source

    def _table(self, source: dict[str, Any], depth: int) -> Getter:
        """Compile a table into one function; members that are a plain name are read in it, without a call for each.

        Most members of most replies are plain names, and every reply of every department comes through here.
        """
        reads: list[Getter] = []
        of_dict, of_other = [], []
        for name, part in source.items():
            if isinstance(part, str) and SIMPLE.fullmatch(part) and len(part) <= _MAX_LENGTH:
                self.leaves += 1
                of_dict.append(f"{name!r}: root.get({part!r})")
                of_other.append(f"{name!r}: step(root, {part!r})")
            else:
                member = f"{name!r}: reads[{len(reads)}](root)"
                reads.append(self.tree(part, depth + 1))
                of_dict.append(member)
                of_other.append(member)
        text = f"lambda root: {{{', '.join(of_dict)}}} if type(root) is dict else {{{', '.join(of_other)}}}"
        # Names of the manifest get into the text only as `repr` writes them: as literals.
        convert: Getter = eval(text, {"step": take, "reads": reads})  # noqa: S307 - nothing in it but literals and calls
        return convert

    def _each(self, source: Any, inner: Any, depth: int) -> Getter:
        if not isinstance(source, str):
            raise BadManifest("`each` is an expression that reads a list")
        self.grows = True
        records = self.expression(source)
        with self.inside():
            fields = self.tree(inner, depth + 1)
        parts = 1 + (len(inner) if isinstance(inner, (dict, list)) else 0)

        def convert(root: Value) -> Value:
            found = records(root)
            if found is None or found == "":
                return []
            if not isinstance(found, list):
                found = [found]
            spend_parts(len(found) * parts, source, found)
            return of_each(fields, found, root)

        return convert


def _chained(first: Getter, steps: list[Getter], source: str) -> Getter:
    if len(steps) == 1:
        only = steps[0]

        def single(root: Value) -> Value:
            value = first(root)
            try:
                return only(value)
            except _NOT_JSON as fault:
                raise MappingFailed(source, value, _NEED) from fault

        return single

    def chain(root: Value) -> Value:
        value = first(root)
        try:
            for step in steps:
                value = step(value)
        except _NOT_JSON as fault:
            raise MappingFailed(source, value, _NEED) from fault
        return value

    return chain


def _rooted(first: Getter, steps: list[tuple[Any, bool]], source: str) -> Getter:
    both: list[Both] = [step if of_root else _of_value(step) for step, of_root in steps]

    def chain(root: Value) -> Value:
        value = first(root)
        try:
            for step in both:
                value = step(value, root)
        except _NOT_JSON as fault:
            raise MappingFailed(source, value, _NEED) from fault
        return value

    return chain


def _of_value(step: Getter) -> Both:
    return lambda value, _: step(value)


def _split(source: str) -> list[tuple[str, int]]:
    """Split at bars outside quotes and brackets; each part with the character it begins at, from 1."""
    parts: list[tuple[str, int]] = []
    depth, quote, start = 0, "", 0
    for i, character in enumerate(source):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "|" and depth == 0:
            parts.append(_part(source, start, i))
            start = i + 1
    whole = not parts and is_quoted(source.strip())  # a literal may hold a quote of its own
    if (quote or depth) and not whole:
        raise BadManifest(f"a {'quote' if quote else 'bracket'} is not closed in {source!r}")
    return [*parts, _part(source, start, len(source))]


def _part(source: str, start: int, end: int) -> tuple[str, int]:
    text = source[start:end]
    return text.strip(), start + 1 + len(text) - len(text.lstrip())


def _head(head: str, source: str, inside: int) -> Getter:
    if is_quoted(head):
        literal = head[1:-1]
        return lambda _: literal
    return reader_around(head, f"character 1 of {source!r}", inside)


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
