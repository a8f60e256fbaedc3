"""A licence as a page: PDF with an embedded subset of its font, the copy's purpose burned in, a QR drawn as squares.

Pure: words in, bytes out. fpdf2 and the font are loaded with the first document, which takes most of a second.
"""

from collections.abc import Container, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import segno

from onestop.certificates.errors import Unprintable

if TYPE_CHECKING:
    from fpdf import FPDF
    from fpdf.enums import WrapMode

_FONT: Final = "sans"
_MARGIN: Final = 18.0  # mm
_WIDTH: Final = 210.0 - 2 * _MARGIN
_LABEL: Final = 44.0
_QR: Final = 34.0
_GREY: Final = 110
_MARK: Final = 215  # light enough to be read through
_MARKS: Final = ((95.0, 20.0), (160.0, 20.0), (225.0, 20.0), (285.0, 20.0))  # mm: where each starts


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on the page, in the words of one language."""

    lang: str  # a language tag
    title: str
    issuer: str
    rows: Sequence[tuple[str, str]]  # label and value
    notes: Sequence[str]  # small, below
    mark: str | None = None  # over the whole page: what the copy is for
    address: str | None = None  # of the QR
    made_at: datetime


@cache
def _font_file() -> Path:
    import pylopdf_fonts_zh_cn

    return Path(pylopdf_fonts_zh_cn.sans_path())


def render(page: Page) -> bytes:
    """Return the page as PDF.

    Raises:
        Unprintable: the font has no glyph for a character; no box is drawn in its place.
    """
    from fpdf import FPDF

    _check(page)
    pdf = FPDF(format="A4")
    pdf.set_auto_page_break(True, margin=_MARGIN)
    pdf.set_margin(_MARGIN)
    pdf.add_font(_FONT, fname=_font_file())
    pdf.set_font(_FONT, size=11)
    pdf.set_lang(page.lang)
    pdf.set_title(page.title)
    pdf.set_creator("onestop")
    pdf.set_creation_date(page.made_at)
    pdf.add_page()
    if page.mark:
        _mark(pdf, page.mark)
    _head(pdf, page)
    _rows(pdf, page.rows)
    _foot(pdf, page)
    return bytes(pdf.output())


def lacking(words: str) -> str:
    """Return the characters, as `U+4E00`, for which the font has no glyph; empty where it has all. At most eight."""
    return _codes(words, _glyphs())


@cache
def _glyphs() -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(_font_file(), lazy=True) as font:
        return frozenset(font.getBestCmap())


def _codes(words: str, known: Container[int]) -> str:
    missing = sorted({one for one in words if ord(one) not in known})
    return " ".join(f"U+{ord(one):04X}" for one in missing[:8])


def _check(page: Page) -> None:
    words = "".join(
        [page.title, page.issuer, page.mark or "", *page.notes, *(text for row in page.rows for text in row)]
    )
    missing = lacking(words)
    if missing:
        raise Unprintable(characters=missing)


def _head(pdf: "FPDF", page: Page) -> None:
    pdf.set_draw_color(_GREY)
    pdf.rect(_MARGIN / 2, _MARGIN / 2, 210.0 - _MARGIN, 297.0 - _MARGIN)
    pdf.set_y(_MARGIN + 10)
    pdf.set_font_size(24)
    pdf.multi_cell(0, 12, page.title, align="C", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font_size(12)
    pdf.set_text_color(_GREY)
    pdf.multi_cell(0, 8, page.issuer, align="C", new_x="LMARGIN", new_y="NEXT")
    pdf.set_text_color(0)
    pdf.ln(8)


def _rows(pdf: "FPDF", rows: Sequence[tuple[str, str]]) -> None:
    pdf.set_font_size(12)
    for label, value in rows:
        top = pdf.get_y()
        pdf.set_text_color(_GREY)
        pdf.multi_cell(_LABEL, 7, label, align="L", new_x="LMARGIN", new_y="NEXT")
        below = pdf.get_y()
        pdf.set_text_color(0)
        pdf.set_xy(_MARGIN + _LABEL, top)
        pdf.multi_cell(_WIDTH - _LABEL, 7, value, align="L", new_x="LMARGIN", new_y="NEXT", wrapmode=_by_character())
        pdf.set_y(max(below, pdf.get_y()) + 1.5)


def _foot(pdf: "FPDF", page: Page) -> None:
    pdf.ln(6)
    top = pdf.get_y()
    if page.address is not None:
        _draw_qr(pdf, page.address, 210.0 - _MARGIN - _QR, top)
    pdf.set_font_size(9)
    pdf.set_text_color(_GREY)
    for note in page.notes:
        pdf.multi_cell(_WIDTH - _QR - 6, 5, note, align="L", new_x="LMARGIN", new_y="NEXT", wrapmode=_by_character())
    pdf.set_text_color(0)


def _by_character() -> "WrapMode":
    """Return how lines break: Chinese has no spaces to break at."""
    from fpdf.enums import WrapMode

    return WrapMode.CHAR


def _draw_qr(pdf: "FPDF", address: str, left: float, top: float) -> None:
    matrix = segno.make(address, error="l", micro=False).matrix
    size = _QR / len(matrix)
    pdf.set_fill_color(0)
    for y, line in enumerate(matrix):
        for x, dark in enumerate(line):
            if dark:
                pdf.rect(left + x * size, top + y * size, size, size, style="F")


def _mark(pdf: "FPDF", words: str) -> None:
    """Write across the page, more than once, so that no part of it can be cut out without."""
    pdf.set_text_color(_MARK)
    pdf.set_font_size(20)
    for y, x in _MARKS:
        with pdf.rotation(24, x, y):
            pdf.set_xy(x, y)
            pdf.multi_cell(190, 9, words, align="L", wrapmode=_by_character())
    pdf.set_text_color(0)
