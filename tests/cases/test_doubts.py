"""A person doubts what a department gave: it is marked, verified by that department alone, and the case goes on."""

import secrets

import pytest

from onestop.cases.service_doubts import term
from onestop.identity.models import Identified
from tests.overview.conftest import ANA, BEN, World
from tests.overview.conftest import world as world

pytestmark = pytest.mark.anyio
SAID = {"field": "record.one", "said": "登记有误"}


async def ask(world: World, who: str, method: str, path: str, body=None):
    async with world.client(who) as client:
        return await client.request(method, path, json=body, headers={"idempotency-key": secrets.token_hex(8)})


async def desk(world: World, department: str, role: str = "department") -> str:
    who = Identified(number_type="account", number=f"demo {department}", name="-", role=role, department=department)
    world._tokens[department] = (await world.desk._sessions.issue_bearer(who)).token
    return department


async def test_a_doubt_is_marked_verified_by_its_department_and_holds_nothing_up(world, pool):
    await pool.execute("TRUNCATE record_doubts")
    case = (await ask(world, ANA, "POST", "/v1/cases", {"item": "permit"})).json()
    here, doubts = f"/v1/cases/{case['id']}", f"/v1/cases/{case['id']}/doubts"

    async def refused(who, path, body):
        answer = await ask(world, who, "POST", path, body)
        return answer.status_code, answer.json()["code"]

    assert await refused(BEN, doubts, SAID) == (404, "case.unknown")
    assert await refused(ANA, doubts, {**SAID, "field": "applicant.note"}) == (422, "doubt.not_from_department")
    opened = await ask(world, ANA, "POST", doubts, SAID)
    assert (opened.status_code, opened.json()["state"], opened.json()["overdue"]) == (201, "open", False)
    assert await refused(ANA, doubts, SAID) == (409, "doubt.exists")
    shown = await ask(world, ANA, "GET", here)
    assert shown.json()["answers"]["record"]["one"]["disputed"] == opened.json()["id"]
    assert "disputed" not in shown.json()["answers"]["applicant"]["note"]
    assert (await ask(world, BEN, "GET", "/v1/me/doubts")).json()["data"] == []

    async with world.client(ANA) as client:  # the case goes on while the record is verified
        headers = {"if-match": shown.headers["etag"], "idempotency-key": secrets.token_hex(8)}
        typed = {"answers": {"applicant": {"note": "一句"}}}
        changed = await client.patch(f"{here}/answers", json=typed, headers=headers)
        assert changed.status_code == 200, changed.text
        headers = {"if-match": changed.headers["etag"], "idempotency-key": secrets.token_hex(8)}
        assert (await client.post(f"{here}/submission", json={"declarations": []}, headers=headers)).status_code == 202

    one, two = await desk(world, "one"), await desk(world, "two")
    governance = await desk(world, "office", "governance")
    assert (await ask(world, governance, "GET", "/v1/record-doubts/overdue")).json()["data"] == []
    await pool.execute("UPDATE record_doubts SET due_on = '2026-01-05'")
    assert (await ask(world, one, "GET", "/v1/record-doubts/overdue")).status_code == 403
    late = await ask(world, governance, "GET", "/v1/record-doubts/overdue")
    assert [(doubt["department"], doubt["due_on"]) for doubt in late.json()["data"]] == [("one", "2026-01-05")]
    assert "登记有误" not in late.text, "nothing of the person is told"
    answer = f"/v1/record-doubts/{opened.json()['id']}/answer"
    found = {"state": "corrected", "text": "已改"}
    assert await refused(two, answer, found) == (404, "doubt.unknown")
    assert (await ask(world, two, "GET", "/v1/record-doubts")).json()["data"] == []
    [line] = (await ask(world, one, "GET", "/v1/record-doubts")).json()["data"]
    assert line["said"] == "登记有误"
    assert (await ask(world, one, "POST", answer, found)).json()["state"] == "corrected"
    assert await refused(one, answer, found) == (404, "doubt.unknown")
    [own] = (await ask(world, ANA, "GET", "/v1/me/doubts")).json()["data"]
    assert (own["state"], own["answer"]) == ("corrected", "已改")
    assert "disputed" not in (await ask(world, ANA, "GET", here)).json()["answers"]["record"]["one"]
    sealed = await pool.fetchrow("SELECT said, answer FROM record_doubts")
    assert "登记有误".encode() not in sealed["said"]
    acts = await pool.fetch("SELECT action FROM audit_entries WHERE object = $1 ORDER BY id", opened.json()["id"])
    assert [row["action"] for row in acts] == ["record.doubted", "record.verified"]


def test_the_term_is_a_row() -> None:
    assert term("record_doubt") == 10
