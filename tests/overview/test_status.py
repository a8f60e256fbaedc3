"""The public status: open to all, measured, nobody's data; departments as they are by real traffic."""

from datetime import datetime, time

import httpx
import msgspec
import pytest

from onestop import clock
from onestop.app import open_portal
from onestop.gateway.condition import Conditions, in_window
from onestop.gateway.manifest import Window
from tests.gateway.work import REGION, Work, manifest

pytestmark = pytest.mark.anyio


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=clock.CHINA)


@pytest.fixture
async def client(pool, settings):
    await pool.execute("TRUNCATE signing_keys")  # each test has keys of its own
    async with open_portal(msgspec.structs.replace(settings, log_level="error")) as portal:
        transport = httpx.ASGITransport(portal)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            yield client


async def test_anybody_sees_the_number_its_time_and_the_statement_behind_it(client):
    reply = await client.get("/v1/public/status", headers={"accept-language": "en"})
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "public, max-age=3"
    told = reply.json()
    assert (told["orphans"]["count"], told["orphans"]["statement"]) == (0, "cases.store_owners.SELECT_ORPHANS")
    assert told["orphans"]["as_of"] == told["as_of"]
    assert (told["unknown"], told["oldest_unknown_s"], told["overdue_tasks"]) == (0, None, 0)
    assert {"gongan", "zwfw"} <= {one["condition"]["id"] for one in told["departments"]}
    states = {one["condition"]["id"]: one["condition"]["state"] for one in told["departments"]}
    assert (states["zwfw"], states["gongan"]) == ("desk", "down"), "no address is told here, so it cannot be reached"


async def test_it_is_looked_at_once_for_all_who_ask_at_the_same_time(client):
    first = (await client.get("/v1/public/status")).json()
    assert (await client.get("/v1/public/status")).json()["as_of"] == first["as_of"]


@pytest.mark.parametrize(("lang", "title"), [("zh", "部门运行状态"), ("en", "How the departments are")])
async def test_the_page_is_plain(client, lang, title):
    page = (await client.get(f"/status?lang={lang}")).text
    assert title in page
    assert "<script" not in page
    assert "cases.store_owners.SELECT_ORPHANS" in page


@pytest.mark.parametrize(
    ("now", "inside"),
    [
        ("2025-11-21T22:59", False),
        ("2025-11-21T23:00", True),
        ("2025-11-22T01:59", True),  # past midnight, into a day on which none begins
        ("2025-11-22T02:00", False),
        ("2025-11-22T23:30", False),
    ],
)
async def test_a_window_may_go_past_midnight(now, inside):
    window = Window(days=("fri",), begins=time(23), ends=time(2))
    assert in_window(window, at(now)) is inside


async def test_a_department_is_as_its_traffic_says_since_when_it_was_seen_so(pool, keys):
    window = Window(days=("mon", "tue", "wed", "thu", "fri", "sat", "sun"), begins=time(3), ends=time(4))
    told = manifest(answer="pull")
    fetching = msgspec.structs.replace(told, windows=(window,), operations=told.operations[:1])
    work = Work(pool, keys, [fetching, manifest("other")])
    moment = at("2025-11-21T12:00")
    conditions = Conditions(work.gateway, lambda: moment)
    fetches, unconnected = await conditions.look(pool, REGION)
    assert (fetches.state, fetches.since, unconnected.state) == ("ok", moment, "down")
    await work.intend("k1")
    await pool.execute("UPDATE effects SET state = 'sent', sent_at = now() - interval '20 minutes'")
    first, moment = moment, at("2025-11-21T12:20")
    fetches, unconnected = await conditions.look(pool, REGION)
    assert (fetches.state, fetches.since, fetches.unknown) == ("degraded", moment, 1)
    assert fetches.oldest_unknown_s >= 1200
    assert unconnected.since == first
    moment = at("2025-11-22T03:30")
    assert (await conditions.look(pool, REGION))[0].state == "maintenance"
    await pool.execute("UPDATE effects SET state = 'done', next_at = NULL, settled_at = now()")
    moment = at("2025-11-22T05:00")
    fetches, _ = await conditions.look(pool, REGION)
    assert (fetches.state, fetches.unknown, fetches.oldest_unknown_s) == ("ok", 0, None)
    assert fetches.last_done is not None
