"""Root's private folders stay closed: the server of a state folder in one lives elsewhere, and goes with it."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import asyncpg
import pytest

from onestop.embedded import Server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to start the server as somebody else")


@pytest.fixture
def closed():
    folder = Path(tempfile.mkdtemp(prefix="onestop-closed-", dir="/tmp"))  # mode 0700, as mkdtemp makes it
    yield folder
    Server(folder / "state").remove()
    shutil.rmtree(folder, ignore_errors=True)


def ask(dsn: str) -> int:
    async def one() -> int:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval("SELECT 1")
        finally:
            await connection.close()

    return asyncio.run(one())


def test_a_server_starts_for_a_folder_its_user_cannot_enter_and_nothing_is_opened_for_it(closed):
    server = Server(closed / "state", durable=False)
    assert ask(server.ensure()) == 1
    assert closed.stat().st_mode & 0o777 == 0o700
    assert Server(closed / "state").home == server.home  # found again by whoever asks next
    assert server.stop() is True
    server.remove()
    assert not server.home.exists()


def test_what_is_left_of_a_folder_that_is_gone_is_removed_by_the_next_server(closed):
    left = Server(closed / "gone" / "state", durable=False)
    left.ensure()
    shutil.rmtree(closed / "gone")
    Server(closed / "state", durable=False).ensure()
    assert not left.home.exists()
    assert left.running() is False


def test_an_open_folder_keeps_its_server_to_itself(closed):
    closed.chmod(0o711)
    assert Server(closed / "state").home == closed / "state" / "postgres"
