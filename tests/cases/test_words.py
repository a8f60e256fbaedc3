"""A state, an outcome, an event or a task's reason without its words cannot exist."""

import re
from pathlib import Path
from typing import get_args

import pytest

from onestop import cases
from onestop.cases.models import CaseOutcome, CaseState, StepState
from onestop.texts import LANGUAGES, catalogue

SOURCE = "".join(path.read_text("utf-8") for path in Path(cases.__file__).parent.glob("*.py"))
EVENTS = sorted(set(re.findall(r"cn\.onestop\.(?:case|step)\.[a-z_]+", SOURCE)))


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    "key",
    [f"case.state.{state}" for state in get_args(CaseState)]
    + [f"case.outcome.{outcome}" for outcome in get_args(CaseOutcome)]
    + [f"step.state.{state}" for state in get_args(StepState)],
)
def test_every_state_says_its_name_what_it_means_what_you_do_and_by_when(lang, key):
    texts = catalogue(lang)
    assert texts[f"{key}.name"]
    assert texts[f"{key}.means"]
    assert texts[f"{key}.you_do"]
    assert f"{key}.by_when" in texts


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("event", EVENTS)
def test_every_event_says_what_it_means_what_you_do_and_by_when(lang, event):
    texts = catalogue(lang)
    assert texts[f"event.{event}.means"]
    assert texts[f"event.{event}.you_do"]
    assert f"event.{event}.by_when" in texts


def test_no_event_is_told_that_nothing_writes():
    told = {re.sub(r"^event\.|\.[a-z_]+$", "", key) for key in catalogue("zh") if key.startswith("event.cn.")}
    assert told == set(EVENTS)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_reason_for_a_persons_work_has_its_sentence(lang):
    reasons = {"no_system", "not_connected", "input_missing", "unknown_outcome", "second_correction", "transferred"}
    reasons |= {"gave_up", "not_fetched", "no_answer", "refused", "poison", "no_owner", "term_over", "correction_over"}
    told = {key.removeprefix("task.reason.") for key in catalogue(lang) if key.startswith("task.reason.")}
    assert told == reasons


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_fault_of_a_field_has_its_sentence(lang):
    codes = set(re.findall(r'"(form\.[a-z_]+)"', SOURCE)) - {"form.invalid"}
    assert codes <= {key.removeprefix("field.") for key in catalogue(lang) if key.startswith("field.")}
