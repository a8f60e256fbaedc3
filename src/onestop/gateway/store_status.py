"""Statements behind the public status: counts and times of the ledger, nobody's data."""

from datetime import datetime

import msgspec

from onestop.db import Db, many


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What one adapter's effects say of its department."""

    adapter: str
    to_send: int
    unknown: int
    at_desk: int
    awaited: int
    oldest_unknown_s: float | None  # since it was first sent


# `sent` is unknown as well: only the worker that holds it can know more, for as long as its call lasts.
SELECT_TRAFFIC = """
    SELECT adapter,
           count(*) FILTER (WHERE state = 'intended') AS to_send,
           count(*) FILTER (WHERE state IN ('sent', 'unknown')) AS unknown,
           count(*) FILTER (WHERE state = 'desk') AS at_desk,
           count(*) FILTER (WHERE state = 'done') AS awaited,
           max(extract(epoch FROM now() - sent_at)) FILTER (WHERE state IN ('sent', 'unknown'))::float8
               AS oldest_unknown_s
      FROM effects
     WHERE region = $1 AND (state IN ('intended', 'sent', 'unknown', 'desk')
                            OR (state = 'done' AND answer = 'awaited' AND next_at IS NOT NULL))
     GROUP BY adapter
     LIMIT 1000
"""

SELECT_LAST_DONE = """
    SELECT name AS adapter, (SELECT max(settled_at) FROM effects
                              WHERE region = $1 AND adapter = name AND state = 'done') AS at
      FROM unnest($2::text[]) AS name
     LIMIT 1000
"""


class LastDone(msgspec.Struct, frozen=True):
    """When an adapter's department last did something."""

    adapter: str
    at: datetime | None


async def traffic(db: Db, region: str) -> list[Traffic]:
    """Count what is open, by adapter."""
    return await many(db, Traffic, SELECT_TRAFFIC, region)


async def last_done(db: Db, region: str, adapters: list[str]) -> list[LastDone]:
    """Return when each of these adapters' departments last did something."""
    return await many(db, LastDone, SELECT_LAST_DONE, region, adapters)
