"""SQL of challenges that nobody answers: whose day has come, what was done about them, the list of all."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from onestop.db import Connection, Db, columns, execute, many
from onestop.overview.rules_challenges import MoveKind
from onestop.overview.views_data_use import ChallengeState


class DueRow(msgspec.Struct, frozen=True, kw_only=True):
    """An open challenge that is to be looked at."""

    id: str
    use_id: str
    subject: str
    department: str
    opened_at: datetime
    due_on: date
    done: int  # moves made so far


class MoveRow(msgspec.Struct, frozen=True, kw_only=True):
    """One move of a challenge."""

    challenge: str
    kind: MoveKind
    level: int
    at: datetime


class OverdueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One challenge in the list of those who supervise; nothing of its person."""

    id: str
    department: str
    state: ChallengeState
    level: int
    opened_at: datetime
    due_on: date
    answered_at: datetime | None


SELECT_DUE = """
    SELECT c.id, c.use_id, c.subject, c.department, c.opened_at, c.due_on,
           (SELECT count(*) FROM challenge_moves m WHERE m.region = c.region AND m.challenge = c.id) AS done
      FROM use_challenges c
     WHERE c.region = $1 AND c.state = 'open' AND c.next_on <= $2
     ORDER BY c.next_on, c.id LIMIT $3
       FOR UPDATE OF c SKIP LOCKED
"""


async def due(db: Connection, region: str, today: date, limit: int) -> list[DueRow]:
    """Return open challenges whose day has come, and hold them; those somebody holds come the next time."""
    return await many(db, DueRow, SELECT_DUE, region, today, limit)


INSERT_MOVES = """
    INSERT INTO challenge_moves (region, challenge, nth, kind, level)
    SELECT $1, * FROM unnest($2::text[], $3::smallint[], $4::text[], $5::smallint[])
"""


async def insert_moves(db: Connection, region: str, moves: Sequence[tuple[str, int, str, int]]) -> None:
    """Add moves: challenge, place in its plan, kind, level."""
    if moves:
        await execute(db, INSERT_MOVES, region, *columns(moves))


# Where nothing is left to do, the day never comes.
UPDATE_NEXT = """
    UPDATE use_challenges SET level = greatest(level, $3), next_on = coalesce($4::date, 'infinity')
     WHERE region = $1 AND id = $2
"""


async def set_next(db: Connection, region: str, id: str, level: int, next_on: date | None) -> None:
    """Write with whom a challenge is, and when to look at it next; None for never."""
    await execute(db, UPDATE_NEXT, region, id, level, next_on)


# The owner is in the WHERE clause: a person sees the moves of their own.
SELECT_MOVES = """
    SELECT m.challenge, m.kind, m.level, m.at
      FROM challenge_moves m JOIN use_challenges c ON c.region = m.region AND c.id = m.challenge
     WHERE m.region = $1 AND c.subject = $2 AND m.challenge = ANY($3::text[])
     ORDER BY m.challenge, m.nth LIMIT 10000
"""


async def moves(db: Db, region: str, subject: str, ids: Sequence[str]) -> list[MoveRow]:
    """Return what was done about a person's challenges, in order."""
    return await many(db, MoveRow, SELECT_MOVES, region, subject, list(ids))


SELECT_OVERDUE = """
    SELECT id, department, state, level, opened_at, due_on, answered_at
      FROM use_challenges
     WHERE region = $1 AND ($2::text IS NULL OR id > $2)
       AND due_on < CASE WHEN state = 'open' THEN $3::date ELSE (answered_at AT TIME ZONE 'Asia/Shanghai')::date END
     ORDER BY id LIMIT $4
"""


async def overdue(db: Db, region: str, after: str | None, today: date, limit: int) -> list[OverdueRow]:
    """Return challenges that are, or were, not answered within their term, oldest first."""
    return await many(db, OverdueRow, SELECT_OVERDUE, region, after, today, limit)
