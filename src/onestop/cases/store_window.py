"""SQL of visits at a window: who was served, and the code with which they confirm."""

from datetime import datetime, timedelta

import msgspec

from onestop.db import Connection, Db, execute, one, value

# Two beginnings of one clerk at once come here one after the other, so that the limit is exact on every instance.
LOCK_CLERK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 7))"

COUNT_VISITS = """
    SELECT count(*) FROM window_visits WHERE region = $1 AND clerk = $2 AND at > now() - interval '1 hour'
"""


async def recent_visits(db: Connection, region: str, clerk: str) -> int:
    """Return how many people a clerk began for within the last hour, and hold others of this clerk back."""
    await execute(db, LOCK_CLERK, clerk)
    return int(await value(db, COUNT_VISITS, region, clerk))


INSERT_VISIT = """
    INSERT INTO window_visits (region, id, clerk, department, subject) VALUES ($1, $2, $3, $4, $5)
"""


async def insert_visit(db: Connection, region: str, id_: str, clerk: str, department: str, subject: str) -> None:
    """Write that a clerk serves somebody."""
    await execute(db, INSERT_VISIT, region, id_, clerk, department, subject)


UPDATE_VISIT_CASE = "UPDATE window_visits SET case_id = $3 WHERE region = $1 AND id = $2 AND case_id IS NULL"


async def set_case(db: Db, region: str, id_: str, case_id: str) -> None:
    """Write which case came of a visit."""
    await execute(db, UPDATE_VISIT_CASE, region, id_, case_id)


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One time somebody was served at a window."""

    id: str
    subject: str
    department: str
    confirmed_at: datetime | None = None


# Another house's case is the same as no case; and what was confirmed is the applicant's own again.
SELECT_VISIT = """
    SELECT id, subject, department, confirmed_at
      FROM window_visits
     WHERE region = $1 AND case_id = $2 AND department = $3 AND confirmed_at IS NULL
"""


async def visit(db: Db, region: str, case_id: str, department: str) -> Visit | None:
    """Read the open visit that a case came of, for a clerk of the same house."""
    return await one(db, Visit, SELECT_VISIT, region, case_id, department)


# A new code takes the place of the one before, with attempts of its own.
UPDATE_CODE = """
    UPDATE window_visits
       SET code_index = $3, content_digest = $4, attempts_left = $5, code_until = now() + $6
     WHERE region = $1 AND id = $2 AND confirmed_at IS NULL
    RETURNING code_until
"""


async def set_code(
    db: Connection, region: str, id_: str, index: bytes, digest: bytes, attempts: int, life: timedelta
) -> datetime:
    """Write a visit's code and return until when it is good."""
    until: datetime = await value(db, UPDATE_CODE, region, id_, index, digest, attempts, life)
    return until


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt at a code is compared with."""

    id: str
    code_index: bytes
    content_digest: bytes
    attempts_left: int


# Taken before it is looked at, and committed whatever comes of it: nobody has more attempts than there are.
TAKE_ATTEMPT = """
    UPDATE window_visits
       SET attempts_left = attempts_left - 1
     WHERE region = $1 AND case_id = $2 AND subject = $3 AND confirmed_at IS NULL AND code_index IS NOT NULL
       AND attempts_left > 0 AND code_until > now()
    RETURNING id, code_index, content_digest, attempts_left
"""


async def take_attempt(db: Db, region: str, case_id: str, subject: str) -> Attempt | None:
    """Take one attempt at the code of the subject's own case; None where there is no code to try."""
    return await one(db, Attempt, TAKE_ATTEMPT, region, case_id, subject)


UPDATE_CONFIRMED = """
    UPDATE window_visits
       SET confirmed_at = now(), code_index = NULL
     WHERE region = $1 AND id = $2 AND confirmed_at IS NULL AND code_index = $3
"""


async def confirm(db: Connection, region: str, id_: str, index: bytes) -> bool:
    """Use a code up, in the transaction of the submission; False where it was used or replaced in this moment."""
    return await execute(db, UPDATE_CONFIRMED, region, id_, index) == 1
