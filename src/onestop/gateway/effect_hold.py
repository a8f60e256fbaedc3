"""How long a worker may have an effect in hand: a limit of its own, so that whatever hangs keeps no lease for ever.

A submission of several calls has the limit set anew before each of them, together with the lease in the ledger. No
limit may end while a call is under way: the department may still be at it when the next worker looks.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Holds:
    """The effects that one worker has in hand."""

    def __init__(self) -> None:
        self._limits: dict[str, asyncio.Timeout] = {}
        self._until: dict[str, float] = {}  # loop time

    @asynccontextmanager
    async def hold(self, effect_id: str, hold_s: float) -> AsyncIterator[None]:
        """Hold an effect for as long as the block lasts.

        Raises:
            TimeoutError: the limit passed.
        """
        async with asyncio.timeout(hold_s) as limit:
            self._limits[effect_id] = limit
            try:
                yield
            finally:
                self._limits.pop(effect_id, None)
                self._until.pop(effect_id, None)

    def extend(self, effect_id: str, asked: float, lease_s: float, hold_s: float) -> None:
        """Count anew from when the ledger was asked to extend the lease: our own clock is never behind the ledger's."""
        self._until[effect_id] = asked + min(lease_s, hold_s)
        limit = self._limits.get(effect_id)
        if limit is not None:
            limit.reschedule(asked + hold_s)

    def covers(self, effect_id: str, call_s: float) -> bool:
        """Tell whether a call of so many seconds ends while the effect is surely still this worker's."""
        now = asyncio.get_running_loop().time()
        return now + call_s <= self._until.get(effect_id, now)
