"""SQL of use codes and copies."""

from datetime import datetime

from onestop.certificates.models_uses import UseCodeRow
from onestop.db import Connection, Db, execute, one, value

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
