"""What an applicant does with a case: change the draft, submit it, correct a step, withdraw."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from functools import partial

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.cases import present, rules, rules_form, sealing, service_materials, store, store_desk
from onestop.cases.errors import CaseClosed, CaseUnknown, FormInvalid, NotCorrecting, NotDraft, VersionStale
from onestop.cases.models import Case, Form, NewEvent, Step
from onestop.cases.office import Office
from onestop.cases.repetition import once
from onestop.cases.service_begin import Owed, Whose, begin, merged, plan
from onestop.cases.service_cancel import cancellations
from onestop.cases.service_materials import Taken
from onestop.cases.service_open import APPLICANT_BY, SUBMITTED, check_complete, check_level
from onestop.cases.service_read import permit, view_of
from onestop.cases.views import Answers, CaseView, Operation, Resubmit, Submit
from onestop.db import Connection
from onestop.errors import FieldError
from onestop.gateway import effects
from onestop.gateway.mapping.language import path_of
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.mandates.models import Represented

RESUBMITTED = "cn.onestop.step.resubmitted"
WITHDRAWN = "cn.onestop.case.withdrawn"
_json = msgspec.json.Encoder()
_LOOK_S = 0.2


async def change_answers(
    office: Office, session: Session, context: Context, case_id: str, expected: list[int], given: Answers
) -> CaseView:
    """Take values into the applicant's own draft and return it.

    Raises:
        CaseUnknown: not one of this subject's cases.
        NotDraft: it was submitted.
        VersionStale: `expected` does not hold the version that stands.
        FormInvalid: values cannot be taken; every one is named and none is kept.
    """
    await permit(office, session, "fill", case_id)
    taken = await _taken(office, session, context, case_id, given)
    async with office.pool.acquire() as db, db.transaction():
        case = await _own(db, office, session, case_id, expected)
        if case.state != "draft":
            raise NotDraft(number=case.number)
        ready = office.catalogue.get(case.item)
        form = sealing.open_form(office.keys, case)
        now = clock.now().isoformat(timespec="seconds")
        answers, faults = rules_form.change(
            ready, form.answers, given, today=clock.today(), now=now, profile=office.profile
        )
        faults += taken.faults
        if faults:
            raise FormInvalid(errors=faults, count=len(faults))
        form = msgspec.structs.replace(form, answers=answers | taken.answers)
        sealed = sealing.seal_form(office.keys, case.id, form)
        await store.update_answers(db, office.region, case.id, sealed)
        await audit.data_used(
            db, office.region, taken.uses, subject=case.subject, actor=session.actor_id, object=case.id,
            trace_id=context.trace_id,
        )  # fmt: skip
        changed = msgspec.structs.replace(case, answers=sealed, version=case.version + 1)
        events = await store.events(db, office.region, case.id)
    return present.case_view(office, ready, changed, form, [], {}, events, context.lang)


async def _taken(office: Office, session: Session, context: Context, case_id: str, given: Answers) -> Taken:
    """Take the licences that answers name, before the transaction that writes them; none of another's case."""
    if not service_materials.names_licence(given):
        return Taken()
    case = await store.own_case(office.pool, office.region, case_id, session.subject_id)
    if case is None:
        return Taken()
    return await service_materials.take(office, session, context, office.catalogue.get(case.item), given)


async def _own(
    db: Connection, office: Office, session: Session, case_id: str, expected: list[int] | None = None
) -> Case:
    case = await store.own_case_for_update(db, office.region, case_id, session.subject_id)
    if case is None:
        raise CaseUnknown(case_id)
    if expected is not None and case.version not in expected:
        raise VersionStale(version=case.version)
    return case


async def submit(
    office: Office,
    session: Session,
    context: Context,
    keyed: Keyed,
    case_id: str,
    expected: list[int],
    declared: Submit,
    confirm: Callable[[Connection, Case], Awaitable[None]] | None = None,
) -> Reply:
    """Submit a draft: its steps, the effects they intend, tasks, events and the answer, in one transaction.

    `confirm` is asked in that transaction with the draft held, and raises where it must not be submitted.

    Raises:
        CaseUnknown, VersionStale, NotDraft, FormInvalid, DeclarationMissing: nothing was submitted.
        StepUpRequired: nothing was submitted; after signing in again at the level asked for it can be.
        KeyReused: the key came before with another body.
    """

    acting = await office.represented(session)

    async def write(db: Connection) -> Reply:
        case = await _own(db, office, session, case_id, expected)
        if case.state != "draft":
            raise NotDraft(number=case.number)
        ready = office.catalogue.get(case.item)
        form = sealing.open_form(office.keys, case)
        check_complete(ready, form.answers, declared.declarations)
        if confirm is not None:
            await confirm(db, case)
        await office.spend(db, session, ready.spec)
        await service_materials.check_still_valid(office, db, case.subject, ready, form)
        today = clock.today()
        planned = plan(office, ready, form.answers, today)
        check_level(office, session, ready, [step.code for step in planned], f"/cases/{case.id}/check")
        form = await _acted_by(db, office, case, form, acting)
        whose = _whose(session, context, case, form)
        owed = begin(office, ready, whose, [step for step in planned if not step.needs], {}, today)
        steps = merged(planned, owed.steps)
        due = office.due_on(today, ready.spec.promised_days)
        await store.update_submitted(db, office.region, case.id, "submitted", due)
        await store.insert_steps(db, office.region, case.id, steps)
        owed.events.insert(0, _done_by(session, SUBMITTED))
        away = await write_owed(db, office, case, owed)
        await _record(db, office, session, context, case, "case.submitted", away)
        now = clock.now()
        submitted = msgspec.structs.replace(
            case, state="submitted", version=case.version + 1, submitted_at=now, due_on=due
        )
        return _accepted(present.operation_view(office, ready, submitted, steps, context.lang))

    reply = await once(office, keyed, write, partial(permit, office, session, "submit", case_id))
    if not reply.replayed:
        await office.gateway.changed(office.pool, case_id)
    return reply


async def _acted_by(db: Connection, office: Office, case: Case, form: Form, acting: Represented | None) -> Form:
    """Keep in the form who sends it to departments now, for those that are told; the case's row is held."""
    if form.acting == acting:
        return form
    changed = msgspec.structs.replace(form, acting=acting)
    await store.update_form(db, office.region, case.id, sealing.seal_form(office.keys, case.id, changed))
    return changed


def _whose(session: Session, context: Context, case: Case, form: Form) -> Whose:
    return Whose(
        case_id=case.id,
        number=case.number,
        form=form,
        trace_id=context.trace_id,
        subject=case.subject,
        actor=session.actor_id,
        mandate=session.mandate_id,
        beneficiary=case.beneficiary,
    )


def _done_by(session: Session, kind: str, step: str | None = None) -> NewEvent:
    """Return the event of what the applicant did, themselves or by whoever acts for them."""
    return NewEvent(
        type=kind, by_whom=APPLICANT_BY, step=step, actor=session.actor_id, mandate=session.mandate_id
    )  # fmt: skip


def _accepted(operation: Operation) -> Reply:
    headers = {"location": f"/v1/operations/{operation.id}", "retry-after": "2", "etag": f'"v{operation.version}"'}
    return Reply(status=202, body=_json.encode(operation), made_id=operation.id, headers=headers)


async def write_owed(db: Connection, office: Office, case: Case, owed: Owed) -> list[str]:
    """Write effects, tasks and events of a case; its row is held and its steps are written by the caller.

    Return what the effects give away, for the ledger of data uses: it stands in the same transaction.
    """
    given = await effects.intend(db, office.keys, office.gateway, office.region, owed.effects)
    await store_desk.insert_tasks(db, office.region, case.id, owed.tasks)
    await store.insert_events(db, office.region, case.id, case.trace_id, owed.events)
    return given


async def _record(
    db: Connection,
    office: Office,
    session: Session,
    context: Context,
    case: Case,
    action: str,
    given: Sequence[str],
) -> None:
    await audit.record(
        db,
        office.region,
        actor=session.actor_id,
        action=action,
        subject=case.subject,
        object=case.id,
        trace_id=context.trace_id,
        detail={"item": case.item},
        uses=given,
        mandate=session.mandate_id,
        beneficiary=case.beneficiary,
    )


async def wait(office: Office, session: Session, context: Context, case_id: str, seconds: float) -> Operation | None:
    """Look at a submission until it ends or time is up, and return it as it then stands; None where it is unknown.

    Waits at most `seconds`, and never beyond the request's deadline; no connection is held meanwhile.
    """
    left = min(seconds, context.remaining_s())
    while True:
        operation = await operation_of(office, session, case_id, context)
        if operation is None or operation.status not in ("queued", "running") or left <= 0:
            return operation
        await asyncio.sleep(min(_LOOK_S, left))
        left -= _LOOK_S


async def operation_of(office: Office, session: Session, case_id: str, context: Context) -> Operation | None:
    """Return the long work of one of the subject's own submitted cases, or None."""
    case = await store.own_case(office.pool, office.region, case_id, session.subject_id)
    if case is None or case.state == "draft" or not await office.sees(session, case.item):
        return None
    steps = await store.steps(office.pool, office.region, case_id)
    return present.operation_view(office, office.catalogue.get(case.item), case, steps, context.lang)


async def resubmit(
    office: Office, session: Session, context: Context, keyed: Keyed, case_id: str, code: str, given: Resubmit
) -> Reply:
    """Send one step again with corrected values: a new effect under a new key, once for each notice.

    Raises:
        CaseUnknown, CaseClosed: the case cannot be corrected.
        NotCorrecting: the step waits for no correction.
        FormInvalid: values cannot be taken, or this step does not use them.
        StepUpRequired: the applicant has not signed in surely enough.
    """

    acting = await office.represented(session)
    taken = await _taken(office, session, context, case_id, given.answers)

    async def write(db: Connection) -> Reply:
        case = await _own(db, office, session, case_id)
        if case.state in rules.CLOSED:
            raise CaseClosed(number=case.number)
        steps = await store.steps(db, office.region, case.id)
        step = next((one for one in steps if one.code == code and one.state == "correcting"), None)
        if step is None:
            raise NotCorrecting(step=code[:40])
        case = await _corrected(db, office, case, step, given.answers, taken)
        ready = office.catalogue.get(case.item)
        check_level(office, session, ready, [code], f"/cases/{case.id}/steps/{code}")
        form = await _acted_by(db, office, case, sealing.open_form(office.keys, case), acting)
        whose = _whose(session, context, case, form)
        again = msgspec.structs.replace(step, round=step.round + 1, settled_at=None)
        results = sealing.open_results(office.keys, case.id, steps)
        owed = begin(office, ready, whose, [again], results, clock.today())
        owed.events.insert(0, _done_by(session, RESUBMITTED, code))
        for begun in owed.steps:
            await store.update_step(db, office.region, case.id, begun)
        now_steps = merged(steps, owed.steps)
        state = rules.case_state([one.state for one in now_steps])
        await store.update_state(db, office.region, case.id, state, None)
        away = await write_owed(db, office, case, owed)
        await _record(db, office, session, context, case, "case.corrected", [*taken.uses, *away])
        changed = msgspec.structs.replace(case, state=state, version=case.version + 1)
        return _accepted(present.operation_view(office, ready, changed, now_steps, context.lang))

    reply = await once(office, keyed, write, partial(permit, office, session, "correct", case_id))
    if not reply.replayed:
        await office.gateway.changed(office.pool, case_id)
    return reply


async def _corrected(
    db: Connection,
    office: Office,
    case: Case,
    step: Step,
    given: Mapping[str, Mapping[str, object]],
    taken: Taken,
) -> Case:
    """Write corrected values into the form and return the case with it.

    Rule: R-032, a correction concerns what the notice concerns: values of other steps do not change.
    """
    if not given:
        return case
    ready = office.catalogue.get(case.item)
    usable = inputs_of(office, case.item, step.code)
    foreign = [f"{group}.{name}" for group, values in given.items() for name in values]
    faults = [
        FieldError(pointer=rules_form.pointer(one), code="form.not_of_this_step")
        for one in foreign
        if one not in usable
    ]
    form = sealing.open_form(office.keys, case)
    answers, more = rules_form.change(
        ready,
        form.answers,
        given,
        today=clock.today(),
        now=clock.now().isoformat(timespec="seconds"),
        profile=office.profile,
    )
    more += taken.faults
    answers |= taken.answers
    faults += [fault for fault in more if fault.pointer not in {one.pointer for one in faults}]
    missing = [field.code for field in rules_form.missing(ready, answers)]
    faults += [FieldError(pointer=rules_form.pointer(one), code="form.required") for one in missing]
    if faults:
        raise FormInvalid(errors=faults, count=len(faults))
    sealed = sealing.seal_form(office.keys, case.id, msgspec.structs.replace(form, answers=answers))
    await store.update_answers(db, office.region, case.id, sealed)
    return msgspec.structs.replace(case, answers=sealed, version=case.version + 1)


def inputs_of(office: Office, item: str, code: str) -> set[str]:
    """Return the codes of the fields a step hands to its department."""
    part = office.catalogue.get(item).components[code].spec
    paths = [path_of(source) for source in part.inputs.values()]
    return {".".join(path[1:3]) for path in paths if path and path[0] == "answers"}


async def withdraw(office: Office, session: Session, context: Context, keyed: Keyed, case_id: str) -> Reply:
    """Withdraw the subject's own case: what has not begun stops, what is with a department ends there.

    Rule: R-040, a withdrawal needs no reason and cannot undo what a department has already done. A department that
    offers to cancel is asked to.

    Raises:
        CaseUnknown: not one of this subject's cases.
        CaseClosed: already decided or withdrawn.
    """

    async def write(db: Connection) -> Reply:
        case = await _own(db, office, session, case_id)
        if case.state in rules.CLOSED:
            raise CaseClosed(number=case.number)
        steps = await store.steps(db, office.region, case.id)
        stopped = [
            msgspec.structs.replace(step, state=rules.after_withdrawal(step.state))
            for step in steps
            if rules.after_withdrawal(step.state) != step.state
        ]
        for step in stopped:
            await store.update_step(db, office.region, case.id, step)
        await store_desk.drop_tasks(db, office.region, case.id, [step.code for step in stopped])
        await store.update_state(db, office.region, case.id, "withdrawn", None)
        event = _done_by(session, WITHDRAWN)
        await store.insert_events(db, office.region, case.id, context.trace_id, [event])
        called_off = cancellations(office, case, steps, context.trace_id)
        away = await effects.intend(db, office.keys, office.gateway, office.region, called_off)
        await _record(db, office, session, context, case, "case.withdrawn", away)
        changed = msgspec.structs.replace(case, state="withdrawn", version=case.version + 1)
        view = await view_of(db, office, changed, context.lang)
        headers = {"etag": f'"v{changed.version}"'}
        return Reply(status=200, body=_json.encode(view), made_id=case.id, headers=headers)

    reply = await once(office, keyed, write, partial(permit, office, session, "withdraw", case_id))
    if not reply.replayed:
        await office.gateway.changed(office.pool, case_id)
    return reply


def correction_due(office: Office, today: date) -> date:
    """Return the last day for a correction.

    Rule: R-031, the applicant has fifteen working days; the department's own term starts anew with what is sent.
    """
    return office.due_on(today, rules.CORRECTION_DAYS)
