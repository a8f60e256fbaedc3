"""Nothing fails silently: every open step has an owner and a day, and a person gets what is past it."""

from datetime import date, timedelta

import msgspec
import pytest
from structlog.testing import capture_logs

from onestop.cases import service, service_sweep, store_owners
from onestop.cases.errors import NothingToSend, TaskUnknown
from onestop.cases.views import AnswerTask
from onestop.gateway.errors import AnswerStands, EffectInHand, NoSuchEffect
from onestop.gateway.models import Settled
from onestop.gateway.watch import Resolve, SendAgain, Watch, watched
from tests.cases.conftest import citizen, effects_of, settle, tell

pytestmark = pytest.mark.anyio
CERTIFICATE = "issue_birth_certificate"


@pytest.fixture
def weijian(office):
    return citizen(office, "sub_clerk_weijian", "clerk", "weijian")


@pytest.fixture
def operator(office):
    return citizen(office, "sub_operator", "operator")


@pytest.fixture
def watch(office):
    return Watch(office.pool, office.keys, office.gateway, office.region, service.outcome_handler(office))


@pytest.fixture(autouse=True)
def quiet():
    with capture_logs():
        yield


async def at_desk(office, lin):
    """Return a case whose first step's outcome only a person can find out, and that step's task."""
    case_id = await lin.submitted()
    await unclear(office, (await effects_of(office, case_id))[CERTIFICATE])
    task = await office.pool.fetchval(
        "SELECT id FROM desk_tasks WHERE case_id = $1 AND step = $2 AND state = 'open'", case_id, CERTIFICATE
    )
    return case_id, task


async def unclear(office, effect, problem="upstream.gave_up"):
    async with office.pool.acquire() as db, db.transaction():
        await db.execute(
            "UPDATE effects SET state = 'desk', next_at = NULL, attempt = 7, sent_at = now(), problem = $2"
            " WHERE id = $1",
            effect.id,
            {"code": problem},
        )
        await service.outcome_handler(office)(db, effect, Settled(outcome="desk", problem=problem))


async def answer(clerk, task, **given):
    keyed = clerk.keyed(f"/v1/tasks/{task}/answer")
    return await service.answer_task(clerk.office, clerk.session, clerk.context(), keyed, task, AnswerTask(**given))


async def step(lin, case_id, code=CERTIFICATE):
    return next(one for one in (await lin.case(case_id)).steps if one.code == code)


async def effect_row(office, case_id, code=CERTIFICATE):
    return await office.pool.fetchrow(
        "SELECT * FROM effects WHERE case_id = $1 AND step = $2 ORDER BY id LIMIT 1", case_id, code
    )


# ---- refusals ------------------------------------------------------------------------------------------------------


async def test_another_departments_clerk_neither_sees_nor_decides_it(office, lin, clerk):
    _, task = await at_desk(office, lin)
    with pytest.raises(TaskUnknown):
        await service.task(office, clerk.session, clerk.context(), task)
    with pytest.raises(TaskUnknown):
        await answer(clerk, task, outcome="send_again")


async def test_what_was_never_meant_for_a_system_is_not_sent_again(office, lin, clerk):
    case_id = await lin.submitted()
    task = await office.pool.fetchval(
        "SELECT id FROM desk_tasks WHERE case_id = $1 AND step = 'parenting_guidance'", case_id
    )
    with pytest.raises(NothingToSend):
        await answer(clerk, task, outcome="send_again")


async def test_an_operator_changes_nothing_that_is_decided_in_hand_or_not_there(office, lin, operator, watch):
    case_id = await lin.submitted()
    live = (await effects_of(office, case_id))[CERTIFICATE]

    async def retry(effect_id):
        keyed = operator.keyed(f"/v1/ops/effects/{effect_id}/retry")
        return await watch.send_again(
            operator.session, operator.context(), keyed, effect_id, SendAgain(reason="the department asks for it")
        )

    with pytest.raises(NoSuchEffect):
        await retry("eff_nothing")
    await office.pool.execute(
        "UPDATE effects SET worker = 'w-1', lease_until = now() + interval '10 s' WHERE id = $1", live.id
    )
    with pytest.raises(EffectInHand):
        await retry(live.id)
    await settle(office, live, "completed")
    await office.pool.execute("UPDATE effects SET worker = NULL, lease_until = NULL WHERE id = $1", live.id)
    with pytest.raises(AnswerStands):
        await retry(live.id)


def test_a_persons_number_in_a_reason_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"reason": "990102199203140221 called"}, SendAgain)


# ---- the desk ------------------------------------------------------------------------------------------------------


async def test_the_desk_reads_whose_it_is_and_what_to_find_out(office, lin, weijian):
    case_id, task = await at_desk(office, lin)
    view = await service.task(office, weijian.session, weijian.context("en"), task)
    row = await effect_row(office, case_id)
    assert (view.department.id, bool(view.officer), view.due_on > date.today() - timedelta(days=1)) == (
        "weijian",
        True,
        True,
    )
    found = view.find_out
    assert (found.key, found.attempts, found.sent_at, found.problem) == (
        row["key"],
        7,
        row["sent_at"],
        "upstream.gave_up",
    )
    assert "72 hours" in found.says
    assert "72 hours" in view.says
    listed = (await service.tasks(office, weijian.session, "en", after=None, limit=200)).data
    assert task in [one.id for one in listed]


async def test_what_certainly_was_not_done_is_sent_again_under_the_same_key(office, lin, weijian):
    case_id, task = await at_desk(office, lin)
    before = await effect_row(office, case_id)
    await answer(weijian, task, outcome="send_again")
    after = await effect_row(office, case_id)
    assert (after["state"], after["key"], after["next_at"] is not None) == ("unknown", before["key"], True)
    assert (await step(lin, case_id)).state == "in_progress"
    assert await service.orphans(office) == []
    live = (await effects_of(office, case_id))[CERTIFICATE]
    await settle(office, live, "completed")
    assert (await step(lin, case_id)).state == "completed"


async def test_what_is_unclear_a_second_time_comes_to_the_desk_a_second_time(office, lin, weijian):
    case_id, task = await at_desk(office, lin)
    await answer(weijian, task, outcome="send_again")
    await unclear(office, (await effects_of(office, case_id))[CERTIFICATE])
    assert (await step(lin, case_id)).state == "at_desk"
    assert await service.orphans(office) == []


@pytest.mark.parametrize(("outcome", "state"), [("completed", "done"), ("declined", "refused")])
async def test_what_the_desk_says_stands_in_the_ledger_too(office, lin, weijian, outcome, state):
    case_id, task = await at_desk(office, lin)
    await answer(weijian, task, outcome=outcome, text="found out by telephone")
    row = await effect_row(office, case_id)
    assert (row["state"], row["answer"], row["outcome"]) == (state, "received", outcome)


async def test_an_operator_sees_resolves_and_is_recorded(office, lin, operator, watch):
    case_id, _ = await at_desk(office, lin)
    row = await effect_row(office, case_id)
    seen = (await watched(office.pool, office.gateway, office.region, "desk", "en", after=None, limit=200)).data
    mine = next(one for one in seen if one.effect.id == row["id"])
    assert (mine.effect.key, mine.effect.problem) == (row["key"], {"code": "upstream.gave_up"})
    assert mine.officer
    keyed = operator.keyed(f"/v1/ops/effects/{row['id']}/resolve")
    found = Resolve(outcome="declined", reason="the department's letter of today")
    for _ in range(2):  # repeated under its key it is the same
        await watch.resolve(operator.session, operator.context(), keyed, row["id"], found)
    assert (await step(lin, case_id)).state == "declined"
    acts = await office.pool.fetch("SELECT action, detail FROM audit_entries WHERE object = $1", row["id"])
    assert [(act["action"], act["detail"]["reason"]) for act in acts] == [
        ("effect.resolved", "the department's letter of today")
    ]


async def test_an_operator_has_it_tried_again(office, lin, operator, watch):
    case_id, _ = await at_desk(office, lin)
    row = await effect_row(office, case_id)
    keyed = operator.keyed(f"/v1/ops/effects/{row['id']}/retry")
    asked = SendAgain(reason="the department is back")
    await watch.send_again(operator.session, operator.context(), keyed, row["id"], asked)
    assert (await step(lin, case_id)).state == "in_progress"
    assert (await effect_row(office, case_id))["state"] == "unknown", "it is asked after before it is sent"


# ---- the invariant and the sweeper ---------------------------------------------------------------------------------

LOSSES = {
    "its effect has no time to look": "UPDATE effects SET next_at = NULL WHERE case_id = $1",
    "its effect is gone": "UPDATE case_steps SET effect_id = NULL WHERE case_id = $1 AND state = 'in_progress'",
    "its effect is set aside untold": "UPDATE effects SET state = 'desk', next_at = NULL WHERE case_id = $1",
    "its task was dropped": "UPDATE desk_tasks SET state = 'dropped' WHERE case_id = $1",
    "nothing it waits for is open": (
        "UPDATE case_steps SET needs = '{nowhere}' WHERE case_id = $1 AND code = 'register_birth'"
    ),
    "nobody knows that it is to be corrected": (
        "UPDATE case_steps SET state = 'correcting' WHERE case_id = $1 AND state = 'in_progress'"
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_whatever_loses_its_owner_is_found_and_gets_one(office, lin, loss):
    case_id = await lin.submitted()
    assert await service.orphans(office) == []
    await office.pool.execute(LOSSES[loss], case_id)
    assert {one.case_id for one in await service.orphans(office)} == {case_id}
    assert await service.escalate(office) >= 1
    assert await service.orphans(office) == []
    tasks = await office.pool.fetch(
        "SELECT department, reason, due_on FROM desk_tasks WHERE case_id = $1 AND state = 'open'", case_id
    )
    assert "no_owner" in {task["reason"] for task in tasks}
    assert all(task["department"] and task["due_on"] for task in tasks)


async def test_nothing_is_escalated_where_nothing_is_late(office, lin):
    await lin.submitted()
    await service.escalate(office)  # what other tests left
    assert await service.escalate(office) == 0


async def test_a_departments_term_that_is_over_is_a_persons_question_and_its_answer_still_counts(office, lin):
    case_id = await lin.submitted()
    live = (await effects_of(office, case_id))[CERTIFICATE]
    await office.pool.execute(
        "UPDATE case_steps SET due_on = current_date - 3 WHERE case_id = $1 AND code = $2", case_id, CERTIFICATE
    )
    await service.escalate(office)
    reason = await office.pool.fetchval(
        "SELECT reason FROM desk_tasks WHERE case_id = $1 AND step = $2 AND state = 'open'", case_id, CERTIFICATE
    )
    assert reason == "term_over"
    await settle(office, live, "completed")
    assert (await step(lin, case_id)).state == "completed"


async def test_a_correction_that_never_came_is_decided_by_a_person(office, lin):
    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, "correction")
    await office.pool.execute(
        "UPDATE case_steps SET due_on = current_date - 3 WHERE case_id = $1 AND code = $2", case_id, CERTIFICATE
    )
    await service.escalate(office)
    assert (await step(lin, case_id)).state == "at_desk"
    assert await service.orphans(office) == []


async def test_a_task_past_its_day_is_told_once(office, lin, clerk):
    case_id = await lin.submitted()
    await service.escalate(office)
    before = await service.overdue_tasks(office)
    await office.pool.execute("UPDATE desk_tasks SET due_on = current_date - 3 WHERE case_id = $1", case_id)
    assert await service.escalate(office) == 1
    assert await service.escalate(office) == 0
    assert await service.overdue_tasks(office) == before + 1
    mine = [
        one for one in (await service.tasks(office, clerk.session, "zh", after=None, limit=200)).data if one.overdue
    ]
    assert mine


async def test_the_statement_the_public_status_names_is_the_one_that_counts(office):
    from onestop.overview.status import STATEMENT

    module, _, name = STATEMENT.rpartition(".")
    assert module == "cases.store_owners"
    assert "case_steps" in getattr(store_owners, name)
    assert service_sweep.orphans is service.orphans


# ---- withdrawal ----------------------------------------------------------------------------------------------------


async def test_a_withdrawn_case_is_called_off_where_the_department_offers_it(office, lin, chen):
    from tests.cases.test_bundle import withdraw

    manifest = office.gateway.manifests["weijian"]
    submit = manifest.operation(CERTIFICATE)
    cancel = msgspec.structs.replace(submit, id=f"cancel_{CERTIFICATE}", kind="cancel", want=None)
    office.gateway.manifests["weijian"] = msgspec.structs.replace(manifest, operations=[*manifest.operations, cancel])
    case_id = await lin.submitted()
    theirs = await chen.submitted()
    await withdraw(lin, case_id)
    rows = await office.pool.fetch(
        "SELECT id, key, operation FROM effects WHERE case_id = ANY($1) AND operation LIKE 'cancel%'", [case_id, theirs]
    )
    assert [(row["key"], row["operation"]) for row in rows] == [
        (f"{case_id[5:]}-{CERTIFICATE}-1-cancel", f"cancel_{CERTIFICATE}")
    ]
    original = await office.pool.fetchrow(
        "SELECT * FROM effects WHERE case_id = $1 AND operation = $2", case_id, CERTIFICATE
    )
    called_off = next(one for one in [await _effect(office, rows[0]["id"])] if one.operation == f"cancel_{CERTIFICATE}")
    await settle(office, called_off, "completed")
    assert (await step(lin, case_id)).state == "withdrawn"
    again = await office.pool.fetchrow("SELECT * FROM effects WHERE id = $1", original["id"])
    assert (again["state"], again["next_at"], again["outcome"]) == ("refused", None, "cancelled")
    assert (await step(chen, theirs)).state == "in_progress"


async def _effect(office, effect_id):
    from onestop.gateway.models import Effect

    row = await office.pool.fetchrow(
        "SELECT region, id, case_id, step, adapter, operation, version, key, state, answer, attempt, intended_at"
        "  FROM effects WHERE id = $1",
        effect_id,
    )
    return msgspec.convert(dict(row), Effect)
