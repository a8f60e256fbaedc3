"""SQL of the audit: rows are added, never changed."""

from collections.abc import Sequence
from typing import Any

from onestop.audit.models import DataUse
from onestop.db import Db, columns, execute, many

INSERT_ENTRY = """
    INSERT INTO audit_entries (region, id, actor, subject, action, object, trace_id, detail)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def insert_entry(
    db: Db,
    region: str,
    id: str,
    actor: str,
    subject: str | None,
    action: str,
    object: str | None,
    trace_id: str | None,
    detail: dict[str, Any],
) -> None:
    """Add one entry."""
    await execute(db, INSERT_ENTRY, region, id, actor, subject, action, object, trace_id, detail)


INSERT_DATA_USE = """
    INSERT INTO data_uses (region, id, subject, actor, object, trace_id, uses)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def insert_data_use(
    db: Db,
    region: str,
    id: str,
    subject: str,
    actor: str,
    object: str | None,
    trace_id: str | None,
    uses: list[dict[str, Any]],
) -> None:
    """Add one row: everything one request read of one person."""
    await execute(db, INSERT_DATA_USE, region, id, subject, actor, object, trace_id, uses)


# A person sees the uses of their own data only.
SELECT_OWN_DATA_USES = """
    SELECT id, at, actor, object, uses
      FROM data_uses
     WHERE region = $1 AND subject = $2 AND ($3::text IS NULL OR id < $3)
     ORDER BY id DESC
     LIMIT $4
"""


async def own_data_uses(db: Db, region: str, subject: str, before: str | None, limit: int) -> list[DataUse]:
    """Return a person's uses, newest first, older than the entry `before`."""
    return await many(db, DataUse, SELECT_OWN_DATA_USES, region, subject, before, limit)


INSERT_DATA_USES = """
    INSERT INTO data_uses (region, id, subject, actor, object, trace_id, uses)
    SELECT $1, i, s, a, o, t, u::jsonb
      FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) AS x(i, s, a, o, t, u)
"""


async def insert_data_uses(db: Db, region: str, rows: Sequence[Sequence[object]]) -> int:
    """Add rows in order of the statement's columns; return how many."""
    return await execute(db, INSERT_DATA_USES, region, *columns(rows))
