"""A department's own identifier of a person: told by one answer, used in the next question, sealed in between."""

import json
from contextlib import AsyncExitStack

import httpx
import msgspec
import pytest

from onestop.app import open_portal
from onestop.identity.models import Identified
from tests.gateway.department import department, manifest_text
from tests.overview.conftest import ANA, BEN

pytestmark = pytest.mark.anyio

OWN = {ANA: "P-4711", BEN: "P-0815"}
BY_OWN_ID = """
[[operations]]
id = "benefits"
kind = "query"
want = "benefits"
title = { zh = "待遇", en = "Benefits" }
method = "POST"
path = "/benefits"
purpose = { zh = "办事", en = "To serve" }
basis = { zh = "测试", en = "Test" }
idempotent = "safe"
total_s = 2.0
request.body = { person_no = "subject.ids.bureau" }
reply.found = "data"
reply.subject = "data.id_number"
reply.fields = { monthly = "data.monthly" }
"""


async def behave(path, _, body):
    asked = json.loads(body)
    if path == "/query":
        number = asked["id_number"]
        return 200, json.dumps({"data": {"id_number": number, "no": OWN[number], "answer": "42"}}).encode()
    number = next((number for number, own in OWN.items() if own == asked["person_no"]), None)
    return 200, json.dumps({"data": {"id_number": number, "monthly": "1200"}}).encode()


@pytest.fixture
async def world(settings, tmp_path, pool):
    """A portal over one department that gives its own identifier in one query and asks for it in the other."""
    async with AsyncExitStack() as stack:
        bureau = await stack.enter_async_context(department(behave))
        folder = tmp_path / "adapters/bureau"
        folder.mkdir(parents=True)
        text = manifest_text("bureau", query='reply.own_id = "data.no"').decode() + BY_OWN_ID
        (folder / "manifest.toml").write_text(text, "utf-8")
        (tmp_path / "environment.toml").write_text(f'[adapters.bureau]\nurl = "http://127.0.0.1:{bureau.port}"\n')
        told = msgspec.structs.replace(
            settings,
            adapters_dir=tmp_path / "adapters",
            environment_file=tmp_path / "environment.toml",
            outbound_allow=("127.0.0.0/8",),
            profile="sandbox",
            crypto_suite="sm",  # a whole portal under the other suite
        )
        await pool.execute("TRUNCATE signing_keys, subjects, subject_department_ids")
        desk = await stack.enter_async_context(open_portal(told))
        transport = httpx.ASGITransport(app=desk)

        async def ask(number, *wants):
            token = await desk._sessions.issue_bearer(Identified(number_type="citizen_id", number=number, name="测"))
            headers = {"authorization": f"Bearer {token.token}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers) as app:
                reply = await app.post("/v1/me/lookups", json={"wants": list(wants), "deadline_ms": 2000})
            return reply.json()["parts"]

        yield ask, bureau


async def test_a_question_by_own_id_waits_for_the_answer_that_tells_it_and_is_each_persons_own(world, pool):
    ask, bureau = world
    [unknown] = await ask(ANA, "benefits")
    assert (unknown["state"], unknown["problem"]["code"]) == ("unavailable", "upstream.own_id_unknown")
    assert bureau.asked == []
    [told] = await ask(ANA, "bureau")
    assert told["state"] == "ok"
    assert OWN[ANA] not in json.dumps(told)
    [benefits] = await ask(ANA, "benefits")
    assert benefits["data"] == {"monthly": "1200"}
    assert json.loads(bureau.asked[-1][2]) == {"person_no": OWN[ANA]}
    [other] = await ask(BEN, "benefits")
    assert other["problem"]["code"] == "upstream.own_id_unknown"
    [row] = await pool.fetch("SELECT * FROM subject_department_ids")
    assert row["department"] == "bureau"
    assert OWN[ANA].encode() not in row["value"]
    assert row["value"][0] == 2


async def test_an_identifier_that_changed_is_kept_and_one_that_did_not_is_not_written(world, pool, monkeypatch):
    ask, bureau = world
    await ask(ANA, "bureau")
    first = await pool.fetchrow("SELECT * FROM subject_department_ids")
    await ask(ANA, "bureau")
    assert await pool.fetchrow("SELECT * FROM subject_department_ids") == first
    monkeypatch.setitem(OWN, ANA, "P-9999")
    await ask(ANA, "bureau")
    await ask(ANA, "benefits")
    assert json.loads(bureau.asked[-1][2]) == {"person_no": "P-9999"}
    assert await pool.fetchval("SELECT changed_at IS NOT NULL FROM subject_department_ids")


async def test_an_answer_about_somebody_else_tells_no_identifier(world, pool, monkeypatch):
    ask, bureau = world

    async def mixed_up(path, headers, body):
        return 200, json.dumps({"data": {"id_number": BEN, "no": OWN[BEN], "answer": "42"}}).encode()

    bureau.behaviour = mixed_up
    [part] = await ask(ANA, "bureau")
    assert part["problem"]["code"] == "upstream.bad_reply"
    assert await pool.fetchval("SELECT count(*) FROM subject_department_ids") == 0
