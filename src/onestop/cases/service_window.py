"""Verbs at the window 代办帮办: a clerk begins for somebody, who confirms on a device of their own.

The clerk writes a draft and nothing else: no verb here submits by a clerk's session.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta
from functools import partial
from typing import Final

import msgspec

from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.cases import sealing, store, store_window
from onestop.cases.errors import (
    CaseUnknown,
    CodeMissing,
    CodeWrong,
    ContentChanged,
    NotDraft,
    TooManyVisits,
    VisitorNameDiffers,
)
from onestop.cases.models import Case
from onestop.cases.office import Office
from onestop.cases.service_desk import desk_of
from onestop.cases.service_open import open_case
from onestop.cases.service_read import view_of
from onestop.cases.service_submit import change_answers, submit
from onestop.cases.views import Answers, CaseView, OpenCase, Submit
from onestop.cases.views_window import BeginForSomebody, Confirm, ConfirmationCode
from onestop.db import Connection
from onestop.http import idempotency
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.identity import numbers
from onestop.identity.models import Session
from onestop.identity.service import Sessions
from onestop.ids import new_id
from onestop.texts import text

MOST_AN_HOUR: Final = 20
CODE_LIFE: Final = timedelta(minutes=10)
ATTEMPTS: Final = 5


async def begin(
    office: Office, sessions: Sessions, session: Session, context: Context, keyed: Keyed, wanted: BeginForSomebody
) -> Reply:
    """Open a draft for somebody at the window, filled by departments as for them; 201 with the case.

    Who is served finds the draft among their own cases, and the clerk's look among the uses of their data.

    Rule: R-058, twenty an hour for one clerk, whether or not anything came of them.

    Raises:
        BadNumber: the number cannot be taken.
        TooManyVisits: the clerk began for too many within an hour.
        VisitorNameDiffers: the number is known under another name; no department was asked.
        NotTheDesk, ItemUnknown, FormInvalid: nothing was opened.
    """
    kept = await idempotency.find(office.pool, office.keys, keyed)
    if kept is not None:
        return kept
    desk, visit = desk_of(session), new_id("vis")
    number = numbers.check_number(wanted.number, office.profile)
    async with office.pool.acquire() as db, db.transaction():
        if await store_window.recent_visits(db, office.region, session.actor_id) >= MOST_AN_HOUR:
            raise TooManyVisits(most=MOST_AN_HOUR, retry_after_s=600.0)
        subject = await sessions.met(db, numbers.number_type(number), number, wanted.name)
        await store_window.insert_visit(db, office.region, visit, session.actor_id, desk, subject)
    if (await sessions.subject(subject)).name != wanted.name:
        raise VisitorNameDiffers
    opening = OpenCase(item=wanted.item, situation=wanted.situation, answers=wanted.answers)
    reply = await open_case(office, _for(session, subject), context, keyed, opening)
    if reply.made_id is not None:
        await store_window.set_case(office.pool, office.region, visit, reply.made_id)
    return reply


def _for(session: Session, subject: str) -> Session:
    """Return the clerk's session as it works on somebody's case: the actor stays the clerk."""
    return msgspec.structs.replace(session, subject_id=subject)


async def _visit(office: Office, session: Session, case_id: str) -> store_window.Visit:
    found = await store_window.visit(office.pool, office.region, case_id, desk_of(session))
    if found is None:
        raise CaseUnknown(case_id)
    return found


async def change(
    office: Office, session: Session, context: Context, case_id: str, expected: list[int], given: Answers
) -> CaseView:
    """Take values into a draft begun at the clerk's own window; a code made before is good no more.

    Raises:
        CaseUnknown: it was not begun at this house's window, or is confirmed.
        NotDraft, VersionStale, FormInvalid: nothing was changed.
    """
    visit = await _visit(office, session, case_id)
    return await change_answers(office, _for(session, visit.subject), context, case_id, expected, given)


async def read(office: Office, session: Session, context: Context, case_id: str) -> CaseView:
    """Return a draft begun at the clerk's own window; that it was read is on the person's record.

    Raises:
        CaseUnknown: it was not begun at this house's window, or is confirmed.
        NotDraft: it is no draft any more, and the applicant's alone.
    """
    visit = await _visit(office, session, case_id)
    async with office.pool.acquire() as db, db.transaction():
        case = await _draft(db, office, case_id, visit.subject)
        await audit.record(
            db, office.region, actor=session.actor_id, action="window.read", subject=case.subject, object=case.id,
            trace_id=context.trace_id, detail={"item": case.item}, uses=[_shown(office, case, desk_of(session))],
        )  # fmt: skip
        return await view_of(db, office, case, context.lang)


def _shown(office: Office, case: Case, department: str) -> str:
    fields = tuple(sorted(sealing.open_form(office.keys, case).answers))
    return audit.use_entry(
        Use(
            adapter=department,
            basis=text("audit.desk_basis", "zh"),
            fields=fields,
            operation="window",
            outcome="shown",
            purpose=office.catalogue.get(case.item).spec.name.zh,
            version="",
        )
    )


async def _draft(db: Connection, office: Office, case_id: str, subject: str) -> Case:
    case = await store.own_case_for_update(db, office.region, case_id, subject)
    if case is None:
        raise CaseUnknown(case_id)
    if case.state != "draft":
        raise NotDraft(number=case.number)
    return case


async def make_code(office: Office, session: Session, context: Context, case_id: str) -> ConfirmationCode:
    """Make the code with which the one at the window confirms the draft as it stands now; one before is void.

    Rule: R-058, bound to the case and to what it says, ten minutes, five attempts, once.

    Raises:
        CaseUnknown: it was not begun at this house's window, or is confirmed.
        NotDraft: it was submitted or withdrawn otherwise.
    """
    visit = await _visit(office, session, case_id)
    code = f"{secrets.randbelow(1_000_000):06d}"
    async with office.pool.acquire() as db, db.transaction():
        case = await _draft(db, office, case_id, visit.subject)
        index, digest = _index(office, case_id, code), content_digest(office, case)
        until = await store_window.set_code(db, office.region, visit.id, index, digest, ATTEMPTS, CODE_LIFE)
        await audit.record(
            db, office.region, actor=session.actor_id, action="window.code_made", subject=case.subject, object=case.id,
            trace_id=context.trace_id, detail={"version": case.version},
        )  # fmt: skip
    return ConfirmationCode(case=case_id, code=code, valid_until=until, attempts=ATTEMPTS)


async def confirm(
    office: Office, session: Session, context: Context, keyed: Keyed, case_id: str, told: Confirm
) -> Reply:
    """Submit what a clerk wrote for the session's own subject, by the code told at the window; 202 as a submission.

    Each attempt counts before the code is looked at. A code that fits is used up in the submission's transaction.

    Raises:
        CaseUnknown: not one of this subject's cases.
        CodeMissing: there is no code to try: never made, over, used, or out of attempts.
        CodeWrong: another code; says how many attempts are left.
        ContentChanged: the draft says something else than when the code was made.
        FormInvalid, DeclarationMissing, GuardianNeeded: nothing was submitted, and the code stays good.
    """
    kept = await idempotency.find(office.pool, office.keys, keyed)
    if kept is not None:
        return kept
    case = await store.own_case(office.pool, office.region, case_id, session.subject_id)
    if case is None:
        raise CaseUnknown(case_id)
    tried = await store_window.take_attempt(office.pool, office.region, case_id, session.subject_id)
    if tried is None:
        raise CodeMissing
    if not hmac.compare_digest(tried.code_index, _index(office, case_id, told.code)):
        raise CodeWrong(left=tried.attempts_left)
    use_up = partial(_use_up, office, tried)
    declared = Submit(declarations=told.declarations)
    return await submit(office, session, context, keyed, case_id, [case.version], declared, confirm=use_up)


async def _use_up(office: Office, tried: store_window.Attempt, db: Connection, case: Case) -> None:
    if not hmac.compare_digest(tried.content_digest, content_digest(office, case)):
        raise ContentChanged(version=case.version)
    if not await store_window.confirm(db, office.region, tried.id, tried.code_index):
        raise CodeMissing


def content_digest(office: Office, case: Case) -> bytes:
    """Return the digest of what a draft says: the item and every value with its source."""
    form = sealing.open_form(office.keys, case)
    told = msgspec.json.encode([case.id, case.item, form.answers], order="sorted")
    return hashlib.sha256(told).digest()


def _index(office: Office, case_id: str, code: str) -> bytes:
    return office.keys.blind_index(f"{case_id}:{code}", "window_visits.code")
