"""Whole applications in one call: one statement writes everything, batches share a commit, one bad row fails alone."""

import asyncio
from datetime import date

import asyncpg
import msgspec
import pytest

from onestop.cases import service, service_open, store_opening
from onestop.cases.errors import DeclarationMissing, FormInvalid
from onestop.errors import Unavailable

from .conftest import FILL, effects_of, settle

pytestmark = pytest.mark.anyio
PHONE = {"person": {"phone": "15400000001"}}


async def quick(who, key=None, **rest):
    return await who.open(item="quick", key=key, **{"submit": True, "answers": PHONE, **rest})


async def counts(pool, case_id):
    tables = {
        "cases": "id",
        "case_steps": "case_id",
        "effects": "case_id",
        "desk_tasks": "case_id",
        "case_events": "case_id",
        "audit_entries": "object",
        "data_uses": "object",
        "idempotency_keys": "made_id",
    }
    return {t: await pool.fetchval(f"SELECT count(*) FROM {t} WHERE {c} = $1", case_id) for t, c in tables.items()}


async def test_an_incomplete_application_writes_nothing(lin, pool):
    before = await pool.fetchval("SELECT count(*) FROM idempotency_keys")
    with pytest.raises(FormInvalid) as refused:
        await quick(lin, answers={})
    assert [fault.pointer for fault in refused.value.errors] == ["/answers/person/phone"]
    with pytest.raises(DeclarationMissing):
        await lin.open(submit=True, answers=FILL)
    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys") == before


async def test_one_call_leaves_every_row_of_a_submitted_case(lin, pool, office):
    case = await quick(lin)
    assert case["state"] == "submitted"
    assert {step["code"]: step["state"] for step in case["steps"]} == {"by_hand": "at_desk", "enter": "in_progress"}
    assert case["answers"]["person"]["household"]["value"]["name"] == "林晓舟"
    assert await counts(pool, case["id"]) == {
        "cases": 1,
        "case_steps": 2,
        "effects": 1,
        "desk_tasks": 1,
        "case_events": 3,
        "audit_entries": 1,
        "data_uses": 1,
        "idempotency_keys": 1,
    }
    assert await service.orphans(office) == []
    kept = await lin.case(case["id"])
    assert kept.number == case["number"]
    assert kept.steps[1].started_at is not None


async def test_the_bundle_too_is_applied_for_in_one_call_and_its_effect_can_be_settled(lin, office):
    case = await lin.open(submit=True, answers=FILL, declarations=("all_true",))
    effects = await effects_of(office, case["id"])
    await settle(office, effects["issue_birth_certificate"], "completed")
    assert set(await effects_of(office, case["id"])) >= {"register_birth", "vaccination_card"}


async def test_twenty_equal_applications_at_once_are_one(lin, pool):
    replies = await asyncio.gather(*(quick(lin, key="once") for _ in range(20)))
    assert len({reply["id"] for reply in replies}) == 1
    assert (await counts(pool, replies[0]["id"]))["effects"] == 1


async def test_applications_that_wait_together_share_a_statement(lin, chen, office, pool):
    before = office.writer.batches
    replies = await asyncio.gather(*(quick(who) for _ in range(60) for who in (lin, chen)))
    assert len({reply["id"] for reply in replies}) == 120
    assert office.writer.batches - before < 60
    assert await pool.fetchval("SELECT count(*) FROM cases WHERE id = ANY($1)", [r["id"] for r in replies]) == 120


async def test_a_bad_case_in_a_batch_fails_alone(lin, office, monkeypatch):
    real, spoiled = service_open._opening, []

    def opening(*args):
        made = real(*args)
        if not spoiled:
            spoiled.append(made.id)
            made.state = "no such state"
        return made

    monkeypatch.setattr(service_open, "_opening", opening)
    replies = await asyncio.gather(*(quick(lin) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(reply, asyncpg.CheckViolationError) for reply in replies) == 1
    good = [reply for reply in replies if not isinstance(reply, Exception)]
    assert len(good) == 4
    for reply in good:
        assert (await lin.case(reply["id"])).state == "submitted"


async def test_an_answer_is_given_only_after_the_commit(lin, office, pool, monkeypatch):
    seen = []
    real = store_opening.insert_openings

    async def slowly(*args):
        written = await real(*args)
        seen.append(await pool.fetchval("SELECT count(*) FROM cases WHERE id = ANY($1)", list(written)))
        return written

    monkeypatch.setattr(store_opening, "insert_openings", slowly)
    await quick(lin)
    assert seen == [1]


async def test_after_a_broken_connection_the_same_key_still_makes_one_case(lin, office, pool, monkeypatch):
    real = store_opening.insert_openings

    async def commits_and_is_cut(*args):
        await real(*args)
        raise asyncpg.ConnectionDoesNotExistError("cut after the commit")

    monkeypatch.setattr(store_opening, "insert_openings", commits_and_is_cut)
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await quick(lin, key="cut")
    monkeypatch.setattr(store_opening, "insert_openings", real)
    case = await quick(lin, key="cut")
    assert (await counts(pool, case["id"]))["cases"] == 1
    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys WHERE key = 'cut'") == 1


async def test_too_many_waiting_are_refused_and_none_is_lost(lin, office, monkeypatch):
    from onestop import grouping

    monkeypatch.setattr(grouping, "_MOST_WAITING", 3)
    replies = await asyncio.gather(*(quick(lin) for _ in range(30)), return_exceptions=True)
    refused = [reply for reply in replies if isinstance(reply, Unavailable)]
    assert refused
    for reply in replies:
        if not isinstance(reply, Exception):
            assert (await lin.case(reply["id"])).state == "submitted"


def test_the_statement_takes_as_many_columns_as_it_is_given():
    import re

    places = {int(place) for place in re.findall(r"\$(\d+)", store_opening.INSERT_OPENINGS)}
    assert places == set(range(1, 61))
    assert msgspec.structs.fields(store_opening.Opening)


def test_a_value_that_holds_the_separator_is_refused_before_it_can_shift_a_row():
    with pytest.raises(ValueError, match="separator"):
        store_opening._column(["a", "b\x1fc"])


def test_a_column_is_one_text_and_bytes_stay_an_array():
    assert store_opening._column(["a", None, 3]) == "a\x1f\x1f3"
    assert store_opening._column((b"\x1f", b"")) == (b"\x1f", b"")


@pytest.mark.parametrize("steps", [1, 2])
async def test_steps_without_operation_or_needs_keep_them_empty_and_one_without_effect_has_none(pool, office, steps):
    from onestop.cases import store
    from onestop.cases.models import Step
    from onestop.ids import new_id

    case_id = new_id("case")
    row = {"department": "d", "adapter": "desk", "operation": "", "needs": [], "state": "at_desk"}
    rows = [
        store.step_row(Step(code=f"s{n}", position=n, promised_days=1, due_on=date(2026, 3, 2), **row))
        for n in range(steps)
    ]
    texts = {f.name: "{}" for f in msgspec.structs.fields(store_opening.Opening) if f.name not in ("steps", "effects")}
    opening = store_opening.Opening(
        **texts
        | {"id": case_id, "state": "draft", "answers": b"", "reply": b"", "body_hash": b"", "status": 201}
        | {"key": case_id, "number": case_id, "audit_id": case_id, "due_on": None, "trace_id": None, "use_id": None}
        | {"steps": rows, "effects": [], "tasks": [], "events": [], "digests": b""}
    )
    assert await store_opening.insert_openings(pool, office.region, [opening]) == {case_id}
    kept = await store.steps(pool, office.region, case_id)
    assert [(step.operation, step.needs, step.effect_id, step.due_on) for step in kept] == [
        ("", [], None, date(2026, 3, 2))
    ] * steps
    assert await pool.fetchval("SELECT count(*) FROM cases WHERE id = $1 AND due_on IS NULL", case_id) == 1
