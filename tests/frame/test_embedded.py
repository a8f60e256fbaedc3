"""The embedded server: durable, shared, started once whoever comes at the same time."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from onestop.embedded import Server

pytestmark = pytest.mark.anyio


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="onestop-embedded-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    Server(path).stop()
    shutil.rmtree(path, ignore_errors=True)


def _postmaster(server: Server) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


async def _run(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def test_four_starters_at_once_on_a_fresh_folder_share_one_server(folder):
    start = f"from pathlib import Path; from onestop.embedded import ensure; print(ensure(Path({str(folder)!r})))"
    starters = [subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    addresses = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert len(addresses) == 1
    assert asyncio.run(_run(addresses.pop(), "SELECT 1")) == 1


async def test_what_was_committed_survives_kill_9_and_the_next_starter_brings_it_back(folder):
    server = Server(folder)
    dsn = server.ensure()
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept (n int)")
    await connection.execute("INSERT INTO kept VALUES (7)")
    os.kill(_postmaster(server), signal.SIGKILL)
    await asyncio.sleep(0.5)  # its children notice that it is gone
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.execute("INSERT INTO kept VALUES (8)")
    again = Server(folder).ensure()
    assert await _run(again, "SELECT array_agg(n) FROM kept") == [7]


async def test_a_server_that_runs_is_joined_and_chinese_is_not_blind(folder):
    first = Server(folder).ensure()
    assert Server(folder).ensure() == first
    assert await _run(first, "SELECT datctype FROM pg_database WHERE datname = current_database()") == "C.UTF-8"
    assert await _run(first, "SHOW fsync") == "on"
    assert await _run(first, "SHOW listen_addresses") == "", "by socket only: trust needs a private folder"
