"""XML texts with `{{ expression }}` places, and parts that are repeated for each record of a list."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from lxml import etree

from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.language import Compiler
from onestop.gateway.mapping.paths import outwards
from onestop.gateway.mapping.trees import escaped
from onestop.gateway.mapping.values import (
    MOST_TEXT,
    Codes,
    Getter,
    MappingFailed,
    Value,
    bounded,
    of_each,
    plain,
    spend_parts,
    spend_text,
)
from onestop.outbound.decoding import parse_xml

Filler = Callable[[Value], str]

_PLACE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_MOST_NESTED: Final = 4  # repeated parts one inside another
# A place may hold text or an attribute's value; in a name, an attribute or a comment one of these breaks the document.
_SAMPLES: Final = ("x", "a b", "1", "a--b")


class _Place(msgspec.Struct, frozen=True):
    source: str


class _Part(msgspec.Struct, frozen=True):
    """What is repeated for each record that `source` reads."""

    source: str
    nodes: "list[_Node]"


_Node = str | _Place | _Part


def template(source: str, codes: Codes | None = None, most_text: int = MOST_TEXT) -> Filler:
    """Compile an XML text; values are escaped, null is empty.

    `{{#each payload.items}}…{{ name }}…{{/each}}` repeats what it holds; inside, paths begin at the record, and `../`
    leads to the record around it.

    Raises:
        BadManifest: an expression in it cannot be compiled, or a repeated part is not closed.
    """
    pieces = _compiled(_parsed(source), Compiler(codes))
    fill = bounded(lambda root: "".join([piece(root) for piece in pieces]), most_text)
    return lambda root: str(fill(root))


def _parsed(source: str) -> list[_Node]:
    """Take a template apart.

    Raises:
        BadManifest: a repeated part is not opened, not closed, or too deep inside others.
    """
    open_parts: list[_Part] = [_Part("", [])]
    end = 0
    for found in _PLACE.finditer(source):
        nodes, told = open_parts[-1].nodes, found[1].strip()
        nodes.append(source[end : found.start()])
        end = found.end()
        tag, _, rest = told.partition(" ")
        if tag == "#each" and rest.strip() and len(open_parts) <= _MOST_NESTED:
            open_parts.append(_Part(rest.strip(), []))
            nodes.append(open_parts[-1])
        elif told == "/each" and len(open_parts) > 1:
            open_parts.pop()
        elif told[:1] in ("#", "/"):
            need = f"is {{{{#each path}}}}…{{{{/each}}}}, at most {_MOST_NESTED} one inside another"
            raise BadManifest(f"{found[0]!r}: a repeated part {need}")
        else:
            nodes.append(_Place(told))
    if len(open_parts) > 1:
        raise BadManifest(f"the part repeated for each {open_parts[-1].source!r} is not closed")
    open_parts[0].nodes.append(source[end:])
    return open_parts[0].nodes


def _compiled(nodes: list[_Node], compiler: Compiler) -> list[Filler]:
    return [_filler(node, compiler) for node in nodes]


def _filler(node: _Node, compiler: Compiler) -> Filler:
    if isinstance(node, str):
        return lambda _: node
    read = compiler.expression(node.source)
    if isinstance(node, _Place):
        return _place(read, node.source)
    with compiler.inside():
        return _repeated(read, node.source, _compiled(node.nodes, compiler))


def _place(get: Getter, source: str) -> Filler:
    def fill(root: Value) -> str:
        value = get(root)
        if value is None:
            return ""
        try:
            text = escaped(plain(value))
        except (ValueError, OverflowError, RecursionError) as fault:
            raise MappingFailed(source, value, "needs what XML can hold") from fault
        spend_text(len(text), source, value)
        return text

    return fill


def _repeated(records: Getter, source: str, pieces: list[Filler]) -> Filler:
    def whole(record: Value) -> str:
        return "".join([piece(record) for piece in pieces])

    def fill(root: Value) -> str:
        found = records(root)
        items = found if isinstance(found, list) else [] if found in (None, "") else [found]
        spend_parts(len(items) * len(pieces), source, found)
        return "".join(of_each(whole, items, root))

    return fill


def roots(source: str) -> list[str]:
    """Return the expressions that begin where the request does, without the `../` that lead there from inside a part.

    Empty where the template cannot be compiled.
    """
    try:
        return list(_roots(_parsed(source), 0))
    except BadManifest:
        return []


def _roots(nodes: list[_Node], around: int) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            continue
        levels, rest = outwards(node.source)
        if levels == around:
            yield rest
        if isinstance(node, _Part):
            yield from _roots(node.nodes, around + 1)


def check_well_formed(source: str, before: str = "", after: str = "") -> None:
    """Fill a template with samples and read it; `before` and `after` stand around it in what is sent.

    Raises:
        BadManifest: it is not well-formed, however often a part comes, or has a place where no value may stand; says
            in which line.
    """
    nodes = _parsed(source)
    for sample, times in ((_SAMPLES[0], 1), *((one, 1) for one in _SAMPLES[1:]), (_SAMPLES[0], 0), (_SAMPLES[0], 2)):
        filled = f"{before}{_filled(nodes, sample, times)}{after}"
        if "<!" in filled.replace("<!--", "").replace("<![CDATA[", ""):
            raise BadManifest("a template declares no document type")
        try:
            parse_xml(filled.encode())
        except etree.XMLSyntaxError as fault:
            if times != 1:  # lines are no longer those of the manifest
                raise BadManifest(f"the template is no XML where a repeated part comes {times} times") from None
            line = max((fault.lineno or 1) - before.count("\n"), 1)
            raise BadManifest(f"line {line} of the template is no XML: {str(fault.msg)[:120]}") from None


def _filled(nodes: list[_Node], sample: str, times: int) -> str:
    pieces: list[str] = []
    for node in nodes:
        if isinstance(node, _Part):
            pieces += [_filled(node.nodes, sample, times)] * times
        else:
            pieces.append(sample if isinstance(node, _Place) else node)
    return "".join(pieces)
