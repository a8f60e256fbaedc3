"""Submissions of several calls: exactly one of each effect, whatever is cut or killed in between."""

import asyncio
import json
from contextlib import asynccontextmanager

import msgspec
import pytest

from onestop.gateway import effect_verdicts, effects, store, store_pull
from onestop.gateway.effect_steps import Progress, StepByStep
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import parse
from onestop.gateway.operations import Answer, prepare
from onestop.outbound.addresses import AllowList
from tests.gateway.department import department
from tests.gateway.work import CODES, HEAD, Work, at_work, until

pytestmark = pytest.mark.anyio

STEPS = """
[[operations]]
id = "apply"
kind = "submit"
title = {{ zh = "办", en = "Do" }}
purpose = {{ zh = "办事", en = "To serve" }}
basis = {{ zh = "测试", en = "Test" }}
idempotent = "{kind}"
total_s = 0.4
reply.reference = "steps.open.url"
reply.fields = {{ person = "steps.find.id", url = "steps.open.url", status = "steps.status.state" }}

[[operations.steps]]
id = "find"
method = "GET"
path = "/persons"
request_codec = "none"
idempotent = "safe"
request.query = {{ name = "payload.name" }}
save = {{ id = "id" }}

[[operations.steps]]
id = "open"
path = "/cases"
idempotent = "{kind}"
request.body = {{ mark = "step_key", person = "steps.find.id" }}
save = {{ url = "url" }}
errors = [{{ status = 409, outcome = "declined", reason = "says" }}]
{lookup_open}

[[operations.steps]]
id = "role"
path = "/roles"
idempotent = "{kind}"
skip_when = "payload.no_role"
request.body = {{ mark = "step_key", case = "steps.open.url" }}
save = {{ url = "url" }}
errors = [{{ status = 409, outcome = "declined", reason = "says" }}]
{lookup_role}

[[operations.steps]]
id = "status"
path = "/statuses"
idempotent = "{kind}"
request.body = {{ mark = "step_key", case = "steps.open.url", role = "steps.role.url" }}
save = {{ url = "url", state = "status" }}
save_headers = {{ version = "X-Version" }}
{lookup_status}
"""
LOOKUP = (
    'lookup = {{ path = "/{what}", request = {{ query = {{ mark = "step_key" }} }}, found = "url", '
    'save = {{ url = "url"{more} }}, errors = [{{ status = 404, outcome = "not_found" }}] }}'
)
# What a register tells when it is asked is of another shape than what it answers a writer.
FOUND_STATE = ', state = "record.0.condition", version = "record.0.version"'
KINDS = ("cases", "roles", "statuses")


def manifest(kind, changed=lambda text: text):
    more = {"open": "", "role": "", "status": FOUND_STATE}
    finds = {
        f"lookup_{step}": LOOKUP.format(what=what, more=more[step]) if kind == "lookup" else ""
        for step, what in zip(more, KINDS, strict=True)
    }
    text = HEAD.format(id="dep", code=CODES["dep"], tables="") + STEPS.format(kind=kind, **finds)
    return parse(changed(text).encode())


class Registers:
    """Three registers with a ledger; one call is cut before or after its effect, or refused."""

    def __init__(self, *, by_key=True):
        self.ledger = {kind: [] for kind in KINDS}
        self.by_key, self.cut, self.refuse, self.finds = by_key, None, None, 0
        self.when_cut = asyncio.Event()

    async def __call__(self, path, headers, body):
        kind = path.partition("?")[0].strip("/")
        if kind == "persons":
            self.finds += 1
            return 200, b'{"id": "p-1"}'
        if "mark=" in path:
            mark = path.partition("mark=")[2]
            found = [made for made in self.ledger[kind] if made == mark]
            told = {"url": f"/{kind}/{mark}", "record": [{"condition": "open", "version": "7"}]}
            return (200, json.dumps(told).encode()) if found else (404, b"{}")
        told = json.loads(body)
        if self.refuse == kind:
            return 409, json.dumps({"says": "not open"}).encode()
        if self.cut == (kind, "before"):
            return self._lost()
        if not (self.by_key and told["mark"] in self.ledger[kind]):
            self.ledger[kind].append(told["mark"])
        if self.cut == (kind, "after"):
            return self._lost()
        return 200, json.dumps({"url": f"/{kind}/{told['mark']}", "status": "open"}).encode()

    def _lost(self):
        self.cut = None
        self.when_cut.set()

    @property
    def counts(self):
        return [len(self.ledger[kind]) for kind in KINDS]


@asynccontextmanager
async def registers(pool, keys, kind, monkeypatch, *, told=None, changed=lambda text: text, **more):
    monkeypatch.setattr(effect_verdicts, "backoff_s", lambda _: 0.05)
    told = told or Registers(**more)
    async with department(told) as served:
        served.headers = b"X-Version: 7\r\n"
        line = Line(manifest(kind, changed), Where(f"http://127.0.0.1:{served.port}", {}), AllowList(["127.0.0.0/8"]))
        work = Work(pool, keys, [line.manifest], {"dep": line})
        told.served = served
        try:
            yield work, told
        finally:
            await line.close()
            await pool.execute("DELETE FROM effects")


async def settled(work, key, patience_s=8.0):
    async def is_settled():
        return (await work.row(key))["state"] in ("done", "refused", "desk")

    async with at_work(work):
        await until(is_settled, patience_s)
    return await work.row(key)


async def test_every_step_is_taken_once_and_the_answer_reads_what_all_saved(pool, keys, monkeypatch):
    async with registers(pool, keys, "key", monkeypatch) as (work, told):
        await work.intend("k1")
        row = await settled(work, "k1")
        assert (row["state"], row["reference"]) == ("done", "/cases/k1.open")
        assert told.counts == [1, 1, 1]
        assert work.of("k1") == ["completed"]


async def test_steps_at_one_address_are_each_sent_by_their_own_method(pool, keys, monkeypatch):
    class Held(Registers):
        async def __call__(self, path, headers, body):
            return await super().__call__(path if body else "/persons", headers, body)

    def at_one_address(text):  # the person is looked for where the case is then opened
        text = text.replace('path = "/persons"', 'path = "/cases"')
        return text.replace('request.query = { name = "payload.name" }\n', "")

    async with registers(pool, keys, "key", monkeypatch, told=Held(), changed=at_one_address) as (work, told):
        await work.intend("m1")
        assert (await settled(work, "m1"))["state"] == "done"
        await work.intend("m2")
        assert (await settled(work, "m2"))["state"] == "done"
        asked = [path for path, _, _ in told.served.asked]
        assert list(zip(told.served.methods, asked, strict=True)) == 2 * [
            ("GET", "/cases"), ("POST", "/cases"), ("POST", "/roles"), ("POST", "/statuses"),
        ]  # fmt: skip


async def test_a_step_whose_result_is_there_already_is_left_out(pool, keys, monkeypatch):
    async with registers(pool, keys, "key", monkeypatch) as (work, told):
        await work.intend("k2", payload={"name": "林", "no_role": "yes"})
        assert (await settled(work, "k2"))["state"] == "done"
        assert told.counts == [1, 0, 1]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", KINDS)
@pytest.mark.parametrize("kind", ["key", "lookup"])
async def test_a_cut_at_any_step_leaves_exactly_one_of_each(pool, keys, monkeypatch, kind, at, when):
    async with registers(pool, keys, kind, monkeypatch, by_key=kind == "key") as (work, told):
        told.cut = (at, when)
        await work.intend("c1")
        assert (await settled(work, "c1"))["state"] == "done"
        assert told.counts == [1, 1, 1]
        assert told.finds == 1, "it goes on where it stopped"
        assert work.of("c1") == ["completed"]


@pytest.mark.parametrize("cut", [None, "after"])
async def test_the_answer_is_the_same_whether_the_last_step_answered_or_was_found(pool, keys, monkeypatch, cut):
    def told_last(text):
        return text.replace('reply.reference = "steps.open.url"', 'reply.reference = "steps.status.url"').replace(
            "status = ", 'version = "steps.status.version", status = ', 1
        )

    told = Registers(by_key=False)
    told.cut = ("statuses", cut) if cut else None
    async with registers(pool, keys, "lookup", monkeypatch, told=told, changed=told_last) as (work, _):
        await work.intend("a1")
        row = await settled(work, "a1")
        assert (row["state"], row["reference"]) == ("done", "/statuses/a1.status")
        assert told.counts == [1, 1, 1]
        result = json.loads(keys.unseal(row["result"], f"effects.result.{row['id']}"))
        assert result == {"person": "p-1", "url": "/cases/a1.open", "status": "open", "version": "7"}


@pytest.mark.parametrize("at", KINDS)
async def test_another_worker_goes_on_where_a_killed_one_stopped(pool, keys, monkeypatch, at):
    monkeypatch.setattr(effects, "LEASE_S", 1.0)
    async with registers(pool, keys, "lookup", monkeypatch, by_key=False) as (work, told):
        told.cut = (at, "after")
        await work.intend("w1")
        (effect,) = await store.claim_due(pool, "990100", "w-dead", 0.5, {"dep": 1}, 1)
        dead = work.worker()
        dead.worker = "w-dead"
        running = asyncio.ensure_future(dead._work_on(effect))
        await told.when_cut.wait()
        running.cancel()
        assert (await settled(work, "w1"))["state"] == "done"
        assert told.counts == [1, 1, 1]


class Slow(Registers):
    """Takes its time, and writes into its ledger only when that is over."""

    def __init__(self, after_s, **more):
        super().__init__(**more)
        self.after_s, self.at_once, self.most_at_once = dict(zip(KINDS, after_s, strict=True)), 0, 0

    async def __call__(self, path, headers, body):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.after_s.get(path.strip("/"), 0))  # of a look-up none
        self.at_once -= 1
        return await super().__call__(path, headers, body)


async def test_slow_steps_outlast_the_hold_and_no_second_worker_takes_the_effect(pool, keys, monkeypatch):
    monkeypatch.setattr(effects, "_HOLD_S", 1.8)

    def patient(text):
        return text.replace("total_s = 0.4", "total_s = 1.4")

    told = Slow((0.7, 0.7, 1.1), by_key=False)  # each fits the hold; all of them take longer
    async with registers(pool, keys, "lookup", monkeypatch, told=told, changed=patient) as (work, _):
        await work.intend("o1")
        async with at_work(work):  # a second one beside the one that is waited for
            assert (await settled(work, "o1", 30.0))["state"] == "done"
        await until(lambda: asyncio.sleep(0, told.at_once == 0), 30.0)
        assert (told.counts, told.most_at_once) == ([1, 1, 1], 1)
        assert work.of("o1") == ["completed"]


async def test_a_worker_that_stood_still_takes_no_effect_that_it_has_under_way_a_second_time(pool, keys, monkeypatch):
    monkeypatch.setattr(effects, "LEASE_S", 2.5)

    def patient(text):
        return text.replace("total_s = 0.4", "total_s = 2.0")

    told = Slow((1.0, 0, 0), by_key=False)
    async with registers(pool, keys, "lookup", monkeypatch, told=told, changed=patient) as (work, _):
        await work.intend("u1")
        async with at_work(work):
            await until(lambda: asyncio.sleep(0, told.at_once == 1 and told.finds == 1), 30.0)
            await pool.execute("UPDATE effects SET lease_until = now(), next_at = now()")
            await until(lambda: asyncio.sleep(0, bool(work.of("u1"))), 30.0)
        await until(lambda: asyncio.sleep(0, told.at_once == 0), 30.0)
        assert (told.counts, told.most_at_once) == ([1, 1, 1], 1)
        assert work.of("u1") == ["completed"]


async def test_a_department_that_goes_on_after_we_stopped_waiting_is_looked_at_once_that_is_over(
    pool, keys, monkeypatch
):
    def settling(text):
        return text.replace("total_s = 0.4", "total_s = 0.4\nsettles_s = 1.5")

    told = Slow((0, 1.3, 0), by_key=False)  # the role is there most of a second after its call was given up
    async with registers(pool, keys, "lookup", monkeypatch, told=told, changed=settling) as (work, _):
        await work.intend("z1")
        assert (await settled(work, "z1", 30.0))["state"] == "done"
        await until(lambda: asyncio.sleep(0, told.at_once == 0), 30.0)  # what was sent twice would end later
        assert told.counts == [1, 1, 1]


@pytest.mark.parametrize(("state", "waits"), [("sent", True), ("unknown", False)])
async def test_what_a_killed_worker_left_is_not_looked_for_before_it_is_settled(pool, keys, monkeypatch, state, waits):
    def settling(text):
        return text.replace("total_s = 0.4", "total_s = 0.4\nsettles_s = 600")

    async with registers(pool, keys, "lookup", monkeypatch, by_key=False, changed=settling) as (work, told):
        await work.intend("y1")
        (effect,) = await store.claim_due(pool, "990100", "w-dead", 60.0, {"dep": 1}, 1)
        left = Progress(saved={"find": {"id": "p-1"}}, under_way="open")
        sealed = keys.seal(json.dumps(msgspec.to_builtins(left)).encode(), f"effects.progress.{effect.id}")
        await pool.execute("UPDATE effects SET state = $1, progress = $2, worker = 'w-2'", state, sealed)
        worker = work.worker()
        worker.worker = "w-2"
        await worker._work_on(msgspec.structs.replace(effect, state=state, progress=sealed))
        row = await work.row("y1")
        assert (row["state"], told.counts[0]) == (("unknown", 0) if waits else ("done", 1))


async def test_a_worker_that_is_stopped_begins_no_further_step_and_another_goes_on(pool, keys, monkeypatch):
    class Stopping(Registers):
        async def __call__(self, path, headers, body):
            if path == "/roles":
                leaving.stop()
            return await super().__call__(path, headers, body)

    told = Stopping(by_key=False)
    async with registers(pool, keys, "none", monkeypatch, told=told) as (work, _):
        leaving = work.worker()
        await work.intend("e1")
        await leaving.run()
        assert told.counts == [1, 1, 0]
        assert (await work.row("e1"))["state"] == "unknown"
        assert (await settled(work, "e1"))["state"] == "done"
        assert told.counts == [1, 1, 1]


@pytest.mark.parametrize(("fits", "asked", "state"), [(0, [], "intended"), (2, ["find", "open"], "unknown")])
async def test_a_step_whose_time_would_pass_the_hold_is_put_off_and_not_unclear(fits, asked, state):
    [prepared] = [one for one in prepare(manifest("none")).values() if one.steps]
    took, kept = [], []

    async def ask(only, name, values):
        took.append(name)
        answer = Answer("ok")
        answer.body = {"id": "p-1", "url": "/1"}
        return answer

    async def keep(progress):
        kept.append(progress)
        return True

    values = {"payload": {"name": "林"}, "key": "f1"}
    came = await StepByStep(prepared, values, Progress(), ask, keep, lambda _: len(took) < fits).go_on()
    assert (took, came.put_off, came.unclear, kept[-1].under_way) == (asked, True, False, None)
    assert effect_verdicts.judge_steps(prepared, came, None).state == state


async def test_a_404_that_nothing_declares_never_means_that_a_step_did_not_arrive(pool, keys, monkeypatch):
    def moved(text):  # the look-up goes to where no system of theirs answers any more
        return text.replace('lookup = { path = "/cases"', 'lookup = { path = "/moved"').replace(
            ', errors = [{ status = 404, outcome = "not_found" }]', ""
        )

    class Moved(Registers):
        async def __call__(self, path, headers, body):
            if path.startswith("/moved"):
                self.looked = getattr(self, "looked", 0) + 1
                return 404, b"<html>Not Found</html>"
            return await super().__call__(path, headers, body)

    async with registers(pool, keys, "lookup", monkeypatch, told=Moved(by_key=False), changed=moved) as (work, told):
        told.cut = ("cases", "after")
        await work.intend("g1")

        async def looked_thrice():
            return getattr(told, "looked", 0) >= 3

        async with at_work(work):
            await until(looked_thrice)
        assert told.counts == [1, 0, 0], "it was looked for again and never sent again"
        row = await work.pool.fetchrow("SELECT state FROM effects WHERE key = 'g1'")
        assert row["state"] in ("sent", "unknown", "desk")


async def test_an_unclear_step_that_nobody_can_look_up_goes_to_a_person_and_is_not_sent_again(pool, keys, monkeypatch):
    async with registers(pool, keys, "none", monkeypatch, by_key=False) as (work, told):
        told.cut = ("roles", "after")
        await work.intend("n1")
        row = await settled(work, "n1")
        assert row["state"] == "desk"
        assert told.counts == [1, 1, 0]
        assert work.of("n1") == ["desk"]


async def test_a_no_to_the_first_effect_is_a_refusal_and_to_a_later_one_a_persons_work(pool, keys, monkeypatch):
    async with registers(pool, keys, "key", monkeypatch) as (work, told):
        told.refuse = "cases"
        await work.intend("r1")
        assert (await settled(work, "r1"))["state"] == "refused"
        assert work.of("r1") == ["declined"]
        told.refuse = "roles"
        await work.intend("r2")
        row = await settled(work, "r2")
        assert row["state"] == "desk"
        assert row["problem"]["code"] == "upstream.half_done"
        assert "open" in row["problem"]["cause"]
        assert told.counts == [1, 0, 0]


async def test_what_was_saved_lies_sealed(pool, keys, monkeypatch):
    async with registers(pool, keys, "none", monkeypatch, by_key=False) as (work, told):
        told.cut = ("roles", "before")
        await work.intend("s1")
        row = await settled(work, "s1")
        assert row["progress"]
        assert b"cases" not in row["progress"]


async def test_a_step_that_saves_nothing_has_acted_all_the_same(pool, keys, monkeypatch):
    def silent(text):
        text = text.replace('save = { url = "url" }\n', "")
        for name in ("reply.reference", "url"):
            text = text.replace(f'{name} = "steps.open.url"', f'{name} = "steps.status.url"')
        return text.replace("steps.open.url", "payload.name").replace("steps.role.url", "payload.name")

    async with registers(pool, keys, "key", monkeypatch, changed=silent) as (work, told):
        told.refuse = "roles"
        await work.intend("q1")
        row = await settled(work, "q1")
        assert told.counts == [1, 0, 0]
        assert (row["state"], row["problem"]["code"]) == ("desk", "upstream.half_done")


async def test_what_the_last_step_said_outlives_a_handler_that_fails(pool, keys, monkeypatch):
    def told_last(text):
        outcome = 'reply.outcome = { path = "steps.status.state", map = { open = "completed" } }\nreply.fields ='
        return text.replace('reply.reference = "steps.open.url"', 'reply.reference = "steps.status.url"').replace(
            "reply.fields =", outcome, 1
        )

    async with registers(pool, keys, "none", monkeypatch, by_key=False, changed=told_last) as (work, told):
        work.fail["h1"] = 1
        await work.intend("h1")
        row = await settled(work, "h1")
        assert (row["state"], row["reference"]) == ("done", "/statuses/h1.status")
        assert work.of("h1") == ["completed"]
        assert told.counts == [1, 1, 1]


async def test_a_step_left_by_a_killed_worker_is_not_sent_again_until_a_person_vouches(pool, keys, monkeypatch):
    async with registers(pool, keys, "none", monkeypatch, by_key=False) as (work, told):
        told.cut = ("roles", "before")
        await work.intend("p1")
        (effect,) = await store.claim_due(pool, "990100", "w-dead", 0.3, {"dep": 1}, 1)
        dead = work.worker()
        dead.worker = "w-dead"
        running = asyncio.ensure_future(dead._work_on(effect))
        await told.when_cut.wait()
        running.cancel()
        await pool.execute("UPDATE effects SET lease_until = now(), next_at = now()")
        assert (await settled(work, "p1"))["state"] == "desk"
        assert told.counts == [1, 0, 0]
        async with pool.acquire() as db, db.transaction():
            held = await store.by_key_for_update(db, "990100", "dep", "p1")
            await store_pull.send_again(db, held, "intended")
        assert (await settled(work, "p1"))["state"] == "done"
        assert told.counts == [1, 1, 1]


async def test_a_look_up_answers_200_whatever_its_step_answers(pool, keys, monkeypatch):
    class Creates(Registers):
        async def __call__(self, path, headers, body):
            reply = await super().__call__(path, headers, body)
            created = reply and reply[0] == 200 and "?" not in path
            return (201, reply[1]) if created else reply

    def only_201(text):
        for path in KINDS:
            text = text.replace(f'path = "/{path}"\nidempotent', f'path = "/{path}"\naccept = [201]\nidempotent')
        return text

    told = Creates(by_key=False)
    told.cut = ("roles", "after")
    async with registers(pool, keys, "lookup", monkeypatch, told=told, changed=only_201) as (work, _):
        await work.intend("l1")
        assert (await settled(work, "l1"))["state"] == "done"
        assert told.counts == [1, 1, 1]
