"""The list of who was erased, outside the database: a restored backup knows them again, this list does not forget.

A file beside the root keys, one line a subject: region, id, day. An id says nothing of a person. Lines are only added.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

from onestop import clock
from onestop.db import Pool
from onestop.rights import store

_NAME: Final = "erased"


class Tombstones:
    """The list of one installation as one process reads and writes it."""

    def __init__(self, state_dir: Path, region: str) -> None:
        self._path = state_dir / "keys" / _NAME
        self._region = region

    def read(self) -> set[str]:
        """Return the subjects of this region that were erased; empty where there is no list."""
        try:
            lines = self._path.read_text("ascii").splitlines()
        except FileNotFoundError:
            return set()
        told = [line.split() for line in lines]
        # A line that a crash cut short is no line: whoever wrote it went on to nothing.
        return {one[1] for one in told if len(one) == 3 and one[0] == self._region}

    def add(self, subject: str) -> None:
        """Write that a subject is erased; on the disk when this returns."""
        line = f"\n{self._region} {subject} {clock.today().isoformat()}\n"
        with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(line.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())

    async def apply(self, pool: Pool) -> int:
        """Erase again whoever the list names and the database still holds; learn whom the database names.

        Returns how many were erased. So it comes that each machine of an installation has the whole list.
        """
        listed = await asyncio.to_thread(self.read)
        for subject in sorted(set(await store.erased(pool, self._region)) - listed):
            await asyncio.to_thread(self.add, subject)
            listed.add(subject)
        back = await store.unerased(pool, self._region, sorted(listed)) if listed else []
        for subject in back:
            async with pool.acquire() as db, db.transaction():
                await store.erase(db, self._region, subject)
        return len(back)
