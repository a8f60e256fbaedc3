"""Gateways follow the database while calls flow: two processes' worth of gateway, each in a loop of its own."""

import asyncio
import hmac
import json
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from onestop.db import open_pool
from onestop.gateway import callbacks, effect_verdicts, effects, store
from onestop.gateway.callback_rules import Envelope
from onestop.gateway.errors import CallbackNotGenuine
from onestop.gateway.fanout import Person, gather
from onestop.gateway.manifest import BadManifest
from onestop.gateway.models import Ask, NewEffect
from onestop.gateway.registry import Registry
from onestop.gateway.service import Gateway
from onestop.ids import new_id
from onestop.onboarding import service_terms
from onestop.onboarding.errors import ChecklistOpen
from onestop.onboarding.service import Life
from tests.gateway.department import department
from tests.onboarding.conftest import LIN, OFFICE, ONE, OPERATOR, TWO, ZHOU, Room, manifest

pytestmark = pytest.mark.anyio
FOLLOW_S = 5.0


class Serving:
    """One process: a pool, a gateway, its registry."""

    def __init__(self, gateway, registry, pool):
        self.gateway, self.registry, self.pool = gateway, registry, pool

    async def ask(self, number=LIN, want="one", budget_s=2.0):
        ask = self.gateway.wants.get(want) or Ask(want=want, adapter=want, operation="query")
        deadline = asyncio.get_running_loop().time() + budget_s
        found = await gather(
            self.gateway.lines_for(number), [ask], Person(number), deadline=deadline, admit=self.gateway.admit
        )
        return found.parts[0]

    async def follows(self, check, patience_s=FOLLOW_S):
        end = time.monotonic() + patience_s
        while not check(self.gateway):
            assert time.monotonic() < end, "it did not follow"
            await asyncio.sleep(0.02)


@asynccontextmanager
async def serving(dsn, keys, told):
    pool = await open_pool(dsn, size=4, name="onestop test gateway")
    gateway = Gateway.open(told)
    registry = Registry(gateway, pool, dsn, keys, told)
    await registry.start()
    try:
        yield Serving(gateway, registry, pool)
    finally:
        await registry.close()
        await gateway.close()
        await pool.close()


def answering(after_s=0.0):
    """Answer for whoever is asked about, saying which path was asked."""

    async def behave(path, _, body):
        if after_s:
            await asyncio.sleep(after_s)
        told = json.loads(body)
        said = {"data": {"id_number": told.get("id_number"), "as_of": "2026-03-02T08:00:00+08:00", "answer": path}}
        return 200, json.dumps({**said, "number": "N1", "status": "ok"}).encode()

    return behave


def second(version="2.0.0"):
    """Return a second version, which asks at another path."""
    return manifest("one", version).replace('path = "/query"', 'path = "/second"')


def serves(version):
    return lambda gateway: "one" in gateway.lines and gateway.lines["one"].manifest.version == version


@pytest.fixture
async def world(room, keys, told, dsn):
    """A department behind its live first version, and one gateway."""
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(answering()))
        await room.push(ONE, version="0.1.0")
        await room.place("one", f"http://127.0.0.1:{served.port}")
        await room.live()
        yield room, served, await stack.enter_async_context(serving(dsn, keys, told))


# ---- refusals: what goes wrong stays its own


async def test_it_closes_even_where_it_is_waked_in_the_same_moment(dsn, keys, told):
    for turns in range(4):  # between the waking and the end, the loop goes round so often
        async with asyncio.timeout(10), serving(dsn, keys, told) as other:
            await asyncio.sleep(0.1)
            other.registry.wake_all()
            for _ in range(turns):
                await asyncio.sleep(0)


async def test_what_cannot_be_loaded_is_not_connected_is_told_and_stops_nobody(world, keys, told, dsn):
    room, _, here = world
    (told.adapters_dir / "broken").mkdir()
    (told.adapters_dir / "broken/manifest.toml").write_text("manifest = 1\n")
    await room.push(TWO, manifest("two").replace("[limits]", '[auth]\nkind = "basic"\n[limits]'))
    await room.pool.execute("UPDATE adapter_versions SET state = 'live' WHERE adapter = 'two'")  # it never got there
    await room.place("two", "http://127.0.0.1:9")
    async with serving(dsn, keys, told) as other:
        assert set(other.gateway.lines) == {"one"}
        assert set(other.gateway.faults) == {"broken", "two"}
        assert (await other.ask()).state == "ok"
        assert (await other.ask(want="two")).problem.code == "upstream.not_connected"
    told_two = (await room.life.notices(TWO, "two", "en", limit=200)).data
    assert [notice.kind for notice in told_two].count("not_loaded") == 1
    assert (await here.ask()).state == "ok"


async def test_a_secret_that_cannot_be_used_does_not_take_the_working_line_away(world):
    room, _, here = world
    before = here.gateway.lines["one"]
    await room.pool.execute("UPDATE adapter_places SET url = 'nonsense' WHERE adapter = 'one'")
    await room.pool.execute("UPDATE registry_mark SET number = number + 1")
    await here.follows(lambda gateway: "one" in gateway.faults)
    assert here.gateway.lines["one"] is before
    assert (await here.ask()).state == "ok"


async def test_a_quarantined_adapter_is_not_asked_and_says_so(world):
    room, served, here = world
    await room.move(OPERATOR, ("one", "1.0.0"), "quarantine", why="leaks")
    await here.follows(lambda gateway: "one" in gateway.shown.stopped)
    asked = len(served.asked)
    part = await here.ask()
    assert (part.state, part.problem.code) == ("unavailable", "adapter.quarantined")
    assert len(served.asked) == asked
    await room.move(OFFICE, ("one", "1.0.0"), "release", why="mended")
    await here.follows(serves("1.0.0"))
    assert (await here.ask()).state == "ok"


# ---- the swap


async def test_promotion_and_return_under_load_fail_no_request_in_either_gateway(world, keys, told, dsn):
    """Fifty requests a second in all, through two gateways in two loops, while a version goes live and comes back."""
    room, _, here = world
    parts, stop, lags = [], threading.Event(), {}
    ready = threading.Event()

    async def load(one, name):
        seen = None
        while not stop.is_set():
            part = await one.ask()
            parts.append(part)
            if part.source.version != seen:
                seen = part.source.version
                lags.setdefault((name, seen), time.monotonic())
                lags[name, seen, "last"] = time.monotonic()
            await asyncio.sleep(0.04)

    def elsewhere():
        async def run():
            async with serving(dsn, keys, told) as other:
                ready.set()
                await load(other, "there")

        asyncio.run(run())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(ready.wait, 10)
    task = asyncio.create_task(load(here, "here"))
    await asyncio.sleep(0.4)
    await room.on_trial(second())
    promoted = time.monotonic()
    await room.move(ONE, ("one", "2.0.0"), "publish")
    await here.follows(serves("2.0.0"))
    await asyncio.sleep(1.0)
    returned = time.monotonic()
    await room.move(ONE, ("one", "2.0.0"), "return", why="answers are wrong")
    await here.follows(serves("1.0.0"))
    await asyncio.sleep(1.0)
    stop.set()
    await task
    await asyncio.to_thread(thread.join, 10)
    assert {part.state for part in parts} == {"ok"}
    assert {part.source.version for part in parts} == {"1.0.0", "2.0.0"}
    for name in ("here", "there"):
        assert promoted <= lags[name, "2.0.0"] <= promoted + FOLLOW_S
        assert returned <= lags[name, "1.0.0", "last"] <= returned + FOLLOW_S
    assert len(parts) > 80  # a loaded machine asks less often


async def test_a_call_under_way_is_not_cut_by_the_swap(world, dsn, keys, told):
    room, served, here = world
    served.behaviour = answering(0.8)
    call = asyncio.create_task(here.ask())
    await asyncio.sleep(0.1)
    served.behaviour = answering()
    await room.live(second())
    await here.follows(serves("2.0.0"))
    part = await call
    assert (part.state, part.source.version) == ("ok", "1.0.0")
    assert (await here.ask()).data == {"answer": "/second"}


async def test_new_questions_and_new_adapters_appear_without_a_restart(world):
    room, served, here = world
    assert "two" not in here.gateway.wants
    await room.push(TWO, manifest("two", "0.1.0"))
    await room.place("two", f"http://127.0.0.1:{served.port}")
    await room.live(manifest("two"), TWO)
    await here.follows(lambda gateway: "two" in gateway.wants)
    assert (await here.ask(want="two")).state == "ok"


async def test_a_version_takes_the_file_s_place_and_return_gives_it_back_even_where_nothing_is_announced(
    keys, told, dsn, room
):
    (told.adapters_dir / "one").mkdir()
    file = manifest("one", "0.9.0").encode()
    (told.adapters_dir / "one/manifest.toml").write_bytes(file)
    filed = Room(Life(room.pool, keys, told, {"one": file}, lambda _: None))
    async with department(answering()) as served:
        await filed.place("one", f"http://127.0.0.1:{served.port}")
        async with serving(dsn, keys, told) as here:
            assert serves("0.9.0")(here.gateway)
            live = await filed.live()
            await here.follows(serves("1.0.0"))
            await filed.move(ONE, live, "return", why="answers are wrong")
            await here.follows(serves("0.9.0"))
            assert (await here.ask()).source.version == "0.9.0"


async def test_a_trial_serves_those_it_lists_and_the_live_version_everybody_else(world):
    room, _, here = world
    await room.on_trial(second())
    await here.follows(lambda gateway: bool(gateway.shown.trials))
    assert (await here.ask(LIN)).data == {"answer": "/second"}
    assert (await here.ask(ZHOU)).data == {"answer": "/query"}
    stored = await room.pool.fetchval("SELECT string_agg(v::text, ' ') FROM adapter_versions v")
    assert LIN not in stored
    assert LIN.encode().hex() not in stored


async def test_an_effect_is_looked_up_as_it_was_sent_while_that_version_is_kept(world, keys, monkeypatch):
    """The first version's look-up path is the one that is asked, though a newer version is live by then."""
    room, served, here = world
    monkeypatch.setattr(effect_verdicts, "backoff_s", lambda attempt: 0.05)
    heard, paths = [], []

    async def behave(path, _, body):
        paths.append(path)
        if path == "/apply":
            return None  # the answer is lost
        return 200, json.dumps({"number": "N7", "status": "ok"}).encode()

    lookup = manifest("one", "1.1.0").replace('idempotent = "key"', 'idempotent = "lookup"')
    await room.live(lookup)
    await here.follows(serves("1.1.0"))
    served.behaviour = behave

    async def handler(_db, effect, settled):
        heard.append((settled.outcome, settled.reference))

    new = NewEffect(
        id=new_id("eff"), case_id="case_x", step="s", adapter="one", operation="apply", key="k-7", payload={}
    )
    async with room.pool.acquire() as db, db.transaction():
        await effects.intend(db, keys, here.gateway, "990100", [new])
    worker = effects.Dispatcher(room.pool, keys, here.gateway, "990100", handler)
    # Sent by hand, so that the newer version is live before it is asked after.
    await room.pool.execute("UPDATE effects SET state = 'unknown', sent_at = now() WHERE key = 'k-7'")
    await room.live(lookup.replace('"1.1.0"', '"2.0.0"').replace('path = "/find"', 'path = "/elsewhere"'))
    await here.follows(serves("2.0.0"))
    task = asyncio.create_task(worker.run())
    await here.follows(lambda _: bool(heard))
    worker.stop()
    await task
    assert heard == [("completed", "N7")]
    assert paths == ["/find"]
    assert (await store.by_key_for_update(room.pool, "990100", "one", "k-7")).version == "1.1.0"


async def test_without_the_database_the_gateway_goes_on_as_it_was(world):
    _, _, here = world
    await here.pool.close()
    here.registry.wake_all()
    await asyncio.sleep(0.2)
    assert (await here.ask()).state == "ok"


async def test_places_of_the_other_environment_do_not_count(world, keys, told, dsn):
    async with serving(dsn, keys, msgspec.structs.replace(told, profile="sandbox")) as sandbox:
        assert sandbox.gateway.lines == {}


async def test_a_callback_is_believed_by_either_key_while_keys_change_and_by_no_other(world, keys):
    """And read as the version says that sent the effect, though a newer one reads it otherwise."""
    room, _, here = world
    told = manifest("one", "1.1.0").replace(
        'reply.reference = "number"', 'reply.key = "key"\nreply.reference = "number"', 1
    )
    told = told.replace("[limits]", '[callback]\noperation = "apply"\n[limits]')
    made = await room.approved(told)
    await room.secret("callback_secret", "old-secret")
    await room.secret("callback_secret", "new-secret", not_before=datetime.now(UTC) + timedelta(hours=1))
    await room.move(ONE, await room.move(ONE, made, "trial", numbers=[LIN]), "publish")
    await here.follows(serves("1.1.0"))
    heard = []

    async def handler(_db, effect, settled):
        heard.append((effect.key, settled.reference))

    rows = [
        NewEffect(id=new_id("eff"), case_id="c", step="s", adapter="one", operation="apply", key=f"cb-{n}", payload={})
        for n in range(3)
    ]
    async with room.pool.acquire() as db, db.transaction():
        await effects.intend(db, keys, here.gateway, "990100", rows)
    await room.live(
        told.replace("1.1.0", "2.0.0").replace('reply.reference = "number"', 'reply.reference = "other"', 1)
    )
    await here.follows(serves("2.0.0"))

    async def send(key, secret):
        body = json.dumps({"key": key, "number": f"N-{key}", "status": "ok"}).encode()
        stamp, nonce = str(int(time.time())), new_id("non")
        mac = hmac.digest(secret.encode(), f"{stamp}\n{nonce}\n".encode() + body, "sha256").hex()
        headers = {"x-timestamp": stamp, "x-nonce": nonce, "x-signature": mac}
        told = Envelope(headers)
        return (await callbacks.receive(room.pool, keys, here.gateway, "990100", "one", told, body, handler)).new

    with pytest.raises(CallbackNotGenuine):
        await send("cb-0", "third-secret")
    assert await send("cb-0", "old-secret")
    assert await send("cb-1", "new-secret")
    assert heard == [("cb-0", "N-cb-0"), ("cb-1", "N-cb-1")]


async def test_a_version_that_a_later_rule_refuses_serves_on_and_goes_nowhere_and_its_owner_hears_of_it(
    world, keys, told, dsn
):
    room, *_ = world
    keyless = ('request.body = { key = "key", name', "request.body = { name")  # ADP-048
    late = manifest("one").replace(*keyless)
    with pytest.raises(BadManifest, match="ADP-048"):
        await room.push(ONE, late.replace("1.0.0", "1.2.0"))
    # As if they had come before the rule did.
    changed = "UPDATE adapter_versions SET manifest = $1, digest = sha256($1) WHERE adapter = 'one' AND state = 'live'"
    await room.pool.execute(changed, late.encode())
    (told.adapters_dir / "filed").mkdir()
    (told.adapters_dir / "filed/manifest.toml").write_text(manifest("filed").replace(*keyless), "utf-8")
    async with serving(dsn, keys, told) as other:
        assert {"one", "filed"} <= set(other.gateway.manifests)
        assert not {"one", "filed"} & set(other.gateway.faults)
        assert (await other.ask()).state == "ok"
        await other.registry.refresh()
    notices = (await room.life.notices(ONE, "one", "zh", limit=200)).data
    [notice] = [one for one in notices if one.kind == "later_rule"]
    assert "ADP-048" in notice.sentence
    for state, move in (("approved", "trial"), ("trial", "publish")):
        await room.pool.execute("UPDATE adapter_versions SET state = $1 WHERE version = '1.0.0'", state)
        with pytest.raises(ChecklistOpen) as refused:
            await room.move(ONE, ("one", "1.0.0"), move, numbers=[LIN])
        assert [error.code for error in refused.value.errors] == ["adapter.lint"]


async def test_a_submission_without_an_agreement_waits_and_is_sent_once_there_is_one(world, keys):
    room, served, here = world
    policy = service_terms.Policy(portal="agreed")
    await room.life.commit(lambda db: service_terms.set_policy(room.life, db, ONE, "one", policy))
    await here.follows(lambda g: g.quotas.take("permit", "one", "apply") is not None)
    heard = []

    async def handler(_db, effect, settled):
        heard.append(settled.outcome)

    new = NewEffect(
        id=new_id("eff"), case_id="c", step="s", adapter="one", operation="apply", key="agr-1",
        payload={"name": "x", "case": {"number": "1", "item": "permit"}},
    )  # fmt: skip
    async with room.pool.acquire() as db, db.transaction():
        await effects.intend(db, keys, here.gateway, "990100", [new])
    worker = effects.Dispatcher(room.pool, keys, here.gateway, "990100", handler)
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(0.6)
    assert (served.asked, heard) == ([], [])
    assert await room.pool.fetchval("SELECT problem->>'code' FROM effects WHERE key = 'agr-1'") == "agreement.missing"
    asked = service_terms.NewAgreement(consumer="permit", operation="apply", purpose_zh="办", purpose_en="Serve")
    await room.life.commit(lambda db: service_terms.propose(room.life, db, ONE, "one", asked))
    await here.follows(lambda g: g.quotas.find("permit", "one", "apply") is not None)
    await room.pool.execute("UPDATE effects SET next_at = now() WHERE key = 'agr-1'")
    await here.follows(lambda _: bool(heard))
    worker.stop()
    await task
    assert heard == ["completed"]


async def test_an_adapter_that_cannot_be_placed_keeps_what_it_has_and_the_others_are_followed(
    room, keys, told, dsn, monkeypatch
):
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(answering()))
        for actor, name in ((ONE, "one"), (TWO, "two")):
            await room.push(actor, manifest(name, "0.1.0"))
            await room.place(name, f"http://127.0.0.1:{served.port}")
            await room.live(manifest(name), actor)
        here = await stack.enter_async_context(serving(dsn, keys, told))
        place = here.registry._place

        def placed(picture, adapter, *rest):
            if adapter == "one":
                raise LookupError("a defect of ours")
            place(picture, adapter, *rest)

        monkeypatch.setattr(here.registry, "_place", placed)
        await room.live(manifest("two", "2.0.0"), TWO)
        await here.follows(lambda gateway: gateway.lines["two"].manifest.version == "2.0.0")
        assert here.gateway.lines["one"].manifest.version == "1.0.0"
        assert here.gateway.faults == {"one": "LookupError"}
        assert (await here.ask(LIN)).state == "ok"


async def test_all_that_is_told_of_a_place_reaches_the_line(room, keys, told, dsn):
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(answering()))
        url = f"http://127.0.0.1:{served.port}"
        await room.push(ONE, manifest("one", "0.1.0"))
        await room.place("one", url)
        await room.live(manifest("one"))
        here = await stack.enter_async_context(serving(dsn, keys, told))
        await room.place("one", url, replicas=[url], config={"tenant": "t"})
        await here.follows(lambda gateway: gateway.lines["one"].where.config == {"tenant": "t"})
        assert here.gateway.lines["one"].where.replicas == (url,)
        assert (await here.ask(LIN)).state == "ok"


async def test_a_secret_that_cannot_be_opened_is_no_matter_of_the_others(room, keys, told, dsn):
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(answering()))
        for actor, name in ((ONE, "one"), (TWO, "two")):
            await room.push(actor, manifest(name, "0.1.0"))
            await room.place(name, f"http://127.0.0.1:{served.port}")
            await room.live(manifest(name), actor)
        await room.secret("gate", "x", TWO, "two")
        await room.pool.execute("UPDATE adapter_secrets SET value = 'sealed by nobody'")
        here = await stack.enter_async_context(serving(dsn, keys, told))
        assert set(here.gateway.lines) == {"one", "two"}


async def test_a_line_that_cannot_be_closed_does_not_end_the_following(room, keys, told, dsn, monkeypatch):
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(answering()))
        await room.push(ONE, manifest("one", "0.1.0"))
        await room.place("one", f"http://127.0.0.1:{served.port}")
        await room.live(manifest("one"))
        here = await stack.enter_async_context(serving(dsn, keys, told))
        tried = asyncio.Event()

        async def stuck():
            tried.set()
            raise RuntimeError("a socket that is odd")

        line = here.gateway.lines["one"]
        monkeypatch.setattr(line, "close", stuck)
        here.registry._leaving.append((0.0, line))
        here.registry.wake_all()
        async with asyncio.timeout(10):
            await tried.wait()
        await asyncio.sleep(0)
        assert not here.registry._task.done()
        monkeypatch.undo()
