"""What every test may ask for: a migrated database of its own, keys, settings."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from onestop import migrate
from onestop.crypto import Keys
from onestop.db import Pool, open_pool
from onestop.embedded import Server
from onestop.settings import Settings

# Folders whose tests start whole cities: one after another, so that two cities never want the same ports.
_CITIES = {"acceptance", "cli", "crash", "journeys"}
# Folders whose tests share servers that are slow to start: one process has them all.
_TOGETHER = {"adapters"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests stay together when the suite runs in two processes."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        group = "cities" if folder in _CITIES else folder if folder in _TOGETHER else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One real PostgreSQL for the run, without the waits that only durability needs."""
    folder = Path(tempfile.mkdtemp(prefix="onestop-test-", dir="/tmp"))
    folder.chmod(0o711)
    server = Server(folder, durable=False)
    server.ensure()
    asyncio.run(_template(server))
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


async def _template(server: Server) -> None:
    await _admin(server, "CREATE DATABASE template_onestop")
    await migrate.upgrade(server.database("template_onestop"))


async def _admin(server: Server, sql: str) -> None:
    connection = await asyncpg.connect(server.database("onestop"))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def dsn(server: Server) -> Iterator[str]:
    """A database of the module's own, cloned from the migrated template."""
    name = f"t_{os.getpid()}_{secrets.token_hex(4)}"
    asyncio.run(_admin(server, f"CREATE DATABASE {name} TEMPLATE template_onestop STRATEGY file_copy"))
    yield server.database(name)
    asyncio.run(_admin(server, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(dsn, size=8, name="onestop test")
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """The keys of the module's database: what one test sealed the next can open."""
    return Keys.load(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def settings(tmp_path: Path, dsn: str) -> Settings:
    return Settings(profile="demo", state_dir=tmp_path, database_url=dsn)
