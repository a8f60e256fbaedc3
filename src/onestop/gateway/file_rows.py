"""Rows of files: values into cells that no spreadsheet takes for a formula, and cells back into values. Pure."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from onestop.gateway.manifest import Files
from onestop.outbound.decoding import decode_json
from onestop.outbound.errors import BadBody

MOST_ROWS = 100_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_GUARD = "'"
Row = dict[str, Any]


class BadFile(Exception):
    """A file that cannot be read at all; says why, never what stands in it."""


class BadRow(Exception):
    """One row that cannot be read."""


def write(files: Files, rows: Sequence[Row]) -> bytes:
    """Return a file's bytes; every row has the same members in the same order.

    Raises:
        BadRow: a value cannot stand in a cell of this codec.
    """
    if files.codec == "jsonl":
        text = "".join(msgspec.json.encode(row).decode() + "\n" for row in rows)
    else:
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")
        names = list(rows[0]) if rows else []
        writer.writerow([_guarded(name) for name in names])
        writer.writerows([[cell(row[name]) for name in names] for row in rows])
        text = out.getvalue()
    return text.encode(files.charset)


def cell(value: Any) -> str:
    """Return a value as the text of a cell.

    Raises:
        BadRow: it is a list or a table.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)  # a number is no formula, also where it is negative
    if isinstance(value, str):
        return _guarded(value)
    raise BadRow("a list or a table cannot stand in a cell of a csv file")


def _guarded(text: str) -> str:
    """Return a text that spreadsheets show and do not run."""
    return _GUARD + text if text.startswith(_FORMULA) else text


def _unguarded(text: str) -> str:
    return text[1:] if text[:1] == _GUARD and text[1:].startswith(_FORMULA) else text


def read(files: Files, data: bytes) -> Iterator[tuple[int, Row | BadRow]]:
    """Yield each row with its number in the file, from 1; the heading of a csv file is row 1.

    Raises:
        BadFile: not in the declared charset, no heading, two columns of one name, or too many rows.
    """
    try:
        text = data.decode("gb18030" if files.charset == "gb18030" else "utf-8-sig")
    except UnicodeDecodeError as fault:
        raise BadFile(f"not in {files.charset}, from byte {fault.start}") from fault
    text = text.removeprefix("\ufeff")  # GB 18030 files may begin with one as well
    return _lines(text) if files.codec == "jsonl" else _table(text)


def _lines(text: str) -> Iterator[tuple[int, Row | BadRow]]:
    lines = text.split("\n")
    if len(lines) > MOST_ROWS:
        raise BadFile(f"more than {MOST_ROWS} rows")
    for nth, line in enumerate(lines, 1):
        if line.strip():
            yield nth, _line(line)


def _line(line: str) -> Row | BadRow:
    try:
        value = decode_json(line.encode())
    except BadBody as fault:
        return BadRow(str(fault))
    return value if isinstance(value, dict) else BadRow("not a JSON object")


def _table(text: str) -> Iterator[tuple[int, Row | BadRow]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [_unguarded(name.strip()) for name in next(reader, [])]
        if not names or not all(names) or len(set(names)) != len(names):
            raise BadFile("the first row must name every column, each once")
        for nth, cells in enumerate(reader, 2):
            if nth > MOST_ROWS + 1:
                raise BadFile(f"more than {MOST_ROWS} rows")
            if not cells:
                continue
            if len(cells) != len(names):
                yield nth, BadRow(f"{len(cells)} cells, the heading has {len(names)}")
            else:
                yield nth, dict(zip(names, map(_unguarded, cells), strict=True))
    except csv.Error as fault:
        raise BadFile(f"not a csv file: {fault}") from fault
