"""An operator's word on a line: refused without reason or end, followed by every process, over by itself."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from onestop.gateway import effect_verdicts, effects, store
from onestop.gateway.condition import Conditions
from onestop.gateway.models import NewEffect
from onestop.gateway.overrides import WHOLE, Override, Overrides
from onestop.ids import new_id
from onestop.onboarding import service_overrides
from onestop.onboarding.errors import AdapterAbsent, OverrideWrong, ThingAbsent
from tests.gateway.department import department, says
from tests.onboarding.conftest import ONE, OPERATOR
from tests.onboarding.test_registry import answering, serving

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 25, 4, tzinfo=UTC)


def word(operation=WHOLE, state="stopped", hours=1.0):
    return Override(
        adapter="one", operation=operation, state=state, reason="r", until=NOW + timedelta(hours=hours), set_by="o"
    )


async def tell(room, state="stopped", seconds=3600.0, **told):
    new = service_overrides.SetOverride(
        **{"state": state, "reason": "leaks", "until": datetime.now(UTC) + timedelta(seconds=seconds)} | told
    )
    return await room.life.commit(lambda db: service_overrides.set_override(room.life, db, OPERATOR, "one", new))


async def end(room, operation=None):
    await room.life.commit(lambda db: service_overrides.end_override(room.life, db, OPERATOR, "one", operation))


@pytest.fixture
async def line(room):
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(answering()))
        await room.push(ONE, version="0.1.0")
        await room.place("one", f"http://127.0.0.1:{served.port}")
        await room.live()
        yield served
    await room.pool.execute("TRUNCATE line_overrides")


async def test_a_word_without_reason_end_or_such_an_operation_is_refused(room, line):
    for wrong in (
        {"reason": "  "},
        {"seconds": -1},
        {"seconds": 24 * 3600 + 60},
        {"operation": "nonsense"},
        {"until": datetime.max},
    ):
        with pytest.raises(OverrideWrong):
            await tell(room, **wrong)
    with pytest.raises(ThingAbsent):
        await end(room)
    with pytest.raises(AdapterAbsent):
        await service_overrides.overrides(room.life, OPERATOR, "nobody")
    assert (await service_overrides.overrides(room.life, OPERATOR, "one")).data == []


def test_what_is_said_of_an_operation_goes_before_what_is_said_of_the_line_and_both_end():
    both = Overrides([word(), word("query", "passing", hours=0.5)])
    assert both.find("one", "query", NOW).state == "passing"
    assert both.find("one", "apply", NOW).state == "stopped"
    assert both.find("two", "query", NOW) is None
    assert both.find("one", "query", NOW + timedelta(minutes=30)).state == "stopped"
    assert both.find("one", "query", NOW + timedelta(hours=1)) is None
    assert [one.operation for one in both.of("one", NOW)] == [WHOLE, "query"]
    assert not Overrides()


async def test_every_process_stops_asking_within_five_seconds_and_goes_on_when_the_word_is_over(
    room, line, keys, told, dsn
):
    async with AsyncExitStack() as stack:
        here = [await stack.enter_async_context(serving(dsn, keys, told)) for _ in range(2)]
        assert [(await one.ask()).state for one in here] == ["ok", "ok"]
        asked = len(line.asked)
        await tell(room, seconds=2.5)
        for one in here:
            await one.follows(lambda gateway: gateway.stop("one") is not None)
            part = await one.ask()
            assert (part.state, part.problem.code, part.problem.who_acts) == (
                "unavailable", "upstream.stopped", "operator",
            )  # fmt: skip
            assert 0 < part.problem.retry_after_s <= 2.5
            [condition] = await Conditions(one.gateway).look(room.pool, "990100")
            assert condition.state == "stopped"
            assert [one.reason for one in one.gateway.health()[0]["overrides"]] == ["leaks"]
        assert len(line.asked) == asked, "nothing was sent"
        here[1].registry._task.cancel()  # ends by itself also where nothing is heard any more
        for one in here:
            await one.follows(lambda gateway: gateway.stop("one") is None)
            assert (await one.ask()).state == "ok"
    audited = await room.pool.fetchval("SELECT detail FROM audit_entries WHERE action = 'line.override' LIMIT 1")
    assert "leaks" in json.dumps(audited)
    assert "line_stopped" in [n.kind for n in (await room.life.notices(ONE, "one", "en", limit=50)).data]


async def test_one_operation_is_stopped_and_the_other_goes_on_with_its_effects_waiting(
    room, line, keys, told, dsn, monkeypatch
):
    monkeypatch.setattr(effect_verdicts, "LONGEST_HELD_S", 0.2)
    monkeypatch.setattr(effects.random, "uniform", lambda low, high: low)
    heard = []

    async def handler(_db, effect, settled):
        heard.append(settled.outcome)

    async with serving(dsn, keys, told) as here:
        await tell(room, operation="apply")
        await here.follows(lambda gateway: gateway.stop("one", "apply") is not None)
        assert (await here.ask()).state == "ok"
        before = len(line.asked)
        new = NewEffect(
            id=new_id("eff"), case_id="c", step="s", adapter="one", operation="apply", key="o-1", payload={"name": "x"}
        )
        async with room.pool.acquire() as db, db.transaction():
            await effects.intend(db, keys, here.gateway, "990100", [new])
        worker = effects.Dispatcher(room.pool, keys, here.gateway, "990100", handler)
        task = asyncio.create_task(worker.run())
        await asyncio.sleep(0.6)
        assert (len(line.asked), heard) == (before, [])
        effect = await store.by_key_for_update(room.pool, "990100", "one", "o-1")
        assert (effect.state, effect.attempt) == ("intended", 0)
        await end(room, "apply")
        await here.follows(lambda _: bool(heard))
        worker.stop()
        await task
        assert heard == ["completed"]


async def test_a_line_that_is_let_pass_is_asked_although_its_breaker_is_open(room, line, keys, told, dsn):
    async with serving(dsn, keys, told) as here:
        line.behaviour = says({}, status=500)
        opened = here.gateway.lines["one"]
        for i in range(10):
            await here.ask(number=f"99010219920314{i:04}")
        assert opened.breaker("query").state == "open"
        opened.breakers["query", "citizen"].until += 60
        line.behaviour = answering()
        assert (await here.ask()).problem.code == "upstream.paused"
        await tell(room, "passing", operation="query")
        await here.follows(lambda gateway: bool(gateway.overridden("one")))
        assert (await here.ask()).state == "ok"
        await end(room, "query")
        await here.follows(lambda gateway: not gateway.overridden("one"))
        assert (await here.ask()).problem.code == "upstream.paused"
