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


class GroupWriter(Generic[Row, Result]):
    """Writes rows of one kind; `write` takes a batch, commits it, and returns one result a row, in order.

    At most `lanes` batches are being written at once: the second lane uses the time the first waits for the disk.
    """

    def __init__(self, write: Callable[[Sequence[Row]], Awaitable[Sequence[Result]]], *, lanes: int = 1) -> None:
        self._write = write
        self._lanes = lanes
        self._waiting: list[tuple[Row, asyncio.Future[Result]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

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
        if len(self._tasks) < self._lanes:
            task = loop.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await done

    async def close(self) -> None:
        """Return when everything that waits is written."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_ROWS], self._waiting[_MOST_ROWS:]
            try:
                results = await self._write([row for row, _ in batch])
            except Exception as fault:
                await self._one_by_one(batch, fault)
                continue
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
