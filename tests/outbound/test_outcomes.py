"""Every call ends once, and its error says whether the request may have been seen."""

import asyncio
import socket
import time
from typing import Any

import pytest

from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import (
    Abandoned,
    AddressRefused,
    ConnectionLost,
    ConnectTimeout,
    DeadlinePassed,
    MaybeSent,
    NotSent,
    OutboundError,
    PoolClosed,
    PoolTimeout,
    Refused,
    Unreachable,
    Withdrawn,
)
from onestop.outbound.models import Reply
from onestop.outbound.pool import Pool
from outbound.conftest import OpenPool
from outbound.hostile import ASK, OK, Department, department, hanging, outcomes_of, request, saying, soon

pytestmark = pytest.mark.anyio


async def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_no_call_begins_after_its_deadline(opened: OpenPool) -> None:
    system = Department()
    async with department(system) as port:
        pool = opened(port)
        await pool.ask(ASK, soon())
        with pytest.raises(PoolTimeout) as caught:
            await pool.ask(ASK, soon(-0.001))
        await asyncio.sleep(0.02)
    assert caught.value.reason == "deadline_before_send"
    assert len(system.requests) == 1


async def test_a_deadline_after_writing_leaves_the_outcome_unknown(opened: OpenPool) -> None:
    async with department(hanging) as port:
        pool = opened(port)
        started = time.perf_counter()
        with pytest.raises(DeadlinePassed) as caught:
            await pool.ask(ASK, soon(0.2))
        assert 0.18 < time.perf_counter() - started < 0.9
        assert caught.value.sent
        await asyncio.sleep(0.01)
        assert pool.open == 0


async def test_cancelling_a_waiting_call_sends_nothing(opened: OpenPool) -> None:
    system = Department(0.05)
    async with department(system) as port:
        pool = opened(port, max_connections=1)
        heard: list[Reply | OutboundError] = []
        first = asyncio.create_task(pool.ask(ASK, soon()))
        await asyncio.sleep(0.01)
        sending = pool.send(ASK, soon(), heard.append)
        sending.cancel()
        sending.cancel()
        assert heard == [], "never from inside cancel"
        await first
        await asyncio.sleep(0.1)
    assert [type(outcome) for outcome in heard] == [Withdrawn]
    assert len(system.requests) == 1


async def test_cancelling_a_written_call_cuts_its_connection(opened: OpenPool) -> None:
    gone = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await reader.read()
        gone.set()

    async with department(handle) as port:
        pool = opened(port)
        heard: list[Reply | OutboundError] = []
        sending = pool.send(ASK, soon(), heard.append)
        await asyncio.sleep(0.05)
        assert sending.sent
        sending.cancel()
        await asyncio.wait_for(gone.wait(), 1)
        await asyncio.sleep(0)
        assert [type(outcome) for outcome in heard] == [Abandoned]
        assert pool.open == 0


async def test_cancelling_the_waiting_task_cancels_its_call(opened: OpenPool) -> None:
    async with department(hanging) as port:
        pool = opened(port)
        task = asyncio.create_task(pool.ask(ASK, soon()))
        await asyncio.sleep(0.05)
        assert pool.open == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)
        assert pool.open == 0


async def test_a_refused_connection_is_not_sent_for_every_call_in_line(opened: OpenPool) -> None:
    pool = opened(await unused_port(), max_connections=2)
    outcomes = await outcomes_of(pool, 9)
    assert [type(outcome) for outcome in outcomes] == [Refused] * 9
    assert not any(outcome.sent for outcome in outcomes)


async def test_a_name_that_never_resolves_costs_the_time_for_connecting_and_one_look_up(opened: OpenPool) -> None:
    looked = 0

    async def never(host: str, port: int) -> list[str]:
        nonlocal looked
        looked += 1
        await asyncio.Event().wait()
        return []

    pool = opened(1, "slow.test", lookup=never, connect_s=0.1)
    started = time.perf_counter()
    outcomes = await outcomes_of(pool, 5)
    assert [type(outcome) for outcome in outcomes] == [ConnectTimeout] * 5
    assert time.perf_counter() - started < 1
    assert looked == 1


async def test_a_deadline_sooner_than_the_connection_is_a_connect_timeout(opened: OpenPool) -> None:
    async def slow(host: str, port: int) -> list[str]:
        await asyncio.sleep(0.3)
        return ["127.0.0.1"]

    async with department(saying(OK)) as port:
        pool = opened(port, lookup=slow)
        with pytest.raises(ConnectTimeout):
            await pool.ask(ASK, soon(0.1))
        await asyncio.sleep(0.3)
        assert pool.idle == 1, "the connection that came too late serves the next call"
        assert (await pool.ask(ASK, soon())).reused is False


async def test_an_unknown_name_is_not_sent(opened: OpenPool) -> None:
    with pytest.raises(Unreachable) as caught:
        await opened(80, "no-such-department.invalid").ask(ASK, soon(5))
    assert (caught.value.sent, caught.value.reason) == (False, "name_unknown")


async def test_an_address_not_on_the_list_is_never_connected_to(opened: OpenPool) -> None:
    system = Department()
    async with department(system) as port:
        for allow in (AllowList(), AllowList(["10.0.0.0/8"]), AllowList([f"127.0.0.1:{port + 1}"])):
            with pytest.raises(AddressRefused) as caught:
                await opened(port, allow=allow).ask(ASK, soon())
            assert not caught.value.sent
    assert system.connections == 0


async def test_every_connection_is_checked_again_and_goes_to_the_checked_address(opened: OpenPool) -> None:
    answers = [["169.254.169.254", "127.0.0.1"], ["169.254.169.254"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    async with department(saying(OK)) as port:
        pool = opened(port, "rebinding.test", lookup=rebinding, max_requests=1, allow=AllowList(["0.0.0.0/0"]))
        assert (await pool.ask(ASK, soon())).status == 200
        with pytest.raises(AddressRefused):
            await pool.ask(ASK, soon())


async def test_closed_before_an_answer_is_unknown_and_says_whether_the_connection_was_stale(opened: OpenPool) -> None:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(OK)
        await request(reader)

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)

    async with department(answer_once) as port:
        pool = opened(port)
        await pool.ask(ASK, soon())
        with pytest.raises(ConnectionLost) as reused:
            await pool.ask(ASK, soon())
    assert (reused.value.sent, reused.value.stale) == (True, True)
    async with department(never) as port:
        with pytest.raises(ConnectionLost) as fresh:
            await opened(port).ask(ASK, soon())
    assert (fresh.value.sent, fresh.value.stale) == (True, False)


async def test_closing_ends_every_call_once_and_refuses_the_next(opened: OpenPool) -> None:
    async with department(hanging) as port:
        pool = opened(port, max_connections=2)
        heard: list[Reply | OutboundError] = []
        for _ in range(4):
            pool.send(ASK, soon(), heard.append)
        await asyncio.sleep(0.05)
        await pool.close()
        assert sorted(type(outcome).__name__ for outcome in heard) == ["ConnectionLost"] * 2 + ["PoolClosed"] * 2
        with pytest.raises(PoolClosed):
            await pool.ask(ASK, soon())


async def test_a_callers_exception_does_not_hurt_the_connection() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))

    def broken(outcome: Reply | OutboundError) -> None:
        raise LookupError("an adapter's bug")

    async with department(Department()) as port:
        pool = Pool("127.0.0.1", port, allow=AllowList(["127.0.0.1"]))
        pool.send(ASK, soon(), broken)
        await asyncio.sleep(0.05)
        assert (await pool.ask(ASK, soon())).reused
        await pool.close()
    assert [type(complaint["exception"]) for complaint in complaints] == [LookupError]


def test_every_error_says_whether_the_request_may_have_been_sent() -> None:
    def leaves(kind: type[OutboundError]) -> set[type[OutboundError]]:
        return {kind} if not kind.__subclasses__() else set().union(*(leaves(k) for k in kind.__subclasses__()))

    for kind in leaves(NotSent):
        assert kind().sent is False
    for kind in leaves(MaybeSent):
        assert kind().sent is True
    reasons = [kind().reason for kind in leaves(OutboundError)]
    assert len(reasons) == len(set(reasons))
