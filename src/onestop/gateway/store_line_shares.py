"""The statements of the shares: which processes call departments, and what each holds."""

import msgspec

from onestop.db import Connection, Db, execute, many, value


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One process: how many calls it may have under way, and had use for, by adapter, or adapter/operation."""

    process: str
    host: str
    serves: bool = False  # answers people, who wait for it
    held: dict[str, int]
    wanted: dict[str, int] = {}


# One round at a time: each reads what all the others hold before it writes what it holds.
# A process that was stopped in the middle of its round must not hold up what the others follow.
WAIT_A_SECOND = "SELECT set_config('lock_timeout', '1s', true)"
LOCK_SHARES = "SELECT pg_advisory_xact_lock(hashtextextended('line_shares', 0))"
PUT_PROCESS = """
    INSERT INTO line_shares AS s (process, host, serves, wanted) VALUES ($1, $2, $3, $4)
        ON CONFLICT (process) DO UPDATE SET seen_at = clock_timestamp(), wanted = $4
    RETURNING extract(epoch FROM seen_at)::float8
"""
# By the server's clock throughout: those of the processes' machines may differ.
DELETE_GONE = "DELETE FROM line_shares WHERE seen_at < clock_timestamp() - make_interval(secs => $1)"
SELECT_HOLDINGS = "SELECT process, host, serves, held, wanted FROM line_shares ORDER BY process LIMIT 10000"
UPDATE_HELD = "UPDATE line_shares SET held = $2 WHERE process = $1 AND held <> $2"
DELETE_PROCESSES = "DELETE FROM line_shares WHERE process = ANY($1::text[])"


async def begin(
    db: Connection, process: str, host: str, serves: bool, wanted: dict[str, int], gone_s: float
) -> tuple[float, list[Holding]]:
    """Wait for this process's turn, say that it is here and what it has use for, forget who was silent for `gone_s` s.

    Returns the server's time as seconds since 1970, and every process in order of id with what it holds.

    Raises:
        asyncpg.LockNotAvailableError: another round has not ended for a second.
    """
    await execute(db, WAIT_A_SECOND)
    await execute(db, LOCK_SHARES)
    epoch: float = await value(db, PUT_PROCESS, process, host, serves, wanted)
    await execute(db, DELETE_GONE, gone_s)
    return epoch, await many(db, Holding, SELECT_HOLDINGS)


async def hold(db: Connection, process: str, held: dict[str, int]) -> bool:
    """Write what a process holds; False: it is what stood there."""
    return await execute(db, UPDATE_HELD, process, held) == 1


async def remove(db: Db, processes: list[str]) -> None:
    """Take processes out: what they held is free at once."""
    await execute(db, DELETE_PROCESSES, processes)
