"""XML texts with `{{ expression }}` places, and one part that is repeated for each record of a list."""

import re
from collections.abc import Callable
from typing import Final

from lxml import etree

from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.language import Compiler
from onestop.gateway.mapping.values import (
    MOST_TEXT,
    Codes,
    Getter,
    MappingFailed,
    Value,
    bounded,
    plain,
    spend_parts,
    spend_text,
)
from onestop.outbound.decoding import parse_xml

Filler = Callable[[Value], str]

_PLACE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_BLOCK: Final = re.compile(r"\{\{\s*#each\s+([^{}]+?)\s*\}\}(.*?)\{\{\s*/each\s*\}\}", re.DOTALL)
_STRAY: Final = re.compile(r"\{\{\s*(?:#|/)[^{}]*\}\}")
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})
# A place may hold text or an attribute's value; in a name, an attribute or a comment one of these breaks the document.
_SAMPLES: Final = ("x", "a b", "1", "a--b")


def template(source: str, codes: Codes | None = None, most_text: int = MOST_TEXT) -> Filler:
    """Compile an XML text; values are escaped, null is empty.

    `{{#each payload.items}}…{{ name }}…{{/each}}` repeats what it holds; inside, paths begin at the record.

    Raises:
        BadManifest: an expression in it cannot be compiled, or a repeated part is not closed.
    """
    compiler = Compiler(codes)
    pieces: list[Filler] = []
    end = 0
    for block in _BLOCK.finditer(source):
        pieces += _plain_part(source[end : block.start()], compiler)
        pieces.append(_repeated(block[1], compiler, _plain_part(block[2], compiler)))
        end = block.end()
    pieces += _plain_part(source[end:], compiler)
    fill = bounded(lambda root: "".join([piece(root) for piece in pieces]), most_text)
    return lambda root: str(fill(root))


def _plain_part(source: str, compiler: Compiler) -> list[Filler]:
    stray = _STRAY.search(source)
    if stray is not None:
        raise BadManifest(f"{stray[0]!r}: a repeated part is {{{{#each path}}}}…{{{{/each}}}}, one inside no other")
    pieces: list[Filler] = []
    end = 0
    for match in _PLACE.finditer(source):
        pieces.append(_constant(source[end : match.start()]))
        pieces.append(_place(compiler.expression(match[1].strip()), match[1].strip()))
        end = match.end()
    return [*pieces, _constant(source[end:])]


def _constant(text: str) -> Filler:
    return lambda _: text


def _place(get: Getter, source: str) -> Filler:
    def fill(root: Value) -> str:
        value = get(root)
        if value is None:
            return ""
        try:
            text = plain(value).translate(_ESCAPES)
        except (ValueError, OverflowError, RecursionError) as fault:
            raise MappingFailed(source, value, "needs what XML can hold") from fault
        spend_text(len(text), source, value)
        return text

    return fill


def _repeated(source: str, compiler: Compiler, pieces: list[Filler]) -> Filler:
    records = compiler.expression(source)

    def fill(root: Value) -> str:
        found = records(root)
        items = found if isinstance(found, list) else [] if found in (None, "") else [found]
        spend_parts(len(items) * len(pieces), source, found)
        return "".join([piece(item) for item in items for piece in pieces])

    return fill


def roots(source: str) -> list[str]:
    """Return the expressions that begin where the request does: those of repeated parts begin at a record."""
    return [found.strip() for found in _PLACE.findall(_BLOCK.sub(lambda block: f"{{{{ {block[1]} }}}}", source))]


def check_well_formed(source: str, before: str = "", after: str = "") -> None:
    """Fill a template with samples and read it; `before` and `after` stand around it in what is sent.

    Raises:
        BadManifest: it is not well-formed, or has a place where no value may stand; says in which line.
    """
    once = _BLOCK.sub(lambda block: block[2], source)
    for sample in _SAMPLES:
        filled = f"{before}{_PLACE.sub(sample, once)}{after}"
        if "<!" in filled.replace("<!--", "").replace("<![CDATA[", ""):
            raise BadManifest("a template declares no document type")
        try:
            parse_xml(filled.encode())
        except etree.XMLSyntaxError as fault:
            line = max((fault.lineno or 1) - before.count("\n"), 1)
            raise BadManifest(f"line {line} of the template is no XML: {str(fault.msg)[:120]}") from None
