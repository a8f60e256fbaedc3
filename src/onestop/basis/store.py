"""SQL of notices, consents and guardians."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from onestop.basis.models import Consent, Guardian
from onestop.db import Connection, Db, columns, execute, many, one


class NoticeText(msgspec.Struct, frozen=True):
    """The words of a notice as they were in use."""

    purpose: str
    version: int
    lang: str
    hash: str


# What stands stays: a version's words never change.
INSERT_NOTICE_TEXTS = """
    INSERT INTO notice_texts (purpose, version, lang, hash, body)
    SELECT p, v, l, h, b FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[]) AS x (p, v, l, h, b)
        ON CONFLICT DO NOTHING
"""


async def insert_notice_texts(db: Db, rows: Sequence[Sequence[object]]) -> int:
    """Keep notices (purpose, version, language, hash, words) that are new; return how many were."""
    return await execute(db, INSERT_NOTICE_TEXTS, *columns(rows))


SELECT_NOTICE_TEXTS = """
    SELECT purpose, version, lang, hash FROM notice_texts WHERE purpose = ANY($1::text[]) LIMIT 10000
"""


async def notice_texts(db: Db, purposes: Sequence[str]) -> list[NoticeText]:
    """Return every version's notice of these purposes, without its words."""
    return await many(db, NoticeText, SELECT_NOTICE_TEXTS, list(purposes))


INSERT_SHOWN = """
    INSERT INTO notices_shown (region, subject, purpose, version, lang, hash)
    SELECT $1, $2, p, v, $3, h FROM unnest($4::text[], $5::int[], $6::text[]) AS x (p, v, h)
        ON CONFLICT DO NOTHING
"""


async def insert_shown(db: Db, region: str, subject: str, lang: str, rows: Sequence[Sequence[object]]) -> int:
    """Write that a person was shown these notices (purpose, version, hash), where it was the first time."""
    return await execute(db, INSERT_SHOWN, region, subject, lang, *columns(rows))


SELECT_LIVE = """
    SELECT id, subject, purpose, version, notice_hash, lang, given_by, given_at, expires_at, ended_at, ended_why
      FROM consents
     WHERE region = $1 AND subject = $2 AND purpose = ANY($3::text[]) AND ended_at IS NULL
     LIMIT 1000
"""


async def live(db: Db, region: str, subject: str, purposes: Sequence[str]) -> list[Consent]:
    """Return a person's consents to these purposes that nobody ended; one of each at most."""
    return await many(db, Consent, SELECT_LIVE, region, subject, list(purposes))


SELECT_NEWEST = """
    SELECT DISTINCT ON (purpose)
           id, subject, purpose, version, notice_hash, lang, given_by, given_at, expires_at, ended_at, ended_why
      FROM consents
     WHERE region = $1 AND subject = $2
     ORDER BY purpose, given_at DESC, id DESC
     LIMIT 1000
"""


async def newest(db: Db, region: str, subject: str) -> list[Consent]:
    """Return the last consent a person gave to each purpose, ended or not."""
    return await many(db, Consent, SELECT_NEWEST, region, subject)


LOCK_SUBJECT = "SELECT pg_advisory_xact_lock(hashtextextended('consents:' || $1, 0))"


async def lock(db: Connection, subject: str) -> None:
    """Let two changes of one person's consents go one after the other, until the transaction ends."""
    await execute(db, LOCK_SUBJECT, subject)


INSERT_CONSENT = """
    INSERT INTO consents (region, id, subject, purpose, version, notice_hash, lang, given_by, given_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


async def insert(db: Connection, region: str, new: Consent) -> None:
    """Write a consent; the one before was ended."""
    await execute(
        db, INSERT_CONSENT, region, new.id, new.subject, new.purpose, new.version, new.notice_hash, new.lang,
        new.given_by, new.given_at, new.expires_at,
    )  # fmt: skip


END_CONSENT = """
    UPDATE consents SET ended_at = now(), ended_by = $4, ended_why = $5
     WHERE region = $1 AND subject = $2 AND purpose = $3 AND ended_at IS NULL
"""


async def end(db: Connection, region: str, subject: str, purpose: str, by: str, why: str) -> bool:
    """End a person's consent to a purpose; False where there is none to end."""
    return await execute(db, END_CONSENT, region, subject, purpose, by, why) == 1


SELECT_GUARDIANS = """
    SELECT id, ward, guardian, begins_at, ends_at FROM guardians WHERE region = $1 AND ward = $2 LIMIT 100
"""


async def guardians(db: Db, region: str, ward: str) -> list[Guardian]:
    """Return who is or was a child's guardian."""
    return await many(db, Guardian, SELECT_GUARDIANS, region, ward)


SELECT_WARDS = """
    SELECT id, ward, guardian, begins_at, ends_at FROM guardians
     WHERE region = $1 AND guardian = $2 AND (ends_at IS NULL OR ends_at > $3)
     ORDER BY id LIMIT 100
"""


async def wards(db: Db, region: str, guardian: str, now: datetime) -> list[Guardian]:
    """Return whose guardian somebody is."""
    return await many(db, Guardian, SELECT_WARDS, region, guardian, now)


INSERT_GUARDIAN = """
    INSERT INTO guardians (region, id, ward, guardian, begins_at, ends_at, recorded_by, evidence)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def insert_guardian(db: Connection, region: str, new: Guardian, recorded_by: str, evidence: str) -> None:
    """Write a guardian."""
    await execute(
        db, INSERT_GUARDIAN, region, new.id, new.ward, new.guardian, new.begins_at, new.ends_at, recorded_by, evidence
    )


END_GUARDIAN = """
    UPDATE guardians SET ends_at = $3
     WHERE region = $1 AND id = $2 AND (ends_at IS NULL OR ends_at > $3)
    RETURNING id, ward, guardian, begins_at, ends_at
"""


async def end_guardian(db: Connection, region: str, id: str, now: datetime) -> Guardian | None:
    """End a guardian now and return it; None where there is none, or it has ended."""
    return await one(db, Guardian, END_GUARDIAN, region, id, now)
