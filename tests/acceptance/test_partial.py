"""Partial success stays partial, and is told as such: what was granted, what was not, what could not begin, and why."""

from concurrent.futures import Future

import pytest

from .city import City, await_steps, case_of, check_problem, fresh_key, only_desk_left, steps_of
from .journeys import CORRECTED, Journey


@pytest.fixture(scope="module")
def refused(journeys: dict[str, Future[Journey]]) -> Journey:
    return journeys["declined"].result()


@pytest.fixture(scope="module")
def mended(journeys: dict[str, Future[Journey]]) -> Journey:
    return journeys["corrected"].result()


def test_what_a_department_declined_is_told_with_its_own_reason(refused):
    step = steps_of(refused.case)["issue_birth_certificate"]
    assert (step["state"], step["reason"]) == ("declined", "不符合办理条件")


def test_what_needed_it_was_not_started_and_says_so(refused):
    steps = steps_of(refused.case)
    idle = {code for code, step in steps.items() if step["state"] == "not_started"}
    assert idle == {
        "vaccination_card",
        "register_birth",
        "social_security_card",
        "enrol_resident",
        "maternity_claim",
    }
    for code in idle:
        assert steps[code]["says"], code
    assert {e["step"] for e in refused.case["timeline"] if e["type"] == "cn.onestop.step.not_started"} == idle


def test_departments_that_were_not_reached_did_nothing(city, refused):
    for department in ("gongan", "renshe", "yibao"):
        assert city.effects_of(department, refused.case_id) == []
        assert not [e for e in city.ledger(department) if e["key"].startswith(refused.case_id.partition("_")[2])]


def test_the_case_is_decided_as_partly_granted_and_its_certificate_says_the_same(city, refused):
    assert (refused.case["state"], refused.case["outcome"]) == ("decided", "partly")
    check_problem(refused.answers["early_certificate"], 404, refused.answers["early_certificate"].json()["code"])
    held = refused.visitor.get(f"{refused.path}/certificate").json()
    assert "declined" in str(held)
    assert refused.visitor.get(refused.case["operation"]).json()["status"] == "partly"


def test_a_case_of_which_nothing_was_granted_is_denied(city):
    visitor = city.visitor("909")
    case_id = city.submit_birth(visitor)
    waiting = await_steps(visitor, case_id, only_desk_left)
    city.answer_desk(waiting["number"], "declined", text="本站不受理")
    case = case_of(visitor, case_id)
    assert (case["state"], case["outcome"]) == ("decided", "denied")
    assert steps_of(case)["parenting_guidance"]["reason"] == "本站不受理"


def test_a_correction_notice_says_what_to_do_and_by_when(mended):
    case = mended.answers["asked"].json()
    assert case["state"] == "correcting"
    action = case["action"]
    assert (action["kind"], action["step"]) == ("correct", "issue_birth_certificate")
    assert action["reason"]
    assert action["by"]
    assert action["link"].endswith("/resubmission")


def test_a_correction_is_sent_once_and_by_the_applicant_only(mended):
    assert mended.answers["resubmitted"].status == 202
    check_problem(mended.answers["stranger"], 404, "case.unknown")
    foreign = check_problem(mended.answers["foreign"], 422, "form.invalid")
    assert foreign["errors"][0]["code"] == "form.not_of_this_step"
    check_problem(mended.answers["resubmitted_twice"], 409, "case.not_correcting")
    assert [e["step"] for e in mended.case["timeline"]].count("issue_birth_certificate") >= 3


def test_what_was_corrected_is_completed_with_one_effect_a_step(city, mended):
    assert (mended.case["state"], mended.case["outcome"]) == ("decided", "granted")
    assert mended.case["answers"]["baby"]["name"]["value"] == CORRECTED
    asked = [e["step"] for e in mended.case["timeline"] if e["type"] == "cn.onestop.step.correction_requested"]
    assert len(asked) == len(set(asked)) >= 1
    for department, count in (("weijian", 2), ("gongan", 1), ("renshe", 1), ("yibao", 2)):
        assert len(city.effects_of(department, mended.case_id)) == count, department


def test_a_decided_case_takes_no_further_step(city: City, mended: Journey):
    path = f"{mended.path}/steps/issue_birth_certificate/resubmission"
    again = mended.visitor.post(path, {"answers": {}}, idempotency_key=fresh_key())
    assert again.status == 409
    assert again.json()["code"] in ("case.closed", "case.not_correcting")
    withdrawn = mended.visitor.post(f"{mended.path}/withdrawal", {}, idempotency_key=fresh_key())
    check_problem(withdrawn, 409, "case.closed")
    assert case_of(mended.visitor, mended.case_id) == mended.case
