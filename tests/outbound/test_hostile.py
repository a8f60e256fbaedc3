"""Whatever a department answers ends as exactly one error of ours, soon, and costs little."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from onestop.outbound.decoding import decode_json
from onestop.outbound.errors import BadBody, BadReply, ConnectionLost, DeadlinePassed, OutboundError
from onestop.outbound.models import Limits, Reply
from outbound.conftest import OpenPool
from outbound.hostile import (
    ASK,
    BODIES,
    CUT_REPLIES,
    FLOODS,
    OK,
    REPLIES,
    department,
    dripping,
    flooding,
    reply,
    saying,
)

pytestmark = pytest.mark.anyio


async def only_outcome(opened: OpenPool, port: int, within_s: float = 5.0, **limits: Any) -> Reply | OutboundError:
    """Do one call and look on a little longer than it lasts: `done` must be called once."""
    pool = opened(port)
    outcomes: list[Reply | OutboundError] = []
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    pool.send(ASK, loop.time() + within_s, lambda outcome: (outcomes.append(outcome), ended.set())[0], Limits(**limits))
    await ended.wait()
    await asyncio.sleep(0.01)
    assert len(outcomes) == 1
    assert pool.idle == pool.open, "no connection stays behind that is neither idle nor in use"
    if isinstance(outcomes[0], OutboundError):
        assert pool.open == 0, "a connection that carried a bad reply is not used again"
        assert outcomes[0].sent
    return outcomes[0]


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def test_the_corpus_is_large_enough() -> None:
    assert len(REPLIES) + len(CUT_REPLIES) + len(FLOODS) + len(BODIES) >= 90


@pytest.mark.parametrize("name", REPLIES)
async def test_a_bad_reply_is_refused_for_its_reason(opened: OpenPool, name: str) -> None:
    raw, reason = REPLIES[name]
    async with department(saying(raw)) as port:
        outcome = await only_outcome(opened, port)
    assert isinstance(outcome, BadReply)
    assert outcome.reason == reason


@pytest.mark.parametrize("name", CUT_REPLIES)
async def test_a_reply_cut_short_is_an_error(opened: OpenPool, name: str) -> None:
    raw, reason = CUT_REPLIES[name]
    async with department(saying(raw, then_close=True)) as port:
        outcome = await only_outcome(opened, port)
    assert isinstance(outcome, ConnectionLost)
    assert (outcome.reason, outcome.stale) == (reason, False)


@pytest.mark.parametrize("name", FLOODS)
async def test_an_endless_reply_is_cut_by_a_limit_and_not_by_the_clock(opened: OpenPool, name: str) -> None:
    first, block, reason = FLOODS[name]
    async with department(flooding(first, block)) as port:
        outcome = await only_outcome(opened, port)
    assert isinstance(outcome, BadReply)
    assert outcome.reason == reason


@pytest.mark.parametrize("name", BODIES)
async def test_a_bad_body_is_refused_for_its_reason(opened: OpenPool, name: str) -> None:
    body, reason = BODIES[name]
    async with department(saying(reply(body, b"Content-Type: application/json; charset=utf-7"))) as port:
        outcome = await only_outcome(opened, port)
    assert isinstance(outcome, Reply)
    with pytest.raises(BadBody) as caught:
        decode_json(outcome.body)
    assert caught.value.reason == reason


async def test_the_whole_corpus_costs_less_than_64_mib_and_never_holds_the_loop_for_long(opened: OpenPool) -> None:
    forget_peak()
    before, longest_s, stop = peak_mib(), 0.0, False

    async def watch() -> None:
        nonlocal longest_s
        while not stop:
            started = time.perf_counter()
            await asyncio.sleep(0.005)
            longest_s = max(longest_s, time.perf_counter() - started - 0.005)

    watching = asyncio.create_task(watch())
    for name in ("a gzip bomb", "a deflate bomb", "200 000 interim replies", "one header of 1 MiB"):
        async with department(saying(REPLIES[name][0])) as port:
            await only_outcome(opened, port)
    for first, block, _ in FLOODS.values():
        async with department(flooding(first, block)) as port:
            await only_outcome(opened, port)
    for body, _ in BODIES.values():
        with pytest.raises(BadBody):
            decode_json(body)
        await asyncio.sleep(0)
    stop = True
    await watching
    assert peak_mib() - before < 64
    assert longest_s < 0.25  # the goal is 100 ms; the servers of this test share the loop and the machine is shared


DRIPS = {
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "one header": (b"HTTP/1.1 200 OK\r\nA: ", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "interim replies": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "empty lines": (b"", b"\r\n"),
}


@pytest.mark.parametrize("name", DRIPS)
async def test_a_dripping_reply_ends_at_the_deadline(opened: OpenPool, name: str) -> None:
    async with department(dripping(*DRIPS[name], every_s=0.05)) as port:
        started = time.perf_counter()
        outcome = await only_outcome(opened, port, within_s=0.3)
        took_s = time.perf_counter() - started
    assert isinstance(outcome, DeadlinePassed)
    assert 0.28 < took_s < 0.9


async def test_eight_interim_replies_are_allowed_and_their_headers_are_not_believed(opened: OpenPool) -> None:
    async with department(
        saying(b"HTTP/1.1 103 Hints\r\nX-Early: 1\r\nContent-Encoding: gzip\r\n\r\n" * 8 + OK)
    ) as port:
        outcome = await only_outcome(opened, port)
    assert isinstance(outcome, Reply)
    assert (outcome.status, outcome.body, outcome.headers) == (200, b"hi", [(b"content-length", b"2")])


async def test_a_second_reply_that_comes_later_is_never_given_to_the_next_call(opened: OpenPool) -> None:
    smuggled = reply(b'{"owner": "somebody else"}')

    async def handle(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await asyncio.sleep(0.05)
        writer.write(smuggled)
        await reader.read()

    async with department(handle) as port:
        pool = opened(port)
        loop = asyncio.get_running_loop()
        assert (await pool.ask(ASK, loop.time() + 1)).body == b"hi"
        assert pool.idle == 1
        await asyncio.sleep(0.1)
        assert pool.open == 0, "bytes nobody asked for end the connection"
        second = await pool.ask(ASK, loop.time() + 1)
        assert (second.body, second.reused) == (b"hi", False)
