"""SQL of authorization requests, grants, codes, refresh tokens and used proofs: a constant and its one function."""

from datetime import datetime, timedelta

import msgspec

from onestop.db import Connection, Db, execute, one, value


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization request that is kept."""

    client: str
    asked: bytes  # sealed
    begun_at: datetime | None
    now: datetime  # the database's


class GrantRow(msgspec.Struct, frozen=True, kw_only=True):
    """A grant that holds: its session lives, and its client is registered."""

    id: str
    client: str
    subject_id: str
    session_id: str
    scope: list[str]
    level: int
    auth_time: datetime
    bound_to: str | None
    expires_at: datetime


class CodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a code was given for."""

    grant_id: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    bound_to: str | None


INSERT_REQUEST = """
    INSERT INTO authorization_requests (region, id_hash, client, asked, pushed, begun_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 THEN NULL ELSE now() END, now() + $6::interval)
"""


async def insert_request(
    db: Db, region: str, id_hash: bytes, client: str, asked: bytes, pushed: bool, life: timedelta
) -> None:
    """Keep a request: pushed by its client, or left by a person who goes to sign in first."""
    await execute(db, INSERT_REQUEST, region, id_hash, client, asked, pushed, life)


SELECT_REQUEST = """
    SELECT client, asked, begun_at, now() AS now
      FROM authorization_requests WHERE region = $1 AND id_hash = $2 AND client = $3 AND expires_at > now()
"""


async def request(db: Db, region: str, id_hash: bytes, client: str) -> RequestRow | None:
    """Read a kept request of this client; None where there is none, or it is over."""
    return await one(db, RequestRow, SELECT_REQUEST, region, id_hash, client)


BEGIN_REQUEST = """
    UPDATE authorization_requests SET begun_at = now(), expires_at = now() + $3::interval
     WHERE region = $1 AND id_hash = $2 AND begun_at IS NULL
"""


async def begin_request(db: Db, region: str, id_hash: bytes, life: timedelta) -> None:
    """Note that the request's person goes to sign in; only the first time counts."""
    await execute(db, BEGIN_REQUEST, region, id_hash, life)


TAKE_REQUEST = "DELETE FROM authorization_requests WHERE region = $1 AND id_hash = $2"


async def take_request(db: Db, region: str, id_hash: bytes) -> bool:
    """Use a request up; False where that was done before."""
    return await execute(db, TAKE_REQUEST, region, id_hash) == 1


INSERT_GRANT = """
    INSERT INTO client_grants (region, id, client, subject_id, session_id, scope, level, auth_time, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def insert_grant(db: Connection, region: str, row: GrantRow) -> None:
    """Write that a person is signed in at a client."""
    await execute(
        db, INSERT_GRANT, region, row.id, row.client, row.subject_id, row.session_id, row.scope, row.level,
        row.auth_time, row.expires_at,
    )  # fmt: skip


# A grant holds while its session does: who signs out here is signed out everywhere.
SELECT_GRANT = """
    SELECT g.id, g.client, g.subject_id, g.session_id, g.scope, g.level, g.auth_time, g.bound_to, g.expires_at
      FROM client_grants AS g
      JOIN sessions AS s ON s.region = g.region AND s.id = g.session_id
      JOIN clients AS c ON c.id = g.client
     WHERE g.region = $1 AND g.id = $2 AND g.ended_at IS NULL AND g.expires_at > now()
       AND s.revoked_at IS NULL AND s.expires_at > now() AND c.revoked_at IS NULL
"""


async def grant(db: Db, region: str, grant_id: str) -> GrantRow | None:
    """Read a grant that holds."""
    return await one(db, GrantRow, SELECT_GRANT, region, grant_id)


BIND_GRANT = "UPDATE client_grants SET bound_to = $3 WHERE region = $1 AND id = $2 AND bound_to IS NULL"


async def bind_grant(db: Db, region: str, grant_id: str, bound_to: str) -> None:
    """Bind a grant's tokens to a key, once."""
    await execute(db, BIND_GRANT, region, grant_id, bound_to)


END_GRANT = """
    UPDATE client_grants SET ended_at = now(), why = $4
     WHERE region = $1 AND id = $2 AND client = $3 AND ended_at IS NULL
    RETURNING subject_id
"""


async def end_grant(db: Db, region: str, grant_id: str, client: str, why: str) -> str | None:
    """End a client's grant and return whose it was; None where it had ended, or is another client's."""
    subject: str | None = await value(db, END_GRANT, region, grant_id, client, why)
    return subject


INSERT_CODE = """
    INSERT INTO authorization_codes (region, code_hash, grant_id, client, redirect_uri, challenge, nonce, bound_to,
                                     expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::interval)
"""


async def insert_code(
    db: Connection, region: str, code_hash: bytes, client: str, row: CodeRow, life: timedelta
) -> None:  # fmt: skip
    """Write a code by its hash."""
    await execute(
        db, INSERT_CODE, region, code_hash, row.grant_id, client, row.redirect_uri, row.challenge, row.nonce,
        row.bound_to, life,
    )  # fmt: skip


# Used by whoever comes first: of two at once one gets no row.
TAKE_CODE = """
    UPDATE authorization_codes SET used_at = now()
     WHERE region = $1 AND code_hash = $2 AND client = $3 AND used_at IS NULL AND expires_at > now()
    RETURNING grant_id, redirect_uri, challenge, nonce, bound_to
"""


async def take_code(db: Db, region: str, code_hash: bytes, client: str) -> CodeRow | None:
    """Use a client's code up; None where it is unknown, over, used, or another client's."""
    return await one(db, CodeRow, TAKE_CODE, region, code_hash, client)


SELECT_USED_CODE = """
    SELECT grant_id FROM authorization_codes
     WHERE region = $1 AND code_hash = $2 AND client = $3 AND used_at IS NOT NULL
"""


async def used_code(db: Db, region: str, code_hash: bytes, client: str) -> str | None:
    """Return the grant of a code that was used before; None: there is none such."""
    found: str | None = await value(db, SELECT_USED_CODE, region, code_hash, client)
    return found


INSERT_REFRESH = """
    INSERT INTO refresh_tokens (region, token_hash, grant_id, client, expires_at) VALUES ($1, $2, $3, $4, $5)
"""


async def insert_refresh(
    db: Db, region: str, token_hash: bytes, grant_id: str, client: str, expires_at: datetime
) -> None:  # fmt: skip
    """Write a refresh token by its hash."""
    await execute(db, INSERT_REFRESH, region, token_hash, grant_id, client, expires_at)


TAKE_REFRESH = """
    UPDATE refresh_tokens SET used_at = now()
     WHERE region = $1 AND token_hash = $2 AND client = $3 AND used_at IS NULL AND expires_at > now()
    RETURNING grant_id
"""


async def take_refresh(db: Db, region: str, token_hash: bytes, client: str) -> str | None:
    """Use a client's refresh token up and return its grant; None where it is unknown, over, used, or another's."""
    found: str | None = await value(db, TAKE_REFRESH, region, token_hash, client)
    return found


SELECT_REFRESH = """
    SELECT grant_id FROM refresh_tokens WHERE region = $1 AND token_hash = $2 AND client = $3
"""


async def refresh_grant(db: Db, region: str, token_hash: bytes, client: str) -> str | None:
    """Return the grant of a client's refresh token, used or not; None where it has none such."""
    found: str | None = await value(db, SELECT_REFRESH, region, token_hash, client)
    return found


SELECT_UNUSED_REFRESH = """
    SELECT grant_id FROM refresh_tokens
     WHERE region = $1 AND token_hash = $2 AND client = $3 AND used_at IS NULL AND expires_at > now()
"""


async def unused_refresh(db: Db, region: str, token_hash: bytes, client: str) -> str | None:
    """Return the grant of a client's refresh token that would still be taken."""
    found: str | None = await value(db, SELECT_UNUSED_REFRESH, region, token_hash, client)
    return found


# The primary key lets one of all instances in; the others touch no row.
INSERT_PROOF = """
    INSERT INTO used_proofs (region, proof_hash, expires_at) VALUES ($1, $2, now() + $3::interval)
    ON CONFLICT (region, proof_hash) DO NOTHING
"""


async def use_proof(db: Db, region: str, proof_hash: bytes, kept: timedelta) -> bool:
    """Note that a proof was taken; False where it was before, here or on another instance."""
    return await execute(db, INSERT_PROOF, region, proof_hash, kept) == 1


MOST_AT_ONCE = 10_000  # rows of one statement that forgets
DELETE_OLD_PROOFS = """
    DELETE FROM used_proofs WHERE region = $1 AND proof_hash IN (
        SELECT proof_hash FROM used_proofs WHERE region = $1 AND expires_at < now() ORDER BY expires_at LIMIT 10000)
"""
DELETE_OLD_REQUESTS = """
    DELETE FROM authorization_requests WHERE region = $1 AND id_hash IN (
        SELECT id_hash FROM authorization_requests
         WHERE region = $1 AND expires_at < now() ORDER BY expires_at LIMIT 10000)
"""
# A code is kept for a day after its minute, so that a second use still ends what the first one gave.
DELETE_OLD_CODES = """
    DELETE FROM authorization_codes WHERE region = $1 AND code_hash IN (
        SELECT code_hash FROM authorization_codes
         WHERE region = $1 AND expires_at < now() - interval '1 day' ORDER BY expires_at LIMIT 10000)
"""
DELETE_OLD_REFRESH = """
    DELETE FROM refresh_tokens WHERE region = $1 AND token_hash IN (
        SELECT token_hash FROM refresh_tokens
         WHERE region = $1 AND expires_at < now() ORDER BY expires_at LIMIT 10000)
"""
DELETE_OLD_NOTICES = """
    DELETE FROM logout_notices WHERE region = $1 AND (client, session_id) IN (
        SELECT client, session_id FROM logout_notices
         WHERE region = $1 AND state <> 'due' AND settled_at < now() - interval '7 days' LIMIT 10000)
"""
DELETE_OLD_GRANTS = """
    DELETE FROM client_grants WHERE region = $1 AND id IN (
        SELECT id FROM client_grants
         WHERE region = $1 AND expires_at < now() - interval '7 days' ORDER BY expires_at LIMIT 10000)
"""


async def delete_old_proofs(db: Db, region: str) -> int:
    """Forget names of proofs that would be too old by now, so that the table is as large as the window; how many."""
    count = 0
    while (gone := await execute(db, DELETE_OLD_PROOFS, region)) == MOST_AT_ONCE:
        count += gone
    return count + gone


async def delete_old(db: Db, region: str) -> int:
    """Forget what nobody can use any more, up to 10,000 rows of each table; return how many."""
    statements = (
        DELETE_OLD_REQUESTS,
        DELETE_OLD_CODES,
        DELETE_OLD_REFRESH,
        DELETE_OLD_NOTICES,
        DELETE_OLD_GRANTS,
    )
    return sum([await execute(db, statement, region) for statement in statements])
