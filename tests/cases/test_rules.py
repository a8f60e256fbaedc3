"""The state machine, the numbers and the form, without anything else."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.cases import rules, rules_form
from onestop.cases.models import APPLICANT, Answer, Step
from onestop.items.models import Choice, Field, Words
from onestop.items.service import load

TODAY = date(2026, 3, 2)
BIRTH = load().get("birth")


def step(code="a", state="in_progress", position=0, needs=(), **rest) -> Step:
    return Step(
        code=code, position=position, department="gongan", adapter="gongan", operation="o", needs=list(needs),
        state=state, promised_days=5, due_on=TODAY, **rest,
    )  # fmt: skip


@pytest.mark.parametrize("state", ["completed", "declined", "not_started", "withdrawn", "waiting"])
@pytest.mark.parametrize("outcome", ["completed", "declined", "correction", "pending", "desk"])
def test_an_ended_or_unbegun_step_hears_nothing(state, outcome):
    assert rules.next_state(step(state=state), outcome, closed=False) is None


def test_the_same_outcome_again_changes_nothing():
    assert rules.next_state(step(heard="pending"), "pending", closed=False) is None
    assert rules.next_state(step(heard="pending"), "completed", closed=False) == "completed"


def test_a_second_correction_notice_goes_to_a_person_and_not_to_the_applicant():
    assert rules.next_state(step(), "correction", closed=False) == "correcting"
    assert rules.next_state(step(round=2), "correction", closed=False) == "at_desk"


def test_nobody_is_asked_to_correct_a_withdrawn_case():
    assert rules.next_state(step(), "correction", closed=True) == "withdrawn"
    assert rules.next_state(step(), "completed", closed=True) == "completed"


def test_what_waits_for_a_declined_step_never_starts_and_nothing_else_stops():
    steps = [
        step("a", "declined", 0),
        step("b", "waiting", 1, ["a"]),
        step("c", "waiting", 2, ["b"]),
        step("d", "completed", 3),
        step("e", "waiting", 4, ["d"]),
    ]
    moves = rules.moves(steps)
    assert moves.never == ["b", "c"]
    assert moves.start == ["e"]


def test_partial_success_stays_partial():
    assert rules.outcome(["completed", "completed"]) == "granted"
    assert rules.outcome(["completed", "declined", "not_started"]) == "partly"
    assert rules.outcome(["declined", "not_started"]) == "denied"


def test_every_state_a_step_can_reach_has_a_way_to_an_end():
    for state in rules.OPEN:
        seen, todo = {state}, [state]
        while todo:
            for target in rules.MOVES[todo.pop()]:
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        assert seen & rules.ENDED


def test_a_case_number_with_a_wrong_or_swapped_character_is_noticed():
    number = rules.case_number("990100", "20260302", 17)
    assert number[:-1] == "9901002026030200000017"
    assert rules.is_number(number)
    assert not rules.is_number(number[:10] + str((int(number[10]) + 1) % 10) + number[11:])
    swapped = number[:12] + number[13] + number[12] + number[14:]
    assert number[12] == number[13] or not rules.is_number(swapped)


@given(st.text("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=30))
def test_the_check_character_agrees_with_the_standard_library_of_numbers(text):
    from stdnum.iso7064 import mod_37_36

    assert mod_37_36.is_valid(text + rules.check_character(text))


@given(st.binary(min_size=8, max_size=8))
def test_a_claim_code_has_no_look_alikes(random):
    code = rules.claim_code(random)
    assert len(code) == 8
    assert not set(code) & set("01OILU")


def field(kind="text", **rest) -> Field:
    return Field(code="a.b", type=kind, label=Words(zh="甲", en="A"), **rest)


@pytest.mark.parametrize(
    ("what", "value", "code"),
    [
        (field(), "", "form.required"),
        (field(), "   ", "form.required"),
        (field(), 7, "form.not_text"),
        (field(), "a\x00b", "form.control_character"),
        (field(), "a\u2028b", "form.control_character"),
        (field(max_length=3), "四个汉字", "form.too_long"),
        (field("boolean"), "yes", "form.not_yes_or_no"),
        (field("integer"), True, "form.not_a_number"),
        (field("integer", maximum=9), 10, "form.out_of_range"),
        (field("date"), "2026-02-30", "form.bad_date"),
        (field("date"), "20260301", "form.bad_date"),
        (field("date"), "2026-03-03", "form.future_date"),
        (field("date", earliest_days=10), "2026-01-01", "form.too_long_ago"),
        (field("choice", choices=(Choice(code="x", zh="x", en="x"),)), "y", "form.not_a_choice"),
        (field("phone"), "12345", "form.bad_phone"),
        (field("id_number"), "990102199203140222", "identity.bad_checksum"),
        (field("id_number"), "11010519491231002X", "sandbox.real_identity"),
        (field("record"), "x", "form.not_editable"),
    ],
)
def test_a_value_that_cannot_be_taken_is_named(what, value, code):
    with pytest.raises(rules_form.Refused) as refused:
        rules_form.clean(what, value, TODAY, "demo")
    assert refused.value.code == code


@pytest.mark.parametrize("name", ["周沐禾", "迪丽努尔·艾力", "欧阳致远", "沈𬭚", "Ana María"])
def test_a_name_with_a_dot_a_rare_character_or_latin_letters_is_taken(name):
    assert rules_form.clean(field(), f" {name} ", TODAY, "demo") == name


def test_an_identity_number_is_kept_without_spaces_and_in_capitals():
    assert rules_form.clean(field("id_number"), "99010219800101904x ", TODAY, "demo") == "99010219800101904X"


def test_what_an_authority_vouches_for_is_not_typed_over():
    answers = {"mother.name": Answer("林晓舟", "household", "2026-03-02", "gongan", "1.0.0")}
    changed, faults = rules_form.change(
        BIRTH, answers, {"mother": {"name": "别人"}}, today=TODAY, now="2026-03-02", profile="demo"
    )
    assert changed == answers
    assert [(f.pointer, f.code, f.source) for f in faults] == [("/answers/mother/name", "form.not_editable", "gongan")]


def test_a_component_is_done_only_where_its_condition_is_yes():
    yes = {"mother.insured": Answer(True, APPLICANT)}
    assert "maternity_claim" in [part.code for part in rules_form.selected(BIRTH, yes)]
    for answers in ({}, {"mother.insured": Answer(False, APPLICANT)}):
        assert "maternity_claim" not in [part.code for part in rules_form.selected(BIRTH, answers)]
