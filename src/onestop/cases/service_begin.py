"""Steps set in motion: planned from the item, started with what they need, given to a department or to a desk."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from onestop.cases import rules_form
from onestop.cases.models import Answer, Form, NewEvent, NewTask, Step, StepState, TaskKind
from onestop.cases.office import DESK, Office
from onestop.gateway.models import NewEffect
from onestop.gateway.representation import told_parties
from onestop.ids import new_id
from onestop.items.ready import ReadyItem

ONESTOP = "onestop"  # who does what nobody in particular does
STARTED = "cn.onestop.step.started"
AT_DESK = "cn.onestop.step.at_desk"


class Owed(msgspec.Struct):
    """What a transaction writes for steps that begin."""

    steps: list[Step] = []
    effects: list[NewEffect] = []
    tasks: list[NewTask] = []
    events: list[NewEvent] = []


class Whose(msgspec.Struct, frozen=True, kw_only=True):
    """The case steps begin for."""

    case_id: str
    number: str
    form: Form
    trace_id: str | None = None
    subject: str | None = None
    actor: str | None = None  # who makes them begin; None: onestop, when another step had ended
    mandate: str | None = None
    beneficiary: str | None = None


def plan(office: Office, ready: ReadyItem, answers: Mapping[str, Answer], today: date) -> list[Step]:
    """Return the steps of a case submitted today, none of them begun.

    A step that waits has a forecast for its due day: what it needs takes its full term first.
    """
    chosen = rules_form.selected(ready, answers)
    codes = {part.code for part in chosen}
    due: dict[str, date] = {}
    steps = []
    for position, part in enumerate(chosen):
        needs = [code for code in part.needs if code in codes]
        begins = max((due[code] for code in needs), default=today)
        due[part.code] = office.due_on(begins, part.days)
        steps.append(
            Step(
                code=part.code,
                position=position,
                department=part.adapter,
                adapter=DESK if office.is_desk(part.adapter) else part.adapter,
                operation=part.operation,
                needs=needs,
                state="waiting",
                promised_days=part.days,
                due_on=due[part.code],
            )
        )
    return steps


def begin(
    office: Office,
    ready: ReadyItem,
    whose: Whose,
    steps: Sequence[Step],
    results: Mapping[str, Mapping[str, Any]],
    today: date,
) -> Owed:
    """Return what is owed for these steps as they begin now: an effect, or a task where a person has to act.

    Rule: R-028, the term of a step runs from the day it begins, which is day zero.
    Rule: R-029, an effect's key is made of case, step and round: the same intention never has two keys.
    """
    owed = Owed()
    values = {
        "answers": rules_form.values(whose.form.answers),
        "results": results,
        "applicant": {"number": whose.form.number, "name": whose.form.name},
        "case": {"number": whose.number, "item": ready.spec.code},
    }
    acting = whose.form.acting.parties() if whose.form.acting else {}
    for step in steps:
        due = office.due_on(today, step.promised_days)
        if step.adapter == DESK:
            _to_desk(owed, step, due, "handle", "no_system")
            continue
        if step.adapter not in office.gateway.manifests:
            _to_desk(owed, step, due, "find_out", "not_connected")
            continue
        payload, missing = ready.components[step.code].payload(values)
        if missing:
            _to_desk(owed, step, due, "find_out", "input_missing")
            continue
        parties = office.gateway.parties(step.adapter, step.operation)
        told = told_parties(parties, {"actor": values["applicant"], **acting})
        effect = NewEffect(
            id=new_id("eff"),
            case_id=whose.case_id,
            step=step.code,
            adapter=step.adapter,
            operation=step.operation,
            key=f"{whose.case_id[5:]}-{step.code}-{step.round}",
            payload=payload | {"subject": values["applicant"], "case": values["case"]} | told,
            trace_id=whose.trace_id,
            subject=whose.subject,
            actor=whose.actor,
            mandate=whose.mandate,
            beneficiary=whose.beneficiary,
        )
        owed.effects.append(effect)
        owed.steps.append(_begun(step, due, "in_progress", effect.id))
        owed.events.append(_event(STARTED, step, due))
    return owed


def _begun(step: Step, due: date, state: StepState, effect_id: str | None = None) -> Step:
    return msgspec.structs.replace(step, due_on=due, heard=None, state=state, effect_id=effect_id)


def _to_desk(owed: Owed, step: Step, due: date, kind: TaskKind, reason: str) -> None:
    owed.tasks.append(desk_task(step, kind, reason, due))
    owed.steps.append(_begun(step, due, "at_desk"))
    owed.events.append(_event(AT_DESK, step, due, reason=reason))


def desk_task(step: Step, kind: TaskKind, reason: str, due: date) -> NewTask:
    """Return a task for the desk of the step's department."""
    return NewTask(
        id=new_id("task"),
        step=step.code,
        round=step.round,
        department=step.department,
        kind=kind,
        reason=reason,
        due_on=due,
    )


def _event(kind: str, step: Step, due: date, **data: str) -> NewEvent:
    return NewEvent(type=kind, by_whom=ONESTOP, step=step.code, data={"due_on": due.isoformat(), **data})


def merged(steps: Sequence[Step], changed: Sequence[Step]) -> list[Step]:
    """Return the steps with those that changed put in their places."""
    by_code = {step.code: step for step in changed}
    return [by_code.get(step.code, step) for step in steps]


def forecast(office: Office, steps: Sequence[Step]) -> list[Step]:
    """Return the waiting steps whose forecast moved because what they need ends on another day."""
    due = {step.code: step.due_on for step in steps}
    moved = []
    for step in steps:
        if step.state == "waiting" and step.needs:
            day = office.due_on(max(due[code] for code in step.needs), step.promised_days)
            if day != step.due_on:
                due[step.code] = day
                moved.append(msgspec.structs.replace(step, due_on=day))
    return moved


def states(steps: Sequence[Step]) -> list[StepState]:
    """Return the states of steps."""
    return [step.state for step in steps]
