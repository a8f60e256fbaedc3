"""SQL of unmasking: rows are added, never changed."""

from datetime import datetime

import msgspec

from onestop.db import Connection, Db, execute, one


class Spent(msgspec.Struct, frozen=True):
    """What somebody has used of their hour."""

    count: int
    next_in_s: float | None  # until the oldest of them is an hour old


# By the actor's name: of two calls at once on two instances the second counts the first.
LOCK_ACTOR = "SELECT pg_advisory_xact_lock(hashtextextended('unmaskings:' || $1 || ':' || $2, 0))"


async def lock_actor(db: Connection, region: str, actor: str) -> None:
    """Let one person's unmaskings go one after the other, until the transaction ends."""
    await execute(db, LOCK_ACTOR, region, actor)


COUNT_RECENT = """
    SELECT count(*) AS count, extract(epoch FROM min(at) + interval '1 hour' - now())::float8 AS next_in_s
      FROM unmaskings
     WHERE region = $1 AND actor = $2 AND at > now() - interval '1 hour'
"""


async def recent(db: Db, region: str, actor: str) -> Spent:
    """Count what somebody was shown in the last hour."""
    return await one(db, Spent, COUNT_RECENT, region, actor) or Spent(0, None)


INSERT_UNMASKING = """
    INSERT INTO unmaskings (region, id, actor, role, department, subject, object, reason)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    RETURNING at
"""


async def insert(
    db: Connection,
    region: str,
    id_: str,
    actor: str,
    role: str,
    department: str | None,
    subject: str,
    object_: str,
    reason: str,
) -> datetime:
    """Write that somebody is about to be shown a number; return when."""
    at: datetime = await db.fetchval(INSERT_UNMASKING, region, id_, actor, role, department, subject, object_, reason)
    return at
