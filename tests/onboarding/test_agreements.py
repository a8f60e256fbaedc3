import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from onestop.gateway.models import Agreement
from onestop.gateway.quotas import Quotas
from onestop.onboarding import service_terms
from onestop.onboarding.errors import AdapterAbsent, AgreementDecided, AgreementWrong
from tests.gateway.department import department
from tests.onboarding.conftest import ONE, OPERATOR, TWO
from tests.onboarding.test_registry import answering, serving

pytestmark = pytest.mark.anyio
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def agreement(**told):
    kept = {"id": "agr_1", "adapter": "one", "consumer": "overview", "operation": "*", "per_day": None}
    return Agreement(**{**kept, "per_second": None, "begins": BEGAN, "ends": None, **told})


async def propose(room, actor, consumer="overview", **told):
    new = service_terms.NewAgreement(consumer=consumer, purpose_zh="办事", purpose_en="To serve", **told)
    return await room.life.commit(lambda db: service_terms.propose(room.life, db, actor, "one", new))


async def decide(room, actor, row, decision):
    told = service_terms.Decision(decision=decision, why="so")
    return await room.life.commit(lambda db: service_terms.decide(room.life, db, actor, "one", row.id, told))


async def policy(room, **told):
    await room.life.commit(
        lambda db: service_terms.set_policy(room.life, db, ONE, "one", service_terms.Policy(**told))
    )  # fmt: skip


# ---- refusals


async def test_only_the_provider_decides_and_only_once(room):
    await room.push(ONE)
    await room.place("one", "http://127.0.0.1:9")
    await room.live(version="1.1.0")
    row = await propose(room, TWO, "department:two", operation="query")
    assert row.state == "proposed"
    with pytest.raises(AdapterAbsent):
        await decide(room, TWO, row, "approve")
    assert (await decide(room, ONE, row, "approve")).state == "active"
    for again in ("approve", "refuse"):
        with pytest.raises(AgreementDecided):
            await decide(room, ONE, row, again)
    with pytest.raises(AgreementDecided):
        await propose(room, TWO, "department:two", operation="query")
    assert (await decide(room, ONE, row, "end")).state == "ended"


async def test_nobody_asks_in_another_s_name_or_for_what_is_not_there(room):
    await room.push(ONE)
    with pytest.raises(AdapterAbsent):  # it serves nobody yet: to others it is not there
        await propose(room, TWO, "department:two")
    await room.place("one", "http://127.0.0.1:9")
    await room.live(version="1.1.0")
    for consumer, told in (
        ("overview", {}),
        ("department:three", {}),
        ("department:two", {"operation": "nothing"}),
        ("department:two", {"ends": datetime.now(UTC) - timedelta(days=1)}),
    ):
        with pytest.raises(AgreementWrong):
            await propose(room, TWO, consumer, **told)


async def test_a_policy_agrees_to_little_by_itself_and_not_to_much(room):
    await room.push(ONE)
    await room.place("one", "http://127.0.0.1:9")
    await room.live(version="1.1.0")
    await policy(room, approves="automatic", automatic_per_day=100)
    assert (await propose(room, TWO, "department:two", operation="query", per_day=101)).state == "proposed"
    assert (await propose(room, TWO, "department:two", operation="apply")).state == "proposed"
    row = await propose(room, TWO, "department:two", operation="find", per_day=100)
    assert (row.state, row.decided_by) == ("active", "policy")


def test_a_department_needs_an_agreement_and_the_portal_only_where_that_is_asked():
    quotas = Quotas()
    assert quotas.take("overview", "one", "query") is None
    assert quotas.take("department:two", "one", "query").code == "agreement.missing"
    quotas.set([], ["one"])
    assert quotas.take("overview", "one", "query").code == "agreement.missing"
    assert quotas.take("overview", "two", "query") is None
    quotas.set([agreement(consumer="birth", operation="query")], ["one"])
    assert quotas.take("birth", "one", "query") is None
    assert quotas.take("birth", "one", "apply").code == "agreement.missing"


def test_a_day_s_quota_ends_and_says_when_it_begins_again():
    quotas = Quotas()
    quotas.set([agreement(per_day=3)], [])
    assert [quotas.take("overview", "one", "query") for _ in range(3)] == [None] * 3
    refused = quotas.take("overview", "one", "query")
    assert refused.code == "quota.exhausted"
    assert 0 < refused.retry_after_s <= 86_400
    assert quotas.headers([("overview", "one", "query")])["ratelimit"].startswith('"agr_1";r=0;t=')


def test_a_rate_a_second_is_kept():
    quotas = Quotas()
    quotas.set([agreement(per_second=5.0)], [])
    results = [quotas.take("overview", "one", "query") for _ in range(8)]
    assert [r is None for r in results] == [True] * 5 + [False] * 3
    assert 0 < results[-1].retry_after_s <= 0.2


# ---- counting


def test_what_others_counted_is_believed_and_what_came_meanwhile_is_not_lost():
    quotas = Quotas()
    quotas.set([agreement(per_day=100)], [])
    for _ in range(5):
        quotas.take("overview", "one", "query")
    sent = quotas.fresh()
    quotas.take("overview", "one", "query")  # while the database answers
    quotas.added(sent, {"agr_1": 50})  # 45 by other processes
    assert quotas.of_adapter("one")[0].used == 51
    assert [count for _, _, count in quotas.fresh()] == [1]


def test_counting_costs_microseconds():
    quotas = Quotas()
    quotas.set([agreement(per_day=10_000_000)], [])
    best = min(_timed(quotas) for _ in range(5))
    assert best < 20e-6


def _timed(quotas, calls=2000):
    begun = time.perf_counter()
    for _ in range(calls):
        quotas.take("overview", "one", "query")
    return (time.perf_counter() - begun) / calls


async def test_two_gateways_share_one_quota_but_for_a_second(room, keys, told, dsn):
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(answering()))
        await room.push(ONE, version="0.1.0")
        await room.place("one", f"http://127.0.0.1:{served.port}")
        await room.live()
        await propose(room, OPERATOR, operation="query", per_day=10)
        here = await stack.enter_async_context(serving(dsn, keys, told))
        there = await stack.enter_async_context(serving(dsn, keys, told))
        for _ in range(6):
            assert (await here.ask()).state == "ok"
        await here.registry._counter.flush()
        await there.registry._counter.flush()
        parts = [await there.ask() for _ in range(7)]
        await there.registry._counter.flush()
        states = [part.state for part in parts]
        assert states[:4] == ["ok"] * 4
        assert states[-1] == "denied" or sum(state == "ok" for state in states) <= 7
        await here.registry._counter.flush()
        # After one flush on both sides neither lets anything through.
        await asyncio.sleep(1.2)
        refused = [(await one.ask()).problem for one in (here, there)]
        assert {problem.code for problem in refused if problem} == {"quota.exhausted"}
        assert all(problem and problem.retry_after_s for problem in refused)
        told_by = (await service_terms.quota(room.life, ONE, "one")).data
        assert told_by[0].remaining == 0
