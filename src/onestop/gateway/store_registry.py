"""What a running gateway reads of adapters: versions, places, secrets, windows, agreements; and what it counts."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from onestop.db import Db, columns, execute, many, value
from onestop.gateway.models import Agreement
from onestop.gateway.overrides import Override
from onestop.gateway.windows import OneOff

_MOST = 10_000


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A version that serves, was live within thirty days, or is held back."""

    adapter: str
    version: str
    state: Literal["trial", "live", "deprecated", "quarantined"]
    manifest: bytes
    digest: bytes
    subjects: list[bytes]
    live_until: datetime | None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an adapter's system is in one environment; None: the environment file's word stands."""

    adapter: str
    url: str
    replicas: list[str] | None
    token_url: str | None
    config: dict[str, str]


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one secret, sealed."""

    adapter: str
    id: str
    name: str
    value: bytes
    not_before: datetime
    not_after: datetime | None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter that the portal itself needs agreements for."""

    adapter: str


SELECT_MARK = "SELECT number FROM registry_mark LIMIT 1"


async def mark(db: Db) -> int:
    """Return the number of the last change that gateways follow."""
    number: int = await value(db, SELECT_MARK)
    return number


SELECT_SERVED = """
    SELECT adapter, version, state, manifest, digest, subjects, live_until
      FROM adapter_versions
     WHERE state IN ('trial', 'live', 'quarantined')
        OR (state = 'deprecated' AND live_until > now() - interval '30 days')
     ORDER BY adapter, live_until DESC NULLS FIRST, version
     LIMIT $1
"""


async def served(db: Db) -> list[Served]:
    """Read every version that a gateway has to know."""
    return await many(db, Served, SELECT_SERVED, _MOST)


SELECT_PLACES = """
    SELECT adapter, url, replicas, token_url, config
      FROM adapter_places WHERE environment = $1 ORDER BY adapter LIMIT $2
"""


async def places(db: Db, environment: str) -> list[Place]:
    """Read where the systems of one environment are."""
    return await many(db, Place, SELECT_PLACES, environment, _MOST)


SELECT_SEALED = """
    SELECT adapter, id, name, value, not_before, not_after
      FROM adapter_secrets
     WHERE environment = $1 AND removed_at IS NULL AND ($3::text IS NULL OR adapter = $3)
     ORDER BY adapter, name, not_before
     LIMIT $2
"""


async def secrets(db: Db, environment: str, adapter: str | None = None) -> list[Secret]:
    """Read the secrets of one environment that are not removed, of one adapter or of all."""
    return await many(db, Secret, SELECT_SEALED, environment, _MOST, adapter)


SELECT_WINDOWS = """
    SELECT id, adapter, begins, ends, note_zh, note_en
      FROM maintenance_windows WHERE ends > now() - interval '1 day' ORDER BY adapter, begins LIMIT $1
"""


async def windows(db: Db) -> list[OneOff]:
    """Read the one-off windows that are not long over."""
    return await many(db, OneOff, SELECT_WINDOWS, _MOST)


SELECT_OVERRIDES = """
    SELECT adapter, operation, state, reason, until, set_by
      FROM line_overrides WHERE until > now() ORDER BY adapter, operation LIMIT $1
"""


async def overrides(db: Db) -> list[Override]:
    """Read what operators say of lines."""
    return await many(db, Override, SELECT_OVERRIDES, _MOST)


SELECT_AGREEMENTS = """
    SELECT id, adapter, consumer, operation, per_day, per_second, begins, ends, purpose_zh, purpose_en
      FROM agreements WHERE state = 'active' AND (ends IS NULL OR ends > now()) ORDER BY id LIMIT $1
"""


async def agreements(db: Db) -> list[Agreement]:
    """Read the agreements that hold, or will."""
    return await many(db, Agreement, SELECT_AGREEMENTS, _MOST)


SELECT_CLOSED = "SELECT id AS adapter FROM adapters WHERE portal = 'agreed' ORDER BY id LIMIT $1"


async def closed(db: Db) -> list[str]:
    """Return the adapters that the portal itself may ask by agreement only."""
    return [row.adapter for row in await many(db, Policy, SELECT_CLOSED, _MOST)]


class _Owner(msgspec.Struct, frozen=True, kw_only=True):
    adapter: str
    owner: str


SELECT_OWNERS = "SELECT id AS adapter, owner FROM adapters ORDER BY id LIMIT $1"


async def owners(db: Db) -> dict[str, str]:
    """Return whose each adapter is, by its id; the departments of files are not in the database."""
    return {row.adapter: row.owner for row in await many(db, _Owner, SELECT_OWNERS, _MOST)}


ADD_COUNTS = """
    INSERT INTO quota_counts AS q (agreement, day, calls)
    SELECT id, day, calls FROM unnest($1::text[], $2::date[], $3::bigint[]) AS new (id, day, calls)
        ON CONFLICT (agreement, day) DO UPDATE SET calls = q.calls + excluded.calls
    RETURNING agreement, calls
"""


class _Sum(msgspec.Struct, frozen=True):
    agreement: str
    calls: int


async def add_counts(db: Db, rows: Sequence[tuple[str, date, int]]) -> dict[str, int]:
    """Add calls to the days' sums and return these, by agreement."""
    return {row.agreement: row.calls for row in await many(db, _Sum, ADD_COUNTS, *columns(sorted(rows)))}


INSERT_NOTICE = """
    INSERT INTO adapter_notices (id, adapter, version, kind, params) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO NOTHING
"""


async def insert_notice(db: Db, id_: str, adapter: str, version: str | None, kind: str, params: dict[str, Any]) -> None:
    """Tell an adapter's owner something; the same id is told once."""
    await execute(db, INSERT_NOTICE, id_, adapter, version, kind, params)
