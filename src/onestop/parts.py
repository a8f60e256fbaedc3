"""What every process of an installation opens: the database, the keys, the lines to departments, the office."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from onestop import embedded, key_rotation, migrate
from onestop.cases.office import Office, departments_of
from onestop.crypto import Keys
from onestop.db import Pool, open_pool
from onestop.gateway.auth import vouching
from onestop.gateway.explain import TraceLog
from onestop.gateway.registry import Registry
from onestop.gateway.service import Gateway
from onestop.identity.service import Sessions
from onestop.items.service import load as load_items
from onestop.mandates.service import Mandates
from onestop.provider.issuer import Issuer
from onestop.resources import shipped
from onestop.rights.tombstones import Tombstones
from onestop.settings import Settings


class Parts:
    """What one process shares, for the portal and for the worker."""

    def __init__(self, settings: Settings, dsn: str, pool: Pool, keys: Keys, gateway: Gateway) -> None:
        self.settings, self.dsn, self.pool, self.keys, self.gateway = settings, dsn, pool, keys, gateway
        self.sessions = Sessions(pool, keys, settings)
        self.traces = TraceLog(pool, settings.region)
        catalogue = load_items([settings.items_dir] if settings.items_dir else [])
        people, learn = self.sessions.person, self.sessions.learn
        matters = {code: departments_of(catalogue, code) for code in catalogue.items}
        self.mandates = Mandates(pool, keys, settings, self.sessions, gateway, matters)
        self.office = Office(
            settings, keys, pool, gateway, catalogue, people, traces=self.traces, learn=learn, mandates=self.mandates
        )


@asynccontextmanager
async def open_parts(settings: Settings, name: str, *, serves: bool = False) -> AsyncIterator[Parts]:
    """Open the database (started, where it is the embedded one, and migrated), the keys and the lines.

    `serves`: this process answers people.

    Raises:
        SchemaProblem: the database is newer than this release, or an applied migration was changed.
        NoServer: there is no PostgreSQL to start.
    """
    async with AsyncExitStack() as stack:
        dsn = settings.database_url
        if dsn is None:
            dsn = await asyncio.to_thread(embedded.ensure, settings.state_dir)
        await migrate.upgrade(dsn)
        pool = await open_pool(dsn, size=settings.pool_size, name=name)
        stack.push_async_callback(pool.close)
        yield await stack.enter_async_context(parts_on(settings, dsn, pool, serves=serves))


@asynccontextmanager
async def parts_on(settings: Settings, dsn: str, pool: Pool, *, serves: bool = False) -> AsyncIterator[Parts]:
    """Open the keys and the lines on a database that is open and migrated already."""
    async with AsyncExitStack() as stack:
        gateway = Gateway.open(settings)
        stack.push_async_callback(gateway.close)
        parts = Parts(settings, dsn, pool, Keys.load(settings.state_dir, settings.crypto_suite), gateway)
        await stack.enter_async_context(key_rotation.following(parts.keys))
        vouching.provide(asyncio.get_running_loop(), Issuer(pool, parts.keys, settings))
        registry = Registry(gateway, pool, dsn, parts.keys, settings, serves=serves)
        stack.push_async_callback(registry.close)
        await registry.start()
        await parts.office.start()
        # Before anybody is served: a restored backup may hold people who were erased.
        await Tombstones(settings.state_dir, settings.region).apply(pool)
        stack.push_async_callback(parts.office.close)
        yield parts


def adapters(settings: Settings) -> Path:
    """Return the folder of the adapters that stand in files."""
    return settings.adapters_dir or shipped("adapters")


def announcing(announce: Callable[[str], None]) -> Callable[[Pool, str], Awaitable[None]]:
    """Return what tells a case's readers that it has moved, as the gateway calls it."""

    async def changed(_: Pool, case_id: str) -> None:
        announce(f"case:{case_id}")

    return changed
