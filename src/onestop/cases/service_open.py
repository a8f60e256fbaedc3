"""Opening a case: ask every department at once, fill the form, write it all in one statement.

With `submit` the same call submits: the steps begin and their effects are intended in that very statement.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import msgspec
import structlog

from onestop import clock
from onestop.audit import service as audit
from onestop.cases import present, rules, rules_form, sealing, service_materials, store, store_desk
from onestop.cases.errors import DeclarationMissing, FormInvalid
from onestop.cases.models import Answer, Case, Event, Form, NewEvent, Step
from onestop.cases.office import Office
from onestop.cases.service_begin import Owed, Whose, begin, merged, plan
from onestop.cases.service_materials import Taken
from onestop.cases.store_opening import Opening
from onestop.cases.views import OpenCase, Parts
from onestop.errors import FieldError, Internal, OnestopError
from onestop.gateway import effects
from onestop.gateway.fanout import Person
from onestop.gateway.models import Part
from onestop.http import idempotency
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.http.problems import LANGUAGE_TAGS
from onestop.identity import rules as identity_rules
from onestop.identity.models import Session, Subject
from onestop.ids import new_id
from onestop.items.ready import IDENTITY, ReadyItem

log = structlog.get_logger(__name__)

OPENED: Final = "cn.onestop.case.opened"
SUBMITTED: Final = "cn.onestop.case.submitted"
APPLICANT_BY: Final = "applicant"
_json = msgspec.json.Encoder()


async def open_case(office: Office, session: Session, context: Context, keyed: Keyed, wanted: OpenCase) -> Reply:
    """Open a case for the session's subject and answer once it is committed; 201 with the case.

    Departments are asked until the request's deadline; a part that did not come leaves its fields open to fill by hand.

    Raises:
        ItemUnknown: no item of that code is offered.
        FormInvalid: values cannot be taken or, with `submit`, are missing; every one is named.
        DeclarationMissing: with `submit`, the item asks for a declaration that was not made.
        StepUpRequired: nobody knows who the applicant is; with `submit`, they have not signed in surely enough.
        MandateUnknown: the beneficiary is named by no guardianship of the applicant's own.
        KeyReused: the key came before with another body.
        Unavailable: too many cases are being opened.
    """
    ready = office.catalogue.get(wanted.item)
    try:
        await office.permit(session, "submit" if wanted.submit else "fill", wanted.item)
    except OnestopError:  # a repetition is told what its first request was told
        kept = await idempotency.find(office.pool, office.keys, keyed)
        if kept is None:
            raise
        return kept
    _check_situation(ready, wanted)
    back = f"/items/{wanted.item}"
    identity_rules.check_level(session.level, rules.LEAST_LEVEL, back)
    if wanted.submit:
        check_level(office, session, ready, (), back)
    gains = None if office.mandates is None else await office.mandates.beneficiary(session, wanted.beneficiary)
    subject = await office.people(session.subject_id)
    acting = await office.represented(session)
    taken = await service_materials.take(office, session, context, ready, wanted.answers, opening=True)
    parts: list[Part] = []
    complete = True
    if ready.wants:
        gathered = await office.gather(
            office.asks(ready.wants, wanted.item, session.level),
            Person.of(subject, acting.parties() if acting else {}),
            deadline=context.deadline,
            lang=context.lang,
            traceparent=context.traceparent,
        )
        parts, complete = gathered.parts, gathered.complete
        if office.learn is not None and gathered.own_ids:
            await office.learn(subject, gathered.own_ids)
        if office.traces is not None:
            outcome = "complete" if complete else "partial"
            took = max((part.took_ms for part in parts), default=0.0)
            office.traces.note(
                context.trace_id, context.principal, "POST /v1/cases", outcome, took, gathered.records
            )  # fmt: skip
    now = clock.now()
    answers = _answers(office, ready, wanted, subject, parts, now, taken)
    if wanted.submit:
        check_complete(ready, answers, wanted.declarations)
        check_level(office, session, ready, _codes(ready, answers), back)
    for part in parts:
        part.data = None  # what was said stands in the form, once, with its source
    seen = Parts(complete, context.budget_ms, parts)
    form = Form(answers=answers, number=subject.number, name=subject.name, acting=acting)
    opening, reply = await _prepare(
        office, session, context, keyed, ready, form, gains, seen, wanted.submit, now, taken.uses
    )
    if await _written(office, session, ready, opening):
        return reply
    kept = await idempotency.find(office.pool, office.keys, keyed)
    if kept is None:
        raise Internal("the key was there and is gone")
    return kept


async def _written(office: Office, session: Session, ready: ReadyItem, opening: Opening) -> bool:
    """Write a case, counted against the mandate where it is submitted under one; False where its key came before.

    The count goes first, in a transaction of its own: a case that is then not written gives it back, and a process
    that ends in between leaves the mandate one case poorer, never richer.
    """
    counted = session.mandate_id is not None and opening.state != "draft"
    if not counted or office.mandates is None:
        return await office.writer.write(opening)
    async with office.pool.acquire() as db, db.transaction():
        await office.spend(db, session, ready.spec)
    written = False
    try:
        written = await office.writer.write(opening)
    finally:
        if not written:
            await office.mandates.give_back(session, ready.spec.fee_fen)
    return written


def _check_situation(ready: ReadyItem, wanted: OpenCase) -> None:
    known = {question.code for question in ready.spec.questions}
    faults = [
        FieldError(pointer=f"/situation/{code}", code="form.unknown") for code in wanted.situation if code not in known
    ]
    if faults:
        raise FormInvalid(errors=faults, count=len(faults))


def check_level(office: Office, session: Session, ready: ReadyItem, codes: Collection[str], back: str) -> None:
    """Check that the applicant has signed in surely enough to send these components; `back` is their page.

    Raises:
        StepUpRequired: the item or one of the departments asks for more.
    """
    identity_rules.check_level(session.level, office.min_level(ready, codes), back)


def _codes(ready: ReadyItem, answers: Mapping[str, Answer]) -> set[str]:
    return {part.code for part in rules_form.selected(ready, answers)}


def check_complete(ready: ReadyItem, answers: Mapping[str, Answer], declared: Sequence[str]) -> None:
    """Check that a form can be submitted.

    Raises:
        FormInvalid: required values are missing; every one is named.
        DeclarationMissing: the item asks for a declaration that was not made.
    """
    missing = rules_form.missing(ready, answers)
    if missing:
        faults = [FieldError(pointer=rules_form.pointer(field.code), code="form.required") for field in missing]
        raise FormInvalid(errors=faults, count=len(faults))
    if not set(ready.spec.declarations) <= set(declared):
        raise DeclarationMissing


def _answers(
    office: Office,
    ready: ReadyItem,
    wanted: OpenCase,
    subject: Subject,
    parts: Sequence[Part],
    now: datetime,
    taken: Taken,
) -> dict[str, Answer]:
    """Fill the form: what departments said, then the situation's questions, what the applicant gave, and licences.

    Raises:
        FormInvalid: values the applicant gave cannot be taken.
    """
    today, said_at = now.astimezone(clock.CHINA).date(), now.isoformat(timespec="seconds")
    answers = prefill(office, ready, subject, parts, today, said_at)
    given = {group: dict(values) for group, values in wanted.answers.items()}
    for question in ready.spec.questions:
        told = wanted.situation.get(question.code)
        if told is not None and question.fills not in answers:
            group, _, name = question.fills.partition(".")
            given.setdefault(group, {}).setdefault(name, told)
    if given:
        answers, faults = rules_form.change(
            ready, answers, given, today=today, now=said_at, profile=office.profile
        )  # fmt: skip
        faults += taken.faults
        if faults:
            raise FormInvalid(errors=faults, count=len(faults))
    return answers | taken.answers


def prefill(
    office: Office, ready: ReadyItem, subject: Subject, parts: Sequence[Part], today: date, now: str
) -> dict[str, Answer]:
    """Return the values departments gave, each from the first of its sources that has one.

    A value that its own field could not hold is left out and logged by its field: the applicant is asked instead.
    """
    by_want = {part.want: part for part in parts if part.data is not None and part.state in ("ok", "stale")}
    vouched = {"name": subject.name, "number": subject.number}
    answers: dict[str, Answer] = {}
    for field, sources in ready.fields:
        for want, get in sources:
            part = by_want.get(want)
            data: dict[str, Any] | None = vouched if want == IDENTITY else part.data if part else None
            value = get(data) if data is not None else None
            if value is None or value == "":
                continue
            if field.type != "record":
                try:
                    typed = value if field.type in ("boolean", "integer") else str(value)
                    value = rules_form.clean(field, typed, today, office.profile)
                except rules_form.Refused as refused:
                    log.warning("prefill_refused", field=field.code, want=want, fault=refused.code)
                    continue
            if part is None:
                answers[field.code] = Answer(value, IDENTITY, now)
            else:
                answers[field.code] = Answer(
                    value, want, part.as_of or now, part.source.adapter, part.source.version
                )  # fmt: skip
            break
    return answers


async def _prepare(
    office: Office,
    session: Session,
    context: Context,
    keyed: Keyed,
    ready: ReadyItem,
    form: Form,
    gains: str | None,
    seen: Parts,
    submit: bool,
    now: datetime,
    used_licences: Sequence[str],
) -> tuple[Opening, Reply]:
    """Return the case as rows, and the answer that is kept under the key."""
    case_id = new_id("case")
    today = now.astimezone(clock.CHINA).date()
    number = rules.case_number(office.region, today.isoformat().replace("-", ""), await office.serials.take())
    owed, steps = Owed(), list[Step]()
    by_whom = "clerk" if session.role == "clerk" else APPLICANT_BY
    events = [NewEvent(type=SUBMITTED if submit else OPENED, by_whom=by_whom)]
    if submit:
        planned = plan(office, ready, form.answers, today)
        first = [step for step in planned if not step.needs]
        whose = Whose(case_id=case_id, number=number, form=form, trace_id=context.trace_id)
        owed = begin(office, ready, whose, first, {}, today)
        steps = merged(planned, owed.steps)
        events += owed.events
    case = Case(
        id=case_id,
        number=number,
        claim_code=rules.claim_code(os.urandom(8)),
        subject=session.subject_id,
        actor=session.actor_id,
        mandate=session.mandate_id,
        beneficiary=gains,
        item=ready.spec.code,
        state="submitted" if submit else "draft",
        version=1,
        answers=sealing.seal_form(office.keys, case_id, form),
        opened_at=now,
        submitted_at=now if submit else None,
        due_on=office.due_on(today, ready.spec.promised_days) if submit else None,
        trace_id=context.trace_id,
    )
    told = [
        Event(
            seq=n, at=now, type=e.type, by_whom=e.by_whom, step=e.step, data=e.data,
            mandate=case.mandate if e.by_whom == APPLICANT_BY else None,
        )
        for n, e in enumerate(events, 1)
    ]  # fmt: skip
    shown = [step if step.state == "waiting" else msgspec.structs.replace(step, started_at=now) for step in steps]
    view = present.case_view(office, ready, case, form, shown, {}, told, context.lang, seen)
    reply = Reply(
        status=201,
        body=_json.encode(view),
        made_id=case_id,
        headers={"location": f"/v1/cases/{case_id}", "etag": '"v1"', "content-language": LANGUAGE_TAGS[context.lang]},
    )
    return _opening(office, case, keyed, reply, seen.parts, steps, owed, events, used_licences), reply


def _opening(
    office: Office,
    case: Case,
    keyed: Keyed,
    reply: Reply,
    parts: Sequence[Part],
    steps: Sequence[Step],
    owed: Owed,
    events: Sequence[NewEvent],
    used_licences: Sequence[str],
) -> Opening:
    effect_rows = [effects.row(office.keys, office.gateway, effect) for effect in owed.effects]
    given = [effects.given(office.gateway, *pair) for pair in zip(owed.effects, effect_rows, strict=True)]
    whose: dict[str, Any] = {
        "subject": case.subject, "actor": case.actor, "object": case.id, "trace_id": case.trace_id,
        "mandate": case.mandate, "beneficiary": case.beneficiary,
    }  # fmt: skip
    action = "case.opened" if case.state == "draft" else "case.submitted"
    act = audit.entry_row(office.region, f'{{"item":"{case.item}"}}', action=action, **whose)
    uses = [*used(office, parts), *used_licences, *given]
    use = audit.use_row(office.region, uses, **whose) if uses else None
    return Opening(
        id=case.id,
        number=case.number,
        claim_code=case.claim_code,
        subject=case.subject,
        actor=case.actor,
        mandate=case.mandate,
        beneficiary=case.beneficiary,
        item=case.item,
        state=case.state,
        answers=case.answers,
        due_on=case.due_on,
        trace_id=case.trace_id,
        principal=keyed.principal,
        route=keyed.route,
        key=keyed.key,
        body_hash=keyed.body_hash,
        status=reply.status,
        reply=idempotency.seal(office.keys, keyed, reply),
        headers=_json.encode(reply.headers).decode(),
        audit_id=act[0],
        action=action,
        detail=act[6],
        digests=act[7] + use[6] if use else act[7],
        use_id=use[0] if use else None,
        uses=use[5] if use else "",
        steps=[store.step_row(step) for step in steps],
        effects=effect_rows,
        tasks=[store_desk.task_row(task) for task in owed.tasks],
        events=[store.event_row(event) for event in events],
    )


def used(office: Office, parts: Sequence[Part]) -> list[str]:
    """Return what was read of the person, one JSON object a department that was asked."""
    return [office.gateway.uses.read(part.want, part.source.adapter, part.source.version, part.state) for part in parts]
