"""Verbs: call a challenge to mind, give it to the next person, show those who supervise what was not answered."""

import structlog

from onestop import clock
from onestop.audit import service as audit
from onestop.cases.office import Office
from onestop.clock import CHINA
from onestop.db import Connection
from onestop.overview import store_escalation as store
from onestop.overview.rules_challenges import plan, terms
from onestop.overview.store_escalation import DueRow, OverdueRow
from onestop.overview.views_data_use import ChallengeMove, Department, OverdueChallenge, OverdueList
from onestop.texts import Language, text

log = structlog.get_logger(__name__)

_ONESTOP = "onestop"
_BATCH = 200
_MOST = 100


async def escalate(office: Office) -> int:
    """Make every move whose day has come and return how many that were; several workers may do so at once.

    Rule: R-042, what nobody answers is called to mind and then given to the next person.
    """
    done = 0
    while True:
        async with office.pool.acquire() as db, db.transaction():
            rows = await store.due(db, office.region, clock.today(), _BATCH)
            for row in rows:
                done += await _move(db, office, row)
        if len(rows) < _BATCH:
            return done


async def _move(db: Connection, office: Office, row: DueRow) -> int:
    moves = plan(row.opened_at.astimezone(CHINA).date(), row.due_on, terms(), office.due_on)
    now = [one for one in moves[row.done :] if one.on <= clock.today()]
    stands = row.done + len(now)
    await store.insert_moves(
        db, office.region, [(row.id, nth, one.kind, one.level) for nth, one in enumerate(now, row.done)]
    )
    level = max((one.level for one in moves[:stands]), default=0)
    await store.set_next(db, office.region, row.id, level, moves[stands].on if stands < len(moves) else None)
    for one in now:
        detail = {"department": row.department, "entry": row.use_id, "post": terms().post(one.level)}
        kind = "reminded" if one.kind == "reminder" else "escalated"
        await audit.record(
            db, office.region, actor=_ONESTOP, action=f"data_use.challenge_{kind}", subject=row.subject,
            object=row.id, detail=detail,
        )  # fmt: skip
        if one.kind == "escalation":
            log.warning("challenge_escalated", challenge=row.id, department=row.department, level=one.level)
    return len(now)


async def moves_of(
    office: Office, subject: str, departments: dict[str, str], lang: Language
) -> dict[str, list[ChallengeMove]]:
    """Return what was done about a person's challenges, by id; `departments` are their departments by id."""
    found: dict[str, list[ChallengeMove]] = {id_: [] for id_ in departments}
    for row in await store.moves(office.pool, office.region, subject, list(departments)):
        to = post(office, departments[row.challenge], row.level, lang)
        says = text(f"data_use.move.{row.kind}", lang, to=to)
        found[row.challenge].append(ChallengeMove(kind=row.kind, to=to, says=says, at=row.at))
    return found


def post(office: Office, department: str, level: int, lang: Language) -> str:
    """Return in words with whom a challenge of a level is: the accountable post, or one above it."""
    kind = terms().post(level)
    known = office.directory.departments.get(department)
    officer = "" if known is None else known.officer_en if lang == "en" else known.officer_zh
    if kind == "officer" and officer:
        return officer
    return text(f"data_use.post.{kind}", lang, department=office.directory.name(department, lang))


async def overdue(office: Office, lang: Language, *, after: str | None, limit: int) -> OverdueList:
    """Return what was not answered within its term, answered late or not at all, oldest first; nothing of a person."""
    size = max(1, min(limit, _MOST))
    rows = await store.overdue(office.pool, office.region, after, clock.today(), size + 1)
    lines = [_line(office, row, lang) for row in rows[:size]]
    more = len(rows) > size
    return OverdueList(data=lines, next_cursor=lines[-1].id if more else None, has_more=more)


def _line(office: Office, row: OverdueRow, lang: Language) -> OverdueChallenge:
    return OverdueChallenge(
        id=row.id,
        department=Department(row.department, office.directory.name(row.department, lang)),
        state=row.state,
        opened_at=row.opened_at,
        due_on=row.due_on,
        answered_at=row.answered_at,
        with_whom=post(office, row.department, row.level, lang),
    )
