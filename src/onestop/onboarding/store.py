"""SQL of adapters and their versions: history, runs, notices."""

from datetime import datetime
from typing import Any

import msgspec

from onestop.db import Connection, Db, execute, many, one, value
from onestop.onboarding.models import Adapter, Made, Version, VersionState

_VERSION = """adapter, version, state, manifest, digest, made_by, made_at, state_at, revision, signature, approved_by,
              live_until, template, template_version, no_test_system"""


class NoticeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as it lies in its table."""

    id: str
    adapter: str
    version: str | None
    kind: str
    params: dict[str, Any]
    at: datetime


SELECT_ADAPTER = """
    SELECT id, owner, department_code, portal, approves, automatic_per_day FROM adapters WHERE id = $1
"""


async def adapter(db: Db, id_: str) -> Adapter | None:
    """Read one adapter."""
    return await one(db, Adapter, SELECT_ADAPTER, id_)


SELECT_ADAPTERS = """
    SELECT id, owner, department_code, portal, approves, automatic_per_day
      FROM adapters WHERE ($1::text IS NULL OR owner = $1) AND ($2::text IS NULL OR id > $2) ORDER BY id LIMIT $3
"""


async def adapters(db: Db, owner: str | None, after: str | None, limit: int) -> list[Adapter]:
    """Read adapters in order of id: one owner's, or everybody's."""
    return await many(db, Adapter, SELECT_ADAPTERS, owner, after, limit)


SELECT_OWNER_OF_CODE = "SELECT owner FROM adapters WHERE department_code = $1 ORDER BY created_at LIMIT 1"


async def owner_of_code(db: Db, department_code: str) -> str | None:
    """Return the department that a unified social credit code was first used by here."""
    found: str | None = await value(db, SELECT_OWNER_OF_CODE, department_code)
    return found


INSERT_ADAPTER = """
    INSERT INTO adapters (id, owner, department_code, created_by) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING
"""


async def insert_adapter(db: Connection, new: Adapter, by: str) -> None:
    """Write an adapter; nothing where it is there."""
    await execute(db, INSERT_ADAPTER, new.id, new.owner, new.department_code, by)


# Held so that two moves of one adapter come one after the other.
LOCK_ADAPTER = "SELECT id FROM adapters WHERE id = $1 FOR UPDATE"


async def lock_adapter(db: Connection, id_: str) -> None:
    """Hold an adapter until the transaction ends."""
    await value(db, LOCK_ADAPTER, id_)


UPDATE_POLICY = "UPDATE adapters SET portal = $2, approves = $3, automatic_per_day = $4 WHERE id = $1"


async def set_policy(db: Connection, id_: str, portal: str, approves: str, automatic_per_day: int | None) -> None:
    """Say whether the portal needs agreements, and who approves those."""
    await execute(db, UPDATE_POLICY, id_, portal, approves, automatic_per_day)


SELECT_VERSION = f"SELECT {_VERSION} FROM adapter_versions WHERE adapter = $1 AND version = $2 LIMIT 1"  # noqa: S608 - the columns are a constant of this file


async def version(db: Db, adapter_id: str, number: str) -> Version | None:
    """Read one version."""
    return await one(db, Version, SELECT_VERSION, adapter_id, number)


SELECT_VERSIONS = f"""
    SELECT {_VERSION} FROM adapter_versions
     WHERE adapter = $1
       AND ($2::text IS NULL OR string_to_array(version, '.')::int[] < string_to_array($2, '.')::int[])
     ORDER BY string_to_array(version, '.')::int[] DESC
     LIMIT $3
"""  # noqa: S608 - the columns are a constant of this file


async def versions(db: Db, adapter_id: str, before: str | None = None, limit: int = 200) -> list[Version]:
    """Read an adapter's versions, the highest first."""
    return await many(db, Version, SELECT_VERSIONS, adapter_id, before, limit)


SELECT_IN_STATE = f"""
    SELECT {_VERSION} FROM adapter_versions WHERE adapter = $1 AND state = ANY($2) ORDER BY state_at DESC LIMIT 200
"""  # noqa: S608 - the columns are a constant of this file


async def in_state(db: Db, adapter_id: str, *states: VersionState) -> list[Version]:
    """Read an adapter's versions in some states, the last moved first."""
    return await many(db, Version, SELECT_IN_STATE, adapter_id, list(states))


SELECT_OF_TEMPLATE = f"""
    SELECT {_VERSION} FROM adapter_versions v
     WHERE template = $1
       AND NOT EXISTS (SELECT 1 FROM adapter_versions later
                        WHERE later.adapter = v.adapter AND later.template = $1 AND later.made_at > v.made_at)
     ORDER BY adapter LIMIT 2000
"""  # noqa: S608 - the columns are a constant of this file


async def newest_of_template(db: Db, template: str) -> list[Version]:
    """Read the newest version of every adapter made from a template."""
    return await many(db, Version, SELECT_OF_TEMPLATE, template)


SELECT_VALUES = "SELECT template_values FROM adapter_versions WHERE adapter = $1 AND version = $2 LIMIT 1"


async def template_values(db: Db, adapter_id: str, number: str) -> dict[str, Any]:
    """Read the values a version was made with."""
    return await value(db, SELECT_VALUES, adapter_id, number) or {}


INSERT_VERSION = """
    INSERT INTO adapter_versions (adapter, version, manifest, digest, signature, made_by, template, template_version,
                                  template_values)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (adapter, version) DO NOTHING
"""


async def insert_version(
    db: Connection,
    adapter_id: str,
    number: str,
    manifest: bytes,
    digest: bytes,
    signature: str | None,
    by: str,
    template: tuple[str, int, dict[str, Any]] | None = None,
) -> bool:
    """Write a draft; False where the version is there."""
    made = template or (None, None, None)
    return await execute(db, INSERT_VERSION, adapter_id, number, manifest, digest, signature, by, *made) == 1


UPDATE_DRAFT = """
    UPDATE adapter_versions
       SET manifest = $3, digest = $4, signature = $5, made_by = $6, made_at = now(), revision = revision + 1
     WHERE adapter = $1 AND version = $2 AND state = 'draft'
"""


async def replace_draft(
    db: Connection, adapter_id: str, number: str, manifest: bytes, digest: bytes, signature: str | None, by: str
) -> bool:
    """Put other bytes in a draft's place; False where it is no draft any more."""
    return await execute(db, UPDATE_DRAFT, adapter_id, number, manifest, digest, signature, by) == 1


UPDATE_STATE = """
    UPDATE adapter_versions
       SET state = $4, revision = revision + 1, state_at = now(),
           no_test_system = CASE WHEN $4 = 'draft' THEN NULL ELSE coalesce($7, no_test_system) END,
           approved_by = CASE WHEN $4 = 'draft' THEN NULL ELSE coalesce($5, approved_by) END,
           subjects = CASE WHEN $4 = 'trial' THEN $6::bytea[] ELSE '{}' END,
           live_until = CASE WHEN state = 'live' AND $4 <> 'live' THEN now() ELSE live_until END
     WHERE adapter = $1 AND version = $2 AND state = $3
"""


async def set_state(
    db: Connection,
    of: Version,
    state: VersionState,
    *,
    approved_by: str | None = None,
    subjects: list[bytes] | None = None,
    no_test_system: str | None = None,
) -> bool:
    """Move a version; False where it was moved meanwhile."""
    args = (of.adapter, of.version, of.state, state, approved_by, subjects or [], no_test_system)
    return await execute(db, UPDATE_STATE, *args) == 1


INSERT_MOVE = """
    INSERT INTO adapter_moves (id, adapter, version, move, from_state, to_state, digest, by_whom, by_role, why)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


async def insert_move(db: Connection, *row: object) -> None:
    """Write one step of a version's history, in order of the statement's columns."""
    await execute(db, INSERT_MOVE, *row)


SELECT_MOVES = """
    SELECT move, from_state, to_state, by_whom, by_role, why, at
      FROM adapter_moves WHERE adapter = $1 AND version = $2 ORDER BY id LIMIT 500
"""


async def moves(db: Db, adapter_id: str, number: str) -> list[Made]:
    """Read a version's history, oldest first."""
    return await many(db, Made, SELECT_MOVES, adapter_id, number)


INSERT_NOTICE = """
    INSERT INTO adapter_notices (id, adapter, version, kind, params) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO NOTHING
"""


async def insert_notice(db: Db, id_: str, adapter_id: str, number: str | None, kind: str, params: Any) -> bool:
    """Tell an adapter's owner something; False where that was told before."""
    return await execute(db, INSERT_NOTICE, id_, adapter_id, number, kind, params) == 1


SELECT_NOTICES = """
    SELECT n.id, n.adapter, n.version, n.kind, n.params, n.at
      FROM adapter_notices n
     WHERE n.adapter = $1
       AND ($2::text IS NULL OR (n.at, n.id) < (SELECT b.at, b.id FROM adapter_notices b WHERE b.id = $2))
     ORDER BY n.at DESC, n.id DESC LIMIT $3
"""


async def notices(db: Db, adapter_id: str, before: str | None, limit: int) -> list[NoticeRow]:
    """Read an adapter's notices, newest first."""
    return await many(db, NoticeRow, SELECT_NOTICES, adapter_id, before, limit)


SELECT_OF_OWNERS = "SELECT owner, id FROM adapters WHERE owner = ANY($1::text[]) ORDER BY owner, id LIMIT 10000"


async def adapters_of(db: Db, owners: list[str]) -> dict[str, list[str]]:
    """Read the ids of departments' adapters, by department."""
    found: dict[str, list[str]] = {}
    for row in await db.fetch(SELECT_OF_OWNERS, owners):
        found.setdefault(row["owner"], []).append(row["id"])
    return found


BUMP = "UPDATE registry_mark SET number = number + 1 WHERE id"


async def changed(db: Connection) -> None:
    """Count a change that every gateway follows; in the change's own transaction."""
    await execute(db, BUMP)
