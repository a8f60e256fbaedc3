"""What every test may ask for: a migrated database of its own, keys, settings."""

import asyncio
import gc
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import hypothesis
import pytest
import structlog
from xdist.scheduler import LoadScopeScheduling

from onestop import migrate
from onestop.crypto import Keys
from onestop.db import Pool, open_pool
from onestop.embedded import Server
from onestop.settings import Settings

# The same examples every time: what the suite says of a revision stays true of it. `FUZZ=1 make test` tries others. No
# example is timed: how long one takes is the machine's word, not the code's.
hypothesis.settings.register_profile("suite", derandomize=not os.environ.get("FUZZ"), deadline=None)
hypothesis.settings.load_profile("suite")

# A logger that was kept once a test had configured logs would hide its lines from a later test that captures them.
_configure = structlog.configure
structlog.configure = lambda **told: _configure(**told | {"cache_logger_on_first_use": False})


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """Take back what a test made of the logs: a command that shows errors only would leave no warnings to others."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()


# Folders that one process has as a whole: their tests share cities or servers that are slow to start.
_WHOLE = ("journeys", "acceptance", "adapters", "crash", "cli")


class _Shares(LoadScopeScheduling):
    """Gives a process whole files, and whole folders where their tests share what is slow to start.

    xdist's own marks for this are not seen under the pytest that we use.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = _folder(Path(file))
        return folder if folder in _WHOLE else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Shares:
    """Say which tests stay together when the suite runs in several processes."""
    config.option.loadscopereorder = False
    return _Shares(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no process is left with it at the end."""
    items.sort(key=lambda item: _folder(item.path) not in _WHOLE)


def _folder(file: Path) -> str:
    """Return the folder of a test below `tests/`."""
    parts = file.parts
    return parts[parts.index("tests") + 1]


def pytest_collection_finish() -> None:
    """Leave the thousands of collected tests to no collection of garbage: each full one took 0.4 s because of them."""
    gc.collect()
    gc.freeze()


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
