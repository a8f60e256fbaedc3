"""SQL of sessions and of sign-ins under way: a constant and the one function that runs it."""

from datetime import datetime, timedelta

import msgspec

from onestop.db import Db, execute, many, one, value
from onestop.identity.models import Role, SessionKind


class SessionRow(msgspec.Struct, frozen=True):
    """A live session."""

    id: str
    subject_id: str
    actor_id: str
    role: Role
    department: str | None
    level: int
    kind: SessionKind
    expires_at: datetime
    mandate_id: str | None
    remaining_s: float  # until it ends or falls idle, by the database's clock
    unseen_s: float  # since activity was last written down


class SessionSpan(msgspec.Struct, frozen=True):
    """Since when, and at most until when, somebody is signed in."""

    created_at: datetime
    expires_at: datetime


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """What a session is opened with."""

    region: str
    id: str
    token_hash: bytes | None
    subject_id: str
    actor_id: str
    role: Role
    department: str | None
    level: int
    provider: str
    kind: SessionKind
    id_token: bytes | None
    life: timedelta
    device: str = ""
    mandate_id: str | None = None
    opened_from: str | None = None  # the actor's own session


class OwnSessionRow(msgspec.Struct, frozen=True):
    """A session as its owner sees it."""

    id: str
    kind: SessionKind
    role: Role
    provider: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    device: str
    mandate_id: str | None


class SignOutRow(msgspec.Struct, frozen=True):
    """What signing out at the provider needs."""

    subject_id: str
    provider: str
    id_token: bytes | None


class FlowRow(msgspec.Struct, frozen=True):
    """A sign-in under way."""

    provider: str
    secrets: bytes


INSERT_SESSION = """
    INSERT INTO sessions (region, id, token_hash, subject_id, actor_id, role, department, level, provider, kind,
                          id_token, expires_at, device, mandate_id, opened_from)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + $12, $13, $14, $15)
    RETURNING expires_at
"""


async def insert_session(db: Db, new: NewSession) -> datetime:
    """Open a session and return when it ends."""
    ends: datetime = await value(
        db,
        INSERT_SESSION,
        new.region,
        new.id,
        new.token_hash,
        new.subject_id,
        new.actor_id,
        new.role,
        new.department,
        new.level,
        new.provider,
        new.kind,
        new.id_token,
        new.life,
        new.device,
        new.mandate_id,
        new.opened_from,
    )
    return ends


SELECT_COOKIE_SESSION = """
    SELECT id, subject_id, actor_id, role, department, level, kind, expires_at, mandate_id,
           extract(epoch FROM least(expires_at, seen_at + $3) - now())::float8 AS remaining_s,
           extract(epoch FROM now() - seen_at)::float8 AS unseen_s
      FROM sessions
     WHERE region = $1 AND token_hash = $2 AND kind = 'cookie'
       AND revoked_at IS NULL AND expires_at > now() AND seen_at + $3 > now()
"""


async def cookie_session(db: Db, region: str, token_hash: bytes, idle: timedelta) -> SessionRow | None:
    """Read the live session of a browser's cookie."""
    return await one(db, SessionRow, SELECT_COOKIE_SESSION, region, token_hash, idle)


# The subject and role of the token must still be those of the row.
SELECT_BEARER_SESSION = """
    SELECT id, subject_id, actor_id, role, department, level, kind, expires_at, mandate_id,
           extract(epoch FROM expires_at - now())::float8 AS remaining_s,
           extract(epoch FROM now() - seen_at)::float8 AS unseen_s
      FROM sessions
     WHERE region = $1 AND id = $2 AND subject_id = $3 AND role = $4 AND kind = 'bearer'
       AND revoked_at IS NULL AND expires_at > now()
"""


async def bearer_session(db: Db, region: str, session_id: str, subject_id: str, role: str) -> SessionRow | None:
    """Read the live session a verified token names."""
    return await one(db, SessionRow, SELECT_BEARER_SESSION, region, session_id, subject_id, role)


SELECT_SESSION_OPENED = """
    SELECT created_at, expires_at FROM sessions
     WHERE region = $1 AND id = $2 AND revoked_at IS NULL AND expires_at > now()
"""


async def session_span(db: Db, region: str, session_id: str) -> SessionSpan | None:
    """Read since when and until when a live session holds."""
    return await one(db, SessionSpan, SELECT_SESSION_OPENED, region, session_id)


UPDATE_SESSION_SEEN = """
    UPDATE sessions SET seen_at = now()
     WHERE region = $1 AND id = $2 AND revoked_at IS NULL AND seen_at + $3 < now()
"""


async def touch_session(db: Db, region: str, session_id: str, step: timedelta) -> None:
    """Write down that the session was active, unless that was done within `step`."""
    await execute(db, UPDATE_SESSION_SEEN, region, session_id, step)


# The owner is in the WHERE clause: another citizen's session is the same as no session.
REVOKE_OWN_SESSION = """
    UPDATE sessions SET revoked_at = now()
     WHERE region = $1 AND id = $2 AND (subject_id = $3 OR actor_id = $3) AND revoked_at IS NULL AND expires_at > now()
"""


async def revoke_own_session(db: Db, region: str, session_id: str, subject_id: str) -> bool:
    """End a live session for the subject or in which they act; False where there is none of that id."""
    return await execute(db, REVOKE_OWN_SESSION, region, session_id, subject_id) == 1


# A bounded step: whoever has more than a thousand asks again.
REVOKE_OTHER_SESSIONS = """
    UPDATE sessions SET revoked_at = now()
     WHERE region = $1 AND id IN (
           SELECT id FROM sessions
            WHERE region = $1 AND subject_id = $2 AND id <> $3 AND revoked_at IS NULL AND expires_at > now()
            ORDER BY id LIMIT 1000)
       AND revoked_at IS NULL
    RETURNING id
"""


async def revoke_other_sessions(db: Db, region: str, subject_id: str, kept_id: str) -> list[str]:
    """End the subject's live sessions but one, at most 1,000, and return their ids."""
    return [row["id"] for row in await db.fetch(REVOKE_OTHER_SESSIONS, region, subject_id, kept_id)]


REVOKE_SESSION = """
    UPDATE sessions SET revoked_at = now() WHERE region = $1 AND id = $2 AND revoked_at IS NULL
    RETURNING subject_id, provider, id_token
"""


async def revoke_session(db: Db, region: str, session_id: str) -> SignOutRow | None:
    """End a session and return what signing out at its provider needs; None where it had ended."""
    return await one(db, SignOutRow, REVOKE_SESSION, region, session_id)


# Who acts for somebody does so from a session of their own: with that one it ends.
REVOKE_OPENED_FROM = """
    UPDATE sessions SET revoked_at = now() WHERE region = $1 AND opened_from = $2 AND revoked_at IS NULL
    RETURNING id
"""


async def revoke_opened_from(db: Db, region: str, session_id: str) -> list[str]:
    """End the sessions that were opened from one to act for others, and return their ids."""
    return [row["id"] for row in await db.fetch(REVOKE_OPENED_FROM, region, session_id)]


REVOKE_UNDER = """
    UPDATE sessions SET revoked_at = now() WHERE region = $1 AND mandate_id = ANY($2::text[]) AND revoked_at IS NULL
    RETURNING id
"""


async def revoke_under(db: Db, region: str, mandate_ids: list[str]) -> list[str]:
    """End every session in which somebody acts under one of these mandates, and return their ids."""
    return [row["id"] for row in await db.fetch(REVOKE_UNDER, region, mandate_ids)]


SELECT_OPENED_FROM = "SELECT opened_from FROM sessions WHERE region = $1 AND id = $2"


async def opened_from(db: Db, region: str, session_id: str) -> str | None:
    """Return the own session of somebody who acts for somebody else; None where they act for themselves."""
    found: str | None = await value(db, SELECT_OPENED_FROM, region, session_id)
    return found


# The old secret went out of the browser when the acting session's came in: the session gets a new one.
UPDATE_COOKIE = """
    UPDATE sessions SET token_hash = $3, seen_at = now()
     WHERE region = $1 AND id = $2 AND kind = 'cookie' AND revoked_at IS NULL AND expires_at > now()
"""


async def renew_cookie(db: Db, region: str, session_id: str, token_hash: bytes) -> bool:
    """Give a live browser's session another cookie; False where it has ended."""
    return await execute(db, UPDATE_COOKIE, region, session_id, token_hash) == 1


REVOKE_COOKIE = """
    UPDATE sessions s SET revoked_at = now()
      FROM sessions c
     WHERE c.region = $1 AND c.token_hash = $2 AND s.region = $1 AND s.revoked_at IS NULL
       AND (s.id = c.id OR s.id = c.opened_from OR s.opened_from IN (c.id, c.opened_from))
    RETURNING s.id
"""


async def revoke_cookie(db: Db, region: str, token_hash: bytes) -> list[str]:
    """End the session of a cookie that is about to be replaced, with the one it was opened from or that hang on it."""
    return [row["id"] for row in await db.fetch(REVOKE_COOKIE, region, token_hash)]


# Always the last seconds again, never "since the newest seen": revoked_at is when the revoking transaction began, and
# one that commits late would fall behind such a mark.
SELECT_REVOKED = """
    SELECT id FROM sessions
     WHERE region = $1 AND revoked_at > now() - $2::interval
     ORDER BY revoked_at DESC
     LIMIT 100000
"""


async def revoked_within(db: Db, region: str, span: timedelta) -> list[str]:
    """Return the ids of the sessions revoked in the last `span`, newest first."""
    return [row["id"] for row in await db.fetch(SELECT_REVOKED, region, span)]


SELECT_OWN_SESSIONS = """
    SELECT id, kind, role, provider, created_at, seen_at, expires_at, device, mandate_id
      FROM sessions
     WHERE region = $1 AND (subject_id = $2 OR (actor_id = $2 AND mandate_id IS NOT NULL))
       AND revoked_at IS NULL AND expires_at > now()
       AND (kind = 'bearer' OR seen_at + $3 > now())
     ORDER BY id DESC
     LIMIT 200
"""


async def own_sessions(db: Db, region: str, subject_id: str, idle: timedelta) -> list[OwnSessionRow]:
    """Return the live sessions for the subject, and in which they act for others, newest first, at most 200."""
    return await many(db, OwnSessionRow, SELECT_OWN_SESSIONS, region, subject_id, idle)


SELECT_PROVIDER = """
    SELECT provider FROM sessions WHERE region = $1 AND id = $2 AND revoked_at IS NULL AND expires_at > now()
"""


async def session_provider(db: Db, region: str, session_id: str) -> str | None:
    """Return the provider of a live session."""
    found: str | None = await value(db, SELECT_PROVIDER, region, session_id)
    return found


INSERT_FLOW = """
    INSERT INTO sign_in_flows (region, state_hash, browser_hash, provider, secrets, expires_at)
    VALUES ($1, $2, $3, $4, $5, now() + $6)
"""


async def insert_flow(
    db: Db, region: str, state_hash: bytes, browser_hash: bytes, provider: str, secrets: bytes, life: timedelta
) -> None:
    """Remember a sign-in under way."""
    await execute(db, INSERT_FLOW, region, state_hash, browser_hash, provider, secrets, life)


# Taken by deleting: of two answers with one state the second finds nothing.
TAKE_FLOW = """
    DELETE FROM sign_in_flows
     WHERE region = $1 AND state_hash = $2 AND browser_hash = $3 AND expires_at > now()
    RETURNING provider, secrets
"""


async def take_flow(db: Db, region: str, state_hash: bytes, browser_hash: bytes) -> FlowRow | None:
    """Take the sign-in this browser began with this state; None where there is none or it was taken."""
    return await one(db, FlowRow, TAKE_FLOW, region, state_hash, browser_hash)


DELETE_OLD_FLOWS = """
    DELETE FROM sign_in_flows
     WHERE region = $1 AND state_hash IN (
           SELECT state_hash FROM sign_in_flows WHERE region = $1 AND expires_at < now() ORDER BY expires_at LIMIT 1000)
"""


async def delete_old_flows(db: Db, region: str) -> int:
    """Forget up to 1,000 sign-ins that nobody finished."""
    return await execute(db, DELETE_OLD_FLOWS, region)
