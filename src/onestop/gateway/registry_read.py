"""What gateways follow, read from the database as it was at one moment, and when the clock alone changes it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import store_registry as store
from onestop.gateway.models import Agreement
from onestop.gateway.overrides import Override
from onestop.gateway.places import Environment, Value, opened
from onestop.gateway.windows import OneOff

log = structlog.get_logger(__name__)

KEEP_FOR: Final = timedelta(days=30)  # a version that was live


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the database tells, at one mark."""

    served: dict[str, list[store.Served]]
    places: dict[str, store.Place]
    values: dict[str, list[Value]]
    one_offs: dict[str, tuple[OneOff, ...]]
    agreements: list[Agreement]
    closed: list[str]
    overrides: list[Override]
    owners: dict[str, str]


async def read_all(pool: Pool, keys: Keys, environment: Environment) -> Read:
    """Read it all as it was at one moment; a secret that cannot be opened is left out and logged."""
    async with pool.acquire() as db, db.transaction(isolation="repeatable_read", readonly=True):
        served: dict[str, list[store.Served]] = {}
        for row in await store.served(db):
            served.setdefault(row.adapter, []).append(row)
        told = {place.adapter: place for place in await store.places(db, environment)}
        sealed = await store.secrets(db, environment)
        one_offs: dict[str, tuple[OneOff, ...]] = {}
        for one in await store.windows(db):
            one_offs[one.adapter] = (*one_offs.get(one.adapter, ()), one)
        agreements, closed = await store.agreements(db), await store.closed(db)
        overrides = await store.overrides(db)
        owners = await store.owners(db)
    values: dict[str, list[Value]] = {}
    for secret in sealed:
        try:
            values.setdefault(secret.adapter, []).append(opened(keys, environment, secret))
        except Exception:  # sealed with a key that is gone: a matter of one adapter, whose line says what it lacks
            log.exception("secret_not_opened", adapter=secret.adapter, secret=secret.id)
    return Read(
        served=served,
        places=told,
        values=values,
        one_offs=one_offs,
        agreements=agreements,
        closed=closed,
        overrides=overrides,
        owners=owners,
    )


def next_due(read: Read, now: datetime) -> datetime | None:
    """Return when something changes by the clock alone, None where nothing will."""
    moments: list[datetime | None] = []
    for values in read.values.values():
        moments += [moment for value in values for moment in (value.not_before, value.not_after)]
    for one in read.agreements:
        moments += [one.begins, one.ends]
    moments += [row.live_until + KEEP_FOR for rows in read.served.values() for row in rows if row.live_until]
    return min(_future(moments, now), default=None)


def _future(moments: Iterable[datetime | None], now: datetime) -> list[datetime]:
    return [moment for moment in moments if moment is not None and moment > now]
