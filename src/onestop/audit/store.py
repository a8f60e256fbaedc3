"""SQL of the audit: rows are added, never changed.

A row's leaf is made where the row is written, of the digest of its content and of the database's own time; see
`canonical.leaf`, which makes the same.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from onestop.db import Db, columns, execute, many, one

Row = Sequence[object]


class UseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger of data uses."""

    id: str
    at: datetime
    subject: str
    actor: str
    object: str | None = None
    trace_id: str | None = None
    mandate: str | None = None
    beneficiary: str | None = None
    content: str  # JSON


INSERT_ENTRY = r"""
    INSERT INTO audit_entries (region, id, actor, subject, action, object, trace_id, detail, leaf, mandate, beneficiary)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb,
            sha256('\x00'::bytea || $9::bytea || int8send((extract(epoch FROM now()) * 1000000)::bigint)), $10, $11)
"""


async def insert_entry(db: Db, region: str, entry: Row) -> None:
    """Add one entry, given in order of the statement's columns."""
    await execute(db, INSERT_ENTRY, region, *entry)


INSERT_DATA_USE = r"""
    INSERT INTO data_uses (region, id, subject, actor, object, trace_id, content, leaf, mandate, beneficiary)
    VALUES ($1, $2, $3, $4, $5, $6, $7,
            sha256('\x00'::bytea || $8::bytea || int8send((extract(epoch FROM now()) * 1000000)::bigint)), $9, $10)
"""


async def insert_data_use(db: Db, region: str, use: Row) -> None:
    """Add one row: everything one request read of one person, or gave away."""
    await execute(db, INSERT_DATA_USE, region, *use)


# One round trip where an act and the uses it leads to are written together.
INSERT_ENTRY_AND_DATA_USE = r"""
    WITH act AS (
        INSERT INTO audit_entries (region, id, actor, subject, action, object, trace_id, detail, leaf, mandate,
                                   beneficiary)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb,
                sha256('\x00'::bytea || $9::bytea || int8send((extract(epoch FROM now()) * 1000000)::bigint)), $10, $11)
    )
    INSERT INTO data_uses (region, id, subject, actor, object, trace_id, content, leaf, mandate, beneficiary)
    VALUES ($1, $12, $13, $14, $15, $16, $17,
            sha256('\x00'::bytea || $18::bytea || int8send((extract(epoch FROM now()) * 1000000)::bigint)), $19, $20)
"""


async def insert_entry_and_data_use(db: Db, region: str, entry: Row, use: Row) -> None:
    """Add an entry and a row of uses by one statement."""
    await execute(db, INSERT_ENTRY_AND_DATA_USE, region, *entry, *use)


INSERT_DATA_USES = r"""
    INSERT INTO data_uses (region, id, subject, actor, object, trace_id, content, leaf, mandate, beneficiary)
    SELECT $1, i, s, a, o, t, c,
           sha256('\x00'::bytea || d || int8send((extract(epoch FROM now()) * 1000000)::bigint)), m, b
      FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[],
                  $10::text[])
           AS x(i, s, a, o, t, c, d, m, b)
"""


async def insert_data_uses(db: Db, region: str, rows: Sequence[Row]) -> int:
    """Add rows in order of the statement's columns; return how many."""
    return await execute(db, INSERT_DATA_USES, region, *columns(rows))


# A person sees the uses of their own data only. Rows of before `content` have `uses`.
SELECT_OWN_DATA_USES = """
    SELECT id, at, subject, actor, object, trace_id, coalesce(content, uses::text) AS content, mandate, beneficiary
      FROM data_uses
     WHERE region = $1 AND subject = $2 AND ($3::text IS NULL OR id < $3)
     ORDER BY id DESC
     LIMIT $4
"""


async def own_data_uses(db: Db, region: str, subject: str, before: str | None, limit: int) -> list[UseRow]:
    """Return a person's uses, newest first, older than the entry `before`."""
    return await many(db, UseRow, SELECT_OWN_DATA_USES, region, subject, before, limit)


SELECT_OWN_DATA_USE = """
    SELECT id, at, subject, actor, object, trace_id, coalesce(content, uses::text) AS content, mandate, beneficiary
      FROM data_uses
     WHERE region = $1 AND subject = $2 AND id = $3
"""


async def own_data_use(db: Db, region: str, subject: str, id: str) -> UseRow | None:
    """Return one of a person's uses, or None."""
    return await one(db, UseRow, SELECT_OWN_DATA_USE, region, subject, id)


# Both parties of a mandate may see what was used under it; whether the reader is one is the mandate's room's to say.
SELECT_USES_UNDER = """
    SELECT id, at, subject, actor, object, trace_id, coalesce(content, uses::text) AS content, mandate, beneficiary
      FROM data_uses
     WHERE region = $1 AND mandate = $2 AND ($3::text IS NULL OR id < $3)
     ORDER BY id DESC
     LIMIT $4
"""


async def uses_under(db: Db, region: str, mandate: str, before: str | None, limit: int) -> list[UseRow]:
    """Return what was read or given away under a mandate, newest first, older than the entry `before`."""
    return await many(db, UseRow, SELECT_USES_UNDER, region, mandate, before, limit)
