"""SQL of doubts: what a person says is wrong in a department's record, and what the department found."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from onestop.cases.models import DoubtState
from onestop.cases.views_doubts import OverdueDoubt
from onestop.db import Connection, Db, execute, many, one


class DoubtRow(msgspec.Struct, frozen=True, kw_only=True):
    """One doubt; its words sealed."""

    id: str
    subject: str
    case_id: str
    field: str
    department: str
    state: DoubtState
    said: bytes
    opened_at: datetime
    due_on: date
    answered_at: datetime | None = None
    answer: bytes | None = None


INSERT_DOUBT = """
    INSERT INTO record_doubts (region, id, subject, case_id, field, department, said, due_on)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (region, case_id, field) WHERE state = 'open' DO NOTHING
    RETURNING id, subject, case_id, field, department, state, said, opened_at, due_on, answered_at, answer
"""


async def insert(
    db: Connection,
    region: str,
    id: str,
    subject: str,
    case_id: str,
    field: str,
    department: str,
    said: bytes,
    due: date,
) -> DoubtRow | None:
    """Write a doubt and return it; None where this value is in doubt already."""
    return await one(db, DoubtRow, INSERT_DOUBT, region, id, subject, case_id, field, department, said, due)


# The owner is in the WHERE clause: a person sees their own.
SELECT_OWN = """
    SELECT id, subject, case_id, field, department, state, said, opened_at, due_on, answered_at, answer
      FROM record_doubts WHERE region = $1 AND subject = $2 ORDER BY id DESC LIMIT 100
"""


async def own(db: Db, region: str, subject: str) -> list[DoubtRow]:
    """Return a person's newest doubts, at most 100."""
    return await many(db, DoubtRow, SELECT_OWN, region, subject)


SELECT_OPEN_OF_CASE = """
    SELECT id, field FROM record_doubts WHERE region = $1 AND case_id = $2 AND state = 'open' LIMIT 200
"""


async def open_of_case(db: Db, region: str, case_id: str) -> dict[str, str]:
    """Return which fields of a case are in doubt, with the doubt's id."""
    return {row["field"]: row["id"] for row in await db.fetch(SELECT_OPEN_OF_CASE, region, case_id)}


# A department sees what it has to verify, the nearest day first.
SELECT_OPEN = """
    SELECT id, subject, case_id, field, department, state, said, opened_at, due_on, answered_at, answer
      FROM record_doubts WHERE region = $1 AND department = $2 AND state = 'open' ORDER BY due_on, id LIMIT 100
"""


async def open_of(db: Db, region: str, department: str) -> Sequence[DoubtRow]:
    """Return what a department has to verify, at most 100."""
    return await many(db, DoubtRow, SELECT_OPEN, region, department)


# Whoever looks after departments sees that a term is over, and nothing of the person.
SELECT_OVERDUE = """
    SELECT id, field, department, opened_at, due_on FROM record_doubts
     WHERE region = $1 AND state = 'open' AND due_on < $2 ORDER BY due_on, id LIMIT 200
"""


async def overdue(db: Db, region: str, today: date) -> list[OverdueDoubt]:
    """Return what departments should have verified before today, the longest overdue first; at most 200."""
    return await many(db, OverdueDoubt, SELECT_OVERDUE, region, today)


UPDATE_ANSWERED = """
    UPDATE record_doubts SET state = $4, answer = $5, answered_by = $6, answered_at = now()
     WHERE region = $1 AND department = $2 AND id = $3 AND state = 'open'
    RETURNING id, subject, case_id, field, department, state, said, opened_at, due_on, answered_at, answer
"""


async def answer(
    db: Connection, region: str, department: str, id: str, state: DoubtState, answer: bytes, by: str
) -> DoubtRow | None:
    """Write what a department found; None where it has no such open doubt."""
    return await one(db, DoubtRow, UPDATE_ANSWERED, region, department, id, state, answer, by)


# What is shown of the case has changed: whoever kept it reads it again.
TOUCH_CASE = "UPDATE cases SET version = version + 1 WHERE region = $1 AND id = $2"


async def touch_case(db: Connection, region: str, case_id: str) -> None:
    """Give the case a new version, so that its mark is seen."""
    await execute(db, TOUCH_CASE, region, case_id)
