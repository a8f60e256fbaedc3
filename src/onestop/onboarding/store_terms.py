"""SQL of what surrounds a version: places, secrets, signing keys, windows, agreements, templates."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from onestop.db import Connection, Db, execute, many, one, value
from onestop.onboarding.models import AgreementState, Environment

_AGREEMENT = """id, adapter, consumer, operation, purpose_zh, purpose_en, per_day, per_second, begins, ends, state,
                asked_by, asked_at, decided_by, decided_at, why"""


class SecretRow(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as it is shown: never its value."""

    id: str
    environment: Environment
    name: str
    fingerprint: str
    not_before: datetime
    not_after: datetime | None
    certificate: bool
    set_by: str
    set_at: datetime


class PlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where an adapter's system is in one environment."""

    environment: Environment
    url: str
    replicas: list[str] | None
    token_url: str | None
    config: dict[str, str]
    set_by: str
    set_at: datetime


class WindowRow(msgspec.Struct, frozen=True, kw_only=True):
    """A one-off window."""

    id: str
    begins: datetime
    ends: datetime
    note_zh: str
    note_en: str
    made_by: str


class AgreementRow(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement, whole."""

    id: str
    adapter: str
    consumer: str
    operation: str
    purpose_zh: str
    purpose_en: str
    per_day: int | None
    per_second: float | None
    begins: datetime
    ends: datetime | None
    state: AgreementState
    asked_by: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    why: str


class TemplateRow(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a template."""

    name: str
    version: int
    body: str
    parameters: dict[str, str]
    made_by: str
    made_at: datetime


class Expiring(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that ends soon, or is over."""

    adapter: str
    environment: Environment
    id: str
    name: str
    not_after: datetime


UPSERT_PLACE = """
    INSERT INTO adapter_places (adapter, environment, url, replicas, token_url, config, set_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (adapter, environment)
        DO UPDATE SET url = excluded.url, replicas = excluded.replicas, token_url = excluded.token_url,
                      config = excluded.config, set_by = excluded.set_by, set_at = now()
"""


async def set_place(db: Connection, *row: object) -> None:
    """Say where a system is, in order of the statement's columns; what was told before is replaced whole."""
    await execute(db, UPSERT_PLACE, *row)


SELECT_PLACES = """
    SELECT environment, url, replicas, token_url, config, set_by, set_at
      FROM adapter_places WHERE adapter = $1 ORDER BY environment LIMIT 2
"""


async def places(db: Db, adapter: str) -> list[PlaceRow]:
    """Read where an adapter's systems are."""
    return await many(db, PlaceRow, SELECT_PLACES, adapter)


INSERT_SEALED = """
    INSERT INTO adapter_secrets (adapter, environment, id, name, value, fingerprint, not_before, not_after, certificate,
                                 set_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""


async def insert_secret(db: Connection, *row: object) -> None:
    """Write a secret, in order of the statement's columns."""
    await execute(db, INSERT_SEALED, *row)


SELECT_SEALED = """
    SELECT id, environment, name, fingerprint, not_before, not_after, certificate, set_by, set_at
      FROM adapter_secrets WHERE adapter = $1 AND removed_at IS NULL ORDER BY environment, name, not_before LIMIT 200
"""


async def secrets(db: Db, adapter: str) -> list[SecretRow]:
    """Read an adapter's secrets without their values."""
    return await many(db, SecretRow, SELECT_SEALED, adapter)


REMOVE_SEALED = """
    UPDATE adapter_secrets SET removed_at = now(), value = '' WHERE adapter = $1 AND id = $2 AND removed_at IS NULL
"""


async def remove_secret(db: Connection, adapter: str, id_: str) -> bool:
    """Forget a secret's value; False where there is none of that id."""
    return await execute(db, REMOVE_SEALED, adapter, id_) == 1


SELECT_EXPIRING = """
    SELECT s.adapter, s.environment, s.id, s.name, s.not_after
      FROM adapter_secrets s
     WHERE s.removed_at IS NULL AND s.not_after < now() + make_interval(days => $1)
       AND NOT EXISTS (SELECT 1 FROM adapter_secrets n
                        WHERE n.adapter = s.adapter AND n.environment = s.environment AND n.name = s.name
                          AND n.removed_at IS NULL
                          AND (n.not_after IS NULL OR n.not_after >= now() + make_interval(days => $1)))
     ORDER BY s.not_after LIMIT 1000
"""


async def expiring(db: Db, days: int) -> list[Expiring]:
    """Read what ends within so many days or is over, and has no successor that holds longer."""
    return await many(db, Expiring, SELECT_EXPIRING, days)


INSERT_DEPARTMENT_KEY = """
    INSERT INTO department_keys (department, kid, public_jwk, set_by) VALUES ($1, $2, $3, $4)
        ON CONFLICT (department, kid) DO UPDATE
       SET public_jwk = excluded.public_jwk, set_by = excluded.set_by, set_at = now(), removed_at = NULL
     WHERE department_keys.removed_at IS NOT NULL
"""


async def insert_department_key(db: Connection, department: str, kid: str, jwk: Mapping[str, Any], by: str) -> bool:
    """Register the public half of a key that manifests are signed with; False where the name is taken."""
    return await execute(db, INSERT_DEPARTMENT_KEY, department, kid, jwk, by) == 1


SELECT_DEPARTMENT_KEYS = """
    SELECT public_jwk FROM department_keys WHERE department = $1 AND removed_at IS NULL ORDER BY kid LIMIT 20
"""


async def department_keys(db: Db, department: str) -> list[dict[str, Any]]:
    """Return the public keys a department's manifests may be signed with."""
    return [row["public_jwk"] for row in await db.fetch(SELECT_DEPARTMENT_KEYS, department)]


REMOVE_DEPARTMENT_KEY = """
    UPDATE department_keys SET removed_at = now() WHERE department = $1 AND kid = $2 AND removed_at IS NULL
"""


async def remove_department_key(db: Connection, department: str, kid: str) -> bool:
    """Take a signing key back; False where it is not registered."""
    return await execute(db, REMOVE_DEPARTMENT_KEY, department, kid) == 1


INSERT_WINDOW = """
    INSERT INTO maintenance_windows (id, adapter, begins, ends, note_zh, note_en, made_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def insert_window(db: Connection, *row: object) -> None:
    """Write a window, in order of the statement's columns."""
    await execute(db, INSERT_WINDOW, *row)


SELECT_WINDOWS = """
    SELECT id, begins, ends, note_zh, note_en, made_by
      FROM maintenance_windows WHERE adapter = $1 AND ends > now() ORDER BY begins LIMIT 200
"""


async def windows(db: Db, adapter: str) -> list[WindowRow]:
    """Read the windows of an adapter that are not over."""
    return await many(db, WindowRow, SELECT_WINDOWS, adapter)


SELECT_LATE_WINDOWS = """
    SELECT id, begins, ends, note_zh, note_en, made_by
      FROM maintenance_windows WHERE adapter = $1 AND ends > now() - interval '1 day' ORDER BY begins LIMIT 200
"""


async def late_windows(db: Db, adapter: str) -> list[WindowRow]:
    """Read the windows of an adapter that are not over, or not for long."""
    return await many(db, WindowRow, SELECT_LATE_WINDOWS, adapter)


EXTEND_WINDOW = """
    INSERT INTO maintenance_windows (id, adapter, begins, ends, made_by) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO NOTHING
"""


async def extend_window(db: Connection, id_: str, adapter: str, begins: datetime, ends: datetime, by: str) -> bool:
    """Join a window to the one that ends where it begins; False where another process has."""
    return await execute(db, EXTEND_WINDOW, id_, adapter, begins, ends, by) == 1


DELETE_WINDOW = "DELETE FROM maintenance_windows WHERE adapter = $1 AND id = $2 AND ends > now()"


async def delete_window(db: Connection, adapter: str, id_: str) -> bool:
    """Take a window back, also one that has begun; False where there is none of that id."""
    return await execute(db, DELETE_WINDOW, adapter, id_) == 1


INSERT_AGREEMENT = """
    INSERT INTO agreements (id, adapter, consumer, operation, purpose_zh, purpose_en, per_day, per_second, begins, ends,
                            state, asked_by, decided_by, decided_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, CASE WHEN $13::text IS NOT NULL THEN now() END)
"""


async def insert_agreement(db: Connection, *row: object) -> None:
    """Write an agreement, in order of the statement's columns."""
    await execute(db, INSERT_AGREEMENT, *row)


SELECT_AGREEMENTS = f"""
    SELECT {_AGREEMENT} FROM agreements
     WHERE adapter = $1 AND ($2::text IS NULL OR asked_by = $2 OR consumer = $2) AND ($3::text IS NULL OR id > $3)
     ORDER BY id LIMIT $4
"""  # noqa: S608 - the columns are a constant of this file


async def agreements(
    db: Db, adapter: str, asker: str | None = None, after: str | None = None, limit: int = 200
) -> list[AgreementRow]:
    """Read an adapter's agreements: all, or those that one asked for."""
    return await many(db, AgreementRow, SELECT_AGREEMENTS, adapter, asker, after, limit)


SELECT_AGREEMENT = f"SELECT {_AGREEMENT} FROM agreements WHERE adapter = $1 AND id = $2 LIMIT 1"  # noqa: S608 - the columns are a constant of this file


async def agreement(db: Db, adapter: str, id_: str) -> AgreementRow | None:
    """Read one agreement."""
    return await one(db, AgreementRow, SELECT_AGREEMENT, adapter, id_)


DECIDE_AGREEMENT = """
    UPDATE agreements SET state = $3, decided_by = $4, decided_at = now(), why = $5
     WHERE adapter = $1 AND id = $2 AND state = $6
"""


async def decide_agreement(
    db: Connection, row: AgreementRow, state: Literal["active", "refused", "ended"], by: str, why: str
) -> bool:
    """Decide an agreement; False where it was decided meanwhile."""
    return await execute(db, DECIDE_AGREEMENT, row.adapter, row.id, state, by, why, row.state) == 1


SELECT_ACTIVE = """
    SELECT id FROM agreements WHERE adapter = $1 AND consumer = $2 AND operation = $3 AND state = 'active' LIMIT 1
"""


async def active_agreement(db: Db, adapter: str, consumer: str, operation: str) -> str | None:
    """Return the id of the agreement that holds for this consumer and operation."""
    found: str | None = await value(db, SELECT_ACTIVE, adapter, consumer, operation)
    return found


SELECT_USED = """
    SELECT q.agreement, q.calls FROM quota_counts q JOIN agreements a ON a.id = q.agreement
     WHERE a.adapter = $1 AND q.day = $2 ORDER BY q.agreement LIMIT 1000
"""


async def used(db: Db, adapter: str, day: date) -> dict[str, int]:
    """Return how many calls each agreement of an adapter has seen on a day, by all processes."""
    return {row["agreement"]: row["calls"] for row in await db.fetch(SELECT_USED, adapter, day)}


LOCK_TEMPLATE = """
    SELECT version FROM adapter_templates WHERE name = $1 ORDER BY version DESC LIMIT 1 FOR UPDATE
"""

INSERT_TEMPLATE = """
    INSERT INTO adapter_templates (name, version, body, parameters, made_by)
    SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4 FROM adapter_templates WHERE name = $1
    RETURNING version
"""


async def insert_template(db: Connection, name: str, body: str, parameters: Mapping[str, str], by: str) -> int:
    """Write the next version of a template and return its number."""
    await value(db, LOCK_TEMPLATE, name)  # two writers come one after the other
    number: int = await value(db, INSERT_TEMPLATE, name, body, parameters, by)
    return number


SELECT_TEMPLATE = """
    SELECT name, version, body, parameters, made_by, made_at
      FROM adapter_templates WHERE name = $1 ORDER BY version DESC LIMIT 1
"""


async def template(db: Db, name: str) -> TemplateRow | None:
    """Read a template's newest version."""
    return await one(db, TemplateRow, SELECT_TEMPLATE, name)


SELECT_TEMPLATES = """
    SELECT DISTINCT ON (name) name, version, body, parameters, made_by, made_at
      FROM adapter_templates WHERE ($1::text IS NULL OR name > $1) ORDER BY name, version DESC LIMIT $2
"""


async def templates(db: Db, after: str | None, limit: int) -> list[TemplateRow]:
    """Read the newest version of every template, in order of name."""
    return await many(db, TemplateRow, SELECT_TEMPLATES, after, limit)
