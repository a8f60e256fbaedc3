"""Text on a terminal's grid, where a Chinese character takes two places."""

import unicodedata
from collections.abc import Sequence

GAP = 2


def width(text: str) -> int:
    """Return how many places a text takes."""
    return sum(_places(character) for character in text)


def _places(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, places: int) -> str:
    """Return the text in at most `places` places, with an ellipsis where something was left out."""
    if width(text) <= places:
        return text
    kept, used = "", 0
    for character in text:
        if used + _places(character) > places - 1:
            break
        kept, used = kept + character, used + _places(character)
    return kept + "…"


def pad(text: str, places: int) -> str:
    """Return the text filled up with spaces to `places`."""
    return text + " " * (places - width(text))


def wrap(text: str, places: int) -> list[str]:
    """Break a text into lines: at spaces where there are any, between Chinese characters otherwise."""
    lines, line = [], ""
    for piece in _pieces(text):
        if line and width(line + piece.rstrip()) > places:
            lines.append(line.rstrip())
            line = ""
        line += piece if line else piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for character in text:
        # A closing mark stays with what it closes; a Chinese character may begin a line of its own.
        closing = character in "，。；：、）」！？"
        joins = pieces and (
            closing or (_places(character) == 1 and not pieces[-1].endswith(" ") and not _wide(pieces[-1]))
        )
        if joins or (pieces and character == " "):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _wide(piece: str) -> bool:
    return _places(piece[-1]) == 2


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], places: int) -> list[str]:
    """Lay out rows below their headings in at most `places`; the widest columns give way first."""
    lines = [list(headings), *[list(row) for row in rows]]
    columns = [max(width(line[i]) for line in lines) for i in range(len(headings))]
    while sum(columns) + GAP * (len(columns) - 1) > places and max(columns) > 8:
        columns[columns.index(max(columns))] -= 1
    return [
        (" " * GAP).join(pad(cut(cell, size), size) for cell, size in zip(line, columns, strict=True)).rstrip()
        for line in lines
    ]
