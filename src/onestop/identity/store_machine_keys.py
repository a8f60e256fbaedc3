"""SQL of machine keys: a constant and the one function that runs it."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from onestop.db import Connection, Db, execute, many, one


class MachineKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it may be shown: never the key."""

    id: str
    department: str
    environment: Literal["test", "live"]
    label: str
    hint: str
    made_by: str
    made_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class LiveKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that opens the door now."""

    id: str
    department: str
    environment: Literal["test", "live"]
    expires_at: datetime
    remaining_s: float
    unseen_s: float | None


_SHOWN = "id, department, environment, label, hint, made_by, made_at, expires_at, last_used_at, revoked_at"

INSERT_MACHINE_KEY = """
    INSERT INTO machine_keys (id, department, environment, label, key_hash, hint, made_by, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def insert_machine_key(db: Connection, *row: object) -> None:
    """Write a key's hash, in order of the statement's columns."""
    await execute(db, INSERT_MACHINE_KEY, *row)


SELECT_MACHINE_KEYS = f"""
    SELECT {_SHOWN} FROM machine_keys WHERE department = $1 AND ($2::text IS NULL OR id > $2) ORDER BY id LIMIT $3
"""  # noqa: S608 - the columns are a constant of this file


async def machine_keys(db: Db, department: str, after: str | None, limit: int) -> list[MachineKeyRow]:
    """Read a department's keys, oldest first, the revoked ones too."""
    return await many(db, MachineKeyRow, SELECT_MACHINE_KEYS, department, after, limit)


SELECT_LIVE_KEY = """
    SELECT id, department, environment, expires_at,
           extract(epoch FROM expires_at - now())::float8 AS remaining_s,
           extract(epoch FROM now() - last_used_at)::float8 AS unseen_s
      FROM machine_keys WHERE key_hash = $1 AND environment = $2 AND revoked_at IS NULL AND expires_at > now()
"""


async def live_key(db: Db, key_hash: bytes, environment: str) -> LiveKey | None:
    """Read the key that was presented, None where it opens nothing."""
    return await one(db, LiveKey, SELECT_LIVE_KEY, key_hash, environment)


TOUCH_MACHINE_KEY = """
    UPDATE machine_keys SET last_used_at = now()
     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at + $2 < now())
"""


async def touch_machine_key(db: Db, id_: str, step: timedelta) -> None:
    """Write down that a key was used, unless that was done within `step`."""
    await execute(db, TOUCH_MACHINE_KEY, id_, step)


REVOKE_MACHINE_KEY = """
    UPDATE machine_keys SET revoked_at = now() WHERE id = $1 AND department = $2 AND revoked_at IS NULL
"""


async def revoke_machine_key(db: Connection, id_: str, department: str) -> bool:
    """End a key; False where the department has none of that id."""
    return await execute(db, REVOKE_MACHINE_KEY, id_, department) == 1


COUNT_LIVE_KEYS = """
    SELECT count(*) AS number FROM machine_keys
     WHERE department = $1 AND environment = $2 AND revoked_at IS NULL AND expires_at > now()
"""


async def count_live(db: Db, department: str, environment: str) -> int:
    """Count the keys of a department that open the door."""
    number: int = await db.fetchval(COUNT_LIVE_KEYS, department, environment)
    return number


SELECT_ENDING_KEYS = f"""
    SELECT {_SHOWN} FROM machine_keys
     WHERE environment = $1 AND revoked_at IS NULL
       AND expires_at > now() - $2::interval AND expires_at < now() + $2::interval
     ORDER BY expires_at LIMIT 1000
"""  # noqa: S608 - the columns are a constant of this file


async def ending_keys(db: Db, environment: str, span: timedelta) -> list[MachineKeyRow]:
    """Read the keys that end within `span`, or ended within it."""
    return await many(db, MachineKeyRow, SELECT_ENDING_KEYS, environment, span)


SELECT_REVOKED_KEYS = """
    SELECT id FROM machine_keys WHERE revoked_at > now() - $1::interval ORDER BY revoked_at DESC LIMIT 10000
"""


async def revoked_keys_within(db: Db, span: timedelta) -> list[str]:
    """Return the ids of keys revoked lately."""
    return [row["id"] for row in await db.fetch(SELECT_REVOKED_KEYS, span)]
