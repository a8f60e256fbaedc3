"""Lines over real sockets: what one department does is not felt by the others, nor one lane's work by a higher one."""

import asyncio
import json
from collections import Counter

import pytest

from onestop.gateway.adaptive import FLOOR
from onestop.gateway.fanout import gather
from onestop.gateway.line import Call, CallFailed, Line, Where
from onestop.gateway.manifest import parse
from onestop.gateway.models import Ask
from onestop.outbound.addresses import AllowList
from tests.gateway.department import department, holds_all, manifest_text, people, says

pytestmark = pytest.mark.anyio

ALLOW = AllowList(["127.0.0.0/8"])
ASK = [Ask(want="one", adapter="one", operation="query")]


def line(*ports, **manifest):
    first, *others = [f"http://127.0.0.1:{port}" for port in ports]
    return Line(parse(manifest_text("one", **manifest)), Where(first, {}, replicas=tuple(others)), ALLOW)


def values(person):
    return {"subject": {"number": person.number, "name": person.name}}


async def asked(opened, persons, *, timeout_s=2.0, lane="citizen"):
    """Ask for everybody at once; return answers and failures in order."""
    calls = [opened.ask("query", values(who), timeout_s, who.number, lane=lane) for who in persons]
    return await asyncio.gather(*calls, return_exceptions=True)


class Bearing:
    """A department that does `capacity` things at once; the others wait there."""

    def __init__(self, capacity, takes_s=0.03):
        self.capacity, self.takes_s, self.at_once, self.most = capacity, takes_s, 0, 0
        self.free = asyncio.Condition()
        self.answer = holds_all()

    async def __call__(self, path, headers, body):
        self.most = max(self.most, self.at_once + 1)
        async with self.free:
            await self.free.wait_for(lambda: self.at_once < self.capacity)
            self.at_once += 1
        await asyncio.sleep(self.takes_s)
        async with self.free:
            self.at_once -= 1
            self.free.notify()
        return await self.answer(path, headers, body)


async def test_the_counter_is_served_while_citizens_and_bulk_work_wait():
    async with department(holds_all(0.2)) as served:
        opened = line(served.port, concurrency=4)
        crowd = asyncio.gather(asked(opened, people(20)), asked(opened, people(20), lane="batch"))
        await asyncio.sleep(0.05)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answers = await asked(opened, people(2), lane="window")
        assert loop.time() - begun < 1.2, "it waited for one place at most, not for the crowd"
        assert [answer.kind for answer in answers] == ["ok", "ok"]
        await crowd
        await opened.close()


async def test_who_finds_no_place_is_told_when_there_may_be_one():
    async with department(holds_all(0.7)) as served:
        opened = line(served.port, concurrency=4)
        outcomes = await asked(opened, people(100), timeout_s=1.9)
        turned = [o for o in outcomes if isinstance(o, CallFailed) and o.kind == "full"]
        assert len(turned) >= 30
        assert all(not o.sent and 0 < o.retry_after_s <= 60 for o in turned)
        assert len(served.asked) <= 100 - len(turned), "who waited in vain was never sent"
        assert opened.breaker("query").state == "closed", "our own line says nothing about the department"
        await opened.close()


async def test_bulk_work_cannot_open_the_citizens_breaker():
    async with department(says({}, status=500)) as served:
        opened = line(served.port)
        for _ in range(4):
            await asked(opened, people(8), lane="batch")
        assert opened.breakers["query", "batch"].state == "open"
        assert opened.breakers["query", "citizen"].state == "closed"
        await opened.close()


async def test_answers_that_are_the_callers_fault_never_open_it():
    async with department(says({}, status=400)) as served:
        opened = line(served.port)
        for _ in range(5):
            await asked(opened, people(10))
        assert opened.breaker("query").state == "closed"
        await opened.close()


async def test_a_department_that_is_cut_off_is_asked_at_most_1_2_times_a_request():
    async def cuts(*_):
        return None

    async with department(cuts) as served:
        opened = line(served.port, concurrency=8)
        opened.breakers = {key: Never() for key in opened.breakers}
        asked_for = 0
        for _ in range(20):
            asked_for += len(await asked(opened, people(10)))
        assert asked_for == 200
        assert len(served.asked) <= asked_for * 1.2 + 3, "the few that every line may begin with"
        await opened.close()


class Never:
    """A breaker that stays out of the way."""

    state, until, failed_in_row, failed_at = "closed", 0.0, 0, 0.0

    def allows(self, _):
        return True

    def succeeded(self, _): ...
    def failed(self, _): ...
    def abandoned(self): ...


async def test_the_limit_falls_to_what_a_department_bears_and_rises_again():
    bearing = Bearing(12)
    async with department(bearing) as served:
        opened = line(served.port, concurrency=128)

        over = asyncio.Event()

        async def busy():
            while not over.is_set():
                await asked(opened, people(1), timeout_s=2.0)

        async def settles(low, high):
            """Wait until the limit has been within these bounds, on the whole, for a second."""
            seen = []
            while len(seen) < 10 or not low <= sorted(seen[-10:])[5] <= high:
                seen.append(opened.admission.limit.limit)
                await asyncio.sleep(0.1)

        crowd = asyncio.gather(*(busy() for _ in range(64)))
        async with asyncio.timeout(15):
            await settles(9, 17)
        bearing.capacity = 40
        async with bearing.free:
            bearing.free.notify_all()
        async with asyncio.timeout(15):
            await settles(28, 60)
        over.set()
        await crowd
        await opened.close()


async def test_a_sick_address_is_left_out_and_never_more_than_half():
    async with (
        department(holds_all()) as well,
        department(says({}, status=500)) as sick,
        department(holds_all()) as third,
    ):
        opened = line(well.port, sick.port, third.port)
        for _ in range(30):
            await asked(opened, people(3))
        before = len(sick.asked)
        answers = await asked(opened, people(16))
        assert Counter(answer.kind for answer in answers) == {"ok": 16}
        assert len(sick.asked) == before
        assert opened.health()["addresses_out"] == 1
        assert len(well.asked) > 20
        assert len(third.asked) > 20
        await opened.close()
    async with department(says({}, status=500)) as one, department(says({}, status=500)) as two:
        opened = line(one.port, two.port)
        opened.breakers = {key: Never() for key in opened.breakers}
        for _ in range(20):
            await asked(opened, people(2))
        assert opened.health()["addresses_out"] == 1
        await opened.close()


async def test_a_refused_address_is_tried_at_another():
    async with department(holds_all()) as served:
        opened = line(9, served.port)  # nobody listens on discard
        answers = await asked(opened, people(6))
        assert [answer.kind for answer in answers] == ["ok"] * 6
        await opened.close()


async def test_the_same_question_about_the_same_person_is_asked_once_and_about_another_again():
    async with department(holds_all(0.1)) as served:
        lines = {"one": line(served.port)}
        ana, ben = people(2)
        loop = asyncio.get_running_loop()
        done = await asyncio.gather(*(gather(lines, ASK, who, deadline=loop.time() + 1) for who in [ana] * 20 + [ben]))
        assert len(served.asked) == 2
        assert [g.parts[0].data["answer"] for g in done] == ["0000"] * 20 + ["0001"]
        await lines["one"].close()


async def test_one_of_those_who_share_a_question_may_leave_without_taking_it_from_the_others():
    async with department(holds_all(0.4)) as served:
        lines = {"one": line(served.port)}
        (ana,) = people(1)
        loop = asyncio.get_running_loop()
        short = gather(lines, ASK, ana, deadline=loop.time() + 0.1)
        long = gather(lines, ASK, ana, deadline=loop.time() + 1)
        early, late = await asyncio.gather(short, long)
        assert (early.parts[0].state, late.parts[0].state) == ("unavailable", "ok")
        assert len(served.asked) == 1
        await lines["one"].close()


async def test_an_answer_is_given_again_only_as_long_as_the_manifest_says_and_only_to_its_person():
    async with department(holds_all()) as served:
        lines = {"one": line(served.port, query="cache_s = 0.3")}
        ana, ben = people(2)
        loop = asyncio.get_running_loop()
        for who, asked_so_far in ((ana, 1), (ana, 1), (ben, 2), (ana, 2)):
            part = (await gather(lines, ASK, who, deadline=loop.time() + 1)).parts[0]
            assert (part.state, len(served.asked)) == ("ok", asked_so_far)
            assert part.data["answer"] == who.number[-4:]
        await asyncio.sleep(0.35)
        await gather(lines, ASK, ana, deadline=loop.time() + 1)
        assert len(served.asked) == 3
        await lines["one"].close()


async def test_an_old_answer_stands_in_while_the_department_is_down_and_says_so():
    async with department(holds_all()) as served:
        lines = {"one": line(served.port, query="stale_s = 60")}
        ana, ben = people(2)
        loop = asyncio.get_running_loop()
        await gather(lines, ASK, ana, deadline=loop.time() + 1)
        served.behaviour = says({}, status=500)
        part = (await gather(lines, ASK, ana, deadline=loop.time() + 1)).parts[0]
        assert (part.state, part.data["answer"]) == ("stale", "0000")
        assert part.age_s is not None
        assert (await gather(lines, ASK, ben, deadline=loop.time() + 1)).parts[0].state == "unavailable"
        served.behaviour = says({}, after_s=5)
        part = (await gather(lines, ASK, ana, deadline=loop.time() + 0.2)).parts[0]
        assert part.state == "stale"
        await lines["one"].close()


async def test_a_department_that_hangs_holds_no_more_calls_than_its_limit_and_heals_within_ten_seconds():
    async with department(says({}, after_s=60)) as served:
        opened = line(served.port, concurrency=32)
        most = 0
        for _ in range(6):
            crowd = asyncio.ensure_future(asked(opened, people(60), timeout_s=0.3))
            await asyncio.sleep(0.1)
            most = max(most, opened.admission.busy)
            await crowd
        assert most <= 32
        assert opened.admission.limit.limit <= 32
        assert opened.admission.limit.limit >= min(FLOOR, 32)
        assert opened.breaker("query").state == "open"
        served.behaviour = holds_all()
        loop = asyncio.get_running_loop()
        healed = loop.time()
        while loop.time() < healed + 10:
            outcomes = await asked(opened, people(8), timeout_s=0.5)
            if all(not isinstance(outcome, Exception) for outcome in outcomes):
                break
            await asyncio.sleep(0.2)
        assert opened.breaker("query").state == "closed"
        await opened.close()


async def test_a_defect_of_ours_ends_its_call_and_gives_the_place_back():
    async with department(holds_all()) as served:
        opened = line(served.port, concurrency=1)

        def broken(*_):
            raise RecursionError

        good, opened.operations["query"].answer = opened.operations["query"].answer, broken
        [outcome] = await asked(opened, people(1))
        assert (outcome.kind, outcome.reason) == ("bad_reply", "RecursionError")
        opened.operations["query"].answer = good
        [outcome] = await asked(opened, people(1))
        assert outcome.kind == "ok"
        opened.credentials.ready, opened.credentials.prepare = False, broken
        [outcome] = await asked(opened, people(1))
        assert outcome.kind == "unmappable"
        assert opened.admission.busy == 0
        await opened.close()


async def test_a_caller_in_a_hurry_cannot_open_the_breaker_for_others():
    async with department(holds_all(0.15)) as served:
        lines = {"one": line(served.port, concurrency=64)}
        loop = asyncio.get_running_loop()
        heard = []
        for person in people(30):
            await gather(lines, ASK, person, deadline=loop.time() + 0.01, on_late=heard.append)
        await asyncio.sleep(1.0)
        assert [part.state for part in heard] == ["ok"] * 30
        assert lines["one"].breaker("query").state == "closed"
        assert lines["one"].breaker("query").failed_in_row == 0
        await lines["one"].close()


async def test_who_waited_too_long_lets_those_go_first_whose_answer_is_still_wanted():
    async with department(holds_all(0.2)) as served:
        lines = {"one": line(served.port, concurrency=1)}
        loop = asyncio.get_running_loop()
        heard, (first, late, fresh) = [], people(3)

        async def ask(who, budget_s):
            return await gather(lines, ASK, who, deadline=loop.time() + budget_s, on_late=heard.append)

        busy = asyncio.create_task(ask(first, 1.0))
        await asyncio.sleep(0.01)
        assert (await ask(late, 0.1)).parts[0].state == "pending"
        assert (await ask(fresh, 0.5)).parts[0].state == "ok"
        await busy
        await asyncio.sleep(0.25)
        assert [part.data["answer"] for part in heard] == [late.number[-4:]]
        assert [json.loads(body)["id_number"] for _, _, body in served.asked] == [
            first.number, fresh.number, late.number,
        ]  # fmt: skip
        await lines["one"].close()


async def test_calls_that_wait_are_not_sent_after_the_breaker_has_opened():
    async with department(says({}, after_s=60)) as served:
        opened = line(served.port, concurrency=8)
        crowd = asyncio.ensure_future(asked(opened, people(8), timeout_s=0.4))
        await asyncio.sleep(0.01)
        waiting = asyncio.ensure_future(asked(opened, people(20)[8:], timeout_s=1))
        await crowd
        outcomes = await waiting
        assert opened.breaker("query").state == "open"
        kinds = Counter(outcome.kind for outcome in outcomes)
        assert kinds["paused"] >= 7
        assert len(served.asked) <= 8 + 5, "only those that got a place before the fifth failure"
        await opened.close()


async def test_a_call_that_waits_is_no_word_about_the_department_when_its_caller_leaves():
    async with department(holds_all(0.5)) as served:
        opened = line(served.port, concurrency=1)
        heard = []
        loop = asyncio.get_running_loop()
        first, second = people(2)
        calls = [
            opened.start("query", values(who), loop.time() + 2, lambda _, o: heard.append(o), who.number)
            for who in (first, second)
        ]
        assert [isinstance(call, Call) and call.waits for call in calls] == [False, True]
        calls[1].cancel()
        await asyncio.sleep(0.6)
        assert [getattr(o, "kind", None) for o in heard] == ["full", "ok"]
        assert opened.admission.busy == opened.admission.waiting == 0
        assert opened.breaker("query").failed_in_row == 0
        await opened.close()


async def test_in_a_full_line_a_question_of_the_counter_goes_before_those_of_citizens_and_of_bulk_work():
    free = asyncio.Event()
    answer = holds_all()

    async def held(path, headers, body):
        await free.wait()
        return await answer(path, headers, body)

    async def waiting(count):
        async with asyncio.timeout(20):
            while opened.admission.waiting < count:  # noqa: ASYNC110 - a line tells nobody who waits
                await asyncio.sleep(0.005)

    *citizens, bulk, clerk = people(5)
    async with department(held) as served:
        opened = line(served.port, concurrency=1)

        def start(person, lane):
            until = opened.loop.time() + 30
            return asyncio.ensure_future(gather({"one": opened}, ASK, person, deadline=until, lane=lane))

        asking = []
        lanes = [(bulk, "batch"), *((who, "citizen") for who in citizens), (clerk, "window")]
        asking.append(start(citizens.pop(), "citizen"))  # has the only place
        lanes.pop(3)
        for nth, (person, lane) in enumerate(lanes):
            await waiting(nth)
            asking.append(start(person, lane))
        await waiting(4)
        free.set()
        gathered = await asyncio.gather(*asking)
        assert [one.parts[0].state for one in gathered] == ["ok"] * 5
        asked_of = [json.loads(body)["id_number"] for _, _, body in served.asked]
        assert asked_of[1:] == [who.number for who in (clerk, *citizens, bulk)]
        await opened.close()
