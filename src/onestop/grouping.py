"""Group commit: while the database writes one batch, the next one gathers; no wait is added when nobody else writes.

Whoever puts a row is answered only after the statement that holds it has committed. If a batch fails, its rows are
written one by one, so that one bad row fails alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from onestop.errors import Unavailable

Row = TypeVar("Row")
Result = TypeVar("Result")

_MOST_ROWS = 64
_MOST_WAITING = 2_048
_WORTH_A_LANE = 8  # rows; fewer wait for a lane that is under way


class GroupWriter(Generic[Row, Result]):
    """Writes rows of one kind; `write` takes a batch, commits it, and returns one result a row, in order.

    At most `lanes` batches are being written at once: the second lane uses the time the first waits for the disk. It
    begins only where enough rows wait for it, since a batch of two costs the database nearly as much as one of ten.
    """

    def __init__(self, write: Callable[[Sequence[Row]], Awaitable[Sequence[Result]]], *, lanes: int = 1) -> None:
        self._write = write
        self._lanes = lanes
        self._waiting: list[tuple[Row, asyncio.Future[Result]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy = 0  # lanes under way

    async def put(self, row: Row) -> Result:
        """Return the row's result once it is committed; a caller that goes away does not take its row back.

        Raises:
            Unavailable: too many rows wait already.
        """
        if len(self._waiting) >= _MOST_WAITING:
            raise Unavailable("too many rows wait to be written", retry_after_s=1.0)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((row, done))
        if self._busy < self._lanes and self._worth(self._busy + 1):
            self._busy += 1
            task = loop.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await done

    async def close(self) -> None:
        """Return when everything that waits is written."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _worth(self, lanes: int) -> bool:
        """Tell whether so many lanes have something to do: the only one from one row on, so that none is left."""
        return len(self._waiting) >= (1 if lanes == 1 else _WORTH_A_LANE)

    async def _drain(self) -> None:
        try:
            while self._worth(self._busy):
                await self._write_batch()
        finally:
            self._busy -= 1

    async def _write_batch(self) -> None:
        batch, self._waiting = self._waiting[:_MOST_ROWS], self._waiting[_MOST_ROWS:]
        try:
            results = await self._write([row for row, _ in batch])
        except Exception as fault:
            await self._one_by_one(batch, fault)
            return
        for (_, done), result in zip(batch, results, strict=True):
            if not done.done():
                done.set_result(result)

    async def _one_by_one(self, batch: list[tuple[Row, asyncio.Future[Result]]], fault: Exception) -> None:
        for row, done in batch:
            if len(batch) > 1:
                try:
                    result = (await self._write([row]))[0]
                except Exception as own:
                    fault = own
                else:
                    if not done.done():
                        done.set_result(result)
                    continue
            if not done.done():
                done.set_exception(fault)
