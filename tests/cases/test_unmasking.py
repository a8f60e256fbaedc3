"""A whole number is shown to the desk that has the case, for a reason, on record first, and not in bulk."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from litestar.di import Provide

from audit.ledger import TABLES, verified
from audit.test_canonical import leaf_of_act, leaf_of_use, rows_of
from onestop.audit.sealer import Sealer
from onestop.audit.service import own_data_uses
from onestop.audit.witness import Witness
from onestop.cases import routes
from onestop.http.app_parts import build
from onestop.identity.access import provide_session

from .conftest import FILL, LIN, Sessions, citizen

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(office, lin, chen, clerk, pool, settings) -> AsyncIterator[httpx.AsyncClient]:
    await pool.execute(f"TRUNCATE unmaskings, {TABLES}")
    machine = msgspec.structs.replace(clerk.session, id="key_1", kind="machine", role="department")
    known = {
        "lin": lin.session,
        "chen": chen.session,
        "clerk": clerk.session,
        "colleague": citizen(office, "sub_clerk2", "clerk", "zwfw").session,
        "elsewhere": citizen(office, "sub_clerk3", "clerk", "yibao").session,
        "machine": machine,
    }
    app = build(
        routes.CONTROLLERS,
        settings=settings,
        pool=pool,
        sessions=Sessions(known),
        shared={"office": office, "pool": pool, "settings": settings},
        dependencies={"session": Provide(provide_session)},
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield client


@pytest.fixture
async def task(lin, pool) -> str:
    """An open task of a case of Lin's, at the clerk's desk."""
    case_id = await lin.submitted(FILL)
    return await pool.fetchval(
        "INSERT INTO desk_tasks (region, id, case_id, step, department, kind, reason, due_on) "
        "VALUES ('990100', 'task_' || $1, $1, 'invented', 'zwfw', 'handle', 'no_system', current_date) RETURNING id",
        case_id,
    )


def ask(desk, who, task, reason="identify", lang="zh"):
    headers = {"authorization": f"Bearer {who}", "accept-language": lang}
    return desk.post(f"/v1/tasks/{task}/unmaskings", json={"reason": reason}, headers=headers)


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ("nobody", 401, "auth.required"),
        ("lin", 403, "auth.role_not_allowed"),  # her own number is none the less no citizen's way in here
        ("chen", 403, "auth.role_not_allowed"),
        ("elsewhere", 404, "task.unknown"),
        ("machine", 403, "task.not_the_desk"),
    ],
)
async def test_strangers_see_nothing_and_leave_nothing(desk, task, pool, who, status, code):
    reply = await ask(desk, who, task)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert LIN not in reply.text
    assert await pool.fetchval("SELECT count(*) FROM unmaskings") == 0


async def test_a_reason_is_one_of_those_there_are(desk, task):
    for body in ({}, {"reason": "curious"}, {"reason": "identify", "subject": "sub_chen"}):
        reply = await desk.post(f"/v1/tasks/{task}/unmaskings", json=body, headers={"authorization": "Bearer clerk"})
        assert reply.status_code == 422
        assert LIN not in reply.text


async def test_a_task_that_is_done_shows_nothing(desk, task, pool):
    await pool.execute("UPDATE desk_tasks SET state = 'dropped' WHERE id = $1", task)
    reply = await ask(desk, "clerk", task)
    assert (reply.status_code, reply.json()["code"]) == (409, "task.answered")


@pytest.mark.parametrize(("lang", "says"), [("zh", "当面核验身份"), ("en", "to identify the person at the counter")])
async def test_the_desk_sees_the_number_and_it_is_on_record_with_the_reason(desk, task, pool, lang, says):
    reply = await ask(desk, "clerk", task, lang=lang)
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    told = reply.json()
    assert (told["number"], told["number_type"], told["says"]) == (LIN, "citizen_id", says)
    assert told["left_this_hour"] == 19
    entry = await pool.fetchrow("SELECT * FROM audit_entries WHERE action = 'subject.unmasked'")
    assert (entry["actor"], entry["subject"]) == ("sub_clerk", "sub_lin")
    assert entry["detail"]["reason"] == "identify"
    assert entry["trace_id"]
    use = (await own_data_uses(pool, "990100", "sub_lin"))[0]  # the newest; opening the case read departments
    assert (use.actor, use.object, use.trace_id) == ("sub_clerk", task.removeprefix("task_"), entry["trace_id"])
    (shown,) = use.uses
    assert (shown.adapter, shown.outcome, shown.purpose) == ("zwfw", "unmasked", "当面核验身份")
    assert (shown.fields, bool(shown.basis)) == (("subject.number",), True)
    rows = [dict(row) for table in ("unmaskings", "audit_entries", "data_uses")
            for row in await pool.fetch(f"SELECT * FROM {table}")]  # fmt: skip
    assert LIN not in str(rows)


async def test_what_was_shown_carries_its_leaf_and_is_sealed_and_verified(desk, task, pool, keys, tmp_path):
    await pool.execute(f"TRUNCATE {TABLES}")
    assert (await ask(desk, "clerk", task)).status_code == 200
    acts, uses = await rows_of(pool)
    assert (len(acts), len(uses)) == (1, 1)
    assert [row["leaf"] for row in (*acts, *uses)] == [leaf_of_act(acts[0]), leaf_of_use(uses[0])]
    works = Sealer(pool, keys, "990100", Witness(tmp_path / "anchors.jsonl"))
    assert await works.seal() == 2
    await works.anchor(every_s=0)
    assert (await verified(pool, works)).count == 0
    await pool.execute("UPDATE data_uses SET actor = 'sub_colleague'")
    assert {one.kind for one in (await verified(pool, works)).findings} == {"changed"}
    await pool.execute(f"TRUNCATE {TABLES}")


async def test_a_number_is_not_shown_where_it_could_not_be_recorded(desk, task, pool):
    await pool.execute("ALTER TABLE data_uses RENAME TO gone")
    try:
        reply = await ask(desk, "clerk", task)
    finally:
        await pool.execute("ALTER TABLE gone RENAME TO data_uses")
    assert reply.status_code >= 500
    assert LIN not in reply.text
    assert await pool.fetchval("SELECT count(*) FROM unmaskings") == 0


async def test_twenty_an_hour_for_one_person_however_many_ask_at_once(desk, task, pool):
    replies = await asyncio.gather(*[ask(desk, "clerk", task) for _ in range(24)])
    statuses = sorted(reply.status_code for reply in replies)
    assert statuses == [200] * 20 + [429] * 4
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert refused.json()["code"] == "identity.unmaskings_full"
    assert 3_000 < int(refused.headers["retry-after"]) <= 3_600
    assert (await ask(desk, "colleague", task)).status_code == 200
    assert await pool.fetchval("SELECT count(*) FROM audit_entries WHERE action = 'subject.unmasked'") == 21
    await pool.execute("UPDATE unmaskings SET at = at - interval '1 hour' WHERE actor = 'sub_clerk'")
    assert (await ask(desk, "clerk", task)).json()["left_this_hour"] == 19
