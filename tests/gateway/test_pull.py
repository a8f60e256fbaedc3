"""Departments that fetch: whose work, whose lease, the same key always, one outcome."""

import asyncio

import httpx
import msgspec
import pytest

from onestop.app import open_portal
from onestop.gateway.errors import AnswerStands, LeaseLost, NoSuchAdapter, NoSuchEffect, ReplyUnreadable
from onestop.gateway.pull import Ack, Extend, Nack, PullDesk, own_manifest
from onestop.identity.models import Identified
from onestop.identity.service import Sessions
from tests.gateway.work import CODES, REGION, Work, at_work, desk, manifest, until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def empty(pool):
    await pool.execute("TRUNCATE effects")


@pytest.fixture
def work(pool, keys):
    return Work(pool, keys, [manifest(answer="pull"), manifest("other", answer="pull")])


@pytest.fixture
def pull(work):
    return PullDesk(work.pool, work.keys, work.gateway, REGION, work.handler)


@pytest.fixture
def dep(work):
    return work.gateway.manifests["dep"]


async def offered(work, *keys, adapter="dep"):
    """Intend effects and wait until a worker has left them to be fetched."""
    ids = []
    for key in keys:
        ids.append(await work.intend(key, adapter=adapter))
        await asyncio.sleep(0.002)  # the order is that of milliseconds
    async with at_work(work):
        count = "SELECT count(*) FROM effects WHERE channel = 'pull' AND worker IS NULL AND key = ANY($1)"

        async def all_there():
            return await work.pool.fetchval(count, list(keys)) == len(keys)

        await until(all_there)
    return ids


async def run_out(work, key):
    await work.pool.execute("UPDATE effects SET lease_until = now() - interval '1 s' WHERE key = $1", key)


# ---- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session", [desk("other"), desk("nobody"), desk(None)], ids=["another", "unknown", "none"])
async def test_another_departments_adapter_is_as_if_it_were_not_there(work, session):
    with pytest.raises(NoSuchAdapter):
        own_manifest(work.gateway, session, "dep")


async def test_an_adapter_of_the_same_department_is_its_own(work):
    assert own_manifest(work.gateway, desk("dep"), "dep").id == "dep"
    assert own_manifest(work.gateway, desk(CODES["dep"]), "dep").id == "dep"
    with pytest.raises(NoSuchAdapter):
        own_manifest(work.gateway, desk("dep"), "nowhere")


async def test_who_owns_an_adapter_fetches_from_it_whatever_it_is_called(work):
    owners = {"dep": "bureau", "other": "other"}
    work.gateway.show(msgspec.structs.replace(work.gateway.shown, owners=owners))
    for stranger in ("dep", "other", "nobody"):  # to be called like it is nothing
        with pytest.raises(NoSuchAdapter):
            own_manifest(work.gateway, desk(stranger), "dep")
    assert own_manifest(work.gateway, desk("bureau"), "dep").id == "dep"
    with pytest.raises(NoSuchAdapter):
        own_manifest(work.gateway, desk("bureau"), "other")


async def test_another_department_can_neither_answer_nor_give_back_nor_keep(work, pull, dep):
    (effect_id,) = await offered(work, "a1")
    (got,) = await pull.fetch(dep, 10, 0, 60)
    other = work.gateway.manifests["other"]
    with pytest.raises(NoSuchEffect):
        await pull.acknowledge(other, effect_id, Ack(lease=got.lease, outcome="completed"))
    with pytest.raises(NoSuchEffect):
        await pull.give_back(other, effect_id, Nack(lease=got.lease, reason="not ours"))
    with pytest.raises(NoSuchEffect):
        await pull.extend(other, effect_id, Extend(lease=got.lease))
    assert await pull.fetch(other, 10, 0, 60) == []
    assert work.heard == []


async def test_without_the_lease_nothing_is_taken(work, pull, dep):
    (effect_id,) = await offered(work, "a2")
    await pull.fetch(dep, 10, 0, 60)
    for ack in (Ack(outcome="completed"), Ack(lease="p-made-up", outcome="completed")):
        with pytest.raises(LeaseLost):
            await pull.acknowledge(dep, effect_id, ack)
    assert work.heard == []


async def test_an_old_lease_is_refused_unless_it_says_what_is_on_record(work, pull, dep):
    (effect_id,) = await offered(work, "a3")
    (first,) = await pull.fetch(dep, 10, 0, 60)
    await run_out(work, "a3")
    (second,) = await pull.fetch(dep, 10, 0, 60)
    assert (first.key, second.key) == ("a3", "a3")
    assert first.lease != second.lease
    with pytest.raises(LeaseLost):
        await pull.acknowledge(dep, effect_id, Ack(lease=first.lease, outcome="completed"))
    with pytest.raises(LeaseLost):
        await pull.extend(dep, effect_id, Extend(lease=first.lease))
    with pytest.raises(LeaseLost):
        await pull.give_back(dep, effect_id, Nack(lease=first.lease, reason="too late"))
    assert (await pull.acknowledge(dep, effect_id, Ack(lease=second.lease, outcome="completed"))).new
    assert not (await pull.acknowledge(dep, effect_id, Ack(lease=first.lease, outcome="completed"))).new
    with pytest.raises(AnswerStands):
        await pull.acknowledge(dep, effect_id, Ack(lease=first.lease, outcome="declined"))
    assert work.heard == [("a3", "completed")]


@pytest.mark.parametrize(
    "ack",
    [Ack(), Ack(outcome="completed", reply={"status": "ok"}), Ack(reply={"status": "perhaps"}), Ack(reply={})],
    ids=["nothing", "both", "unknown status", "empty"],
)
async def test_an_answer_that_says_nothing_is_not_taken(work, pull, dep, ack):
    (effect_id,) = await offered(work, "a4")
    (got,) = await pull.fetch(dep, 10, 0, 60)
    with pytest.raises(ReplyUnreadable):
        await pull.acknowledge(dep, effect_id, msgspec.structs.replace(ack, lease=got.lease))
    assert work.heard == []


async def test_a_reason_holds_no_persons_number():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"lease": "p-1", "reason": "about 990102199203140221"}, Nack)


# ---- fetching ------------------------------------------------------------------------------------------------------


async def test_what_is_fetched_is_what_the_manifest_makes_and_nobody_else_gets_it_meanwhile(work, pull, dep):
    await offered(work, "b1", "b2", "b3")
    two = await pull.fetch(dep, 2, 0, 60)
    assert [one.payload for one in two] == [{"key": "b1", "name": "林"}, {"key": "b2", "name": "林"}]
    assert [one.key for one in await pull.fetch(dep, 10, 0, 60)] == ["b3"]
    assert await pull.fetch(dep, 10, 0, 60) == []


async def test_two_who_fetch_at_once_never_get_the_same(work, pull, dep):
    await offered(work, *[f"c{n}" for n in range(30)])
    got = await asyncio.gather(*(pull.fetch(dep, 7, 0, 60) for _ in range(8)))
    keys = [one.key for some in got for one in some]
    assert sorted(keys) == sorted(f"c{n}" for n in range(30))


async def test_who_waits_gets_an_effect_as_soon_as_it_is_there(work, pull, dep):
    fetching = asyncio.create_task(pull.fetch(dep, 10, 5, 60))
    await asyncio.sleep(0.1)
    await offered(work, "d1")
    assert [one.key for one in await asyncio.wait_for(fetching, 1.5)] == ["d1"]


async def test_what_is_given_back_comes_again_when_it_was_asked_for(work, pull, dep):
    (effect_id,) = await offered(work, "e1")
    (got,) = await pull.fetch(dep, 10, 0, 60)
    await pull.give_back(dep, effect_id, Nack(lease=got.lease, reason="maintenance", retry_after_s=600))
    assert await pull.fetch(dep, 10, 0, 60) == []
    assert (await work.row("e1"))["problem"] == {"code": "upstream.given_back", "cause": "maintenance"}
    await run_out(work, "e1")
    (again,) = await pull.fetch(dep, 10, 0, 60)
    assert (again.key, again.attempt) == ("e1", 2)


async def test_what_the_manifest_in_force_cannot_write_goes_to_a_person(work, pull, dep):
    await offered(work, "u1")
    work.gateway.manifests["dep"] = msgspec.structs.replace(dep, operations=[])  # while it waited to be fetched
    assert await pull.fetch(dep, 10, 0, 60) == []
    row = await work.row("u1")
    assert (row["state"], row["problem"]["code"]) == ("desk", "upstream.unmappable")


async def test_a_lease_can_be_kept(work, pull, dep):
    (effect_id,) = await offered(work, "e2")
    (got,) = await pull.fetch(dep, 10, 0, 5)
    until_ = (await pull.extend(dep, effect_id, Extend(lease=got.lease, lease_s=300))).until
    assert (until_ - got.lease_until).total_seconds() > 250


async def test_the_departments_own_reply_is_read_by_its_manifest(work, pull, dep):
    (effect_id,) = await offered(work, "f1")
    (got,) = await pull.fetch(dep, 10, 0, 60)
    said = {"status": "no", "number": "N7", "says": "资料不全"}
    assert (await pull.acknowledge(dep, effect_id, Ack(lease=got.lease, reply=said))).state == "refused"
    assert work.heard == [("f1", "declined")]
    assert (await work.row("f1"))["reference"] == "N7"


async def test_a_received_one_is_answered_later_without_a_lease(work, pull, dep):
    (effect_id,) = await offered(work, "g1")
    (got,) = await pull.fetch(dep, 10, 0, 60)
    await pull.acknowledge(dep, effect_id, Ack(lease=got.lease, outcome="pending", reference="N1"))
    assert not (await pull.acknowledge(dep, effect_id, Ack(outcome="pending"))).new
    assert await pull.fetch(dep, 10, 0, 60) == [], "it is not given again"
    assert (await pull.acknowledge(dep, effect_id, Ack(outcome="completed", fields={"number": "N1"}))).new
    assert not (await pull.acknowledge(dep, effect_id, Ack(outcome="completed"))).new
    assert work.heard == [("g1", "pending"), ("g1", "completed")]


# ---- what a person gets --------------------------------------------------------------------------------------------


async def test_what_nobody_fetches_for_three_days_is_a_persons_work(work):
    await offered(work, "h1")
    await work.age("h1", 73)
    async with at_work(work):
        await until(lambda: asyncio.sleep(0, work.of("h1") == ["desk"]))
    assert (await work.row("h1"))["problem"]["code"] == "upstream.not_fetched"


async def test_where_a_key_means_nothing_it_is_given_once(pool, keys):
    work = Work(pool, keys, [manifest(answer="pull", idempotent="none")])
    dep = work.gateway.manifests["dep"]
    pull = PullDesk(pool, keys, work.gateway, REGION, work.handler)
    await offered(work, "i1")
    assert len(await pull.fetch(dep, 10, 0, 5)) == 1
    await run_out(work, "i1")
    assert await pull.fetch(dep, 10, 0, 5) == []
    await work.due("i1")
    async with at_work(work):
        await until(lambda: asyncio.sleep(0, work.of("i1") == ["desk"]))


async def test_what_cannot_be_written_for_the_department_does_not_stand_before_the_others(pool, keys):
    told = manifest(answer="pull")
    request = msgspec.structs.replace(told.operations[0].request, body={"key": "key", "on": "payload.on | day(%Y%m%d)"})
    operations = [msgspec.structs.replace(told.operations[0], request=request), *told.operations[1:]]
    work = Work(pool, keys, [msgspec.structs.replace(told, operations=operations)])
    pull = PullDesk(pool, keys, work.gateway, REGION, work.handler)
    await work.intend("j1", payload={"on": "no day at all"})
    await work.intend("j2", payload={"on": "2025-11-18"})
    await offered(work)
    async with at_work(work):
        await asyncio.sleep(0.4)
    got = await pull.fetch(work.gateway.manifests["dep"], 10, 0, 60)
    assert [one.payload for one in got] == [{"key": "j2", "on": "20251118"}]
    assert work.heard == [("j1", "desk")]


# ---- over HTTP -----------------------------------------------------------------------------------------------------


async def test_only_a_department_fetches_and_its_address_tells_nobody_elses_work(pool, keys, settings, tmp_path):
    folder = tmp_path / "adapters/dep"
    folder.mkdir(parents=True)
    text = tmp_path / "adapters/dep/manifest.toml"
    text.write_text(_toml(), "utf-8")
    told = msgspec.structs.replace(settings, adapters_dir=tmp_path / "adapters", log_level="error")
    async with open_portal(told) as portal:
        transport = httpx.ASGITransport(portal)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            assert (await client.get("/v1/pull/dep")).status_code == 401
            sessions = Sessions(pool, _keys(told), told)
            await sessions.signing.load()
            for role, department, status in (
                ("citizen", None, 403),
                ("operator", None, 403),
                ("department", "other", 404),
                ("department", "dep", 200),
            ):
                who = Identified(number_type="account", number=f"x-{role}-{department}", name="员", role=role,
                                 department=department, level=1)  # fmt: skip
                token = (await sessions.issue_bearer(who)).token
                reply = await client.get("/v1/pull/dep?limit=1", headers={"authorization": f"Bearer {token}"})
                assert reply.status_code == status, (role, department, reply.text)
            assert reply.json() == {"data": []}


def _keys(settings):
    from onestop.crypto import Keys

    return Keys.load(settings.state_dir)


def _toml():
    from tests.gateway.work import HEAD, OPERATION

    more = 'answer = "pull"\n'
    return HEAD.format(id="dep", code=CODES["dep"], tables="") + OPERATION.format(
        id="apply", kind="submit", idempotent="key", more=more
    )
