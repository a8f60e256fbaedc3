"""How far a process lags behind its own clock: what it measures of others is late by as much."""

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

_EVERY_S: Final = 0.02
_WANTED_S: Final = 1.0  # measured on only so long after somebody asked
_NEW: Final = 0.3  # weight of the newest measurement


class Lag:
    """One loop's lag in seconds, smoothed; measured only while somebody asks."""

    __slots__ = ("_due", "_loop", "_running", "_wanted_until", "seconds")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due = self._wanted_until = 0.0
        self._running = False
        self.seconds = 0.0

    def now(self, at: float) -> float:
        """Return the lag at a moment in loop time."""
        self._wanted_until = at + _WANTED_S
        if not self._running:
            self._running = True
            self._again(at)
        return self.seconds

    def _again(self, at: float) -> None:
        self._due = at + _EVERY_S
        self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        at = self._loop.time()
        self.seconds += (max(at - self._due, 0.0) - self.seconds) * _NEW
        if at < self._wanted_until:
            self._again(at)
        else:
            self._running = False
            self.seconds = 0.0


_of: WeakKeyDictionary[asyncio.AbstractEventLoop, Lag] = WeakKeyDictionary()


def of(loop: asyncio.AbstractEventLoop) -> Lag:
    """Return the one measure of a loop."""
    found = _of.get(loop)
    if found is None:
        found = _of[loop] = Lag(loop)
    return found
