"""The bundle from submission to certificate: order, facts that flow, corrections, desks, withdrawal."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onestop.cases import picture, rules, service
from onestop.cases.errors import (
    CaseClosed,
    CaseUnknown,
    DeclarationMissing,
    FormInvalid,
    NotCorrecting,
    NotDraft,
    NotTheDesk,
    OperationUnknown,
    TaskAnswered,
    TaskUnknown,
)
from onestop.cases.views import AnswerTask, Resubmit, Submit
from onestop.certificates.errors import CertificateUnknown
from onestop.errors import Conflict, Stale
from onestop.gateway.models import Settled
from onestop.ids import new_id

from .conftest import BIRTH, FILL, RESULTS, citizen, effects_of, settle, tell

pytestmark = pytest.mark.anyio

CERTIFICATE = "issue_birth_certificate"


async def states(who, case_id):
    return {step.code: step.state for step in (await who.case(case_id)).steps}


async def payload(office, effect):
    import msgspec

    sealed = await office.pool.fetchval("SELECT payload FROM effects WHERE id = $1", effect.id)
    return msgspec.json.decode(office.keys.unseal(sealed, f"effects.payload.{effect.id}"))


async def desk_task(clerk):
    return (await service.tasks(clerk.office, clerk.session, "zh", after=None, limit=200)).data


async def answer(clerk, task_id, outcome="completed", key=None, **rest):
    keyed = clerk.keyed(f"/v1/tasks/{task_id}/answer", key)
    given = AnswerTask(outcome=outcome, **rest)
    return await service.answer_task(clerk.office, clerk.session, clerk.context(), keyed, task_id, given)


async def task_of(clerk, case_id):
    number = await clerk.office.pool.fetchval("SELECT number FROM cases WHERE id = $1", case_id)
    return next(task for task in await desk_task(clerk) if task.case_number == number)


# ---- refusals ------------------------------------------------------------------------------------------------------


async def test_an_incomplete_form_is_not_submitted_and_everything_missing_is_named(lin):
    case = await lin.open()
    with pytest.raises(FormInvalid) as refused:
        await lin.submit(case["id"], case["version"])
    assert {fault.pointer for fault in refused.value.errors} == {
        "/answers/baby/name",
        "/answers/contact/phone",
        "/answers/guidance/station",
    }
    assert (await lin.case(case["id"])).state == "draft"
    assert await effects_of(lin.office, case["id"]) == {}


async def test_without_the_declaration_nothing_is_submitted(lin):
    case = await lin.change(await lin.open(), FILL)
    keyed = lin.keyed(f"/v1/cases/{case.id}/submission")
    with pytest.raises(DeclarationMissing):
        await service.submit(lin.office, lin.session, lin.context(), keyed, case.id, [case.version], Submit())


async def test_a_case_is_submitted_once(lin):
    case_id = await lin.submitted()
    with pytest.raises(NotDraft):
        await lin.submit(case_id, 3)


async def test_twenty_submissions_at_once_under_one_key_are_one_and_intend_each_effect_once(lin, pool):
    case = await lin.change(await lin.open(), FILL)
    replies = await asyncio.gather(*(lin.submit(case.id, case.version, key="one") for _ in range(20)))
    assert len({reply.body for reply in replies}) == 1
    assert sum(not reply.replayed for reply in replies) == 1
    assert await pool.fetchval("SELECT count(*) FROM effects WHERE case_id = $1", case.id) == 1


async def test_twenty_submissions_at_once_under_twenty_keys_submit_once(lin, pool):
    case = await lin.change(await lin.open(), FILL)
    replies = await asyncio.gather(*(lin.submit(case.id, case.version) for _ in range(20)), return_exceptions=True)
    assert sum(not isinstance(reply, Exception) for reply in replies) == 1
    assert all(isinstance(reply, (Conflict, Stale)) for reply in replies if isinstance(reply, Exception))
    submitted = "SELECT count(*) FROM case_events WHERE case_id = $1 AND type LIKE '%submitted'"
    assert await pool.fetchval(submitted, case.id) == 1


# ---- the order and the facts ---------------------------------------------------------------------------------------


async def test_submission_intends_what_needs_nothing_and_lets_the_rest_wait(lin, office):
    case_id = await lin.submitted()
    assert await states(lin, case_id) == {
        CERTIFICATE: "in_progress",
        "vaccination_card": "waiting",
        "register_birth": "waiting",
        "social_security_card": "waiting",
        "enrol_resident": "waiting",
        "maternity_claim": "waiting",
        "parenting_guidance": "at_desk",
    }
    effects = await effects_of(office, case_id)
    assert list(effects) == [CERTIFICATE]
    assert effects[CERTIFICATE].key == f"{case_id[5:]}-{CERTIFICATE}-1"
    told = await payload(office, effects[CERTIFICATE])
    assert (told["mother_id"], told["child_name"], told["born_on"]) == ("990102199203140221", "周沐禾", "2025-11-18")
    assert await service.orphans(office) == []


async def test_every_open_step_has_a_due_day_and_what_waits_has_a_forecast_after_what_it_needs(lin):
    case = await lin.case(await lin.submitted())
    due = {step.code: step.due_on for step in case.steps}
    assert due["social_security_card"] > due["register_birth"] > due[CERTIFICATE]
    assert case.clock.lamp == "green"
    assert case.clock.left == 5


async def test_the_newborns_number_flows_by_data(lin, office):
    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, "completed")
    effects = await effects_of(office, case_id)
    assert set(effects) == {CERTIFICATE, "vaccination_card", "register_birth", "maternity_claim"}
    assert (await payload(office, effects["register_birth"]))["certificate_no"] == "Y990000123"
    await settle(office, effects["register_birth"], "completed")
    effects = await effects_of(office, case_id)
    for code in ("social_security_card", "enrol_resident"):
        assert (await payload(office, effects[code]))["child_id"] == "990102202511180465"
    assert await service.orphans(office) == []


async def test_a_bundle_that_all_departments_complete_is_granted_and_certified(lin, chen, clerk, office, pool):
    case_id = await lin.submitted()
    with pytest.raises(CertificateUnknown):
        await service.certificate(office, lin.session, case_id)
    await answer(clerk, (await task_of(clerk, case_id)).id, text="已登记")
    for code in RESULTS:
        await tell(office, case_id, code, "completed")
    case = await lin.case(case_id)
    assert (case.state, case.outcome) == ("decided", "granted")
    assert case.action is None
    number = next(step for step in case.steps if step.code == "register_birth").result[0]
    assert number.value == "9901********0465"
    certificate = await service.certificate(office, lin.session, case_id)
    assert certificate.certificate["outcome"] == "granted"
    assert [part["state"] for part in certificate.certificate["components"]] == ["completed"] * 7
    assert certificate.certificate["holder"] == "林**"
    assert "990102202511180465" not in str(certificate.certificate)
    with pytest.raises(CertificateUnknown):
        await service.certificate(office, chen.session, case_id)
    operation = await service.operation(office, lin.session, f"op_{case_id[5:]}", "zh")
    assert (operation.status, operation.progress.done) == ("succeeded", 7)


async def test_the_maternity_claim_is_no_step_where_the_mother_is_not_insured(lin, departments):
    departments.data = {**BIRTH, "medical_insurance": {"kind": "resident", "status": "active"}}
    assert "maternity_claim" not in await states(lin, await lin.submitted())


async def test_a_single_mother_applies_without_a_father(lin, departments, office):
    departments.data = {key: value for key, value in BIRTH.items() if key != "marriage"}
    case_id = await lin.submitted()
    told = await payload(office, (await effects_of(office, case_id))[CERTIFICATE])
    assert told["father_id"] is None


# ---- outcomes ------------------------------------------------------------------------------------------------------


async def test_an_outcome_told_twice_changes_nothing_the_second_time(lin, office, pool):
    case_id = await lin.submitted()
    effect = (await effects_of(office, case_id))[CERTIFICATE]
    for _ in range(3):
        await settle(office, effect, "completed")
    events = [event.type for event in (await lin.case(case_id)).timeline]
    assert events.count("cn.onestop.step.completed") == 1
    assert await pool.fetchval("SELECT count(*) FROM effects WHERE case_id = $1", case_id) == 4


async def test_received_now_and_answered_later_are_two_events_of_one_step(lin, office):
    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, "pending")
    assert (await states(lin, case_id))[CERTIFICATE] == "in_progress"
    assert await service.orphans(office) == []
    await tell(office, case_id, CERTIFICATE, "completed")
    assert (await states(lin, case_id))[CERTIFICATE] == "completed"


async def test_an_extension_moves_the_due_day_by_ten_working_days(lin, office):
    case_id = await lin.submitted()
    before = next(step for step in (await lin.case(case_id)).steps if step.code == CERTIFICATE).due_on
    await tell(office, case_id, CERTIFICATE, "extended")
    after = next(step for step in (await lin.case(case_id)).steps if step.code == CERTIFICATE).due_on
    assert (after - before).days >= 14
    waiting = next(step for step in (await lin.case(case_id)).steps if step.code == "register_birth")
    assert waiting.due_on > after


async def test_a_declined_step_stops_only_what_needs_it(lin, clerk, office):
    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, "completed")
    await tell(office, case_id, "register_birth", "declined", reason="材料不符")
    found = await states(lin, case_id)
    assert found["social_security_card"] == found["enrol_resident"] == "not_started"
    assert found["vaccination_card"] == "in_progress"
    for code in ("vaccination_card", "maternity_claim"):
        await tell(office, case_id, code, "completed")
    await answer(clerk, (await task_of(clerk, case_id)).id)
    case = await lin.case(case_id)
    assert (case.state, case.outcome) == ("decided", "partly")
    assert next(step for step in case.steps if step.code == "register_birth").reason == "材料不符"
    assert (await service.certificate(office, lin.session, case_id)).certificate["outcome"] == "partly"


async def test_two_outcomes_of_one_case_at_once_are_both_taken(lin, office):
    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, "completed")
    effects = await effects_of(office, case_id)
    await asyncio.gather(
        *(
            settle(office, effects[code], "completed")
            for code in ("register_birth", "vaccination_card", "maternity_claim")
        )
    )
    found = await states(lin, case_id)
    assert [found[code] for code in ("register_birth", "vaccination_card", "maternity_claim")] == ["completed"] * 3
    sequence = [event.seq for event in (await lin.case(case_id)).timeline]
    assert sequence == list(range(1, len(sequence) + 1))


async def test_a_result_that_lacks_what_the_next_step_needs_goes_to_a_person(lin, office):
    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, "completed")
    await tell(office, case_id, "register_birth", "completed", result={})
    assert (await states(lin, case_id))["social_security_card"] == "at_desk"
    assert await service.orphans(office) == []


@pytest.mark.parametrize("outcome", ["desk", "transferred"])
async def test_what_no_system_can_settle_is_a_persons_work_with_a_deadline(lin, office, outcome):
    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, outcome)
    weijian = citizen(office, "sub_w", "department", "weijian")
    task = await task_of(weijian, case_id)
    assert task.kind == "find_out"
    assert await service.orphans(office) == []
    await answer(weijian, task.id, result={"certificate_no": "Y990000999"})
    effects = await effects_of(office, case_id)
    assert (await payload(office, effects["register_birth"]))["certificate_no"] == "Y990000999"


async def test_a_department_heard_after_all_takes_the_task_off_the_desk(lin, office):
    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, "desk")
    weijian = citizen(office, "sub_w", "department", "weijian")
    task = await task_of(weijian, case_id)
    await tell(office, case_id, CERTIFICATE, "completed")
    assert task.id not in [one.id for one in await desk_task(weijian)]
    with pytest.raises(TaskAnswered):
        await answer(weijian, task.id)


async def test_an_outcome_of_no_case_is_ignored(office, lin):
    import msgspec

    case_id = await lin.submitted()
    effect = msgspec.structs.replace((await effects_of(office, case_id))[CERTIFICATE], case_id=new_id("case"))
    async with office.pool.acquire() as db, db.transaction():
        await service.record_outcome(office, db, effect, Settled(outcome="completed"))
    assert (await states(lin, case_id))[CERTIFICATE] == "in_progress"


# ---- desk ----------------------------------------------------------------------------------------------------------


async def test_a_desk_sees_its_own_departments_work_only(lin, clerk, office):
    case_id = await lin.submitted()
    task = await task_of(clerk, case_id)
    elsewhere = citizen(office, "sub_g", "clerk", "gongan")
    assert task.id not in [one.id for one in await desk_task(elsewhere)]
    with pytest.raises(TaskUnknown):
        await answer(elsewhere, task.id)
    with pytest.raises(NotTheDesk):
        await answer(lin, task.id)
    with pytest.raises(NotTheDesk):
        await desk_task(lin)


async def test_a_task_is_answered_once_and_the_same_key_says_the_same(lin, clerk, office):
    task = await task_of(clerk, await lin.submitted())
    first = await answer(clerk, task.id, key="a")
    again = await answer(clerk, task.id, key="a")
    assert (again.body, again.replayed) == (first.body, True)
    with pytest.raises(TaskAnswered):
        await answer(clerk, task.id)


async def test_reading_a_task_shows_what_its_step_needs_and_is_recorded(lin, clerk, pool):
    task = await task_of(clerk, await lin.submitted())
    shown = await service.task(clerk.office, clerk.session, clerk.context(), task.id)
    assert shown.payload["联系电话"] == "15400000001"
    assert "母亲公民身份号码" not in shown.payload
    assert (
        await pool.fetchval("SELECT count(*) FROM audit_entries WHERE action = 'task.read' AND actor = 'sub_clerk'")
        >= 1
    )


# ---- correction and withdrawal -------------------------------------------------------------------------------------


async def resubmit(who, case_id, code=CERTIFICATE, key=None, **answers):
    keyed = who.keyed(f"/v1/cases/{case_id}/steps/{code}/resubmission", key)
    return await service.resubmit(
        who.office, who.session, who.context(), keyed, case_id, code, Resubmit(answers=answers)
    )


async def test_a_correction_is_asked_for_once_and_sent_under_a_new_key(lin, chen, office):
    case_id = await lin.submitted()
    with pytest.raises(NotCorrecting):
        await resubmit(lin, case_id)
    await tell(office, case_id, CERTIFICATE, "correction", reason="姓名与户口簿不一致")
    case = await lin.case(case_id)
    assert (case.state, case.action.kind, case.action.reason) == ("correcting", "correct", "姓名与户口簿不一致")
    with pytest.raises(CaseUnknown):
        await resubmit(chen, case_id)
    with pytest.raises(FormInvalid) as refused:
        await resubmit(lin, case_id, contact={"phone": "15400000002"})
    assert refused.value.errors[0].code == "form.not_of_this_step"
    await resubmit(lin, case_id, baby={"name": "周小禾"})
    effect = (await effects_of(office, case_id))[CERTIFICATE]
    assert effect.key.endswith(f"{CERTIFICATE}-2")
    assert (await payload(office, effect))["child_name"] == "周小禾"
    assert (await lin.case(case_id)).state == "in_progress"
    with pytest.raises(NotCorrecting):
        await resubmit(lin, case_id)
    assert await service.orphans(office) == []


async def test_an_outcome_of_the_round_before_a_correction_is_ignored(lin, office):
    case_id = await lin.submitted()
    old = (await effects_of(office, case_id))[CERTIFICATE]
    await settle(office, old, "correction")
    await resubmit(lin, case_id)
    await settle(office, old, "declined")
    assert (await states(lin, case_id))[CERTIFICATE] == "in_progress"


async def test_a_second_notice_goes_to_the_desk(lin, office):
    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, "correction")
    await resubmit(lin, case_id)
    await tell(office, case_id, CERTIFICATE, "correction")
    assert (await states(lin, case_id))[CERTIFICATE] == "at_desk"
    assert (await lin.case(case_id)).state == "in_progress"


async def withdraw(who, case_id):
    keyed = who.keyed(f"/v1/cases/{case_id}/withdrawal")
    return await service.withdraw(who.office, who.session, who.context(), keyed, case_id)


async def test_a_withdrawal_stops_what_has_not_begun_and_keeps_what_departments_do(lin, chen, clerk, office):
    case_id = await lin.submitted()
    with pytest.raises(CaseUnknown):
        await withdraw(chen, case_id)
    await withdraw(lin, case_id)
    found = await states(lin, case_id)
    assert found["register_birth"] == found["parenting_guidance"] == "withdrawn"
    assert found[CERTIFICATE] == "in_progress"
    await tell(office, case_id, CERTIFICATE, "completed")
    case = await lin.case(case_id)
    assert case.state == "withdrawn"
    assert (await states(lin, case_id))[CERTIFICATE] == "completed"
    assert set(await effects_of(office, case_id)) == {CERTIFICATE}
    with pytest.raises(CaseClosed):
        await withdraw(lin, case_id)
    with pytest.raises(CertificateUnknown):
        await service.certificate(office, lin.session, case_id)
    assert await service.orphans(office) == []


async def test_an_unknown_or_drafted_operation_is_absent(lin, chen, office):
    case = await lin.open()
    for who, operation in ((lin, f"op_{case['id'][5:]}"), (lin, "op_x"), (chen, f"op_{case['id'][5:]}")):
        with pytest.raises(OperationUnknown):
            await service.operation(office, who.session, operation, "zh")


# ---- the words and the picture -------------------------------------------------------------------------------------


async def test_the_case_says_what_it_means_what_to_do_and_by_when_in_both_languages(lin):
    case_id = await lin.submitted()
    zh, en = await lin.case(case_id), await lin.case(case_id, "en")
    assert "您现在不用做什么" in zh.says
    assert "You need not do anything now" in en.says
    assert all(event.means and event.you_do for event in (*zh.timeline, *en.timeline))
    assert "{" not in zh.says + en.says + "".join(event.means + event.you_do for event in zh.timeline)


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_the_picture_is_sound_xml_and_says_in_words_what_it_shows(lin, office, lang):
    from lxml import etree

    case_id = await lin.submitted()
    await tell(office, case_id, CERTIFICATE, "completed")
    timeline = await service.timeline(office, await service.own_case(office, lin.session, case_id), lang)
    drawn = picture.draw(timeline, lang)
    root = etree.fromstring(drawn.encode())
    assert root.get("role") == "img"
    described = root.find("{http://www.w3.org/2000/svg}desc").text
    for bar in timeline.bars:
        assert bar.name in described
        assert bar.state_name in described


# ---- any order -----------------------------------------------------------------------------------------------------

OUTCOMES = ("completed", "declined", "correction", "pending", "extended", "desk", "transferred")
MOVES = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(OUTCOMES)),
    max_size=14,
)  # fmt: skip


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=MOVES)
def test_any_order_of_outcomes_ends_in_a_consistent_decided_case_and_never_orphans_a_step(order, anyio_runner_play):
    anyio_runner_play(order)


@pytest.fixture
def anyio_runner_play(dsn, keys, settings):
    """Play an order of outcomes on a loop of its own; a fixture's loop would serve one example only."""
    from .conftest import play

    def run(order):
        asyncio.run(play(dsn, keys, settings, order))

    return run


def test_rules_know_when_a_case_is_decided():
    assert rules.case_state(["completed", "not_started"]) == "decided"
    assert rules.case_state(["completed", "waiting"]) == "in_progress"
