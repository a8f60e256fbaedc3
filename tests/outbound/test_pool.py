"""The pool: bounds, lines, lifetimes, and how whole replies come out of it."""

import asyncio
import gzip
import socket
import threading
import time
import zlib

import pytest

from onestop.outbound.errors import (
    DeadlinePassed,
    MaybeSent,
    OutboundError,
    PoolTimeout,
    TooManyWaiting,
)
from onestop.outbound.message import build_request
from onestop.outbound.models import Limits, Reply
from outbound.conftest import OpenPool
from outbound.hostile import ASK, OK, Department, department, hanging, outcomes_of, reply, request, saying, soon

pytestmark = pytest.mark.anyio


async def test_an_idle_connection_is_used_at_once_and_the_newest_first(opened: OpenPool) -> None:
    system = Department(0.02)
    async with department(system) as port:
        pool = opened(port)
        await outcomes_of(pool, 3)
        assert (system.connections, pool.idle) == (3, 3)
        sending = pool.send(ASK, soon(), lambda outcome: None)
        assert sending.sent, "written before send returns"
        await asyncio.sleep(0.1)
        newest = pool._idle[-1]
        for _ in range(5):
            answer = await pool.ask(ASK, soon())
            assert (answer.reused, answer.connect_ms) == (True, 0.0)
        assert newest.served == 7
        assert system.connections == 3


async def test_a_reply_tells_where_its_time_went(opened: OpenPool) -> None:
    async with department(Department(0.05)) as port:
        pool = opened(port, max_connections=1)
        first, second = await asyncio.gather(pool.ask(ASK, soon()), pool.ask(ASK, soon()))
    assert 40 < first.wait_ms < 200
    assert first.connect_ms > 0
    assert second.connect_ms == 0
    assert 40 < second.queue_ms < 300
    assert first.header(b"content-length") == b"2"
    assert first.header(b"etag") is None


async def test_calls_wait_in_line_first_come_first_served_and_never_more_than_may_wait(opened: OpenPool) -> None:
    system = Department(0.03)
    async with department(system) as port:
        pool = opened(port, max_connections=2, max_waiting=3)
        ended: list[int] = []
        refused: list[OutboundError] = []

        def hear(number: int, outcome: Reply | OutboundError) -> None:
            ended.append(number) if isinstance(outcome, Reply) else refused.append(outcome)

        for number in range(7):
            pool.send(ASK, soon(), lambda outcome, number=number: hear(number, outcome))
        assert pool.waiting == 5
        await asyncio.sleep(0.3)
    assert sorted(ended[:2]) == [0, 1]
    assert ended[2:] == sorted(ended[2:]) == [2, 3, 4]
    assert [type(error) for error in refused] == [TooManyWaiting, TooManyWaiting]
    assert system.most == 2


async def test_a_call_that_waits_past_its_queue_time_was_not_sent(opened: OpenPool) -> None:
    async with department(hanging) as port:
        pool = opened(port, max_connections=1)
        first = asyncio.create_task(pool.ask(ASK, soon(0.4)))
        await asyncio.sleep(0.05)
        started = time.perf_counter()
        with pytest.raises(PoolTimeout) as caught:
            await pool.ask(ASK, soon(2), Limits(queue_s=0.1))
        assert time.perf_counter() - started < 0.35
        assert not caught.value.sent
        with pytest.raises(DeadlinePassed):
            await first


async def test_a_call_whose_queue_time_was_short_still_has_its_whole_deadline(opened: OpenPool) -> None:
    async with department(Department(0.2)) as port:
        pool = opened(port)
        assert (await pool.ask(ASK, soon(1), Limits(queue_s=0.1))).status == 200


def answering_once(after_s: float) -> tuple[int, threading.Thread]:
    """A department outside this process's loop, so that it answers while the loop stands still."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listening, listening.accept()[0] as peer:
            peer.recv(65536)
            time.sleep(after_s)
            peer.sendall(OK)
            peer.recv(1)

    thread = threading.Thread(target=answer)
    thread.start()
    return listening.getsockname()[1], thread


async def test_an_answer_that_came_in_time_is_not_late_because_this_process_stood_still(opened: OpenPool) -> None:
    """The stall is in a read callback: on uvloop timers then fire before the other sockets are read."""
    (stalling, first), (patient, second) = answering_once(0.02), answering_once(0.06)
    pools = [opened(stalling), opened(patient)]
    heard: list[Reply | OutboundError] = []
    pools[0].send(ASK, soon(2), lambda outcome: time.sleep(0.3))
    pools[1].send(ASK, soon(0.15), heard.append)
    await asyncio.sleep(0.5)
    assert [type(outcome) for outcome in heard] == [Reply]
    for pool in pools:
        await pool.close()
    first.join()
    second.join()


async def test_an_idle_connection_closed_by_the_other_side_is_not_used(opened: OpenPool) -> None:
    async def close_soon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK)
        await asyncio.sleep(0.02)

    async with department(close_soon) as port:
        pool = opened(port)
        for _ in range(5):
            assert (await pool.ask(ASK, soon())).reused is False
            await asyncio.sleep(0.06)
            assert pool.open == 0


async def test_an_idle_connection_lives_for_its_time_only(opened: OpenPool) -> None:
    system = Department(0.02)
    async with department(system) as port:
        pool = opened(port, idle_s=0.15)
        await outcomes_of(pool, 3)
        for _ in range(4):  # one is kept busy, the others age
            await asyncio.sleep(0.06)
            await pool.ask(ASK, soon())
        assert pool.open == 1
        await asyncio.sleep(0.3)
        assert pool.open == 0


async def test_a_connection_serves_no_more_calls_than_it_may(opened: OpenPool) -> None:
    system = Department()
    async with department(system) as port:
        pool = opened(port, max_requests=2)
        assert [(await pool.ask(ASK, soon())).reused for _ in range(6)] == [False, True] * 3
    assert system.connections == 3


async def test_an_answer_before_the_whole_request_was_taken_ends_the_connection(opened: OpenPool) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(1)

    async with department(hasty) as port:
        pool = opened(port)
        message = build_request("POST", "/", "department.test", [], bytes(20_000_000))
        assert (await pool.ask(message, soon())).status == 200
        await asyncio.sleep(0.01)
        assert pool.open == 0


async def test_a_hanging_department_touches_no_other_department(opened: OpenPool) -> None:
    healthy = Department(0.005)
    started_at_once = 0
    most = 0

    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal started_at_once, most
        started_at_once += 1
        most = max(most, started_at_once)
        try:
            await hanging(reader, writer)
        finally:
            started_at_once -= 1

    async with department(stuck) as stuck_port, department(healthy) as healthy_port:
        stuck_pool = opened(stuck_port, max_connections=16, max_waiting=60)
        healthy_pool = opened(healthy_port, max_connections=16)
        stuck_calls = asyncio.create_task(outcomes_of(stuck_pool, 120, 0.5))
        await asyncio.sleep(0.05)
        assert all(isinstance(outcome, Reply) for outcome in await outcomes_of(healthy_pool, 200, 0.4))
        outcomes = await stuck_calls
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds.count(TooManyWaiting) == 120 - 16 - 60
    assert kinds.count(DeadlinePassed) == 16
    assert set(kinds) == {TooManyWaiting, DeadlinePassed, PoolTimeout}
    assert most == 16
    assert all(outcome.sent == isinstance(outcome, MaybeSent) for outcome in outcomes)


async def test_nothing_of_one_call_rides_with_the_next(opened: OpenPool) -> None:
    """The department plants a canary for every citizen; no later request carries any."""
    system = Department(
        0, reply(b"{}", b"Set-Cookie: canary=citizen-a; Path=/", b"Set-Cookie2: canary", b"ETag: canary")
    )
    async with department(system) as port:
        pool = opened(port)
        for number in range(200):
            message = build_request("GET", f"/citizens/{number}", "department.test", [("X-Citizen", f"c{number}")])
            answer = await pool.ask(message, soon())
            assert answer.header(b"set-cookie") is None
            assert answer.header(b"set-cookie2") is None
    assert system.requests == [
        b"GET /citizens/%d HTTP/1.1\r\nHost: department.test\r\nAccept-Encoding: identity\r\nX-Citizen: c%d\r\n\r\n"
        % (n, n)
        for n in range(200)
    ]


async def test_a_redirect_is_returned_and_not_followed(opened: OpenPool) -> None:
    system = Department(0, reply(b"", b"Location: http://169.254.169.254/latest/meta-data/", status=b"302 Found"))
    async with department(system) as port:
        answer = await opened(port).ask(ASK, soon())
    assert answer.status == 302
    assert len(system.requests) == 1


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        (b"gzip", gzip.compress(b"hello" * 100, mtime=0)),
        (b"x-gzip", gzip.compress(b"hello" * 100, mtime=0)),
        (b"deflate", zlib.compress(b"hello" * 100)),
        (b"deflate", zlib.compress(b"hello" * 100, wbits=-15)),
        (b"identity", b"hello" * 100),
    ],
)
async def test_one_content_coding_is_undone(opened: OpenPool, coding: bytes, packed: bytes) -> None:
    async with department(saying(reply(packed, b"Content-Encoding: " + coding))) as port:
        answer = await opened(port).ask(ASK, soon())
    assert answer.body == b"hello" * 100
    assert answer.header(b"content-encoding") in (None, b"identity")


async def test_a_body_without_length_is_taken_only_where_it_is_allowed(opened: OpenPool) -> None:
    async with department(saying(b"HTTP/1.0 200 OK\r\n\r\nold system", then_close=True)) as port:
        answer = await opened(port).ask(ASK, soon(), Limits(unframed=True))
    assert answer.body == b"old system"


async def test_a_head_reply_has_no_body_and_its_connection_is_not_kept(opened: OpenPool) -> None:
    async with department(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n")) as port:
        pool = opened(port)
        answer = await pool.ask(build_request("HEAD", "/", "department.test"), soon())
        await asyncio.sleep(0.01)
        assert (answer.body, answer.header(b"content-length"), pool.open) == (b"", b"5000000", 0)
