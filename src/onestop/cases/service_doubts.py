"""Verbs of doubts 疑义校核: a person says a department's value is wrong, the department verifies it within its term.

The case goes on meanwhile: nobody waits for a record to be put right, and what the person typed counts.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.cases import sealing
from onestop.cases import store_doubts as doubts
from onestop.cases.errors import DoubtExists, DoubtUnknown, NotFromDepartment
from onestop.cases.office import Office
from onestop.cases.repetition import once
from onestop.cases.service_desk import desk_of
from onestop.cases.service_read import own_case
from onestop.cases.store_doubts import DoubtRow
from onestop.cases.views_doubts import AnswerDoubt, DoubtList, DoubtView, NewDoubt, OverdueList
from onestop.db import Connection
from onestop.errors import FieldError
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.texts import Language, text

_TERMS: Final = Path(__file__).parent / "terms.toml"
_json = msgspec.json.Encoder()


@cache
def term(code: str) -> int:
    """Return a department's term in working days; see `terms.toml` for its law, source and confidence."""
    return int(next(row["days"] for row in tomllib.loads(_TERMS.read_text("utf-8"))["terms"] if row["code"] == code))


async def doubt(
    office: Office, session: Session, context: Context, keyed: Keyed, case_id: str, told: NewDoubt
) -> Reply:
    """Say that a value of one's own case is wrong; 201 with the day by which its department verifies it.

    Rule: R-133.

    Raises:
        CaseUnknown: not one of this subject's cases.
        NotFromDepartment: the form has no such value, or no department gave it.
        DoubtExists: it is in doubt already.
        KeyReused: the key came before with another body.
    """

    async def write(db: Connection) -> Reply:
        case = await own_case(office, session, case_id)
        answer = sealing.open_form(office.keys, case).answers.get(told.field)
        if answer is None or answer.adapter is None:
            raise NotFromDepartment(errors=[FieldError(pointer="/field", code="cases.not_from_department")])
        id_ = new_id("dbt")
        said = office.keys.seal(told.said.encode(), sealing.doubt_context(id_, "said"))
        due = office.due_on(clock.today(), term("record_doubt"))
        row = await doubts.insert(
            db, office.region, id_, session.subject_id, case.id, told.field, answer.adapter, said, due
        )
        if row is None:
            raise DoubtExists(field=told.field)
        await doubts.touch_case(db, office.region, case.id)
        await _record(db, office, session, context, row, "record.doubted")
        return Reply(status=201, body=_json.encode(_view(office, row, context.lang)), made_id=id_)

    return await once(office, keyed, write)


async def own_doubts(office: Office, session: Session, lang: Language) -> DoubtList:
    """Return the subject's doubts, newest first, with how each stands."""
    rows = await doubts.own(office.pool, office.region, session.subject_id)
    return DoubtList(data=[_view(office, row, lang) for row in rows])


async def to_verify(office: Office, session: Session, lang: Language) -> DoubtList:
    """Return what the session's own department has to verify, the nearest day first.

    Raises:
        NotTheDesk: the session belongs to no department.
    """
    rows = await doubts.open_of(office.pool, office.region, desk_of(session))
    return DoubtList(data=[_view(office, row, lang) for row in rows])


async def overdue(office: Office) -> OverdueList:
    """Return the doubts whose departments have let their term pass, for whoever looks after departments."""
    return OverdueList(data=await doubts.overdue(office.pool, office.region, clock.today()))


async def answer_doubt(
    office: Office, session: Session, context: Context, keyed: Keyed, id_: str, told: AnswerDoubt
) -> Reply:
    """Say for one's own department what it found.

    Raises:
        NotTheDesk: the session belongs to no department.
        DoubtUnknown: another department's, answered before, or not there.
        KeyReused: the key came before with another body.
    """
    department = desk_of(session)

    async def write(db: Connection) -> Reply:
        sealed = office.keys.seal(told.text.encode(), sealing.doubt_context(id_, "answer"))
        row = await doubts.answer(db, office.region, department, id_, told.state, sealed, session.actor_id)
        if row is None:
            raise DoubtUnknown(id_)
        await doubts.touch_case(db, office.region, row.case_id)
        await _record(db, office, session, context, row, "record.verified")
        return Reply(status=200, body=_json.encode(_view(office, row, context.lang)), made_id=id_)

    return await once(office, keyed, write)


async def _record(
    db: Connection, office: Office, session: Session, context: Context, row: DoubtRow, action: str
) -> None:
    await audit.record(
        db,
        office.region,
        actor=session.actor_id,
        action=action,
        subject=row.subject,
        object=row.id,
        trace_id=context.trace_id,
        detail={"case": row.case_id, "department": row.department, "field": row.field, "state": row.state},
    )


def _view(office: Office, row: DoubtRow, lang: Language) -> DoubtView:
    name = office.directory.name(row.department, lang)
    return DoubtView(
        id=row.id,
        case=row.case_id,
        field=row.field,
        department=name,
        state=row.state,
        says=text(f"cases.doubt.{row.state}", lang, department=name, due_on=row.due_on.isoformat()),
        said=office.keys.unseal(row.said, sealing.doubt_context(row.id, "said")).decode(),
        opened_at=row.opened_at,
        due_on=row.due_on,
        overdue=row.state == "open" and row.due_on < clock.today(),
        answered_at=row.answered_at,
        answer=None
        if row.answer is None
        else office.keys.unseal(row.answer, sealing.doubt_context(row.id, "answer")).decode(),
    )
