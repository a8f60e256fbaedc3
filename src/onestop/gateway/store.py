"""The ledger's statements."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from onestop.db import Connection, Db, columns, execute, many, one, value
from onestop.gateway.models import Effect

_COLUMNS = """region, id, case_id, step, adapter, operation, version, key, state, answer, attempt,
              intended_at, next_at, sent_at, settled_at, reference, trace_id, channel, batch, outcome"""

INSERT_EFFECTS = """
    INSERT INTO effects (region, id, case_id, step, adapter, operation, version, key, payload, trace_id, subject, actor,
                         mandate, beneficiary)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                             $9::bytea[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
        ON CONFLICT (region, adapter, key) DO NOTHING
     RETURNING id
"""

# A worker takes what is due, and what another worker took and did not bring back in time; of each department at most
# as many as it has room for, so that one department's backlog is not in the others' way.
CLAIM_DUE = """
    WITH due AS MATERIALIZED (  -- once: a join that ran it again for every row would take more than the limit
        SELECT taken.id
          FROM unnest($4::text[], $5::integer[]) AS room (adapter, free)
         CROSS JOIN LATERAL (
               SELECT id FROM effects
                WHERE region = $1 AND adapter = room.adapter AND next_at <= now()
                  AND (lease_until IS NULL OR lease_until <= now())
                ORDER BY next_at
                LIMIT room.free
                  FOR UPDATE SKIP LOCKED) taken
         LIMIT $6)
    UPDATE effects e
       SET worker = $2, lease_until = now() + $3 * interval '1 second', next_at = now() + $3 * interval '1 second'
      FROM due
     WHERE e.region = $1 AND e.id = due.id
    RETURNING e.region, e.id, e.case_id, e.step, e.adapter, e.operation, e.version, e.key, e.state, e.answer, e.attempt,
              e.intended_at, e.next_at, e.sent_at, e.settled_at, e.reference, e.trace_id, e.channel, e.batch, e.outcome,
              e.payload, e.progress, e.faults,
              extract(epoch FROM now() - coalesce(e.tries_from, e.intended_at))::float8 AS tried_s,
              extract(epoch FROM now() - coalesce(e.sent_at, now()))::float8 AS sent_s
"""

# Whose effects are due, whoever they are for: also a department whose adapter is no longer here.
SELECT_STRANGERS = """
    SELECT DISTINCT adapter FROM effects
     WHERE region = $1 AND next_at <= now() AND adapter <> ALL($2::text[])
     LIMIT 100
"""

# The mark that it was sent is committed before the first byte goes out; the lease then covers the whole call.
MARK_SENT = """
    UPDATE effects
       SET state = 'sent', attempt = attempt + 1, sent_at = coalesce(sent_at, now()), version = $5,
           lease_until = now() + $4 * interval '1 second', next_at = now() + $4 * interval '1 second'
     WHERE region = $1 AND id = $2 AND worker = $3 AND state IN ('intended', 'sent', 'unknown')
"""

# Only the holder of the lease writes; a worker that was frozen and comes back finds that it holds nothing.
SETTLE = """
    UPDATE effects
       SET state = $4, answer = $5, reference = coalesce($6, reference), result = $7, problem = $8,
           next_at = now() + $9::float8 * interval '1 second', outcome = $10, lease_until = NULL, worker = NULL,
           faults = 0,
           settled_at = CASE WHEN $4 IN ('done', 'refused', 'desk') THEN coalesce(settled_at, now()) ELSE settled_at END
     WHERE region = $1 AND id = $2 AND worker = $3
"""

POSTPONE = """
    UPDATE effects
       SET state = $4, problem = coalesce($5, problem), faults = 0, next_at = now() + $6 * interval '1 second',
           lease_until = NULL, worker = NULL
     WHERE region = $1 AND id = $2 AND worker = $3
"""

SELECT_BY_KEY_FOR_UPDATE = f"""
    SELECT {_COLUMNS} FROM effects WHERE region = $1 AND adapter = $2 AND key = $3 FOR UPDATE
"""  # noqa: S608 - the columns are a constant of this file

# Found by our key, or by the department's own number, which several effects may bear.
SELECT_NAMED = """
    SELECT id, key, reference, operation, version FROM effects
     WHERE region = $1 AND adapter = $2 AND key = ANY($3)
     UNION
    SELECT id, key, reference, operation, version FROM effects
     WHERE region = $1 AND adapter = $2 AND reference = ANY($4)
     LIMIT 20
"""

SELECT_PAYLOAD = "SELECT payload FROM effects WHERE region = $1 AND id = $2"

# What was decided is not decided again: neither by a later answer, nor where it was settled when it was sent.
ANSWERED = """
    UPDATE effects
       SET state = $3, answer = 'received', reference = coalesce($4, reference), result = $5, problem = NULL,
           outcome = $6, next_at = NULL, lease_until = NULL, worker = NULL, settled_at = coalesce(settled_at, now())
     WHERE region = $1 AND id = $2 AND answer <> 'received' AND (answer = 'awaited' OR state NOT IN ('done', 'refused'))
"""

# The department has it and will answer later; who was still asking whether it arrived need not any more.
RECEIVED = """
    UPDATE effects
       SET state = 'done', answer = 'awaited', reference = coalesce($3, reference), outcome = $4, problem = NULL,
           next_at = now() + $5 * interval '1 second', lease_until = NULL, worker = NULL,
           settled_at = coalesce(settled_at, now()), sent_at = coalesce(sent_at, now())
     WHERE region = $1 AND id = $2 AND answer <> 'received' AND (answer = 'awaited' OR state NOT IN ('done', 'refused'))
"""

INSERT_CALLBACK = """
    INSERT INTO callbacks_seen (region, adapter, nonce) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""

SELECT_OF_CASE = f"""
    SELECT {_COLUMNS} FROM effects WHERE region = $1 AND case_id = $2 ORDER BY id LIMIT 200
"""  # noqa: S608 - the columns are a constant of this file

# Handling it raised: it waits, and the case hears nothing yet.
SET_BACK = """
    UPDATE effects
       SET faults = faults + 1, problem = $4, next_at = now() + $5 * interval '1 second',
           lease_until = NULL, worker = NULL
     WHERE region = $1 AND id = $2 AND worker = $3
"""

# Its department fetches it, or it goes out in a file; until then a worker looks again only to give up.
OFFER = """
    UPDATE effects
       SET channel = $4, next_at = now() + $5 * interval '1 second', lease_until = NULL, worker = NULL
     WHERE region = $1 AND id = $2 AND worker = $3
"""

SAVE_PROGRESS = """
    UPDATE effects
       SET progress = $4, lease_until = now() + $5 * interval '1 second', next_at = now() + $5 * interval '1 second'
     WHERE region = $1 AND id = $2 AND worker = $3
"""

DELETE_OLD_CALLBACKS = """
    DELETE FROM callbacks_seen WHERE region = $1 AND received_at < now() - $2 * interval '1 second'
"""

HEARTBEAT = """
    UPDATE effects
       SET lease_until = now() + $4 * interval '1 second', next_at = now() + $4 * interval '1 second'
     WHERE region = $1 AND worker = $2 AND id = ANY($3)
"""


class Claimed(Effect, frozen=True, kw_only=True):
    """An effect in a worker's hands, with what is sealed; ages are the database's, not this machine's."""

    payload: bytes
    progress: bytes | None = None
    faults: int = 0
    tried_s: float = 0.0  # since it was intended, or a person sent it again
    sent_s: float = 0.0  # since it was first sent


class Named(msgspec.Struct, frozen=True):
    """An effect that a callback may speak of: what it goes by, and what it was sent as."""

    id: str
    key: str
    reference: str | None
    operation: str
    version: str


async def insert_effects(db: Connection, region: str, rows: list[tuple[object, ...]]) -> set[str]:
    """Write effects in order of the statement's columns; return the ids of those that were new."""
    return {new["id"] for new in await db.fetch(INSERT_EFFECTS, region, *columns(rows))}


async def claim_due(
    db: Db, region: str, worker: str, lease_s: float, room: Mapping[str, int], limit: int
) -> list[Claimed]:
    """Take effects that are due, for `lease_s` seconds: of each adapter at most `room`, in all at most `limit`."""
    args = (region, worker, lease_s, list(room), list(room.values()), limit)
    return await many(db, Claimed, CLAIM_DUE, *args)


async def strangers(db: Db, region: str, known: Sequence[str]) -> list[str]:
    """Return adapters beside those known that effects are due for; at most 100."""
    return [row["adapter"] for row in await db.fetch(SELECT_STRANGERS, region, list(known))]


async def mark_sent(db: Db, effect: Effect, worker: str, lease_s: float, version: str) -> bool:
    """Note that the effect goes out now by a version, for a call of at most `lease_s`; False where it was lost."""
    return await execute(db, MARK_SENT, effect.region, effect.id, worker, lease_s, version) == 1


async def settle(
    db: Connection,
    effect: Effect,
    worker: str,
    state: str,
    answer: str,
    reference: str | None,
    result: bytes | None,
    problem: dict[str, Any] | None,
    again_s: float | None,
    outcome: str | None = None,
) -> bool:
    """Write what became of an effect; False where this worker no longer holds it."""
    args = (effect.region, effect.id, worker, state, answer, reference, result, problem, again_s, outcome)
    return await execute(db, SETTLE, *args) == 1


async def postpone(
    db: Db, effect: Effect, worker: str, state: str, problem: dict[str, Any] | None, after_s: float
) -> bool:
    """Put an effect back to be looked at again; False where this worker no longer holds it."""
    return await execute(db, POSTPONE, effect.region, effect.id, worker, state, problem, after_s) == 1


async def set_back(db: Db, effect: Effect, worker: str, problem: dict[str, Any], after_s: float) -> bool:
    """Count a handling that raised, and put the effect back; False where this worker no longer holds it."""
    return await execute(db, SET_BACK, effect.region, effect.id, worker, problem, after_s) == 1


async def offer(db: Db, effect: Effect, worker: str, channel: str, give_up_s: float) -> bool:
    """Leave an effect for its department to fetch, or for the next file; False where this worker lost it."""
    return await execute(db, OFFER, effect.region, effect.id, worker, channel, give_up_s) == 1


async def save_progress(db: Db, effect: Effect, worker: str, progress: bytes, lease_s: float = 15.0) -> bool:
    """Keep what the steps so far have saved, and the lease for the next one; False where this worker lost it."""
    return await execute(db, SAVE_PROGRESS, effect.region, effect.id, worker, progress, lease_s) == 1


async def delete_old_callbacks(db: Db, region: str, age_s: float) -> int:
    """Forget nonces of callbacks whose time stamp would no longer be taken."""
    return await execute(db, DELETE_OLD_CALLBACKS, region, age_s)


async def by_key_for_update(db: Connection, region: str, adapter: str, key: str) -> Effect | None:
    """Read the effect a department speaks of and hold its row until the transaction ends."""
    return await one(db, Effect, SELECT_BY_KEY_FOR_UPDATE, region, adapter, key)


async def named(db: Db, region: str, adapter: str, keys: Collection[str], references: Collection[str]) -> list[Named]:
    """Return the effects of an adapter that go by one of these keys, or by one of its own numbers; at most 20."""
    return await many(db, Named, SELECT_NAMED, region, adapter, list(keys), list(references))


async def payload_of(db: Db, effect: Effect) -> bytes:
    """Return what an effect hands over, sealed."""
    found: bytes = await value(db, SELECT_PAYLOAD, effect.region, effect.id)
    return found


async def answered(
    db: Connection, effect: Effect, state: str, reference: str | None, result: bytes | None, outcome: str
) -> bool:
    """Write a department's later answer; False where one was written before."""
    return await execute(db, ANSWERED, effect.region, effect.id, state, reference, result, outcome) == 1


async def received(db: Connection, effect: Effect, reference: str | None, outcome: str, again_s: float) -> bool:
    """Write that the department has it and answers later; False where its answer is there already."""
    return await execute(db, RECEIVED, effect.region, effect.id, reference, outcome, again_s) == 1


async def insert_callback(db: Connection, region: str, adapter: str, nonce: str) -> bool:
    """Remember a callback's nonce; False where it was seen before."""
    return await execute(db, INSERT_CALLBACK, region, adapter, nonce) == 1


async def of_case(db: Db, region: str, case_id: str) -> list[Effect]:
    """Read the effects of one case in the order they were intended."""
    return await many(db, Effect, SELECT_OF_CASE, region, case_id)


async def heartbeat(db: Db, region: str, worker: str, ids: list[str], lease_s: float) -> int:
    """Keep the leases of effects still under way."""
    return await execute(db, HEARTBEAT, region, worker, ids, lease_s)
