"""What departments and desks report: lock the case, ask the rules, write, owe the next.

Everything an outcome leads to stands in the caller's transaction: the step, its event, the effects of the steps that
can now begin, and at the end the decision and its certificate.
"""

import os
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog

from onestop import clock
from onestop.audit import service as audit
from onestop.cases import rules, sealing, store, store_desk
from onestop.cases.models import Case, NewEvent, Result, Step, StepState
from onestop.cases.office import Office
from onestop.cases.service_begin import ONESTOP, Owed, Whose, begin, desk_task, forecast, merged
from onestop.cases.service_cancel import called_off
from onestop.cases.service_certify import certify
from onestop.cases.service_licences import issue_licences
from onestop.cases.service_submit import correction_due, write_owed
from onestop.db import Connection
from onestop.gateway.effects import Handler
from onestop.gateway.models import Effect, Settled

log = structlog.get_logger(__name__)

DECIDED: Final = "cn.onestop.case.decided"
NOT_STARTED: Final = "cn.onestop.step.not_started"
LATE: Final = "cn.onestop.step.answered_late"
# Outcome → the event that tells it; where a person has to act it is `at_desk` whatever the outcome was.
_EVENTS: Final[dict[rules.StepOutcome, str]] = {
    "completed": "cn.onestop.step.completed",
    "declined": "cn.onestop.step.declined",
    "correction": "cn.onestop.step.correction_requested",
    "pending": "cn.onestop.step.received",
    "extended": "cn.onestop.step.extended",
    "transferred": "cn.onestop.step.transferred",
    "desk": "cn.onestop.step.at_desk",
    "sent_again": "cn.onestop.step.sent_again",
}
# Why a person has to act, as the desk reads it.
_REASONS: Final[dict[rules.StepOutcome, str]] = {
    "correction": "second_correction",
    "transferred": "transferred",
    "desk": "unknown_outcome",
}
# The same, where the ledger knows more than that the outcome is unknown.
_CAUSES: Final[dict[str, str]] = {
    "upstream.gave_up": "gave_up",
    "upstream.not_fetched": "not_fetched",
    "upstream.no_answer": "no_answer",
    "upstream.refused": "refused",
    "upstream.not_connected": "not_connected",
    "upstream.unmappable": "poison",
    "effect.poison": "poison",
    "step.no_owner": "no_owner",
    "step.term_over": "term_over",
    "step.correction_over": "correction_over",
}


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome of one step, whoever told it."""

    outcome: rules.StepOutcome
    by_whom: str
    reference: str | None = None
    reason: str | None = None
    fields: dict[str, Any] = {}
    problem: str | None = None  # why a person has to act, where more is known
    actor: str | None = None  # the person who told it; None: a department


def outcome_handler(office: Office) -> Handler:
    """Return what the gateway calls in the transaction that settles an effect."""

    async def record(db: Connection, effect: Effect, settled: Settled) -> None:
        await record_outcome(office, db, effect, settled)

    return record


async def record_outcome(office: Office, db: Connection, effect: Effect, settled: Settled) -> None:
    """Take what became of an effect into its case, in the caller's transaction.

    The same outcome of the same effect again changes nothing; so does one of an earlier round.
    """
    case = await store.case_for_update(db, effect.region, effect.case_id)
    if case is None:
        log.error("outcome_without_case", effect=effect.id)
        return
    await _note_told(office, db, case, effect, settled)
    steps = await store.steps(db, office.region, case.id)
    step = next((one for one in steps if one.code == effect.step), None)
    if step is not None and await called_off(office, db, case, step, effect, settled):
        return
    if step is None or step.effect_id != effect.id:
        log.info("outcome_of_another_round", effect=effect.id)
        return
    heard = Heard(
        outcome=settled.outcome,
        by_whom=effect.adapter,
        reference=settled.reference,
        reason=settled.reason,
        fields=settled.result or {},
        problem=settled.problem,
    )
    await settle(office, db, case, steps, step, heard)


async def _note_told(office: Office, db: Connection, case: Case, effect: Effect, settled: Settled) -> None:
    """Put on record what a department told about the person, or that nobody knows what it did, once for each word.

    `outcome` is the last one that was told to the case: the same again is no news.
    """
    entry = office.gateway.uses.settled(effect, settled)
    if entry is None or effect.outcome == settled.outcome:
        return
    await audit.data_used(
        db, office.region, [entry], subject=case.subject, actor=ONESTOP, object=case.id, trace_id=case.trace_id
    )


async def settle(
    office: Office, db: Connection, case: Case, steps: Sequence[Step], step: Step, heard: Heard
) -> tuple[Step, Case]:
    """Write an outcome and everything it leads to; the case's row is held. Return step and case as they then stand."""
    closed = case.state in rules.CLOSED
    target = rules.next_state(step, heard.outcome, closed=closed)
    if target is None:
        await _late(office, db, case, step, heard)
        return step, case
    owed = Owed()
    settled = _settled(office, case, step, heard, target, owed)
    await store.update_step(db, office.region, case.id, settled)
    if step.state == "at_desk" and target != "at_desk":
        await store_desk.drop_tasks(db, office.region, case.id, [step.code])
    now_steps = merged(steps, [settled])
    if not closed:
        now_steps = await _advance(office, db, case, now_steps, owed)
    if target == "completed":
        await issue_licences(office.licences, office.keys, db, case, now_steps, step.code)
    changed = await _conclude(office, db, case, now_steps, owed, closed=closed)
    given = await write_owed(db, office, case, owed)
    await audit.data_used(
        db, office.region, given, subject=case.subject, actor=ONESTOP, object=case.id, trace_id=case.trace_id,
        beneficiary=case.beneficiary,
    )  # fmt: skip
    return settled, changed


def _settled(office: Office, case: Case, step: Step, heard: Heard, target: StepState, owed: Owed) -> Step:
    """Return the step after the outcome, and note in `owed` the event and the task that go with it."""
    today = clock.today()
    due = step.due_on
    if target == "correcting":
        due = correction_due(office, today)
    elif heard.outcome == "extended":
        due = office.due_on(step.due_on, rules.EXTENSION_DAYS)
    elif target == "at_desk":
        due = office.due_on(today, rules.DESK_DAYS)
    elif heard.outcome == "sent_again":
        due = max(step.due_on, office.due_on(today, rules.DESK_DAYS))
    if target == "at_desk" and step.state != "at_desk":
        why = _CAUSES.get(heard.problem or "") or _REASONS.get(heard.outcome, "unknown_outcome")
        owed.tasks.append(desk_task(step, "find_out", why, due))
    kind = "cn.onestop.step.withdrawn" if target == "withdrawn" else _EVENTS[heard.outcome]
    if target == "at_desk" and heard.outcome == "correction":
        kind = _EVENTS["desk"]
    data = {"due_on": due.isoformat()}
    owed.events.append(NewEvent(type=kind, by_whom=heard.by_whom, step=step.code, data=data, actor=heard.actor))
    result = step.result
    if heard.fields or heard.reason:
        told = Result(fields=heard.fields, reason=heard.reason)
        result = sealing.seal_result(office.keys, case.id, step.code, told)
    return msgspec.structs.replace(
        step,
        state=target,
        due_on=due,
        heard=heard.outcome,
        reference=heard.reference or step.reference,
        result=result,
    )


async def _late(office: Office, db: Connection, case: Case, step: Step, heard: Heard) -> None:
    """Note an answer that came after its step had ended otherwise; it changes nothing, but it is not hidden."""
    if step.state in rules.ENDED and heard.outcome in ("completed", "declined") and step.heard != heard.outcome:
        log.warning("outcome_after_end", case=case.id, step=step.code, outcome=heard.outcome, state=step.state)
        event = NewEvent(type=LATE, by_whom=heard.by_whom, step=step.code, data={"outcome": heard.outcome})
        await store.update_step(db, office.region, case.id, msgspec.structs.replace(step, heard=heard.outcome))
        await store.insert_events(db, office.region, case.id, case.trace_id, [event])


async def _advance(office: Office, db: Connection, case: Case, steps: Sequence[Step], owed: Owed) -> list[Step]:
    """Begin the steps that can now begin, and end those that never can."""
    moves = rules.moves(steps)
    changed: list[Step] = []
    by_code = {step.code: step for step in steps}
    for code in moves.never:
        changed.append(msgspec.structs.replace(by_code[code], state="not_started"))
        owed.events.append(NewEvent(type=NOT_STARTED, by_whom=ONESTOP, step=code))
    if moves.start:
        ready = office.catalogue.get(case.item)
        form = sealing.open_form(office.keys, case)
        results = sealing.open_results(office.keys, case.id, list(steps))
        whose = Whose(
            case_id=case.id, number=case.number, form=form, trace_id=case.trace_id, subject=case.subject,
            beneficiary=case.beneficiary,
        )  # fmt: skip
        begun = begin(office, ready, whose, [by_code[code] for code in moves.start], results, clock.today())
        changed += begun.steps
        owed.effects += begun.effects
        owed.tasks += begun.tasks
        owed.events += begun.events
    now_steps = merged(steps, changed)
    moved = forecast(office, now_steps)
    for step in (*changed, *moved):
        await store.update_step(db, office.region, case.id, step)
    return merged(now_steps, moved)


async def _conclude(
    office: Office, db: Connection, case: Case, steps: Sequence[Step], owed: Owed, *, closed: bool
) -> Case:
    """Write the case's state; where every step has ended, decide it and issue its certificate.

    Rule: R-036, the end of a case is told in writing: the certificate names every department's result.
    """
    states = [step.state for step in steps]
    state = case.state if closed else rules.case_state(states)
    outcome = rules.outcome(states) if state == "decided" and not closed else case.outcome
    await store.update_state(db, office.region, case.id, state, outcome)
    changed = msgspec.structs.replace(case, state=state, outcome=outcome, version=case.version + 1)
    if state != "decided" or closed:
        return changed
    owed.events.append(NewEvent(type=DECIDED, by_whom=ONESTOP, data={"outcome": outcome}))
    await certify(office, db, changed, steps, os.urandom(8))
    await audit.record(
        db,
        office.region,
        actor=ONESTOP,
        action="case.decided",
        subject=case.subject,
        object=case.id,
        trace_id=case.trace_id,
        detail={"outcome": outcome},
        beneficiary=case.beneficiary,
    )
    return changed
