"""Statements of the effects that departments fetch, and of those a person decides."""

from datetime import datetime

import msgspec

from onestop.db import Connection, Db, execute, many, one
from onestop.gateway.models import Effect

# The lease's token is new for every effect and every time; where an operation bears one try only, it is given once.
LEASE_OFFERED = """
    WITH due AS MATERIALIZED (
        SELECT id FROM effects
         WHERE region = $1 AND adapter = $2 AND channel = 'pull' AND next_at IS NOT NULL AND answer = 'none'
           AND (state = 'intended' OR (state IN ('sent', 'unknown') AND operation <> ALL($5::text[])))
           AND (lease_until IS NULL OR lease_until <= now())
         ORDER BY id
         LIMIT $4
           FOR UPDATE SKIP LOCKED)
    UPDATE effects e
       SET state = 'sent', attempt = e.attempt + 1, sent_at = coalesce(e.sent_at, now()),
           worker = 'p-' || gen_random_uuid(), lease_until = now() + $3 * interval '1 second',
           next_at = CASE WHEN e.operation = ANY($5::text[]) THEN now() + $3 * interval '1 second' ELSE e.next_at END
      FROM due
     WHERE e.region = $1 AND e.id = due.id
    RETURNING e.region, e.id, e.case_id, e.step, e.adapter, e.operation, e.version, e.key, e.state, e.answer, e.attempt,
              e.intended_at, e.next_at, e.sent_at, e.settled_at, e.reference, e.trace_id, e.channel, e.batch, e.outcome,
              e.payload, e.worker, e.lease_until
"""

SELECT_FOR_UPDATE = """
    SELECT region, id, case_id, step, adapter, operation, version, key, state, answer, attempt, intended_at, next_at,
           sent_at, settled_at, reference, trace_id, channel, batch, outcome, payload, worker, lease_until,
           lease_until > now() AS held
      FROM effects
     WHERE region = $1 AND id = $2
       FOR UPDATE
"""

EXTEND_LEASE = """
    UPDATE effects
       SET lease_until = now() + $4 * interval '1 second', next_at = greatest(next_at, now() + $4 * interval '1 second')
     WHERE region = $1 AND id = $2 AND worker = $3 AND state = 'sent'
    RETURNING lease_until
"""

# Given back: nothing was done, and nobody gets it before the time the department asks for.
GIVE_BACK = """
    UPDATE effects
       SET state = 'intended', problem = $4, worker = NULL, lease_until = now() + $5 * interval '1 second',
           next_at = now() + $5 * interval '1 second'
     WHERE region = $1 AND id = $2 AND worker = $3 AND state = 'sent'
"""

# A person says that it may be sent again: the seventy-two hours begin anew, the key stays.
SEND_AGAIN = """
    UPDATE effects
       SET state = $3, answer = 'none', outcome = NULL, channel = 'call', batch = NULL, next_at = now(), faults = 0,
           tries_from = now(), lease_until = NULL, worker = NULL, settled_at = NULL
     WHERE region = $1 AND id = $2
"""

RESOLVE = """
    UPDATE effects
       SET state = $3, answer = 'received', outcome = $4, reference = coalesce($5, reference), next_at = NULL,
           lease_until = NULL, worker = NULL, settled_at = coalesce(settled_at, now())
     WHERE region = $1 AND id = $2
"""

# What an operator looks at; `overdue` is what nobody has looked at for five minutes after it was due, `waiting` what
# is on its way or answered later, as it should be.
SELECT_WATCHED = """
    SELECT id, case_id, step, adapter, operation, key, state, answer, channel, attempt, intended_at, sent_at, next_at,
           reference, problem
      FROM effects
     WHERE region = $1 AND ($4::text IS NULL OR id > $4)
       AND ((state IN ('intended', 'sent', 'unknown', 'desk')
             AND (state = $2 OR ($2 = 'overdue' AND next_at < now() - interval '5 minutes')
                  OR ($2 = 'waiting' AND state IN ('intended', 'sent'))))
            OR ($2 = 'overdue' AND answer = 'awaited' AND next_at < now() - interval '5 minutes')
            OR ($2 = 'waiting' AND answer = 'awaited' AND next_at IS NOT NULL))
     ORDER BY id
     LIMIT $3
"""

SELECT_ONE_WATCHED = """
    SELECT id, case_id, step, adapter, operation, key, state, answer, channel, attempt, intended_at, sent_at, next_at,
           reference, problem
      FROM effects
     WHERE region = $1 AND id = $2
"""


class Leased(Effect, frozen=True, kw_only=True):
    """An effect and who holds it."""

    payload: bytes
    worker: str | None = None
    lease_until: datetime | None = None
    held: bool | None = None


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """An effect as an operator sees it: nothing that is sealed."""

    id: str
    case_id: str
    step: str
    adapter: str
    operation: str
    key: str
    state: str
    answer: str
    channel: str
    attempt: int
    intended_at: datetime
    sent_at: datetime | None
    next_at: datetime | None
    reference: str | None
    problem: dict[str, str] | None


async def lease_offered(db: Db, region: str, adapter: str, lease_s: float, limit: int, once: list[str]) -> list[Leased]:
    """Lease a department effects that wait for it, oldest first; `once` are its operations that bear one try only."""
    found = await many(db, Leased, LEASE_OFFERED, region, adapter, lease_s, limit, once)
    return sorted(found, key=lambda one: one.id)


async def for_update(db: Connection, region: str, effect_id: str) -> Leased | None:
    """Read an effect and hold its row until the transaction ends."""
    return await one(db, Leased, SELECT_FOR_UPDATE, region, effect_id)


async def extend_lease(db: Db, effect: Effect, token: str, lease_s: float) -> datetime | None:
    """Make a lease last longer and return until when; None where the token holds nothing."""
    until: datetime | None = await db.fetchval(EXTEND_LEASE, effect.region, effect.id, token, lease_s)
    return until


async def give_back(db: Db, effect: Effect, token: str, problem: dict[str, str], after_s: float) -> bool:
    """Take an effect back that its department did nothing with; False where the token holds nothing."""
    return await execute(db, GIVE_BACK, effect.region, effect.id, token, problem, after_s) == 1


async def send_again(db: Connection, effect: Effect, state: str) -> None:
    """Put an effect back to be sent, or asked after, from the beginning; its row is held."""
    await execute(db, SEND_AGAIN, effect.region, effect.id, state)


async def resolve(db: Connection, effect: Effect, state: str, outcome: str, reference: str | None) -> None:
    """Write what a person found out; the row is held."""
    await execute(db, RESOLVE, effect.region, effect.id, state, outcome, reference)


async def watched(db: Db, region: str, state: str, after: str | None, limit: int) -> list[Watched]:
    """Return effects in one state an operator cares for, oldest first, after the effect `after`."""
    return await many(db, Watched, SELECT_WATCHED, region, state, limit, after)


async def one_watched(db: Db, region: str, effect_id: str) -> Watched | None:
    """Read one effect as an operator sees it, whatever its state."""
    return await one(db, Watched, SELECT_ONE_WATCHED, region, effect_id)
