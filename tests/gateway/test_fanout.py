import asyncio
import gc
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from onestop.gateway.fanout import Person, gather
from onestop.gateway.line import Call, Line, Where
from onestop.gateway.manifest import parse
from onestop.gateway.models import Ask
from onestop.outbound.addresses import AllowList
from tests.gateway.department import department, holds_all, manifest_text, people, says

pytestmark = pytest.mark.anyio

PERSON = Person("990102199203140221", "林晓舟")
ALLOW = AllowList(["127.0.0.0/8"])


def record(number=PERSON.number):
    return {"data": {"id_number": number, "as_of": "2026-03-02T08:00:00+08:00", "answer": "42"}}


def line(name, port, **manifest):
    return Line(parse(manifest_text(name, **manifest)), Where(f"http://127.0.0.1:{port}", {}), ALLOW)


@asynccontextmanager
async def world(behaviours):
    async with AsyncExitStack() as stack:
        lines = {}
        for name, behaviour in behaviours.items():
            if behaviour is None:
                lines[name] = line(name, 9)  # nobody listens on discard
            else:
                lines[name] = line(name, (await stack.enter_async_context(department(behaviour))).port)
            stack.push_async_callback(lines[name].close)
        yield lines


def asks(lines):
    return [Ask(want=name, adapter=name, operation="query") for name in lines]


async def test_twelve_departments_one_dead_one_slow_end_at_the_budget_and_the_late_one_comes_once():
    names = {f"d{i:02}": says(record()) for i in range(10)} | {"dead": None, "slow": says(record(), after_s=1.6)}
    late = []
    async with world(names) as lines:
        loop = asyncio.get_running_loop()
        begun = time.monotonic()
        gathered = await gather(lines, asks(lines), PERSON, deadline=loop.time() + 0.8, on_late=late.append)
        took = time.monotonic() - begun
        assert took < 0.8 + 0.6
        states = {part.want: part.state for part in gathered.parts}
        assert [state for name, state in states.items() if name.startswith("d0")] == ["ok"] * 10
        assert states["dead"] == "unavailable"
        assert states["slow"] == "pending"
        slow = next(part for part in gathered.parts if part.want == "slow")
        assert slow.problem.who_acts == "department"
        assert slow.problem.retry_after_s
        await asyncio.sleep(1.2)
        assert [(part.want, part.state, part.data) for part in late] == [("slow", "ok", {"answer": "42"})]


async def test_without_a_handle_the_late_call_is_cut_at_the_deadline():
    async with world({"slow": says(record(), after_s=5)}) as lines:
        loop = asyncio.get_running_loop()
        gathered = await gather(lines, asks(lines), PERSON, deadline=loop.time() + 0.2)
        assert gathered.parts[0].state == "unavailable"
        await asyncio.sleep(0.05)
        assert lines["slow"].health()["connections"] == 0


async def test_somebody_elses_record_is_not_believed():
    async with world({"wrong": says(record("990102199008210351"))}) as lines:
        gathered = await gather(lines, asks(lines), PERSON, deadline=asyncio.get_running_loop().time() + 1)
        assert gathered.parts[0].state == "unavailable"
        assert gathered.parts[0].problem.code == "upstream.bad_reply"
        assert gathered.parts[0].data is None


@pytest.mark.parametrize(
    ("behaviour", "state", "code"),
    [
        (says({"data": None}), "ok", None),
        (says({}, status=429), "unavailable", "upstream.busy"),
        (says({}, status=401), "denied", "upstream.denied"),
        (says({}, status=500), "unavailable", "upstream.down"),
        (says("text"), "unavailable", "upstream.bad_reply"),
        (says({"another": "shape"}), "unavailable", "upstream.bad_reply"),
        (says({"data": {"id_number": PERSON.number, "as_of": 7, "answer": 1}}), "unavailable", "upstream.bad_reply"),
    ],
)
async def test_every_answer_has_one_honest_state(behaviour, state, code):
    async with world({"one": behaviour}) as lines:
        gathered = await gather(lines, asks(lines), PERSON, deadline=asyncio.get_running_loop().time() + 1)
        part = gathered.parts[0]
        assert part.state == state
        assert (part.problem.code if part.problem else None) == code
        if state == "ok":
            assert part.found is False, "no record is an answer, not an empty one"


async def test_a_hanging_department_does_not_take_a_healthy_ones_places():
    async with world({"hangs": says(record(), after_s=30), "well": holds_all()}) as lines:
        loop = asyncio.get_running_loop()
        done = await asyncio.gather(
            *(gather(lines, asks(lines), who, deadline=loop.time() + 0.4) for who in people(80))
        )
        assert [g.parts[1].state for g in done] == ["ok"] * 80
        assert {g.parts[0].state for g in done} == {"unavailable"}
        assert lines["hangs"].breaker("query").state == "open"
        begun = time.monotonic()
        again = await gather(lines, asks(lines), PERSON, deadline=loop.time() + 0.4)
        assert again.parts[0].problem.code == "upstream.paused"
        assert time.monotonic() - begun < 0.38, "an open breaker costs no time"


async def test_a_refused_connection_is_tried_once_more_and_no_more():
    async with world({"dead": None}) as lines:
        for _ in range(4):  # with the call itself five, which earn one repetition
            lines["dead"].retries.earned()
        gathered = await gather(lines, asks(lines), PERSON, deadline=asyncio.get_running_loop().time() + 1)
        assert gathered.records[0].attempts == 2
        gathered = await gather(lines, asks(lines), PERSON, deadline=asyncio.get_running_loop().time() + 1)
        assert gathered.records[0].attempts == 1, "the budget is spent"


async def test_an_adapter_that_is_not_connected_is_one_part():
    gathered = await gather({}, [Ask(want="x", adapter="x", operation="query")], PERSON, deadline=0)
    assert gathered.parts[0].problem.code == "upstream.not_connected"


async def test_an_answer_older_than_its_freshness_is_stale_and_says_its_age():
    async with department(says(record())) as served:
        text = manifest_text("old").replace(b'want = "old"', b'want = "old"\nfresh_s = 60')
        old = Line(parse(text), Where(f"http://127.0.0.1:{served.port}", {}), ALLOW)
        gathered = await gather({"old": old}, asks(["old"]), PERSON, deadline=asyncio.get_running_loop().time() + 1)
        await old.close()
    part = gathered.parts[0]
    assert (part.state, part.data) == ("stale", {"answer": "42"})
    assert part.age_s > 60
    assert gathered.complete, "it is an answer; nothing more will come"


async def test_a_call_that_was_cut_is_recorded_once():
    async with world({"slow": says(record(), after_s=5)}) as lines:
        gathered = await gather(lines, asks(lines), PERSON, deadline=asyncio.get_running_loop().time() + 0.2)
        await asyncio.sleep(0.05)
        assert [entry.outcome for entry in gathered.records] == ["timeout"]


async def test_a_fan_out_that_is_over_is_gone_without_the_garbage_collector():
    async with world({"well": says(record()), "dead": None}) as lines:
        gc.collect()
        gc.disable()
        before = {id(thing) for thing in gc.get_objects() if isinstance(thing, Call)}
        try:
            await gather(lines, asks(lines), PERSON, deadline=asyncio.get_running_loop().time() + 1)
            assert not [thing for thing in gc.get_objects() if isinstance(thing, Call) and id(thing) not in before]
        finally:
            gc.enable()
