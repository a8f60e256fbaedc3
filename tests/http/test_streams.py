"""Event streams: nothing lost, nothing twice, nobody waits for a slow neighbour."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.errors import NotFound
from onestop.http.app_parts import build
from onestop.http.desk import FrontDesk
from onestop.http.models import Context
from onestop.http.streams import Event, EventStream, Hub, encode
from onestop.http.wake import Announcer, Listener
from onestop.settings import Settings

from .conftest import FakeSessions, handlers

pytestmark = pytest.mark.anyio


class Log:
    """The events of all topics, in memory."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {}
        self.reads = 0

    def add(self, topic: str, data: str = "{}") -> None:
        events = self.events.setdefault(topic, [])
        events.append(Event(str(len(events) + 1), "case.changed", data.encode()))

    async def read_since(self, topic: str, last_id: str | None) -> Sequence[Event]:
        self.reads += 1
        return self.events.get(topic, [])[int(last_id or 0) :][:100]

    async def newest(self, topics: Sequence[str]) -> dict[str, str]:
        return {t: self.events[t][-1].id for t in topics if self.events.get(t)}


class Reader:
    """A client that speaks ASGI and reads, or does not."""

    def __init__(self, *, blocked: bool = False) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.text = b""
        self.gone = asyncio.Event()
        self.ended = False
        self.blocked = blocked

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
            return
        if self.blocked and self.text:
            await asyncio.Event().wait()
        self.text += message["body"]
        if not message.get("more_body"):
            self.ended = True
            self.gone.set()

    @property
    def ids(self) -> list[str]:
        return [line[4:].decode() for line in self.text.split(b"\n") if line.startswith(b"id: ")]

    async def has(self, count: int) -> None:
        async with asyncio.timeout(3):
            while len(self.ids) < count:  # noqa: ASYNC110 - seen from outside, as a client sees it
                await asyncio.sleep(0.005)


@pytest.fixture
def log() -> Log:
    return Log()


@asynccontextmanager
async def running(hub: Hub) -> AsyncIterator[Hub]:
    hub.start()
    try:
        yield hub
    finally:
        await hub.close()


@asynccontextmanager
async def reading(hub: Hub, topic: str, last_id: str | None = None, **how: Any) -> AsyncIterator[Reader]:
    reader = Reader(**how)
    task = asyncio.create_task(hub.serve(topic, last_id, reader.receive, reader.send))
    await asyncio.sleep(0)
    try:
        yield reader
    finally:
        reader.gone.set()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_client_gets_what_was_and_what_comes_in_order(log: Log) -> None:
    log.add("case:1")
    async with running(Hub(log.read_since)) as hub, reading(hub, "case:1") as reader:
        await reader.has(1)
        for _ in range(250):  # more than a page
            log.add("case:1")
        hub.wake("case:1")
        await reader.has(251)
        assert reader.ids == [str(n) for n in range(1, 252)]
        assert reader.text.startswith(b"retry: 3000\n\n")


async def test_a_client_that_comes_again_goes_on_where_it_was(log: Log) -> None:
    for _ in range(5):
        log.add("case:1")
    async with running(Hub(log.read_since)) as hub, reading(hub, "case:1", "3") as reader:
        await reader.has(2)
        assert reader.ids == ["4", "5"]


async def test_many_wakes_at_once_bring_nothing_twice(log: Log) -> None:
    async def slow(topic: str, last_id: str | None) -> Sequence[Event]:
        found = await log.read_since(topic, last_id)
        await asyncio.sleep(0.01)
        return found

    async with running(Hub(slow)) as hub, reading(hub, "case:1") as one, reading(hub, "case:1", "10") as two:
        for _ in range(30):
            log.add("case:1")
            hub.wake("case:1")
            await asyncio.sleep(0.003)
        await one.has(30)
        await two.has(20)
        await asyncio.sleep(0.05)
        assert one.ids == [str(n) for n in range(1, 31)]
        assert two.ids == [str(n) for n in range(11, 31)]


async def test_anothers_topic_stays_silent(log: Log) -> None:
    async with running(Hub(log.read_since)) as hub, reading(hub, "case:1") as ana, reading(hub, "case:2") as ben:
        log.add("case:1")
        hub.wake("case:1")
        await ana.has(1)
        await asyncio.sleep(0.02)
        assert ben.ids == []


@pytest.mark.parametrize("compare", [True, False])
async def test_a_lost_wake_up_is_made_good_by_the_poll(log: Log, compare: bool) -> None:
    hub = Hub(log.read_since, log.newest if compare else None, poll_s=0.05)
    async with running(hub), reading(hub, "case:1") as reader:
        await asyncio.sleep(0.1)
        log.add("case:1")
        await reader.has(1)
        before = log.reads
        await asyncio.sleep(0.2)
        assert (log.reads == before) == compare  # comparing asks nobody about idle topics


async def test_a_reader_that_fails_is_asked_again(log: Log) -> None:
    calls = 0

    async def flaky(topic: str, last_id: str | None) -> Sequence[Event]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError
        return await log.read_since(topic, last_id)

    log.add("case:1")
    async with running(Hub(flaky, log.newest, poll_s=0.02)) as hub, reading(hub, "case:1") as reader:
        await reader.has(1)


async def test_idle_clients_hear_a_beat(log: Log) -> None:
    async with running(Hub(log.read_since, beat_s=0.03)) as hub, reading(hub, "case:1") as reader:
        await asyncio.sleep(0.1)
        assert reader.text.count(b": beat\n\n") >= 2


async def test_a_client_that_does_not_read_is_cut_and_others_go_on(log: Log) -> None:
    async with (
        running(Hub(log.read_since, beat_s=0.05)) as hub,
        reading(hub, "case:1", blocked=True),
        reading(hub, "case:1") as good,
    ):
        await asyncio.sleep(0.02)
        for n in range(1, 9):
            log.add("case:1", '"' + "x" * 50_000 + '"')
            hub.wake("case:1")
            await good.has(n)
        await asyncio.sleep(0.05)
        assert len(hub) == 1
        assert len(good.ids) == 8


async def test_an_old_stream_ends_in_good_order_so_that_it_is_authorised_again(log: Log) -> None:
    async with running(Hub(log.read_since, beat_s=0.02, max_age_s=0.03)) as hub, reading(hub, "case:1") as reader:
        await asyncio.sleep(0.15)
        assert reader.ended
        assert len(hub) == 0


async def test_closing_the_hub_ends_every_stream(log: Log) -> None:
    hub = Hub(log.read_since)
    hub.start()
    async with reading(hub, "case:1") as one, reading(hub, "case:2") as two:
        await asyncio.sleep(0.01)
        await hub.close()
        assert one.ended
        assert two.ended
        assert b"retry: 500" in one.text


def test_data_with_line_ends_stays_one_event() -> None:
    assert encode(Event("1", "a", b"x\r\ny")) == b"id: 1\nevent: a\ndata: x\ndata: y\n\n"


async def wait_for(condition: Any) -> None:
    async with asyncio.timeout(3):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_processes_wake_each_other_over_the_database(log: Log, pool: Pool, dsn: str) -> None:
    here, there = Hub(log.read_since, poll_s=60), Hub(log.read_since, poll_s=60)
    listener = Listener(dsn, there)
    listener.start()
    announce = Announcer(pool, here)
    async with running(here), running(there), reading(here, "case:1") as one, reading(there, "case:1") as two:
        await asyncio.wait_for(listener.listening.wait(), 3)
        for _ in range(20):
            log.add("case:1")
            announce("case:1")
        await one.has(20)
        await two.has(20)
        await announce.close()
    await listener.close()


async def test_a_cut_listener_listens_again(log: Log, pool: Pool, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onestop.http.wake._RECONNECT_S", 0.05)
    hub = Hub(log.read_since, poll_s=60)
    listener = Listener(dsn, hub)
    listener.start()
    async with running(hub), reading(hub, "case:1") as reader:
        await asyncio.wait_for(listener.listening.wait(), 3)
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'onestop listen' AND datname = current_database()"
        )
        await wait_for(lambda: not listener.listening.is_set())
        log.add("case:1")  # said while nobody listened
        await reader.has(1)
    await listener.close()


@pytest.fixture
async def stream_desk(pool: Pool, keys: Keys, site_settings: Settings, log: Log) -> AsyncIterator[FrontDesk]:
    async def authorise(context: Context, parameters: dict[str, str]) -> str:
        if parameters["case_id"] != "case_of_ana" or context.principal != "ana/citizen":
            raise NotFound
        return f"case:{parameters['case_id']}"

    async with running(Hub(log.read_since)) as hub:
        stream = EventStream("/v1/cases/{case_id}/events", hub, authorise)
        yield build(
            handlers(keys, pool, []), settings=site_settings, pool=pool, sessions=FakeSessions(), streams=[stream]
        )


async def ask(desk: FrontDesk, path: str, who: str | None, method: str = "GET") -> Reader:
    reader = Reader()
    headers = [] if who is None else [(b"authorization", f"Bearer {who}".encode())]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers, "state": {}}
    task = asyncio.create_task(desk(scope, reader.receive, reader.send))
    await asyncio.sleep(0.05)
    reader.gone.set()
    await task
    return reader


async def test_a_stream_opens_for_its_owner_alone(stream_desk: FrontDesk, log: Log) -> None:
    log.add("case:case_of_ana", '{"state":"accepted"}')
    path = "/v1/cases/case_of_ana/events"
    own = await ask(stream_desk, path, "ana")
    assert own.status == 200
    assert b'data: {"state":"accepted"}' in own.text
    assert own.headers[b"cache-control"] == b"no-store"
    assert own.headers[b"content-type"] == b"text/event-stream"
    assert b"request-id" in own.headers
    assert (await ask(stream_desk, path, "ben")).status == 404
    assert (await ask(stream_desk, path, None)).status == 401
    assert (await ask(stream_desk, "/v1/cases/other/events", "ana")).status == 404
