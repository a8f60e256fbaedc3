"""Wake-ups between processes over PostgreSQL's LISTEN and NOTIFY: hints only, the truth is in the tables."""

import asyncio
from typing import Any, Final, Protocol

import asyncpg
import structlog

from onestop.db import Pool
from onestop.http import store
from onestop.http.streams import Hub
from onestop.rounds import repeat

CHANNEL: Final = "onestop_wake"
_GATHER_S: Final = 0.05
_RECONNECT_S: Final = 1.0

_log = structlog.get_logger("onestop.wake")


class Wakes(Protocol):
    """What is told of announcements; `Hub` is one."""

    def wake(self, topic: str) -> None:
        """Hear of one topic."""

    def wake_all(self) -> None:
        """Hear that announcements may have been missed."""


class Announcer:
    """Tells all processes that topics have something new; at most one statement every 50 ms.

    Call it after the commit, never inside a transaction: a NOTIFY holds the commits of a whole server in one queue.
    """

    def __init__(self, pool: Pool, hub: Hub | None = None) -> None:
        self._pool = pool
        self._hub = hub
        self._topics: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def __call__(self, topic: str) -> None:
        """Announce one topic: to this process at once, to the others within 50 ms."""
        if self._hub is not None:
            self._hub.wake(topic)
        self._topics.add(topic)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self._topics:
            await asyncio.sleep(_GATHER_S)
            topics = list(self._topics)[:1000]
            self._topics.difference_update(topics)
            try:
                await store.notify_topics(self._pool, topics)
            except Exception as failure:  # readers find out by their safety poll
                _log.warning("wake-up not sent", topics=len(topics), cause=type(failure).__name__)
                return

    async def close(self) -> None:
        """Send what is still gathered."""
        if self._task is not None:
            await self._task


class Listener:
    """One connection of its own that hears the announcements of all processes."""

    def __init__(self, dsn: str, hub: Wakes) -> None:
        self._dsn = dsn
        self._hub = hub
        self._task: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    def start(self) -> None:
        """Begin to listen, on the running loop; reconnects for ever."""
        self._task = asyncio.create_task(repeat("listening", self._listen, _RECONNECT_S))

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        """Listen until the connection ends."""
        try:
            await self._listen_once()
        finally:
            self.listening.clear()

    async def _listen_once(self) -> None:
        gone = asyncio.Event()

        def heard(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
            self._hub.wake(str(payload))

        connection = await asyncpg.connect(self._dsn, server_settings={"application_name": "onestop listen"})
        try:
            connection.add_termination_listener(lambda _: gone.set())
            await connection.add_listener(CHANNEL, heard)
            self._hub.wake_all()  # nobody knows what was said before
            self.listening.set()
            await gone.wait()
        finally:
            if not connection.is_closed():
                await connection.close(timeout=2)
