"""SQL of the keys that onestop signs with."""

from typing import Any

import msgspec

from onestop.db import Db, execute, many


class KeyRow(msgspec.Struct, frozen=True):
    """A signing key; `retired` ones only verify."""

    kid: str
    public_jwk: dict[str, Any]
    private_jwk: bytes
    retired: bool
    age_s: float


# Two first starters at once: the partial unique index lets one key in, and both then read it.
INSERT_KEY = """
    INSERT INTO signing_keys (kid, purpose, algorithm, public_jwk, private_jwk)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
"""


async def insert_key(
    db: Db, kid: str, purpose: str, algorithm: str, public: dict[str, Any], sealed_private: bytes
) -> None:
    """Keep a new signing key unless its purpose has one already."""
    await execute(db, INSERT_KEY, kid, purpose, algorithm, public, sealed_private)


RETIRE_KEY = "UPDATE signing_keys SET retired_at = now() WHERE purpose = $1 AND kid = $2 AND retired_at IS NULL"


async def retire_key(db: Db, purpose: str, kid: str) -> bool:
    """Let a key of a purpose sign no more; False where it does not any longer."""
    return await execute(db, RETIRE_KEY, purpose, kid) == 1


# A token outlives its key by hours, a certificate by decades: only tokens' keys are ever forgotten.
SELECT_KEYS = """
    SELECT kid, public_jwk, private_jwk, retired_at IS NOT NULL AS retired,
           extract(epoch FROM now() - created_at)::float8 AS age_s
      FROM signing_keys
     WHERE purpose = $1 AND (retired_at IS NULL OR retired_at > now() - interval '7 days' OR purpose = 'certificates')
     ORDER BY retired_at DESC NULLS FIRST
     LIMIT 200
"""


async def signing_keys(db: Db, purpose: str) -> list[KeyRow]:
    """Return the active key of a purpose first, then those retired within seven days; of certificates all."""
    return await many(db, KeyRow, SELECT_KEYS, purpose)
