"""SQL of use codes and copies."""

from datetime import date, datetime

from onestop.certificates.models_uses import CopyRow, UseCodeRow
from onestop.db import Connection, Db, execute, many, one, value

INSERT_CODE = """
    INSERT INTO licence_use_codes (region, id, code_hash, licence_id, subject, item, case_id, purpose, taker,
                                   expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + $10 * interval '1 second')
    RETURNING expires_at
"""


async def insert_code(
    db: Connection, region: str, id: str, code_hash: bytes, licence_id: str, subject: str, item: str, case_id: str,
    purpose: str, taker: str, life_s: int,
) -> datetime:  # fmt: skip
    """Write a use code and return when it ends, by the database's clock."""
    args = (region, id, code_hash, licence_id, subject, item, case_id, purpose, taker, life_s)
    ends: datetime = await value(db, INSERT_CODE, *args)
    return ends


SELECT_CODE = """
    SELECT id, licence_id, subject, item, case_id, purpose, taker, expires_at <= now() AS expired, redeemed_at
      FROM licence_use_codes
     WHERE region = $1 AND code_hash = $2
"""


async def code(db: Db, region: str, code_hash: bytes) -> UseCodeRow | None:
    """Read a use code by its hash, whatever became of it."""
    return await one(db, UseCodeRow, SELECT_CODE, region, code_hash)


# One statement decides: of any number that come at once, one finds the row not yet redeemed.
REDEEM_CODE = """
    UPDATE licence_use_codes SET redeemed_at = now(), redeemed_by = $4
     WHERE region = $1 AND id = $2 AND taker = $3 AND redeemed_at IS NULL AND expires_at > now()
"""


async def redeem(db: Connection, region: str, id: str, taker: str, by_whom: str) -> bool:
    """Use up a code; False where it is used or has ended."""
    return await execute(db, REDEEM_CODE, region, id, taker, by_whom) == 1


INSERT_COPY = """
    INSERT INTO licence_copies (region, id, licence_id, subject, about, expires_on)
    VALUES ($1, $2, $3, $4, $5, $6)
    RETURNING made_at
"""


async def insert_copy(
    db: Connection, region: str, id: str, licence_id: str, subject: str, about: bytes, expires_on: date
) -> datetime:
    """Write what a copy is for; return when."""
    made_at: datetime = await value(db, INSERT_COPY, region, id, licence_id, subject, about, expires_on)
    return made_at


SELECT_OWN_COPY = """
    SELECT id, licence_id, about, made_at, expires_on
      FROM licence_copies
     WHERE region = $1 AND id = $2 AND subject = $3
"""


async def own_copy(db: Db, region: str, id: str, subject: str) -> CopyRow | None:
    """Read one of a subject's own copies."""
    return await one(db, CopyRow, SELECT_OWN_COPY, region, id, subject)


# Open to whoever holds a token that names the copy, which was signed here.
SELECT_COPY = """
    SELECT id, licence_id, about, made_at, expires_on
      FROM licence_copies
     WHERE region = $1 AND id = $2
"""


async def copy(db: Db, region: str, id: str) -> CopyRow | None:
    """Read a copy by its id."""
    return await one(db, CopyRow, SELECT_COPY, region, id)


SELECT_OWN_COPIES = """
    SELECT id, licence_id, about, made_at, expires_on
      FROM licence_copies
     WHERE region = $1 AND licence_id = $2 AND subject = $3
     ORDER BY id DESC
     LIMIT 200
"""


async def own_copies(db: Db, region: str, licence_id: str, subject: str) -> list[CopyRow]:
    """Read the copies made of one of a subject's own licences, newest first."""
    return await many(db, CopyRow, SELECT_OWN_COPIES, region, licence_id, subject)
