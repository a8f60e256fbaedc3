"""SQL of what is held of a person, and of deleting it.

The statements name other rooms' tables: what is erased of a person is one list, to be read as one.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from onestop.db import Connection, Db, execute, many, one, value
from onestop.rights.models import Erasure


class HeldRow(msgspec.Struct, frozen=True):
    """One class: how many records, and from when the newest one's time counts."""

    record_class: str
    count: int
    newest: datetime | None = None


SELECT_HELD = """
    SELECT 'case' AS record_class, count(*) AS count,
           CASE WHEN bool_and(state IN ('decided', 'withdrawn'))
                THEN max(coalesce(decided_at, submitted_at, opened_at)) END AS newest
      FROM cases WHERE region = $1 AND subject = $2 AND state <> 'draft'
    UNION ALL
    SELECT 'certificate', count(*), max(issued_at) FROM certificates c
     WHERE region = $1 AND case_id IN (SELECT id FROM cases WHERE region = $1 AND subject = $2)
    UNION ALL
    SELECT 'draft', count(*), max(coalesce(changed_at, opened_at))
      FROM cases WHERE region = $1 AND subject = $2 AND state = 'draft'
    UNION ALL
    SELECT 'lookup', count(*), max(created_at) FROM completions WHERE region = $1 AND subject = $2
    UNION ALL
    SELECT 'consent', count(*), max(coalesce(ended_at, expires_at)) FROM consents
     WHERE region = $1 AND subject = $2 AND (ended_at IS NOT NULL OR expires_at < now())
    UNION ALL
    SELECT 'session', count(*), max(least(revoked_at, expires_at)) FROM sessions WHERE region = $1 AND subject_id = $2
    UNION ALL
    SELECT 'export', count(*), max(asked_at) FROM exports WHERE region = $1 AND subject = $2
    UNION ALL
    SELECT 'ledger', count(*), NULL FROM data_uses WHERE region = $1 AND subject = $2
    LIMIT 20
"""


async def held(db: Db, region: str, subject: str) -> list[HeldRow]:
    """Return what is held of a person by class."""
    return await many(db, HeldRow, SELECT_HELD, region, subject)


DELETE_OWN_DRAFTS = """
    WITH gone AS (DELETE FROM cases WHERE region = $1 AND subject = $2 AND state = 'draft' RETURNING id),
         events AS (DELETE FROM case_events WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         replies AS (DELETE FROM idempotency_keys
                      WHERE region = $1 AND principal = $2 || '/citizen' AND made_id IN (SELECT id FROM gone))
    SELECT count(*) FROM gone
"""
DELETE_OWN_LOOKUPS = """
    WITH gone AS (DELETE FROM completions WHERE region = $1 AND subject = $2 RETURNING id),
         parts AS (DELETE FROM completion_parts WHERE region = $1 AND completion_id IN (SELECT id FROM gone))
    SELECT count(*) FROM gone
"""
DELETE_OWN_CONSENTS = """
    WITH gone AS (DELETE FROM consents WHERE region = $1 AND subject = $2
                     AND (ended_at IS NOT NULL OR expires_at < now()) RETURNING id)
    SELECT count(*) FROM gone
"""


async def delete_own(db: Connection, region: str, subject: str) -> dict[str, int]:
    """Delete a person's drafts, look-ups and ended consents; return how many of each class."""
    return {
        "draft": await value(db, DELETE_OWN_DRAFTS, region, subject),
        "lookup": await value(db, DELETE_OWN_LOOKUPS, region, subject),
        "consent": await value(db, DELETE_OWN_CONSENTS, region, subject),
    }


# ---- erasing

INSERT_ERASURE = """
    INSERT INTO erasures (region, id, subject) VALUES ($1, $2, $3)
        ON CONFLICT (region, subject) DO UPDATE SET subject = excluded.subject
    RETURNING id, subject, state, asked_at, done_at
"""


async def ask(db: Connection, region: str, id: str, subject: str) -> Erasure | None:
    """Write a person's wish to be erased, or return the one that is there."""
    return await one(db, Erasure, INSERT_ERASURE, region, id, subject)


SELECT_ASKED = """
    SELECT id, subject, state, asked_at, done_at FROM erasures
     WHERE region = $1 AND state = 'asked' ORDER BY id LIMIT 100
"""


async def asked(db: Db, region: str) -> list[Erasure]:
    """Return what waits for approval, oldest first."""
    return await many(db, Erasure, SELECT_ASKED, region)


SELECT_ERASURE = """
    SELECT id, subject, state, asked_at, done_at FROM erasures
     WHERE region = $1 AND id = $2 AND state = 'asked' FOR UPDATE
"""


async def waiting(db: Connection, region: str, id: str) -> Erasure | None:
    """Return an erasure that waits, and hold its row; None where there is none."""
    return await one(db, Erasure, SELECT_ERASURE, region, id)


UPDATE_DONE = """
    UPDATE erasures SET state = 'done', done_at = now(), approved_by = $3
     WHERE region = $1 AND id = $2
    RETURNING id, subject, state, asked_at, done_at
"""


async def done(db: Connection, region: str, id: str, by: str) -> Erasure | None:
    """Write that an erasure is done, by whose approval."""
    return await one(db, Erasure, UPDATE_DONE, region, id, by)


SELECT_DONE = "SELECT subject FROM erasures WHERE region = $1 AND state = 'done' AND id > $2 ORDER BY id LIMIT 100000"


async def erased(db: Db, region: str) -> list[str]:
    """Return the subjects whose erasure is done, by this database's word."""
    return [row["subject"] for row in await db.fetch(SELECT_DONE, region, "")]


SELECT_UNERASED = """
    SELECT id FROM subjects WHERE region = $1 AND id = ANY($2::text[]) AND erased_at IS NULL LIMIT 100000
"""


async def unerased(db: Db, region: str, subjects: Sequence[str]) -> list[str]:
    """Return which of these subjects this database still holds; after a restored backup there are such."""
    return [row["id"] for row in await db.fetch(SELECT_UNERASED, region, list(subjects))]


# The key first: with it goes what lies under it. One byte stays where a column wants some; the index finds nobody.
ERASE_SUBJECT = r"""
    UPDATE subjects
       SET data_key = NULL, number = '\x00', name = '\x00', erased_at = now(), changed_at = now(),
           number_index = sha256(convert_to('erased:' || id || gen_random_uuid()::text, 'UTF8'))
     WHERE region = $1 AND id = $2 AND erased_at IS NULL
"""
# Everything else of the person that lies under the installation's key, or says what they did.
ERASE_CASES = """
    WITH gone AS (DELETE FROM cases WHERE region = $1 AND subject = $2 RETURNING id),
         steps AS (DELETE FROM case_steps WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         events AS (DELETE FROM case_events WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         tasks AS (DELETE FROM desk_tasks WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         sent AS (DELETE FROM effects WHERE region = $1 AND case_id IN (SELECT id FROM gone))
    DELETE FROM certificates WHERE region = $1 AND case_id IN (SELECT id FROM gone)
"""
ERASE_COMPLETIONS = """
    WITH gone AS (DELETE FROM completions WHERE region = $1 AND subject = $2 RETURNING id)
    DELETE FROM completion_parts WHERE region = $1 AND completion_id IN (SELECT id FROM gone)
"""
ERASE_DEPARTMENT_IDS = "DELETE FROM subject_department_ids WHERE region = $1 AND subject_id = $2"
ERASE_REPLIES = "DELETE FROM idempotency_keys WHERE region = $1 AND starts_with(principal, $2 || '/')"
ERASE_CHALLENGES = "DELETE FROM use_challenges WHERE region = $1 AND subject = $2"
ERASE_DOUBTS = "DELETE FROM record_doubts WHERE region = $1 AND subject = $2"
ERASE_CONSENTS = "DELETE FROM consents WHERE region = $1 AND subject = $2"
ERASE_SHOWN = "DELETE FROM notices_shown WHERE region = $1 AND subject = $2"
ERASE_GUARDIANS = "DELETE FROM guardians WHERE region = $1 AND (ward = $2 OR guardian = $2)"
ERASE_EXPORTS = "DELETE FROM exports WHERE region = $1 AND subject = $2"
ERASE_UNMASKINGS = "DELETE FROM unmaskings WHERE region = $1 AND subject = $2"
# Ended, not deleted: other processes learn from the row that it ended.
END_SESSIONS = """
    UPDATE sessions SET revoked_at = coalesce(revoked_at, now()), id_token = NULL
     WHERE region = $1 AND subject_id = $2
"""


async def erase(db: Connection, region: str, subject: str) -> None:
    """Destroy a subject's key, and with it or after it everything that could be opened of the person."""
    await execute(db, ERASE_SUBJECT, region, subject)
    await execute(db, ERASE_CASES, region, subject)
    await execute(db, ERASE_COMPLETIONS, region, subject)
    await execute(db, ERASE_DEPARTMENT_IDS, region, subject)
    await execute(db, ERASE_REPLIES, region, subject)
    await execute(db, ERASE_CHALLENGES, region, subject)
    await execute(db, ERASE_CONSENTS, region, subject)
    await execute(db, ERASE_DOUBTS, region, subject)
    await execute(db, ERASE_SHOWN, region, subject)
    await execute(db, ERASE_GUARDIANS, region, subject)
    await execute(db, ERASE_UNMASKINGS, region, subject)
    await execute(db, ERASE_EXPORTS, region, subject)
    await execute(db, END_SESSIONS, region, subject)
