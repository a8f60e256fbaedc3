"""Verbs of challenges: a person disputes a use of their data, the accountable office answers within a term.

The entry itself is never changed: what was done was done. Both words are acts in the audit, sealed like any other.
"""

from collections.abc import Sequence

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.audit.errors import DataUseUnknown
from onestop.audit.models import DataUse, Use
from onestop.cases.office import Office
from onestop.cases.repetition import once
from onestop.cases.service_desk import desk_of
from onestop.db import Connection
from onestop.errors import FieldError
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.overview import store_challenges as store
from onestop.overview.errors import ChallengeAnswered, ChallengeExists, ChallengeUnknown, NotInEntry
from onestop.overview.rules_challenges import terms
from onestop.overview.service_data_use import one_use, own_use
from onestop.overview.service_escalation import moves_of, post
from onestop.overview.store_challenges import ChallengeRow
from onestop.overview.views_data_use import (
    AnswerChallenge,
    Challenge,
    ChallengeLine,
    ChallengeList,
    ChallengeMove,
    ChallengeView,
    Department,
    OfficeChallenge,
)
from onestop.texts import Language, text

_MOST = 100
_json = msgspec.json.Encoder()


async def challenge(
    office: Office, session: Session, context: Context, keyed: Keyed, use_id: str, told: Challenge
) -> Reply:
    """Dispute a use of one's own data; 201 with the day by which the office answers.

    Rule: R-041, the accountable office answers within ten working days.

    Raises:
        DataUseUnknown: no entry about this person.
        NotInEntry: the department is not in it, or it has to be said which one is meant.
        ChallengeExists: this use was disputed before.
        KeyReused: the key came before with another body.
    """
    entry = await own_use(office, session.subject_id, use_id)
    department = _department(entry, told.department)

    async def write(db: Connection) -> Reply:
        id_ = new_id("chl")
        reason = office.keys.seal(told.reason.encode(), words_context(id_, "reason"))
        due = office.due_on(clock.today(), terms().answer_days)
        row = await store.insert(db, office.region, id_, use_id, session.subject_id, department, reason, due)
        if row is None:
            raise ChallengeExists(department=department)
        await _record(db, office, session, context, row, "data_use.challenged")
        return Reply(status=201, body=_json.encode(view(office, row, context.lang)), made_id=id_)

    return await once(office, keyed, write)


def _department(entry: DataUse, told: str | None) -> str:
    there = list(dict.fromkeys(use.adapter for use in entry.uses))
    if told is None and len(there) == 1:
        return there[0]
    if told in there:
        return str(told)
    fault = FieldError(pointer="/department", code="data_use.department", params={"known": ", ".join(there)})
    raise NotInEntry(errors=[fault], known=", ".join(there))


async def own_challenges(office: Office, session: Session, use_id: str, lang: Language) -> list[ChallengeView]:
    """Return what was said against an entry about oneself, and answered.

    Raises:
        DataUseUnknown: no entry about this person.
    """
    await own_use(office, session.subject_id, use_id)
    return (await of_entries(office, session, [use_id], lang))[use_id]


async def of_entries(
    office: Office, session: Session, use_ids: Sequence[str], lang: Language
) -> dict[str, list[ChallengeView]]:
    """Return what the session's person said against each of these entries; nothing of anybody else's."""
    rows = await store.of_uses(office.pool, office.region, session.subject_id, use_ids)
    moves = await moves_of(office, session.subject_id, {row.id: row.department for row in rows}, lang)
    found: dict[str, list[ChallengeView]] = {id_: [] for id_ in use_ids}
    for row in rows:
        found[row.use_id].append(view(office, row, lang, moves[row.id]))
    return found


async def to_answer(
    office: Office, session: Session, lang: Language, *, after: str | None, limit: int
) -> ChallengeList:
    """Return what the session's own office has not answered, oldest first.

    Raises:
        NotTheDesk: the session belongs to no department.
    """
    size = max(1, min(limit, _MOST))
    rows = await store.open_of(office.pool, office.region, desk_of(session), after, size + 1)
    lines = [
        ChallengeLine(
            id=row.id,
            entry=row.use_id,
            opened_at=row.opened_at,
            due_on=row.due_on,
            overdue=_overdue(row),
            with_whom=post(office, row.department, row.level, lang),
        )
        for row in rows[:size]
    ]
    more = len(rows) > size
    return ChallengeList(data=lines, next_cursor=lines[-1].id if more else None, has_more=more)


async def read(office: Office, session: Session, context: Context, id_: str) -> OfficeChallenge:
    """Return one challenge of the session's own office with what is disputed; that it was read is an entry itself.

    Raises:
        NotTheDesk: the session belongs to no department.
        ChallengeUnknown: it is another office's, or is not there.
    """
    async with office.pool.acquire() as db, db.transaction():
        row = await _held(db, office, session, id_)
        entry = await audit.own_data_use(db, office.region, row.subject, row.use_id)
        if entry is None:
            raise DataUseUnknown(row.use_id)
        shown = Use(
            adapter=row.department,
            basis=text("audit.challenge_basis", "zh"),
            fields=("challenge.reason",),
            operation="challenge.read",
            outcome="shown",
            purpose=text("audit.challenge_purpose", "zh"),
            version="",
        )
        await _record(db, office, session, context, row, "data_use.challenge_read", shown)
    use = next(one for one in entry.uses if one.adapter == row.department)
    return OfficeChallenge(
        id=row.id,
        entry=row.use_id,
        at=entry.at,
        case=entry.object,
        use=one_use(office, use, context.lang),
        state=row.state,
        reason=_words(office, row, "reason", row.reason),
        opened_at=row.opened_at,
        due_on=row.due_on,
        overdue=_overdue(row),
    )


async def answer(
    office: Office, session: Session, context: Context, keyed: Keyed, id_: str, told: AnswerChallenge
) -> Reply:
    """Answer a challenge of the session's own office.

    Raises:
        NotTheDesk: the session belongs to no department.
        ChallengeUnknown: it is another office's, or is not there.
        ChallengeAnswered: it was answered before.
        KeyReused: the key came before with another body.
    """

    async def write(db: Connection) -> Reply:
        held = await _held(db, office, session, id_)
        sealed = office.keys.seal(told.text.encode(), words_context(id_, "answer"))
        row = await store.answer(db, office.region, held.id, told.state, sealed, session.actor_id)
        if row is None:
            raise ChallengeAnswered(id_)
        await _record(db, office, session, context, row, "data_use.challenge_answered")
        return Reply(status=200, body=_json.encode(view(office, row, context.lang)), made_id=id_)

    return await once(office, keyed, write)


async def _held(db: Connection, office: Office, session: Session, id_: str) -> ChallengeRow:
    row = await store.of_office(db, office.region, desk_of(session), id_)
    if row is None:
        raise ChallengeUnknown(id_)
    return row


async def _record(
    db: Connection,
    office: Office,
    session: Session,
    context: Context,
    row: ChallengeRow,
    action: str,
    shown: Use | None = None,
) -> None:
    await audit.record(
        db,
        office.region,
        actor=session.actor_id,
        action=action,
        subject=row.subject,
        object=row.id,
        trace_id=context.trace_id,
        detail={"department": row.department, "entry": row.use_id, "state": row.state},
        uses=[audit.use_entry(shown)] if shown else (),
    )


def view(office: Office, row: ChallengeRow, lang: Language, moves: Sequence[ChallengeMove] = ()) -> ChallengeView:
    """Return a challenge as its person sees it."""
    known = office.directory.departments.get(row.department)
    officer = "" if known is None else known.officer_en if lang == "en" else known.officer_zh
    name = office.directory.name(row.department, lang)
    return ChallengeView(
        id=row.id,
        entry=row.use_id,
        department=Department(row.department, name),
        officer=officer,
        with_whom=post(office, row.department, row.level, lang),
        moves=list(moves),
        state=row.state,
        says=text(f"data_use.challenge.{row.state}", lang, department=name, due_on=row.due_on.isoformat()),
        reason=_words(office, row, "reason", row.reason),
        opened_at=row.opened_at,
        due_on=row.due_on,
        overdue=_overdue(row),
        answered_at=row.answered_at,
        answer=None if row.answer is None else _words(office, row, "answer", row.answer),
    )


def _words(office: Office, row: ChallengeRow, what: str, sealed: bytes) -> str:
    return office.keys.unseal(sealed, words_context(row.id, what)).decode()


def words_context(id_: str, what: str) -> str:
    """Return what sealed words of a challenge are bound to: its reason or its answer."""
    return f"use_challenges.{what}.{id_}"


def _overdue(row: ChallengeRow) -> bool:
    return row.state == "open" and row.due_on < clock.today()
