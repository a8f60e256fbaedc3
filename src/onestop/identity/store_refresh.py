"""SQL of refreshing: one row a session that may be refreshed."""

from datetime import timedelta

import msgspec

from onestop.db import Connection, Db, execute, one
from onestop.identity.models import Role


class FamilyRow(msgspec.Struct, frozen=True):
    """The refresh tokens of one live session, as one row."""

    secret: bytes  # sealed
    generation: int
    rotated_s: float  # since the last change, by the database's clock
    subject_id: str
    role: Role
    remaining_s: float  # until the session ends


INSERT_FAMILY = "INSERT INTO refresh_families (region, session_id, secret) VALUES ($1, $2, $3)"


async def insert_family(db: Db, region: str, session_id: str, sealed: bytes) -> None:
    """Let a session be refreshed."""
    await execute(db, INSERT_FAMILY, region, session_id, sealed)


# Held until the transaction ends: of two that show one token the second sees what the first has made of it.
SELECT_FAMILY_FOR_UPDATE = """
    SELECT f.secret, f.generation, extract(epoch FROM clock_timestamp() - f.rotated_at)::float8 AS rotated_s,
           s.subject_id, s.role, extract(epoch FROM s.expires_at - now())::float8 AS remaining_s
      FROM refresh_families f JOIN sessions s ON s.region = f.region AND s.id = f.session_id
     WHERE f.region = $1 AND f.session_id = $2
       AND s.revoked_at IS NULL AND s.expires_at > now() AND f.rotated_at + $3 > now()
       FOR UPDATE OF f
"""


async def family_for_update(db: Connection, region: str, session_id: str, idle: timedelta) -> FamilyRow | None:
    """Read and hold the refresh tokens of a live session; None where it has ended or lay unused for `idle`."""
    return await one(db, FamilyRow, SELECT_FAMILY_FOR_UPDATE, region, session_id, idle)


UPDATE_FAMILY = """
    UPDATE refresh_families SET generation = generation + 1, rotated_at = clock_timestamp()
     WHERE region = $1 AND session_id = $2
"""


async def rotate(db: Connection, region: str, session_id: str) -> None:
    """Let the next refresh token be the one that counts."""
    await execute(db, UPDATE_FAMILY, region, session_id)


DELETE_OLD_FAMILIES = """
    DELETE FROM refresh_families
     WHERE region = $1 AND session_id IN (
           SELECT f.session_id
             FROM refresh_families f LEFT JOIN sessions s ON s.region = f.region AND s.id = f.session_id
            WHERE f.region = $1 AND (s.id IS NULL OR s.expires_at < now()) LIMIT 1000)
"""


async def delete_old_families(db: Db, region: str) -> int:
    """Forget up to 1,000 whose sessions are over."""
    return await execute(db, DELETE_OLD_FAMILIES, region)
