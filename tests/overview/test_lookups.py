import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from onestop.overview import store
from tests.overview.conftest import ANA, BEN

pytestmark = pytest.mark.anyio
WANTS = {"wants": ["one", "two", "slow"], "deadline_ms": 400}


async def test_what_is_there_in_time_is_answered_and_the_rest_is_pending_with_a_handle(world):
    async with world.client(ANA) as ana:
        begun = time.monotonic()
        answer = (await ana.post("/v1/me/lookups", json=WANTS)).json()
        assert time.monotonic() - begun < 1.2
    assert {part["want"]: part["state"] for part in answer["parts"]} == {"one": "ok", "two": "ok", "slow": "pending"}
    assert answer["complete"] is False
    assert answer["completion"]["href"].startswith("/v1/completions/cmp_")
    late = answer["parts"][2]
    assert late["problem"]["who_acts"] == "department"
    assert late["problem"]["retry_after_s"] > 0


async def test_the_late_part_comes_to_the_handle_once_and_to_nobody_else(world):
    async with world.client(ANA) as ana, world.client(BEN) as ben:
        completion = (await ana.post("/v1/me/lookups", json=WANTS)).json()["completion"]
        assert (await ben.get(completion["href"])).status_code == 404
        for _ in range(40):
            kept = (await ana.get(completion["href"])).json()
            if kept["complete"]:
                break
            await asyncio.sleep(0.1)
    assert [part["state"] for part in kept["parts"]] == ["ok", "ok", "ok"]
    assert kept["parts"][2]["data"]["answer"] == "42"


async def test_late_parts_that_come_at_one_moment_have_numbers_of_their_own_and_each_is_told(pool):
    until = datetime.now(UTC) + timedelta(seconds=20)
    await store.insert_completion(pool, "990100", "cmp_at_once", "s", b"", ["first", "second"], until)
    async with pool.acquire() as db, db.transaction():
        assert await store.insert_part(db, "990100", "cmp_at_once", "first", b"")
        second = asyncio.create_task(store.insert_part(pool, "990100", "cmp_at_once", "second", b""))
        await asyncio.sleep(0.05)
    assert await second
    assert not await store.insert_part(pool, "990100", "cmp_at_once", "first", b"again")
    assert not await store.insert_part(pool, "990100", "cmp_at_once", "not_awaited", b"")
    seen = await store.parts_since(pool, "990100", "cmp_at_once", 0)
    assert [part.want for part in seen] == ["first", "second"]
    assert [part.want for part in await store.parts_since(pool, "990100", "cmp_at_once", seen[0].seq)] == ["second"]


async def test_numbers_are_masked_in_what_is_shown(world):
    async with world.client(ANA) as ana:
        answer = await ana.post("/v1/me/lookups", json={"wants": ["one"]})
    assert answer.json()["parts"][0]["data"]["id_number"] == "9901********0221"
    assert ANA not in answer.text


async def test_each_citizen_is_asked_about_alone(world):
    async with world.client(ANA) as ana, world.client(BEN) as ben:
        await asyncio.gather(*(who.post("/v1/me/lookups", json={"wants": ["one"]}) for who in (ana, ben) * 5))
    asked = {json.loads(body)["id_number"] for _, _, body in world.departments["one"].asked}
    assert asked == {ANA, BEN}


async def test_whose_data_was_read_is_on_record_before_it_is_shown(world, pool):
    async with world.client(ANA) as ana:
        answer = await ana.post("/v1/me/lookups", json={"wants": ["one", "two"]})
        subject = (await ana.get("/v1/me")).json()["subject_id"]
    rows = await pool.fetch(
        "SELECT content::jsonb AS uses FROM data_uses WHERE subject = $1 ORDER BY id DESC LIMIT 1", subject
    )
    assert answer.status_code == 200
    assert [(use["adapter"], use["outcome"]) for use in rows[0]["uses"]] == [("one", "read"), ("two", "read")]
    assert all(use["basis"] and use["purpose"] for use in rows[0]["uses"])


async def test_a_want_nobody_answers_is_named_and_nothing_is_asked(world):
    async with world.client(ANA) as ana:
        answer = await ana.post("/v1/me/lookups", json={"wants": ["one", "nonsense"]})
    assert answer.status_code == 422
    assert answer.json()["code"] == "lookup.unknown_want"
    assert answer.json()["errors"][0]["pointer"] == "/wants/1"
    assert world.departments["one"].asked == []


@pytest.mark.parametrize("body", [{"wants": []}, {"wants": ["one"] * 25}, {"wants": ["one"], "deadline_ms": 1}, {}])
async def test_a_request_out_of_bounds_is_refused(world, body):
    async with world.client(ANA) as ana:
        assert (await ana.post("/v1/me/lookups", json=body)).status_code == 422


async def test_nobody_signed_in_gets_nothing(world):
    async with world.client(ANA) as ana:
        answer = await ana.post("/v1/me/lookups", json=WANTS, headers={"authorization": "Bearer x"})
    assert answer.status_code == 401
