"""SQL of clients: a constant and the one function that runs it."""

from datetime import datetime, timedelta
from typing import Any

from onestop.db import Connection, Db, execute, many, one, value
from onestop.provider.models import Client, ClientView

_SHOWN = """id, department, name_zh, name_en, auth_method, redirect_uris, logout_uris, backchannel_logout, sector,
            purposes, level, binding, tls_subject, made_by, made_at, changed_at, revoked_at"""

INSERT_CLIENT = """
    INSERT INTO clients (id, department, name_zh, name_en, auth_method, redirect_uris, logout_uris, backchannel_logout,
                         sector, purposes, level, binding, keys, tls_subject, secret_hash, made_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    ON CONFLICT (id) DO NOTHING
"""


async def insert_client(db: Connection, *row: Any) -> bool:
    """Write a client, in order of the statement's columns; False where its id was used before."""
    return await execute(db, INSERT_CLIENT, *row) == 1


# The older secret is no secret any more once its time is over.
SELECT_CLIENT = """
    SELECT id, department, name_zh, name_en, auth_method, redirect_uris, logout_uris, backchannel_logout, sector,
           purposes, level, binding, keys, tls_subject, secret_hash,
           CASE WHEN old_secret_until > now() THEN old_secret_hash END AS old_secret_hash
      FROM clients WHERE id = $1 AND revoked_at IS NULL
"""


async def client(db: Db, client_id: str) -> Client | None:
    """Read a client that may sign people in; None where there is none, or it was revoked."""
    return await one(db, Client, SELECT_CLIENT, client_id)


SELECT_CLIENTS = f"""
    SELECT {_SHOWN} FROM clients WHERE ($1::text IS NULL OR id > $1) ORDER BY id LIMIT $2
"""  # noqa: S608 - the columns are a constant of this file


async def clients(db: Db, after: str | None, limit: int) -> list[ClientView]:
    """Read clients in order of id, the revoked ones too."""
    return await many(db, ClientView, SELECT_CLIENTS, after, limit)


CHANGE_CREDENTIAL = """
    UPDATE clients
       SET old_secret_hash = secret_hash, old_secret_until = now() + $3::interval, secret_hash = $2, changed_at = now()
     WHERE id = $1 AND auth_method = 'client_secret_basic' AND revoked_at IS NULL
    RETURNING old_secret_until
"""


async def change_secret(db: Connection, client_id: str, secret_hash: bytes, overlap: timedelta) -> datetime | None:
    """Give a client another secret and return until when the one before holds; None: it has none, or is none."""
    until: datetime | None = await value(db, CHANGE_CREDENTIAL, client_id, secret_hash, overlap)
    return until


REVOKE_CLIENT = "UPDATE clients SET revoked_at = now(), changed_at = now() WHERE id = $1 AND revoked_at IS NULL"


async def revoke_client(db: Connection, client_id: str) -> bool:
    """End a client for good; False where there is none, or it was revoked before."""
    return await execute(db, REVOKE_CLIENT, client_id) == 1
