"""The statements of traces."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from onestop.db import Db, columns, execute, many

INSERT_TRACES = """
    INSERT INTO traces (region, trace_id, id, principal, route, outcome, took_ms, records)
    SELECT $1, t, i, p, r, o, m, d::jsonb
      FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[], $8::text[])
           AS x(t, i, p, r, o, m, d)
"""
SELECT_TRACE = """
    SELECT id, at, principal, route, outcome, took_ms, records
      FROM traces
     WHERE region = $1 AND trace_id = $2 AND ($3::text IS NULL OR principal = $3 OR principal IS NULL)
     ORDER BY id
     LIMIT 50
"""
DELETE_OLD = "DELETE FROM traces WHERE region = $1 AND at < now() - $2 * interval '1 day'"


class Entry(msgspec.Struct, frozen=True):
    """One request under a trace id."""

    id: str
    at: datetime
    principal: str | None
    route: str
    outcome: str
    took_ms: float
    records: dict[str, Any]


async def insert_traces(db: Db, region: str, rows: Sequence[tuple[object, ...]]) -> int:
    """Write traces in order of the statement's columns; return how many."""
    return await execute(db, INSERT_TRACES, region, *columns(rows))


async def under(db: Db, region: str, trace_id: str, principal: str | None) -> list[Entry]:
    """Read the requests under a trace id, the first one first: the principal's and the workers', or everybody's."""
    return await many(db, Entry, SELECT_TRACE, region, trace_id, principal)


async def delete_old(db: Db, region: str, days: int) -> int:
    """Delete traces older than `days`; return how many."""
    return await execute(db, DELETE_OLD, region, days)
