"""SQL of exports: the job, and the rows that no room's verb shows whole."""

from datetime import datetime
from typing import Any

import msgspec

from onestop.db import Connection, Db, execute, one
from onestop.rights.models import ExportState


class ExportRow(msgspec.Struct, frozen=True, kw_only=True):
    """One export; the file sealed."""

    id: str
    subject: str
    lang: str
    state: ExportState
    asked_at: datetime
    done_at: datetime | None = None
    file: bytes | None = None


INSERT_EXPORT = """
    INSERT INTO exports (region, id, subject, lang) VALUES ($1, $2, $3, $4)
        ON CONFLICT (region, subject) WHERE state IN ('queued', 'running') DO UPDATE SET lang = excluded.lang
    RETURNING id, subject, lang, state, asked_at, done_at
"""


async def ask(db: Connection, region: str, id: str, subject: str, lang: str) -> ExportRow | None:
    """Write a wish for an export, or return the one that is under way."""
    return await one(db, ExportRow, INSERT_EXPORT, region, id, subject, lang)


# The owner is in the WHERE clause: another's export is the same as none.
SELECT_OWN = """
    SELECT id, subject, lang, state, asked_at, done_at, file FROM exports
     WHERE region = $1 AND id = $2 AND subject = $3
"""


async def own(db: Db, region: str, id: str, subject: str) -> ExportRow | None:
    """Return one of a person's own exports."""
    return await one(db, ExportRow, SELECT_OWN, region, id, subject)


# One that a worker began and did not end within five minutes is begun again.
CLAIM = """
    UPDATE exports SET state = 'running', begun_at = now()
     WHERE region = $1 AND id = (
        SELECT id FROM exports
         WHERE region = $1
           AND (state = 'queued' OR (state = 'running' AND begun_at < now() - interval '5 minutes'))
         ORDER BY asked_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, subject, lang, state, asked_at, done_at
"""


async def claim(db: Db, region: str) -> ExportRow | None:
    """Take the export that has waited longest; None where none waits."""
    return await one(db, ExportRow, CLAIM, region)


UPDATE_ENDED = """
    UPDATE exports SET state = $3, done_at = now(), file = $4 WHERE region = $1 AND id = $2 AND state = 'running'
"""


async def end(db: Db, region: str, id: str, state: ExportState, file: bytes | None) -> bool:
    """Write how an export ended; False where it was deleted or ended meanwhile."""
    return await execute(db, UPDATE_ENDED, region, id, state, file) == 1


SELECT_SESSIONS = """
    SELECT id, kind, role, department, level, provider, created_at, seen_at, expires_at, revoked_at
      FROM sessions WHERE region = $1 AND subject_id = $2 ORDER BY id LIMIT 10000
"""
SELECT_CONSENTS = """
    SELECT id, purpose, version, notice_hash, lang, given_by, given_at, expires_at, ended_at, ended_why
      FROM consents WHERE region = $1 AND subject = $2 ORDER BY id LIMIT 10000
"""
SELECT_SHOWN = """
    SELECT purpose, version, lang, hash, first_at
      FROM notices_shown WHERE region = $1 AND subject = $2 ORDER BY first_at LIMIT 10000
"""
SELECT_UNMASKINGS = """
    SELECT at, role, department, object, reason
      FROM unmaskings WHERE region = $1 AND subject = $2 ORDER BY id LIMIT 10000
"""
SELECT_GUARDIANS = """
    SELECT id, ward, guardian, begins_at, ends_at, evidence
      FROM guardians WHERE region = $1 AND (ward = $2 OR guardian = $2) ORDER BY id LIMIT 10000
"""
SELECT_CHALLENGES = """
    SELECT id, use_id, department, state, reason, opened_at, due_on, answered_at, answer
      FROM use_challenges WHERE region = $1 AND subject = $2 ORDER BY id LIMIT 10000
"""
PLAIN = {
    "sessions": SELECT_SESSIONS,
    "consents": SELECT_CONSENTS,
    "notices_shown": SELECT_SHOWN,
    "unmaskings": SELECT_UNMASKINGS,
    "guardians": SELECT_GUARDIANS,
}


async def plain(db: Db, region: str, subject: str, table: str) -> list[dict[str, Any]]:
    """Return a person's rows of one table of `PLAIN`, as they lie there."""
    return [dict(row) for row in await db.fetch(PLAIN[table], region, subject)]


async def challenges(db: Db, region: str, subject: str) -> list[dict[str, Any]]:
    """Return a person's challenges, their words sealed."""
    return [dict(row) for row in await db.fetch(SELECT_CHALLENGES, region, subject)]
