"""Server-sent events for many idle clients: one hub for a process, one timer, no task for a waiting client.

A client's own coroutine only waits for the client to leave. The hub writes: beats every 15 s, and events when a topic
wakes. Every client has its place in the topic (the id of the last event it was given); clients at the same place are
read for together. A topic wakes by LISTEN, by `announce` in this process, or by the 2 s safety poll.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog

from onestop.http.models import Context, Receive, Send, Session

BEAT_S: Final = 15.0
POLL_S: Final = 2.0
_POLL_TOPICS: Final = 1_000  # asked about in one poll
_POLL_READS: Final = 100  # topics read one by one in a poll, where the source cannot compare many
_BUFFER_BYTES: Final = 262_144  # more than this waiting for one client: it is too slow
_PUMPS: Final = 4  # reads under way at once
_PATIENCE_S: Final = 5.0  # how long one write may wait for a client
_MAX_AGE_S: Final = 900.0  # then the client comes again, and is authorised again
_RETRY: Final = b"retry: 3000\n\n"
_BEAT: Final = b": beat\n\n"

_log = structlog.get_logger("onestop.streams")


class Event(NamedTuple):
    """One event: its id in its topic, its type, its data as JSON."""

    id: str
    event: str
    data: bytes


ReadSince = Callable[[str, str | None], Awaitable[Sequence[Event]]]
Newest = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
Authorise = Callable[[Context, dict[str, str]], Awaitable[str]]


def encode(event: Event) -> bytes:
    """Return an event as it stands in the stream."""
    data = event.data.replace(b"\r", b"").replace(b"\n", b"\ndata: ")
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event.id.encode(), event.event.encode(), data)


class Client:
    """One open stream."""

    __slots__ = ("last_id", "opened", "send", "session", "task", "topic", "waiting", "waiting_bytes", "woken", "writer")

    def __init__(self, topic: str, last_id: str | None, send: Send, session: Session | None) -> None:
        self.topic = topic
        self.session = session
        self.last_id = last_id
        self.send = send
        self.task = asyncio.current_task()
        self.opened = time.monotonic()
        self.waiting: list[bytes] | None = None
        self.waiting_bytes = 0
        self.writer: asyncio.Task[None] | None = None
        self.woken = False  # its topic woke while it was being read for


class Hub:
    """All streams of a process.

    `read_since(topic, last_id)` returns the events after that id, oldest first, at most a page; from the beginning
    where the id is None. `newest(topics)` returns each topic's last event id; without it the poll reads topics in turn.
    `over(session)` tells of a session that has ended: its streams end with the next poll.
    """

    def __init__(
        self,
        read_since: ReadSince,
        newest: Newest | None = None,
        *,
        over: Callable[[Any], bool] | None = None,  # of an `onestop.identity` session; this room stands below that one
        beat_s: float = BEAT_S,
        poll_s: float = POLL_S,
        max_age_s: float = _MAX_AGE_S,
    ) -> None:
        self._read_since = read_since
        self._newest = newest
        self._over = over
        self._beat_s = beat_s
        self._poll_s = poll_s
        self._max_age_s = max_age_s
        self._topics: dict[str, list[Client]] = {}
        self._dirty: set[str] = set()
        self._dirty_now = asyncio.Event()
        self._reading: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._poll_from = 0
        self.closed = False

    def __len__(self) -> int:
        return sum(len(clients) for clients in self._topics.values())

    def start(self) -> None:
        """Begin beating, polling and pumping, on the running loop."""
        self.closed = False
        for work in (self._beats(), self._polls(), *(self._pump() for _ in range(_PUMPS))):
            self._spawn(work)

    async def close(self) -> None:
        """End every stream with a hint to come again, and stop."""
        self.closed = True
        for client in self._clients():
            self._spawn(self._end(client))
        await asyncio.sleep(0)
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            if task.get_name() == "hub":
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def wake(self, topic: str) -> None:
        """Read for the clients of a topic soon; nothing where it has none."""
        clients = self._topics.get(topic)
        if clients:
            for client in clients:
                client.woken = True
            self._dirty.add(topic)
            self._dirty_now.set()

    def wake_all(self) -> None:
        """Read for everybody: wake-ups may have been missed."""
        for topic in self._topics:
            self.wake(topic)

    async def serve(
        self, topic: str, last_id: str | None, receive: Receive, send: Send, session: Session | None = None
    ) -> None:
        """Send events to one client, who may have `last_id` already, until it leaves, is dropped, or its session ends.

        The response has been started by the front desk.
        """
        client = Client(topic, last_id, send, session)
        self._topics.setdefault(topic, []).append(client)
        try:
            await send({"type": "http.response.body", "body": _RETRY, "more_body": True})
            self.wake(topic)  # the pump brings what the client has missed
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            if client.task is None or self._still_open(client):
                raise  # from outside
            client.task.uncancel()  # dropped by the hub: nothing more to do
        finally:
            self._leave(client)

    def _still_open(self, client: Client) -> bool:
        return client in self._topics.get(client.topic, ())

    def _leave(self, client: Client) -> None:
        clients = self._topics.get(client.topic)
        if clients is not None and client in clients:
            clients.remove(client)
            if not clients:
                del self._topics[client.topic]

    def _clients(self) -> list[Client]:
        return [client for clients in self._topics.values() for client in clients]

    def _spawn(self, work: Coroutine[Any, Any, None], name: str = "hub") -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Writing to one client.

    def _offer(self, client: Client, chunk: bytes) -> None:
        """Queue a chunk for a client; one that does not keep up is dropped and will come again by its last id."""
        client.waiting_bytes += len(chunk)
        if client.waiting_bytes > _BUFFER_BYTES:
            self._drop(client)
            return
        if client.waiting is None:
            client.waiting = [chunk]
        else:
            client.waiting.append(chunk)
        if client.writer is None:
            client.writer = self._spawn(self._write(client), "writer")

    async def _write(self, client: Client) -> None:
        try:
            while client.waiting:
                chunk, client.waiting = b"".join(client.waiting), None
                async with asyncio.timeout(_PATIENCE_S):
                    await client.send({"type": "http.response.body", "body": chunk, "more_body": True})
                client.waiting_bytes -= len(chunk)
            client.writer = None
        except Exception:  # a client that cannot be written to is gone
            self._drop(client)

    async def _end(self, client: Client) -> None:
        """Close a stream in good order; the client comes again after `retry`."""
        self._leave(client)
        try:
            async with asyncio.timeout(1.0):
                await client.send({"type": "http.response.body", "body": b"retry: 500\n\n", "more_body": False})
        except Exception:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        """Cut a stream whose client does not read."""
        self._leave(client)
        client.waiting = None
        if client.task is not None and not client.task.done():
            client.task.cancel()

    # The three things a hub does.

    async def _beats(self) -> None:
        """Beat for every client, a hundredth of them at a time, so that nobody waits for the beats."""
        while True:
            await asyncio.sleep(self._beat_s)
            for number, client in enumerate(self._clients()):
                if number % 100 == 99:
                    await asyncio.sleep(0)
                if time.monotonic() - client.opened > self._max_age_s:
                    self._spawn(self._end(client), "end")
                elif client.writer is None and self._still_open(client):
                    await self._beat(client)

    async def _beat(self, client: Client) -> None:
        try:
            async with asyncio.timeout(0.2):
                await client.send({"type": "http.response.body", "body": _BEAT, "more_body": True})
        except Exception:
            self._drop(client)

    async def _pump(self) -> None:
        while True:
            await self._dirty_now.wait()
            self._dirty_now.clear()
            while self._dirty:
                topic = self._dirty.pop()
                try:
                    await self._read_for(topic)
                except Exception as failure:  # the poll will ask again
                    _log.warning("stream topic not read", cause=type(failure).__name__)

    async def _read_for(self, topic: str) -> None:
        """Bring the woken clients of one topic up to date; one reader at a time, so that nothing comes twice."""
        if topic in self._reading:
            return
        self._reading.add(topic)
        try:
            await self._read_groups(topic)
        finally:
            self._reading.discard(topic)

    async def _read_groups(self, topic: str) -> None:
        while woken := [c for c in self._topics.get(topic, ()) if c.woken]:
            place = woken[0].last_id
            group = [client for client in woken if client.last_id == place]
            for client in group:
                client.woken = False
            events = await self._read_since(topic, place)
            if not events:
                continue
            chunk = b"".join(map(encode, events))
            for client in group:
                client.last_id = events[-1].id
                client.woken = True  # there may be another page
                self._offer(client, chunk)

    async def _polls(self) -> None:
        """Look after topics whose wake-up was lost, some at a time."""
        while True:
            await asyncio.sleep(self._poll_s)
            self._end_what_is_over()
            try:
                await self._poll(self._next_topics(_POLL_TOPICS if self._newest else _POLL_READS))
            except Exception as failure:  # the next poll will ask again
                _log.warning("stream poll failed", cause=type(failure).__name__)

    def _end_what_is_over(self) -> None:
        """End the streams of sessions that have ended: who comes again is authorised again."""
        if self._over is None:
            return
        for client in self._clients():
            if client.session is not None and self._over(client.session):
                self._leave(client)
                self._spawn(self._end(client), "end")

    def _next_topics(self, most: int) -> list[str]:
        topics = list(self._topics)
        if len(topics) <= most:
            return topics
        start = self._poll_from % len(topics)
        self._poll_from = start + most
        return (topics + topics)[start : start + most]

    async def _poll(self, topics: list[str]) -> None:
        if self._newest is None:
            for topic in topics:
                self.wake(topic)
            return
        newest = await self._newest(topics) if topics else {}
        for topic, last_id in newest.items():
            if any(client.last_id != last_id for client in self._topics.get(topic, ())):
                self.wake(topic)


class EventStream:
    """An address of event streams, for `FrontDesk.register_stream`.

    `authorise(context, parameters)` runs before the stream opens: it returns the topic, or raises what is wrong.
    """

    def __init__(
        self,
        template: str,
        hub: Hub,
        authorise: Authorise,
        *,
        roles: frozenset[str] | None = None,
        summary: str = "",
    ) -> None:
        self.template = template
        self.tail = template.rpartition("/")[2]
        self.roles = roles
        self.summary = summary
        self._authorise = authorise
        self.serve = hub.serve
        self._shape = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)))

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters in the path, or None where the path is another."""
        found = self._shape.fullmatch(path)
        return None if found is None else found.groupdict()

    async def authorise(self, context: Context, parameters: dict[str, str]) -> str:
        """Return the topic.

        Raises:
            OnestopError: nobody is signed in, the role does not fit, or the injected `authorise` says no.
        """
        context.signed_in(self.roles)
        return await self._authorise(context, parameters)
