"""Answers that come later: by callback, by asking, first, twice, out of order, never."""

import asyncio
import json
from datetime import timedelta

import msgspec
import pytest
from structlog.testing import capture_logs

from onestop import clock
from onestop.gateway import effect_verdicts, effects, store
from onestop.gateway.errors import CallbackNotGenuine, CallbackUnknown, CallbackUnreadable
from tests.gateway.work import OPERATION, REGION, Work, at_work, manifest, served, state_of, until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def empty(pool):
    await pool.execute("TRUNCATE effects, callbacks_seen")
    with capture_logs():  # to show a traceback well takes a second
        yield


class Says:
    """A department that says what it is told to, and counts."""

    def __init__(self, **apply):
        self.apply = {"number": "N1", "status": "wait", **apply}
        self.later = {"number": "N1", "status": "wait"}
        self.find = {"number": None}
        self.code = 200
        self.asked = []

    async def __call__(self, path, _headers, body):
        key = json.loads(body)["key"]
        self.asked.append(path)
        told = {"/apply": self.apply, "/status": self.later, "/find": self.find}[path]
        if told is None:
            return None
        return self.code, json.dumps({"key": key, **told}).encode()

    def count(self, path):
        return self.asked.count(path)


async def settled(work, key, patience_s=5.0):
    async def look():
        return work.of(key)

    return await until(look, patience_s)


# ---- refusals ------------------------------------------------------------------------------------------------------


async def test_a_callback_with_another_secret_changes_nothing(pool, keys, monkeypatch):
    async with served(pool, keys, Says(), monkeypatch, answer="callback") as (work, _):
        await work.intend("c1")
        await settled(work, "c1")
        with pytest.raises(CallbackNotGenuine):
            await work.call_back({"key": "c1", "status": "ok", "number": "N1"}, secret="somebody-elses")
        assert await state_of(work, "c1") == ("done", "awaited")


async def test_a_callback_about_nothing_of_ours_is_told_apart_from_one_that_cannot_be_read(pool, keys, monkeypatch):
    async with served(pool, keys, Says(), monkeypatch, answer="callback") as (work, _):
        with pytest.raises(CallbackUnknown):
            await work.call_back({"key": "nobody", "status": "ok", "number": "N1"})
        with pytest.raises(CallbackUnreadable):
            await work.call_back({"key": "c1", "status": "perhaps", "number": "N1"})


# ---- callbacks -----------------------------------------------------------------------------------------------------


async def test_a_callback_that_comes_before_our_own_call_has_ended_stands(pool, keys, monkeypatch):
    says = Says()
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(path, headers, body):
        arrived.set()
        await go_on.wait()
        return await says(path, headers, body)

    async with served(pool, keys, slow, monkeypatch, answer="callback") as (work, _):
        await work.intend("c2")
        await arrived.wait()
        assert (await state_of(work, "c2"))[0] == "sent"
        assert await work.call_back({"key": "c2", "status": "ok", "number": "N1"})
        go_on.set()
        await asyncio.sleep(0.3)
        assert work.of("c2") == ["completed"], "the late 'received' of our own call is not told any more"
        assert await state_of(work, "c2") == ("done", "received")


async def test_the_same_answer_twice_and_another_one_afterwards_change_nothing(pool, keys, monkeypatch):
    async with served(pool, keys, Says(), monkeypatch, answer="callback") as (work, _):
        await work.intend("c3")
        await settled(work, "c3")
        told = {"key": "c3", "status": "ok", "number": "N1"}
        assert await work.call_back(told, nonce="nonce-of-c3")
        assert not await work.call_back(told, nonce="nonce-of-c3"), "replayed"
        assert not await work.call_back(told), "said again"
        assert not await work.call_back({**told, "status": "no"}), "out of order"
        assert work.of("c3") == ["pending", "completed"]
        assert await state_of(work, "c3") == ("done", "received")


async def test_a_department_may_say_later_that_it_takes_longer(pool, keys, monkeypatch):
    async with served(pool, keys, Says(), monkeypatch, answer="callback") as (work, _):
        await work.intend("c4")
        await settled(work, "c4")
        assert await work.call_back({"key": "c4", "status": "longer"})
        assert not await work.call_back({"key": "c4", "status": "longer"})
        assert await work.call_back({"key": "c4", "status": "ok", "number": "N1"})
        assert work.of("c4") == ["pending", "extended", "completed"]


async def test_a_callback_settles_what_was_unknown_and_what_is_at_a_desk(pool, keys, monkeypatch):
    says = Says()
    says.apply = None  # cut off
    async with served(pool, keys, says, monkeypatch, answer="callback", idempotent="none") as (work, _):
        await work.intend("c5")
        await settled(work, "c5")
        assert work.of("c5") == ["desk"]
        assert await work.call_back({"key": "c5", "status": "ok", "number": "N1"})
        assert work.of("c5") == ["desk", "completed"]
        assert await state_of(work, "c5") == ("done", "received")


# ---- asked after ---------------------------------------------------------------------------------------------------


async def test_an_answer_that_never_comes_is_a_persons_work_in_the_end(pool, keys, monkeypatch):
    async with served(pool, keys, Says(), monkeypatch, answer="callback", more="answer_within_s = 3600") as (work, _):
        await work.intend("p1")
        await settled(work, "p1")
        due = await pool.fetchval("SELECT extract(epoch FROM next_at - now()) FROM effects WHERE key = 'p1'")
        assert 3500 < due <= 3600, "nobody can be asked, so nobody looks before"
        await work.age("p1", 2, sent=True)
        await until(lambda: asyncio.sleep(0, "desk" in work.of("p1")))
        problem = await pool.fetchval("SELECT problem FROM effects WHERE key = 'p1'")
        assert problem["code"] == "upstream.no_answer"


async def test_polling_ends_when_its_time_is_over(pool, keys, monkeypatch):
    says = Says()
    poll = "first_s = 0.05, every_s = 0.05, for_s = 100.0"
    async with served(pool, keys, says, monkeypatch, answer="poll", poll=poll) as (work, _):
        await work.intend("p2")
        await until(lambda: asyncio.sleep(0, says.count("/status") >= 3))
        await work.age("p2", 1, sent=True)
        await until(lambda: asyncio.sleep(0, "desk" in work.of("p2")))


async def test_the_departments_own_word_on_when_to_look_is_kept_to(pool, keys, monkeypatch):
    says = Says(later=500)
    poll = "first_s = 0.05, every_s = 0.05"
    async with served(pool, keys, says, monkeypatch, answer="poll", poll=poll) as (work, _):
        await work.intend("p3")
        await settled(work, "p3")
        due = await pool.fetchval("SELECT extract(epoch FROM next_at - now()) FROM effects WHERE key = 'p3'")
        assert 490 < due <= 500
        assert says.count("/status") == 0


@pytest.mark.parametrize("told", ["2999-01-01T00:00:00+08:00", "never", "", None, "1e9", -5, True, []])
async def test_no_word_on_when_to_look_breaks_the_look(told):
    prepared = Work(None, None, [manifest()]).gateway.operation("dep", "apply")

    class Heard:
        later = told

    assert 1.0 <= effect_verdicts.first_look_s(prepared, Heard()) <= prepared.spec.answer_within_s


async def test_a_look_up_that_says_pending_makes_an_unknown_one_awaited(pool, keys, monkeypatch):
    says = Says()
    says.apply = None
    says.find = {"number": "N9", "status": "wait"}
    async with served(pool, keys, says, monkeypatch, answer="callback", idempotent="lookup") as (work, _):
        await work.intend("l1")
        await settled(work, "l1")
        assert work.of("l1") == ["pending"]
        assert await state_of(work, "l1") == ("done", "awaited")
        assert says.count("/apply") == 1
        says.find = {"number": "N9", "status": "ok"}
        await work.due("l1")
        await until(lambda: asyncio.sleep(0, work.of("l1") == ["pending", "completed"]))


# ---- back-off ------------------------------------------------------------------------------------------------------


async def test_what_could_not_be_sent_for_seventy_two_hours_is_a_persons_work(pool, keys, monkeypatch):
    says = Says()
    says.code = 429
    async with served(pool, keys, says, monkeypatch) as (work, _):
        await work.intend("b1")
        await until(lambda: asyncio.sleep(0, says.count("/apply") >= 2))
        await work.age("b1", 73)
        await until(lambda: asyncio.sleep(0, work.of("b1") == ["desk"]))
        assert (await work.row("b1"))["problem"]["code"] == "upstream.gave_up"


async def test_retry_after_is_kept_to_also_where_the_outcome_is_unknown(pool, keys, monkeypatch):
    async with served(pool, keys, Says(), monkeypatch) as (work, there):
        there.headers = b"Retry-After: 900\r\n"
        there.behaviour = says_down
        await work.intend("b2")

        async def postponed():
            return (await work.row("b2"))["state"] == "unknown"

        await until(postponed)
        due = await pool.fetchval("SELECT extract(epoch FROM next_at - now()) FROM effects WHERE key = 'b2'")
        assert 890 < due <= 900


async def test_who_is_not_let_in_waits_for_minutes_and_the_owner_is_told_at_once_and_once(pool, keys, monkeypatch):
    async def refuses(_path, _headers, _body):
        return 401, b"{}"

    async with served(pool, keys, refuses, monkeypatch) as (work, _):
        await pool.execute("DELETE FROM adapter_notices WHERE adapter = 'dep'")
        for key in ("d1", "d2"):
            await work.intend(key)

        async def postponed():
            rows = [await work.row(key) for key in ("d1", "d2")]
            return all(row["problem"] and row["worker"] is None for row in rows)

        await until(postponed)
        due = await pool.fetch("SELECT extract(epoch FROM next_at - now()) AS s FROM effects WHERE key IN ('d1', 'd2')")
        assert all(200 < row["s"] <= 300 for row in due)
        told = await pool.fetch("SELECT kind, params FROM adapter_notices WHERE adapter = 'dep'")
        assert [row["kind"] for row in told] == ["refused_us"]


async def test_who_asks_for_a_later_answer_and_is_not_let_in_asks_minutes_apart_too(pool, keys, monkeypatch):
    asked = []

    async def refuses_status(path, _headers, _body):
        if path == "/status":
            asked.append(path)
            return 403, b"{}"
        return 200, json.dumps({"number": "N1", "status": "wait"}).encode()

    polls = "first_s = 0.05, every_s = 0.05"
    async with served(pool, keys, refuses_status, monkeypatch, answer="poll", poll=polls) as (work, _):
        await work.intend("d3")
        await until(lambda: asyncio.sleep(0, asked))

        async def postponed():
            return (await work.row("d3"))["worker"] is None

        await until(postponed)
        due = await pool.fetchval("SELECT extract(epoch FROM next_at - now()) FROM effects WHERE key = 'd3'")
        assert due > 200


async def test_in_seventy_two_hours_wrong_credentials_make_at_most_a_hundred_and_ten_calls():
    attempts, passed = 0, 0.0
    while passed < effect_verdicts.GIVE_UP_S:
        attempts += 1
        waited = effect_verdicts.denied_s(attempts)
        assert 225 <= waited <= 3600
        passed += waited
    assert attempts <= 110


async def says_down(_path, _headers, _body):
    return 503, b"{}"


@pytest.mark.parametrize("days", [-4, 4])
async def test_a_worker_whose_clock_is_days_off_gives_nothing_up_and_waits_no_longer(pool, keys, monkeypatch, days):
    real = clock.real_now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(days=days))
    monkeypatch.setattr(clock, "real_now", lambda: real() + timedelta(days=days))
    says = Says()
    says.code = 503
    async with served(pool, keys, says, monkeypatch) as (work, _):
        await work.intend("t1")
        await until(lambda: asyncio.sleep(0, says.count("/apply") >= 3))
        assert work.of("t1") == []
        says.code, says.apply = 200, {"number": "N1", "status": "wait"}
        await settled(work, "t1")
        due = await pool.fetchval("SELECT extract(epoch FROM next_at - now()) FROM effects WHERE key = 't1'")
        assert 0 < due <= 30 * 86_400


# ---- poison, fairness, fencing -------------------------------------------------------------------------------------


async def test_what_fails_five_times_is_set_aside_with_its_cause_and_the_others_go_on(pool, keys, monkeypatch):
    async with served(pool, keys, Says(status="ok"), monkeypatch) as (work, _):
        work.fail["bad"] = 5  # five times at the answer; the sixth telling is that it is set aside
        await work.intend("bad")
        for nth in range(20):
            await work.intend(f"good-{nth}")
        await until(lambda: asyncio.sleep(0, len(work.heard) >= 21))
    row = await work.row("bad")
    assert work.of("bad") == ["desk"]
    assert (row["state"], row["problem"]) == ("desk", {"code": "effect.poison", "cause": "RuntimeError"})
    assert all(work.of(f"good-{nth}") == ["completed"] for nth in range(20))


async def test_what_not_even_its_case_can_be_told_is_set_aside_all_the_same(pool, keys, monkeypatch):
    async with served(pool, keys, Says(status="ok"), monkeypatch) as (work, _):
        work.fail["worse"] = 99
        await work.intend("worse")

        async def aside():
            return (await work.row("worse"))["state"] == "desk"

        await until(aside)
    assert work.of("worse") == []


async def test_a_departments_backlog_does_not_stand_before_anothers_effect(pool, keys, monkeypatch):
    monkeypatch.setattr(effect_verdicts, "backoff_s", lambda attempt: 0.05)
    room = {"dep": 4, "other": 4}
    work = Work(pool, keys, [manifest(), manifest("other")])
    for nth in range(30):
        await work.intend(f"q{nth}")
    await work.intend("one", adapter="other")
    taken = await store.claim_due(pool, REGION, "w-1", 15.0, room, 8)
    assert sorted(one.adapter for one in taken) == ["dep"] * 4 + ["other"]


async def test_effects_of_an_adapter_that_is_gone_go_to_a_person(pool, keys, monkeypatch):
    work = Work(pool, keys, [manifest(), manifest("other")])
    await work.intend("gone", adapter="other")
    del work.gateway.manifests["other"]
    async with at_work(work):
        await until(lambda: asyncio.sleep(0, work.of("gone") == ["desk"]))


@pytest.mark.parametrize(("state", "asked"), [("sent", 0), ("unknown", 1)])
async def test_a_call_that_was_cut_off_is_not_looked_for_before_it_is_settled(pool, keys, monkeypatch, state, asked):
    settling = {"idempotent": "lookup", "more": "settles_s = 600"}
    says = Says(status="ok")
    async with served(pool, keys, says, monkeypatch, workers=0, **settling) as (work, there):
        await work.intend("z1")
        (effect,) = await store.claim_due(pool, REGION, "w-2", 60.0, {"dep": 1}, 1)
        worker = work.worker()
        worker.worker = "w-2"
        await worker._work_on(msgspec.structs.replace(effect, state=state))
        assert sum(path == "/find" for path, _, _ in there.asked) == asked
        row = await work.row("z1")
        assert row["state"] == ("unknown" if state == "sent" else "done")
        assert row["next_at"] is None or row["next_at"] > clock.real_now() + timedelta(seconds=500)


async def test_a_worker_that_stood_still_neither_sends_nor_writes(pool, keys, monkeypatch):
    """The mark took longer than a third of the lease: somebody else may be finding out already."""
    monkeypatch.setattr(effects, "LEASE_S", 0.3)
    says = Says(status="ok")
    mark = store.mark_sent

    async def frozen(db, effect, worker, lease_s, version):
        held = await mark(db, effect, worker, lease_s, version)
        await asyncio.sleep(0.5 if says.asked == [] and not frozen.thawed else 0)
        frozen.thawed = True
        return held

    frozen.thawed = False
    async with served(pool, keys, says, monkeypatch, idempotent="lookup") as (work, _):
        monkeypatch.setattr(effects.store, "mark_sent", frozen)
        await work.intend("z1")
        await settled(work, "z1")
        assert says.asked[0] == "/find", "whoever took it up asked before sending"
        assert says.count("/apply") == 1


async def test_progress_is_kept_by_the_holder_of_the_lease_alone(pool, keys):
    work = Work(pool, keys, [manifest()])
    await work.intend("s1")
    (effect,) = await store.claim_due(pool, REGION, "w-1", 15.0, {"dep": 1}, 1)
    assert not await store.save_progress(pool, effect, "w-2", b"theirs")
    assert await store.save_progress(pool, effect, "w-1", b"sealed")
    await pool.execute("UPDATE effects SET lease_until = now() - interval '1 s', next_at = now() WHERE key = 's1'")
    (again,) = await store.claim_due(pool, REGION, "w-2", 15.0, {"dep": 1}, 1)
    assert again.progress == b"sealed"
    assert not await store.save_progress(pool, effect, "w-1", b"late")


async def test_a_cancellation_is_an_effect_of_its_own(pool, keys, monkeypatch):
    asked = []

    async def behave(path, _headers, body):
        asked.append((path, json.loads(body)))
        return 200, json.dumps({"number": "N1", "status": "ok"}).encode()

    cancel = OPERATION.format(id="cancel_apply", kind="cancel", idempotent="key", more="").replace(
        '{ key = "key", name = "payload.name" }', '{ key = "key", of = "payload.key", number = "reference" }'
    )
    async with served(pool, keys, behave, monkeypatch, extra=(cancel,)) as (work, _):
        await work.intend("k-cancel", operation="cancel_apply", payload={"key": "k", "reference": "N1"})
        await until(lambda: asyncio.sleep(0, work.of("k-cancel") == ["completed"]))
    assert asked == [("/cancel_apply", {"key": "k-cancel", "of": "k", "number": "N1"})]
