"""Where documents are made: one after another in a thread beside the event loop, for as long as a caller waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from onestop.errors import Unavailable
from onestop.http.errors import BudgetSpent
from onestop.http.models import Context

# A document takes some 0.4 s of a processor, the first one of a process 2 s.
PATIENCE_S: Final = 8.0
_WAITING: Final = 8
_AGAIN_S: Final = 3.0


class Press:
    """Makes documents, one at a time: they share a processor with everybody's requests."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="documents")
        self._waiting = 0

    async def make(self, work: Callable[[], bytes], deadline: float) -> bytes:
        """Return what the work makes, in its turn; work that has begun ends, whether or not anybody still waits.

        Raises:
            Unavailable: eight documents are made or wait already.
            BudgetSpent: it was not made by the deadline (event loop time).
        """
        if self._waiting >= _WAITING:
            raise Unavailable(retry_after_s=_AGAIN_S)
        self._waiting += 1
        made = asyncio.get_running_loop().run_in_executor(self._thread, work)
        made.add_done_callback(self._done)
        try:
            async with asyncio.timeout_at(deadline):
                return await made
        except TimeoutError:
            raise BudgetSpent(retry_after_s=_AGAIN_S) from None

    def _done(self, made: "asyncio.Future[bytes]") -> None:
        self._waiting -= 1

    def close(self) -> None:
        """Make nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def deadline_of(context: Context) -> float:
    """Return until when a document is waited for: the caller's own budget, or eight seconds where none was told."""
    if b"onestop-budget-ms" in context.headers:
        return context.deadline
    return max(context.deadline, asyncio.get_running_loop().time() + PATIENCE_S)
