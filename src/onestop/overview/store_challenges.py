"""SQL of challenges: a person's doubt about an entry of the ledger, and its office's answer."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from onestop.db import Connection, Db, many, one
from onestop.overview.views_data_use import ChallengeState


class ChallengeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One challenge; its words are sealed."""

    id: str
    use_id: str
    subject: str
    department: str
    state: ChallengeState
    reason: bytes
    opened_at: datetime
    due_on: date
    answered_at: datetime | None = None
    answer: bytes | None = None
    level: int = 0  # with whom it is; see `rules_challenges`


INSERT_CHALLENGE = """
    INSERT INTO use_challenges (region, id, use_id, subject, department, reason, due_on)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (region, use_id, department) DO NOTHING
    RETURNING id, use_id, subject, department, state, reason, opened_at, due_on, answered_at, answer, level
"""


async def insert(
    db: Connection, region: str, id: str, use_id: str, subject: str, department: str, reason: bytes, due_on: date
) -> ChallengeRow | None:
    """Write a challenge and return it; None where this use was disputed before."""
    return await one(db, ChallengeRow, INSERT_CHALLENGE, region, id, use_id, subject, department, reason, due_on)


# The owner is in the WHERE clause: a person sees their own.
SELECT_OF_USES = """
    SELECT id, use_id, subject, department, state, reason, opened_at, due_on, answered_at, answer, level
      FROM use_challenges
     WHERE region = $1 AND subject = $2 AND use_id = ANY($3::text[])
     ORDER BY id LIMIT 1000
"""


async def of_uses(db: Db, region: str, subject: str, use_ids: Sequence[str]) -> list[ChallengeRow]:
    """Return a person's challenges of these entries, oldest first."""
    return await many(db, ChallengeRow, SELECT_OF_USES, region, subject, list(use_ids))


# An office sees what it has to answer.
SELECT_OPEN = """
    SELECT id, use_id, subject, department, state, reason, opened_at, due_on, answered_at, answer, level
      FROM use_challenges
     WHERE region = $1 AND department = $2 AND state = 'open' AND ($3::text IS NULL OR id > $3)
     ORDER BY id LIMIT $4
"""


async def open_of(db: Db, region: str, department: str, after: str | None, limit: int) -> list[ChallengeRow]:
    """Return what an office has not answered, oldest first."""
    return await many(db, ChallengeRow, SELECT_OPEN, region, department, after, limit)


SELECT_FOR_UPDATE = """
    SELECT id, use_id, subject, department, state, reason, opened_at, due_on, answered_at, answer, level
      FROM use_challenges
     WHERE region = $1 AND department = $2 AND id = $3
       FOR UPDATE
"""


async def of_office(db: Connection, region: str, department: str, id: str) -> ChallengeRow | None:
    """Return one challenge that an office answers, and hold its row; None where it is another office's."""
    return await one(db, ChallengeRow, SELECT_FOR_UPDATE, region, department, id)


UPDATE_ANSWERED = """
    UPDATE use_challenges
       SET state = $3, answer = $4, answered_by = $5, answered_at = now()
     WHERE region = $1 AND id = $2 AND state = 'open'
    RETURNING id, use_id, subject, department, state, reason, opened_at, due_on, answered_at, answer, level
"""


async def answer(db: Connection, region: str, id: str, state: str, answer: bytes, by: str) -> ChallengeRow | None:
    """Write the office's answer and return the challenge; None where it was answered before."""
    return await one(db, ChallengeRow, UPDATE_ANSWERED, region, id, state, answer, by)
