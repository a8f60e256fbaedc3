"""The statements of shared explanations."""

from datetime import datetime

import msgspec

from onestop.db import Connection, Db, execute, many, one

INSERT_SHARE = """
    INSERT INTO trace_shares (region, id, token_hash, trace_id, made_by, subject, principal, department, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
SELECT_LIVE_SHARE = """
    SELECT id, trace_id, made_by, subject, principal, department, created_at, expires_at, revoked_at
      FROM trace_shares
     WHERE region = $1 AND token_hash = $2 AND revoked_at IS NULL AND expires_at > now()
"""
SELECT_SHARES = """
    SELECT id, trace_id, made_by, subject, principal, department, created_at, expires_at, revoked_at
      FROM trace_shares
     WHERE region = $1 AND trace_id = $2 AND ($3::text IS NULL OR made_by = $3)
     ORDER BY id DESC
     LIMIT 50
"""
REVOKE_SHARE = """
    UPDATE trace_shares SET revoked_at = now()
     WHERE region = $1 AND trace_id = $2 AND id = $3 AND ($4::text IS NULL OR made_by = $4) AND revoked_at IS NULL
"""
DELETE_OLD_SHARES = "DELETE FROM trace_shares WHERE region = $1 AND expires_at < now() - $2 * interval '1 day'"


class ShareRow(msgspec.Struct, frozen=True):
    """One shared explanation, without its token."""

    id: str
    trace_id: str
    made_by: str
    subject: str
    principal: str | None
    department: str | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


async def insert_share(
    db: Connection,
    region: str,
    id_: str,
    token_hash: bytes,
    trace_id: str,
    made_by: str,
    subject: str,
    principal: str | None,
    department: str | None,
    expires_at: datetime,
) -> None:
    """Write a share."""
    await execute(
        db, INSERT_SHARE, region, id_, token_hash, trace_id, made_by, subject, principal, department, expires_at
    )  # fmt: skip


async def live_share(db: Db, region: str, token_hash: bytes) -> ShareRow | None:
    """Read the share a token opens, None where it is revoked, over or none."""
    return await one(db, ShareRow, SELECT_LIVE_SHARE, region, token_hash)


async def shares(db: Db, region: str, trace_id: str, made_by: str | None) -> list[ShareRow]:
    """Read the newest shares of a trace; `made_by` None reads everybody's."""
    return await many(db, ShareRow, SELECT_SHARES, region, trace_id, made_by)


async def revoke_share(db: Db, region: str, trace_id: str, id_: str, made_by: str | None) -> int:
    """End a share; return how many were ended."""
    return await execute(db, REVOKE_SHARE, region, trace_id, id_, made_by)


async def delete_old_shares(db: Db, region: str, days: int) -> int:
    """Delete shares that ended longer ago than `days`; return how many."""
    return await execute(db, DELETE_OLD_SHARES, region, days)
