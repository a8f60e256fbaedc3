"""A use of data is disputed by whom it is about, once, and answered by the accountable office within a term."""

import secrets
from datetime import date

import httpx
import pytest

from onestop.directory.rules import due_on
from onestop.directory.service import calendar
from onestop.identity.models import Identified
from onestop.overview import service_escalation
from onestop.overview.rules_challenges import plan, terms

from .conftest import ANA, BEN

pytestmark = pytest.mark.anyio

WHY = "我没有申请过任何事项"


def key() -> dict[str, str]:
    return {"idempotency-key": secrets.token_hex(8)}


async def staff(world, department: str, role: str = "clerk") -> httpx.AsyncClient:
    who = Identified(number_type="account", number=f"{department}-{role}", name="x", role=role, department=department)
    token = (await world.desk._sessions.issue_bearer(who)).token
    transport = httpx.ASGITransport(app=world.desk)
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)


@pytest.fixture
async def office(world):
    return await world.desk.app.dependencies["office"].dependency()


async def an_entry(ana) -> str:
    await ana.post("/v1/me/lookups", json={"wants": ["one", "two"]})
    return (await ana.get("/v1/me/data-use")).json()["data"][0]["links"]["challenge"]


async def challenged(ana, **rest):
    where = await an_entry(ana)
    made = await ana.post(where, json={"reason": WHY, "department": "one", **rest}, headers=key())
    return where, made


async def test_nobody_disputes_what_is_not_about_them_and_an_unknown_entry_reads_the_same(world):
    async with world.client(ANA) as ana, world.client(BEN) as ben:
        where = await an_entry(ana)
        nothing = where.replace(where.split("/")[4], f"use_{'0' * 26}")
        for there in (where, nothing):
            refused = await ben.post(there, json={"reason": WHY, "department": "one"}, headers=key())
            assert (refused.status_code, refused.json()["code"]) == (404, "data_use.unknown")
            assert (await ben.get(there)).status_code == 404


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"department": "slow"}, "challenge.not_in_entry"),
        ({"department": None}, "challenge.not_in_entry"),
        ({"reason": ""}, "form.invalid"),
    ],
)
async def test_it_has_to_be_said_whose_use_is_meant_and_why(world, said, code):
    async with world.client(ANA) as ana:
        _, made = await challenged(ana, **said)
        assert (made.status_code, made.json()["code"]) == (422, code)


async def test_a_challenge_has_a_term_an_officer_and_is_there_once(world, pool):
    async with world.client(ANA) as ana:
        where, made = await challenged(ana)
        assert made.status_code == 201
        one = made.json()
        opened = date.fromisoformat(one["opened_at"][:10])
        assert one["due_on"] >= due_on(opened, terms().answer_days, calendar()).isoformat()
        assert (one["state"], one["overdue"], one["reason"], one["department"]["id"]) == ("open", False, WHY, "one")
        again = await ana.post(where, json={"reason": "又一次", "department": "one"}, headers=key())
        assert (again.status_code, again.json()["code"]) == (409, "challenge.exists")
        assert (await ana.get(where)).json() == [one]
    sealed = await pool.fetchval("SELECT reason FROM use_challenges WHERE id = $1", one["id"])
    assert WHY.encode() not in sealed


async def test_the_same_key_makes_it_once(world):
    async with world.client(ANA) as ana:
        where = await an_entry(ana)
        same = key()
        first, second = [
            await ana.post(where, json={"reason": WHY, "department": "two"}, headers=same) for _ in range(2)
        ]
        assert (first.status_code, second.status_code) == (201, 201)
        assert (second.content, second.headers["idempotent-replay"]) == (first.content, "true")


async def test_only_the_accountable_office_sees_and_answers_it(world):
    async with world.client(ANA) as ana, await staff(world, "two") as two:
        _, made = await challenged(ana)
        here = f"/v1/data-use-challenges/{made.json()['id']}"
        for reply in (
            await two.get(here),
            await two.post(f"{here}/answer", json={"state": "rejected", "text": "x"}, headers=key()),
        ):
            assert (reply.status_code, reply.json()["code"]) == (404, "challenge.unknown")
        assert made.json()["id"] not in str((await two.get("/v1/data-use-challenges")).json())
        assert (await ana.get(here)).status_code == 403


async def test_the_office_answers_once_with_its_reason_and_the_person_reads_it(world, pool):
    async with world.client(ANA) as ana, await staff(world, "one") as one:
        where, made = await challenged(ana)
        id_ = made.json()["id"]
        lines = (await one.get("/v1/data-use-challenges?limit=100")).json()["data"]
        assert id_ in [line["id"] for line in lines]
        assert WHY not in str(lines)
        here = f"/v1/data-use-challenges/{id_}"
        read = (await one.get(here)).json()
        assert (read["reason"], read["use"]["outcome"]) == (WHY, "read")
        told = {"state": "upheld", "text": "查询有误"}
        assert (await one.post(f"{here}/answer", json=told, headers=key())).status_code == 200
        late = await one.post(f"{here}/answer", json=told, headers=key())
        assert (late.status_code, late.json()["code"]) == (409, "challenge.answered")
        (seen,) = (await ana.get(where)).json()
        assert (seen["state"], seen["answer"]) == ("upheld", "查询有误")
        newest = (await ana.get("/v1/me/data-use")).json()["data"][0]
        assert (newest["by"], newest["uses"][0]["operation"]) == ("office", "challenge.read")
    acts = await pool.fetch("SELECT action FROM audit_entries WHERE object = $1 ORDER BY id", id_)
    assert [row["action"] for row in acts] == [
        "data_use.challenged", "data_use.challenge_read", "data_use.challenge_answered"
    ]  # fmt: skip


async def test_one_that_is_past_its_day_says_so(world, pool):
    async with world.client(ANA) as ana, await staff(world, "one") as one:
        where, made = await challenged(ana)
        await pool.execute("UPDATE use_challenges SET due_on = '2026-01-05' WHERE id = $1", made.json()["id"])
        (seen,) = (await ana.get(where)).json()
        assert seen["overdue"]
        lines = (await one.get("/v1/data-use-challenges?limit=100")).json()["data"]
        assert [line["id"] for line in lines if line["overdue"]] == [made.json()["id"]]


def test_reminders_come_within_the_term_and_the_next_person_after_it():
    def count(day, days):
        return due_on(day, days, calendar())

    opened = date(2026, 3, 2)  # a Monday; ten working days end on the Monday two weeks later
    due = count(opened, terms().answer_days)
    moves = [(one.kind, one.level, one.on.isoformat()) for one in plan(opened, due, terms(), count)]
    assert moves == [
        ("reminder", 0, "2026-03-11"),
        ("reminder", 0, "2026-03-16"),
        ("escalation", 1, "2026-03-17"),
        ("escalation", 2, "2026-03-24"),
    ]
    assert [terms().post(level) for level in range(3)] == ["officer", "head", "supervisor"]
    assert terms().source


async def opened_before(pool, id_, days):
    """Let a challenge be as old as that many days, and its term with it."""
    await pool.execute(
        "UPDATE use_challenges SET opened_at = opened_at - $2 * interval '1 day', due_on = due_on - $2::int,"
        " next_on = '2000-01-01' WHERE id = $1",
        id_,
        days,
    )


async def test_what_nobody_answers_is_called_to_mind_then_goes_to_the_next_person_and_its_person_sees_it(
    world, pool, office
):
    async with world.client(ANA) as ana, await staff(world, "one") as one:
        where, made = await challenged(ana)
        id_ = made.json()["id"]
        await service_escalation.escalate(office)
        (seen,) = (await ana.get(where)).json()
        assert (seen["moves"], seen["overdue"]) == ([], False)
        officer = seen["with_whom"]
        posts = {officer}
        for days, kinds in ((14, 1), (10, 3), (30, 4)):
            await opened_before(pool, id_, days)
            await service_escalation.escalate(office)
            assert await service_escalation.escalate(office) == 0  # each move is made once
            (seen,) = (await ana.get(where, headers={"accept-language": "en"})).json()
            assert len(seen["moves"]) >= kinds, seen
            posts.add(seen["with_whom"])
        assert [move["kind"] for move in seen["moves"]] == ["reminder", "reminder", "escalation", "escalation"]
        assert "supervises" in seen["with_whom"]
        line = next(
            one for one in (await one.get("/v1/data-use-challenges?limit=100")).json()["data"] if one["id"] == id_
        )
        assert line["overdue"]
        assert line["with_whom"] != officer
    acts = [
        row["action"].removeprefix("data_use.challenge_")
        for row in await pool.fetch("SELECT action FROM audit_entries WHERE object = $1 ORDER BY id", id_)
    ]
    assert acts[1:] == ["reminded", "reminded", "escalated", "escalated"]


async def test_what_is_answered_goes_nowhere(world, pool, office):
    async with world.client(ANA) as ana, await staff(world, "one") as one:
        where, made = await challenged(ana)
        id_ = made.json()["id"]
        told = {"state": "rejected", "text": "依法查询"}
        await one.post(f"/v1/data-use-challenges/{id_}/answer", json=told, headers=key())
        await opened_before(pool, id_, 60)
        await service_escalation.escalate(office)
        (seen,) = (await ana.get(where)).json()
        assert seen["moves"] == []


async def test_supervisors_see_what_was_late_without_its_person_and_nobody_else_sees_the_list(world, pool, office):
    here = "/v1/audit/challenges"
    async with (
        world.client(ANA) as ana,
        await staff(world, "one") as one,
        await staff(world, "x", "governance") as audit,
    ):
        _, made = await challenged(ana)
        id_ = made.json()["id"]
        assert id_ not in (await audit.get(here)).text
        await opened_before(pool, id_, 60)
        await service_escalation.escalate(office)
        for other in (ana, one):
            assert (await other.get(here)).status_code == 403
        lines = {line["id"]: line for line in (await audit.get(f"{here}?limit=100")).json()["data"]}
        assert (lines[id_]["state"], lines[id_]["department"]["id"]) == ("open", "one")
        assert lines[id_]["with_whom"]
        subject = await pool.fetchval("SELECT subject FROM use_challenges WHERE id = $1", id_)
        page = (await audit.get(f"{here}?limit=1")).text
        assert subject not in page
        assert WHY not in page
