"""The ledger's statements."""

from datetime import datetime
from typing import Any

import msgspec

from onestop.db import Connection, Db, columns, execute, many, one, value
from onestop.gateway.models import Effect

_COLUMNS = """region, id, case_id, step, adapter, operation, version, key, state, answer, attempt,
              intended_at, next_at, sent_at, settled_at, reference, trace_id"""

INSERT_EFFECTS = """
    INSERT INTO effects (region, id, case_id, step, adapter, operation, version, key, payload, trace_id)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                             $9::bytea[], $10::text[])
        ON CONFLICT (region, adapter, key) DO NOTHING
"""

# A worker takes what is due, and what another worker took and did not bring back in time.
CLAIM_DUE = """
    UPDATE effects e
       SET worker = $2, lease_until = now() + $3 * interval '1 second', next_at = now() + $3 * interval '1 second'
      FROM (SELECT id FROM effects
             WHERE region = $1 AND next_at <= now() AND (lease_until IS NULL OR lease_until <= now())
             ORDER BY next_at
             LIMIT $4
               FOR UPDATE SKIP LOCKED) due
     WHERE e.region = $1 AND e.id = due.id
    RETURNING e.region, e.id, e.case_id, e.step, e.adapter, e.operation, e.version, e.key, e.state, e.answer, e.attempt,
              e.intended_at, e.next_at, e.sent_at, e.settled_at, e.reference, e.trace_id, e.payload
"""

# The mark that it was sent is committed before the first byte goes out.
MARK_SENT = """
    UPDATE effects
       SET state = 'sent', attempt = attempt + 1, sent_at = coalesce(sent_at, now()), version = $4
     WHERE region = $1 AND id = $2 AND worker = $3 AND state IN ('intended', 'sent', 'unknown')
"""

# Only the holder of the lease writes; a worker that was frozen and comes back finds that it holds nothing.
SETTLE = """
    UPDATE effects
       SET state = $4, answer = $5, reference = coalesce($6, reference), result = $7, problem = $8,
           next_at = $9, lease_until = NULL, worker = NULL,
           settled_at = CASE WHEN $4 IN ('done', 'refused', 'desk') THEN coalesce(settled_at, now()) ELSE settled_at END
     WHERE region = $1 AND id = $2 AND worker = $3
"""

POSTPONE = """
    UPDATE effects
       SET state = $4, problem = $5, next_at = now() + $6 * interval '1 second', lease_until = NULL, worker = NULL
     WHERE region = $1 AND id = $2 AND worker = $3
"""

SELECT_BY_KEY_FOR_UPDATE = f"""
    SELECT {_COLUMNS} FROM effects WHERE region = $1 AND adapter = $2 AND key = $3 FOR UPDATE
"""  # noqa: S608 - the columns are a constant of this file

SELECT_VERSION_BY_KEY = "SELECT version FROM effects WHERE region = $1 AND adapter = $2 AND key = $3"

ANSWERED = """
    UPDATE effects
       SET state = $3, answer = 'received', reference = coalesce($4, reference), result = $5, problem = $6,
           next_at = NULL, lease_until = NULL, worker = NULL, settled_at = coalesce(settled_at, now())
     WHERE region = $1 AND id = $2 AND answer <> 'received'
"""

INSERT_CALLBACK = """
    INSERT INTO callbacks_seen (region, adapter, nonce) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""

SELECT_OF_CASE = f"""
    SELECT {_COLUMNS} FROM effects WHERE region = $1 AND case_id = $2 ORDER BY id LIMIT 200
"""  # noqa: S608 - the columns are a constant of this file

COUNT_BY_STATE = """
    SELECT adapter, state, answer, count(*) AS number
      FROM effects WHERE region = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT 1000
"""

HEARTBEAT = """
    UPDATE effects
       SET lease_until = now() + $4 * interval '1 second', next_at = now() + $4 * interval '1 second'
     WHERE region = $1 AND worker = $2 AND id = ANY($3)
"""


class Claimed(Effect, frozen=True, kw_only=True):
    """An effect in a worker's hands, with its sealed payload."""

    payload: bytes


class Count(msgspec.Struct, frozen=True):
    """How many effects of one adapter are in one state."""

    adapter: str
    state: str
    answer: str
    number: int


async def insert_effects(db: Connection, region: str, rows: list[tuple[object, ...]]) -> int:
    """Write effects in order of the statement's columns; return how many were new."""
    return await execute(db, INSERT_EFFECTS, region, *columns(rows))


async def claim_due(db: Db, region: str, worker: str, lease_s: float, limit: int) -> list[Claimed]:
    """Take at most `limit` effects that are due, for `lease_s` seconds; the longest due first."""
    return await many(db, Claimed, CLAIM_DUE, region, worker, lease_s, limit)


async def mark_sent(db: Db, effect: Effect, worker: str, version: str) -> bool:
    """Note that the effect goes out now, by which version; False where this worker no longer holds it."""
    return await execute(db, MARK_SENT, effect.region, effect.id, worker, version) == 1


async def settle(
    db: Connection,
    effect: Effect,
    worker: str,
    state: str,
    answer: str,
    reference: str | None,
    result: bytes | None,
    problem: dict[str, Any] | None,
    next_at: datetime | None,
) -> bool:
    """Write what became of an effect; False where this worker no longer holds it."""
    args = (effect.region, effect.id, worker, state, answer, reference, result, problem, next_at)
    return await execute(db, SETTLE, *args) == 1


async def postpone(
    db: Db, effect: Effect, worker: str, state: str, problem: dict[str, Any] | None, after_s: float
) -> bool:
    """Put an effect back to be looked at again; False where this worker no longer holds it."""
    return await execute(db, POSTPONE, effect.region, effect.id, worker, state, problem, after_s) == 1


async def by_key_for_update(db: Connection, region: str, adapter: str, key: str) -> Effect | None:
    """Read the effect a department speaks of and hold its row until the transaction ends."""
    return await one(db, Effect, SELECT_BY_KEY_FOR_UPDATE, region, adapter, key)


async def version_by_key(db: Db, region: str, adapter: str, key: str) -> str | None:
    """Return the version an effect was sent with, None where nothing went under that key."""
    found: str | None = await value(db, SELECT_VERSION_BY_KEY, region, adapter, key)
    return found


async def answered(
    db: Connection,
    effect: Effect,
    state: str,
    reference: str | None,
    result: bytes | None,
    problem: dict[str, Any] | None,
) -> bool:
    """Write a department's later answer; False where one was written before."""
    return await execute(db, ANSWERED, effect.region, effect.id, state, reference, result, problem) == 1


async def insert_callback(db: Connection, region: str, adapter: str, nonce: str) -> bool:
    """Remember a callback's nonce; False where it was seen before."""
    return await execute(db, INSERT_CALLBACK, region, adapter, nonce) == 1


async def of_case(db: Db, region: str, case_id: str) -> list[Effect]:
    """Read the effects of one case in the order they were intended."""
    return await many(db, Effect, SELECT_OF_CASE, region, case_id)


async def count_by_state(db: Db, region: str) -> list[Count]:
    """Count the ledger by adapter and state."""
    return await many(db, Count, COUNT_BY_STATE, region)


async def heartbeat(db: Db, region: str, worker: str, ids: list[str], lease_s: float) -> int:
    """Keep the leases of effects still under way."""
    return await execute(db, HEARTBEAT, region, worker, ids, lease_s)
