"""Tables as CSV with a header row: records into cells that no spreadsheet runs, rows into records."""

import csv
import io
from typing import Any, Final

from onestop.gateway.file_rows import BadRow, cell
from onestop.gateway.mapping.values import MappingFailed, Value
from onestop.outbound.decoding import decode_text
from onestop.outbound.errors import BadBody

_MOST_CELLS: Final = 20_000
_MOST_ROWS: Final = 5_000
_MOST_COLUMNS: Final = 200


def write(made: Value, charset: str) -> bytes:
    """Write one record, or a list of them, below a row of their names.

    Raises:
        MappingFailed: a record has other names than the first, or holds a list or a table.
        UnicodeEncodeError: the charset has no such character.
    """
    rows = made if isinstance(made, list) else [made]
    names = list(rows[0]) if rows and isinstance(rows[0], dict) else []
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator="\r\n")
    try:
        table.writerow([cell(name) for name in names])
        for row in rows:
            if not isinstance(row, dict) or row.keys() != set(names):
                raise MappingFailed("request.body", row, "needs records of the same members")
            table.writerow([cell(row[name]) for name in names])
    except BadRow as fault:
        raise MappingFailed("request.body", made, "needs cells without lists or tables") from fault
    return out.getvalue().encode(charset)


def read(body: bytes, charset: str) -> list[dict[str, Any]]:
    """Read rows into records named by the first row.

    Raises:
        BadBody: not of the charset, no header, a name twice, a row of another length, too many rows or cells.
    """
    text = decode_text(body, charset)  # type: ignore[arg-type]  # a charset of the manifest
    if not text.strip():
        raise BadBody("empty")
    if text.lstrip().startswith("<"):
        raise BadBody("markup")
    try:
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = [name.strip() for name in next(rows)]
        if len(set(names)) != len(names) or len(names) > _MOST_COLUMNS or "" in names:
            raise BadBody("csv_header")
        return _records(names, rows)
    except csv.Error:
        raise BadBody("csv_malformed") from None


def _records(names: list[str], rows: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for row in rows:
        if not row:
            continue  # an empty line at the end
        if len(row) != len(names):
            raise BadBody("csv_row", f"row {len(found) + 2}")
        if len(found) == _MOST_ROWS or (len(found) + 1) * len(names) > _MOST_CELLS:
            raise BadBody("too_many_parts")
        found.append(dict(zip(names, row, strict=True)))
    return found
