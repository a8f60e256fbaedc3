"""SQL of throttles: one row a kind of try and whoever tries."""

from datetime import timedelta

import msgspec

from onestop.db import Db, execute, one


class TryRow(msgspec.Struct, frozen=True):
    """How many tries there were in a window, and how long it still lasts."""

    count: int
    left_s: float  # by the database's clock


# One statement counts, for all instances alike. A try beyond the limit is not counted, so that the row tells the moment
# at which the next one goes through, and nobody prolongs their own wait by trying.
UPSERT_TRY = """
    INSERT INTO sign_in_tries AS t (region, kind, who, ends_at)
    VALUES ($1, $2, $3, clock_timestamp() + $4)
    ON CONFLICT (region, kind, who) DO UPDATE
       SET count = CASE WHEN t.ends_at <= clock_timestamp() THEN 1 ELSE least(t.count + 1, $5 + 1) END,
           began_at = CASE WHEN t.ends_at <= clock_timestamp() THEN clock_timestamp() ELSE t.began_at END,
           ends_at = CASE WHEN t.ends_at <= clock_timestamp() THEN excluded.ends_at ELSE t.ends_at END
    RETURNING count, extract(epoch FROM ends_at - clock_timestamp())::float8 AS left_s
"""


async def count_try(db: Db, region: str, kind: str, who: bytes, within: timedelta, most: int) -> TryRow:
    """Count one try and return how many the window has had, at most one more than `most`."""
    row = await one(db, TryRow, UPSERT_TRY, region, kind, who, within, most)
    assert row is not None
    return row


DELETE_OLD_TRIES = """
    DELETE FROM sign_in_tries
     WHERE (region, kind, who) IN (
           SELECT region, kind, who FROM sign_in_tries
            WHERE region = $1 AND ends_at < now() ORDER BY ends_at LIMIT 10000)
"""


async def delete_old_tries(db: Db, region: str) -> int:
    """Forget up to 10,000 windows that are over."""
    return await execute(db, DELETE_OLD_TRIES, region)
