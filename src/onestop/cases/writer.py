"""The writer of new cases: every case waiting at the moment goes into one statement and one commit.

An answer is never given before the commit. Every case carries its idempotency key into the same statement, so that
writing it again after an error, whose outcome nobody knows, is safe: one that is there already is told as a repetition.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import asyncpg

from onestop.cases import store_opening
from onestop.cases.store_opening import Opening
from onestop.db import Pool
from onestop.grouping import GroupWriter


class Writer:
    """Writes the new cases of one process, at most 64 in a statement."""

    def __init__(self, pool: Pool, region: str) -> None:
        self._pool, self._region = pool, region
        self._group: GroupWriter[Opening, bool] = GroupWriter(self._write)
        # One connection is kept: giving it back to the pool would cost a round trip a batch.
        self._connection: Any = None
        self.batches = 0

    async def write(self, opening: Opening) -> bool:
        """Return, after the commit, whether this case was written; False where its key had been used before.

        Raises:
            Unavailable: too many wait already.
        """
        return await self._group.put(opening)

    async def close(self) -> None:
        """Write what waits and give the connection back."""
        await self._group.close()
        await self._release()

    async def _write(self, openings: Sequence[Opening]) -> list[bool]:
        self.batches += 1
        if self._connection is None:
            self._connection = await self._pool.acquire()
        try:
            written = await store_opening.insert_openings(self._connection, self._region, openings)
        except BaseException:
            await self._release()
            raise
        return [opening.id in written for opening in openings]

    async def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(asyncpg.InterfaceError, asyncpg.PostgresError, OSError):
                await self._pool.release(connection)
