"""The writer of new cases: every case waiting at the moment goes into one statement and one commit.

An answer is never given before the commit. Every case carries its idempotency key into the same statement, so that
writing it again after an error, whose outcome nobody knows, is safe: one that is there already is told as a repetition.
"""

from collections.abc import Sequence

from onestop.cases import store_opening
from onestop.cases.store_opening import Opening
from onestop.db import Pool
from onestop.grouping import GroupWriter


class Writer:
    """Writes the new cases of one process, at most 64 in a statement, four statements at once."""

    def __init__(self, pool: Pool, region: str) -> None:
        self._pool, self._region = pool, region
        self._group: GroupWriter[Opening, bool] = GroupWriter(self._write, lanes=4)
        self.batches = 0

    async def write(self, opening: Opening) -> bool:
        """Return, after the commit, whether this case was written; False where its key had been used before.

        Raises:
            Unavailable: too many wait already.
        """
        return await self._group.put(opening)

    async def close(self) -> None:
        """Write what waits."""
        await self._group.close()

    async def _write(self, openings: Sequence[Opening]) -> list[bool]:
        self.batches += 1
        written = await store_opening.insert_openings(self._pool, self._region, openings)
        return [opening.id in written for opening in openings]
