"""Statements of the effects that go out in files."""

import msgspec

from onestop.db import Connection, Db, execute, many, one
from onestop.gateway.models import Effect


class Waiting(msgspec.Struct, frozen=True):
    """What waits for an operation's next file."""

    operation: str
    number: int
    oldest_s: float


class InFile(Effect, frozen=True, kw_only=True):
    """An effect on its way into a file, with its sealed payload."""

    payload: bytes


class FileName(msgspec.Struct, frozen=True):
    """The parts of a new file's name: the database's time in China, and a number never used before."""

    at: str
    nth: int


SELECT_WAITING = """
    SELECT operation, count(*) AS number,
           extract(epoch FROM now() - min(coalesce(tries_from, intended_at)))::float8 AS oldest_s
      FROM effects
     WHERE region = $1 AND adapter = $2 AND channel = 'file' AND next_at IS NOT NULL AND batch IS NULL
       AND answer = 'none' AND state IN ('intended', 'unknown') AND (lease_until IS NULL OR lease_until <= now())
     GROUP BY operation
     LIMIT 100
"""

NEXT_FILE = """
    SELECT to_char(now() AT TIME ZONE 'Asia/Shanghai', 'YYYYMMDD"T"HH24MISS') AS at, nextval('effect_files') AS nth
"""

# Committed before the file is there: the mark that they were sent, with the name of the file to look in.
TAKE_INTO_FILE = """
    WITH due AS MATERIALIZED (
        SELECT id FROM effects
         WHERE region = $1 AND adapter = $2 AND operation = $3 AND channel = 'file' AND next_at IS NOT NULL
           AND batch IS NULL AND answer = 'none' AND state IN ('intended', 'unknown')
           AND (lease_until IS NULL OR lease_until <= now())
         ORDER BY id
         LIMIT $6
           FOR UPDATE SKIP LOCKED)
    UPDATE effects e
       SET state = 'sent', attempt = e.attempt + 1, sent_at = coalesce(e.sent_at, now()), batch = $5, worker = $4,
           lease_until = now() + $7 * interval '1 second'
      FROM due
     WHERE e.region = $1 AND e.id = due.id
    RETURNING e.region, e.id, e.case_id, e.step, e.adapter, e.operation, e.version, e.key, e.state, e.answer, e.attempt,
              e.intended_at, e.next_at, e.sent_at, e.settled_at, e.reference, e.trace_id, e.channel, e.batch, e.outcome,
              e.payload
"""

# Files that were begun by somebody who did not come back: the mark is there, and perhaps the file.
SELECT_BEGUN = """
    SELECT DISTINCT batch FROM effects
     WHERE region = $1 AND adapter = $2 AND channel = 'file' AND state = 'sent' AND answer = 'none'
       AND batch IS NOT NULL AND lease_until <= now()
     LIMIT 100
"""

TAKE_OVER = """
    UPDATE effects e
       SET worker = $4, lease_until = now() + $5 * interval '1 second'
     WHERE region = $1 AND adapter = $2 AND batch = $3 AND channel = 'file' AND state = 'sent' AND answer = 'none'
       AND lease_until <= now()
    RETURNING e.region, e.id, e.case_id, e.step, e.adapter, e.operation, e.version, e.key, e.state, e.answer, e.attempt,
              e.intended_at, e.next_at, e.sent_at, e.settled_at, e.reference, e.trace_id, e.channel, e.batch, e.outcome,
              e.payload
"""

OUT = """
    UPDATE effects
       SET answer = 'awaited', worker = NULL, lease_until = NULL, next_at = now() + $5 * interval '1 second'
     WHERE region = $1 AND worker = $2 AND batch = $3 AND id = ANY($4::text[]) AND answer = 'none'
"""

NOT_OUT = """
    UPDATE effects
       SET state = 'intended', batch = NULL, worker = NULL, lease_until = NULL
     WHERE region = $1 AND worker = $2 AND batch = $3 AND answer = 'none'
"""


async def waiting(db: Db, region: str, adapter: str) -> list[Waiting]:
    """Return how many effects of each operation wait for a file, and for how long."""
    return await many(db, Waiting, SELECT_WAITING, region, adapter)


async def next_file(db: Db) -> FileName:
    """Return the parts of a name that no file had before."""
    found = await one(db, FileName, NEXT_FILE)
    assert found is not None  # the statement always gives a row
    return found


async def take_into_file(
    db: Db, region: str, adapter: str, operation: str, worker: str, batch: str, most: int, lease_s: float
) -> list[InFile]:
    """Mark at most `most` effects as sent in a file, before it is written."""
    return await many(db, InFile, TAKE_INTO_FILE, region, adapter, operation, worker, batch, most, lease_s)


async def begun(db: Db, region: str, adapter: str) -> list[str]:
    """Return files that somebody began to write and did not come back from."""
    return [row["batch"] for row in await db.fetch(SELECT_BEGUN, region, adapter)]


async def take_over(db: Db, region: str, adapter: str, batch: str, worker: str, lease_s: float) -> list[InFile]:
    """Take such a file's effects over."""
    return await many(db, InFile, TAKE_OVER, region, adapter, batch, worker, lease_s)


async def out(db: Db, region: str, worker: str, batch: str, ids: list[str], answer_within_s: float) -> int:
    """Note that these effects are in the file and the file is there."""
    return await execute(db, OUT, region, worker, batch, ids, answer_within_s)


async def not_out(db: Connection | Db, region: str, worker: str, batch: str) -> int:
    """Put the effects of a file that are not in it back for the next one."""
    return await execute(db, NOT_OUT, region, worker, batch)
