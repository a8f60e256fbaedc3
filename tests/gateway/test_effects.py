import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from onestop.gateway import effect_verdicts, effects, store
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import parse
from onestop.gateway.models import NewEffect
from onestop.gateway.service import Gateway
from onestop.ids import new_id
from onestop.outbound.addresses import AllowList
from tests.gateway.department import department, manifest_text

pytestmark = pytest.mark.anyio
REGION = "990100"


class Books:
    """The department's own books: what it did, by our key."""

    def __init__(self):
        self.done = {}
        self.posts = 0
        self.drop = 0  # how many answers are lost after the effect
        self.status = "ok"
        self.refuse = None  # an HTTP status instead of the effect
        self.knows_keys = True

    async def behave(self, path, _headers, body):
        key = json.loads(body)["key"]
        if path == "/find":
            return 200, json.dumps({"number": self.done.get(key), "status": self.status}).encode()
        self.posts += 1
        if self.refuse:
            return self.refuse, b"{}"
        if not (self.knows_keys and key in self.done):
            assert key not in self.done, "the effect was doubled"
            self.done[key] = f"N{len(self.done) + 1}"
        if self.drop:
            self.drop -= 1
            return None
        return 200, json.dumps({"number": self.done[key], "status": self.status}).encode()


@pytest.fixture
def heard():
    return []


@asynccontextmanager
async def working(pool, keys, heard, books, idempotent, monkeypatch):
    """A department, its line, and a worker; yields what intends an effect."""
    monkeypatch.setattr(effect_verdicts, "backoff_s", lambda attempt: 0.05)
    async with department(books.behave) as served:
        manifest = parse(manifest_text("dep", idempotent=idempotent))
        line = Line(manifest, Where(f"http://127.0.0.1:{served.port}", {}), AllowList(["127.0.0.0/8"]))
        gateway = Gateway({"dep": manifest}, {"dep": line})

        async def handler(_db, effect, settled):
            heard.append((effect.key, settled.outcome, settled.reference))

        async def intend(key):
            new = NewEffect(
                id=new_id("eff"),
                case_id="case_x",
                step="s",
                adapter="dep",
                operation="apply",
                key=key,
                payload={"name": "林"},
            )
            async with pool.acquire() as db, db.transaction():
                await effects.intend(db, keys, gateway, REGION, [new])

        worker = effects.Dispatcher(pool, keys, gateway, REGION, handler)
        task = asyncio.create_task(worker.run())
        yield intend
        worker.stop()
        await task
        await gateway.close()


async def until(check, patience_s=5.0):
    end = asyncio.get_running_loop().time() + patience_s
    while not check():
        assert asyncio.get_running_loop().time() < end, "it never happened"
        await asyncio.sleep(0.02)


async def state_of(pool, key):
    effect = await store.by_key_for_update(pool, REGION, "dep", key)
    return effect.state


async def test_an_effect_is_sent_once_and_its_handler_hears_once(pool, keys, heard, monkeypatch):
    books = Books()
    async with working(pool, keys, heard, books, "key", monkeypatch) as intend:
        await intend("k1")
        await intend("k1")  # the same key again is the same effect
        await until(lambda: heard)
        await asyncio.sleep(0.5)
    assert heard == [("k1", "completed", "N1")]
    assert books.posts == 1
    assert await state_of(pool, "k1") == "done"


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(pool, keys, heard, monkeypatch):
    books = Books()
    books.drop = 2
    async with working(pool, keys, heard, books, "key", monkeypatch) as intend:
        await intend("k2")
        await until(lambda: heard)
    assert heard == [("k2", "completed", "N1")]
    assert len(books.done) == 1


async def test_where_keys_are_unknown_the_department_is_asked_before_anything_is_sent_again(
    pool, keys, heard, monkeypatch
):
    books = Books()
    books.drop, books.knows_keys = 1, False
    async with working(pool, keys, heard, books, "lookup", monkeypatch) as intend:
        await intend("k3")
        await until(lambda: heard)
    assert heard == [("k3", "completed", "N1")]
    assert books.posts == 1, "it was found, not sent again"


async def test_where_nothing_can_be_asked_a_person_finds_out(pool, keys, heard, monkeypatch):
    books = Books()
    books.drop, books.knows_keys = 1, False
    async with working(pool, keys, heard, books, "none", monkeypatch) as intend:
        await intend("k4")
        await until(lambda: heard)
    assert heard == [("k4", "desk", None)]
    assert books.posts == 1
    assert await state_of(pool, "k4") == "desk"


@pytest.mark.parametrize(
    ("said", "outcome", "state"), [("no", "declined", "refused"), ("fix", "correction", "refused")]
)
async def test_a_departments_no_is_final_and_told(pool, keys, heard, monkeypatch, said, outcome, state):
    books = Books()
    books.status = said
    async with working(pool, keys, heard, books, "key", monkeypatch) as intend:
        await intend(f"k5-{said}")
        await until(lambda: heard)
    assert heard[0][:2] == (f"k5-{said}", outcome)
    assert await state_of(pool, f"k5-{said}") == state


async def test_a_bad_request_is_a_definite_no_for_a_person(pool, keys, heard, monkeypatch):
    books = Books()
    books.refuse = 422
    async with working(pool, keys, heard, books, "key", monkeypatch) as intend:
        await intend("k6")
        await until(lambda: heard)
        await asyncio.sleep(0.4)
    assert heard == [("k6", "desk", None)]
    assert books.posts == 1


async def test_a_busy_department_is_asked_again_and_does_it_once(pool, keys, heard, monkeypatch):
    books = Books()
    books.refuse = 429
    async with working(pool, keys, heard, books, "none", monkeypatch) as intend:
        await intend("k7")
        await until(lambda: books.posts >= 2)
        books.refuse = None
        await until(lambda: heard)
    assert heard == [("k7", "completed", "N1")]


async def test_a_handler_that_fails_leaves_the_effect_to_be_looked_at_again(pool, keys, monkeypatch):
    books = Books()
    monkeypatch.setattr(effects, "LEASE_S", 0.4)

    class FailsOnce(list):
        def append(self, entry):
            if not getattr(self, "failed", False):
                self.failed = True
                raise RuntimeError("the first time")
            super().append(entry)

    heard = FailsOnce()
    async with working(pool, keys, heard, books, "key", monkeypatch) as intend:
        await intend("k8")
        await until(lambda: len(heard) == 1)
    assert heard == [("k8", "completed", "N1")]
    assert len(books.done) == 1


@pytest.mark.parametrize("attempt", [1, 7, 1023, 1024, 10_000])
def test_after_three_days_of_attempts_the_next_one_is_still_at_most_two_minutes_away(attempt):
    assert 0.2 <= effect_verdicts.backoff_s(attempt) <= min(2.0 ** min(attempt, 7), 120.0)


async def test_two_workers_do_not_take_the_same_effect(pool, keys, heard, monkeypatch):
    books = Books()
    async with (
        working(pool, keys, heard, books, "key", monkeypatch) as intend,
        working(pool, keys, heard, books, "key", monkeypatch),
    ):
        for i in range(40):
            await intend(f"many-{i}")
        await until(lambda: len(heard) >= 40, 10)
        await asyncio.sleep(0.3)
    assert sorted(key for key, _, _ in heard) == sorted(f"many-{i}" for i in range(40))


async def test_a_worker_that_lost_its_lease_writes_nothing(pool, keys, heard, monkeypatch):
    books = Books()
    async with working(pool, keys, heard, books, "key", monkeypatch) as intend:
        await intend("zombie")
        await until(lambda: heard)
    effect = await store.by_key_for_update(pool, REGION, "dep", "zombie")
    async with pool.acquire() as db:
        assert not await store.settle(db, effect, "w-other", "refused", "none", None, None, None, None)
    assert await state_of(pool, "zombie") == "done"
