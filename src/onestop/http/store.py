"""SQL of the front desk: idempotency keys, the schema's version, wake-ups."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from onestop.db import Db, execute, one, value


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept under one idempotency key; `reply` is sealed."""

    body_hash: bytes
    status: int
    reply: bytes
    headers: dict[str, str]
    made_id: str | None
    created_at: datetime


SELECT_KEY = """
    SELECT body_hash, status, reply, headers, made_id, created_at
      FROM idempotency_keys
     WHERE region = $1 AND principal = $2 AND route = $3 AND key = $4
"""


async def key_row(db: Db, region: str, principal: str, route: str, key: str) -> KeyRow | None:
    """Read what was answered under a key of this principal."""
    return await one(db, KeyRow, SELECT_KEY, region, principal, route, key)


# Waits for a transaction that is writing the same key, and then inserts nothing if that one commits.
INSERT_KEY = """
    INSERT INTO idempotency_keys (region, principal, route, key, body_hash, status, reply, headers, made_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (region, principal, route, key) DO NOTHING
"""


async def insert_key(
    db: Db,
    region: str,
    principal: str,
    route: str,
    key: str,
    body_hash: bytes,
    status: int,
    reply: bytes,
    headers: dict[str, Any],
    made_id: str | None,
) -> bool:
    """Keep an answer under its key; False where the key is there already."""
    count = await execute(db, INSERT_KEY, region, principal, route, key, body_hash, status, reply, headers, made_id)
    return count == 1


SELECT_SCHEMA_VERSION = """
    SELECT max(number) FROM schema_migrations
"""


async def schema_version(db: Db) -> int | None:
    """Return the number of the newest migration applied; None where there is none."""
    found: int | None = await value(db, SELECT_SCHEMA_VERSION)
    return found


# A worker that was killed says nothing any more; what it failed at is not for ever.
SELECT_FAILING_ROUNDS = """
    SELECT DISTINCT name FROM failing_rounds
     WHERE told_at > now() - interval '2 minutes'
     ORDER BY name
     LIMIT 50
"""

TELL_FAILING_ROUNDS = """
    WITH over AS (
        DELETE FROM failing_rounds
         WHERE (worker = $1 AND name <> ALL($2::text[])) OR told_at < now() - interval '1 day')
    INSERT INTO failing_rounds (worker, name, times)
    SELECT $1, name, times FROM unnest($2::text[], $3::integer[]) AS told (name, times)
        ON CONFLICT (worker, name) DO UPDATE SET times = excluded.times, told_at = now()
"""


async def failing_rounds(db: Db) -> list[str]:
    """Return what workers fail at again and again, as told within two minutes; at most 50."""
    return [row["name"] for row in await db.fetch(SELECT_FAILING_ROUNDS)]


async def tell_failing_rounds(db: Db, worker: str, failing: Mapping[str, int]) -> None:
    """Say what one worker fails at now, and how often in a row; what it said before and fails at no more is gone."""
    await execute(db, TELL_FAILING_ROUNDS, worker, list(failing), list(failing.values()))


NOTIFY_TOPICS = """
    SELECT pg_notify('onestop_wake', topic) FROM unnest($1::text[]) AS topic LIMIT 1000
"""


async def notify_topics(db: Db, topics: list[str]) -> None:
    """Wake every process that has readers of these topics; at most 1,000 of them."""
    await execute(db, NOTIFY_TOPICS, topics)
