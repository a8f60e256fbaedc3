import asyncio
from pathlib import Path

import asyncpg
import pytest

from onestop import migrate
from onestop.embedded import Server

pytestmark = pytest.mark.anyio


def _folder(tmp_path: Path, *files: tuple[str, str]) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir(exist_ok=True)
    for name, sql in files:
        (folder / name).write_text(sql)
    return folder


@pytest.fixture
async def empty(server: Server):
    connection = await asyncpg.connect(server.database("onestop"))
    await connection.execute("DROP DATABASE IF EXISTS empty_one WITH (FORCE)")
    await connection.execute("CREATE DATABASE empty_one")
    await connection.close()
    return server.database("empty_one")


async def test_six_starters_at_once_apply_each_file_once(empty, tmp_path):
    folder = _folder(
        tmp_path, ("0001_expand_a.sql", "CREATE TABLE a (n int);"), ("0002_expand_b.sql", "CREATE TABLE b (n int);")
    )
    done = await asyncio.gather(*(migrate.upgrade(empty, folder) for _ in range(6)))
    assert sorted(map(len, done)) == [0, 0, 0, 0, 0, 2]


async def test_a_changed_file_is_refused_by_name(empty, tmp_path):
    folder = _folder(tmp_path, ("0001_expand_a.sql", "CREATE TABLE a (n int);"))
    await migrate.upgrade(empty, folder)
    _folder(tmp_path, ("0001_expand_a.sql", "CREATE TABLE a (n bigint);"))
    with pytest.raises(migrate.SchemaProblem, match=r"0001_expand_a\.sql changed after it was applied"):
        await migrate.upgrade(empty, folder)


async def test_a_newer_database_is_refused_with_a_sentence(empty, tmp_path):
    folder = _folder(tmp_path, ("0001_expand_a.sql", "SELECT 1"), ("0002_expand_b.sql", "SELECT 2"))
    await migrate.upgrade(empty, folder)
    (folder / "0002_expand_b.sql").unlink()
    with pytest.raises(migrate.SchemaProblem, match="newer than this release"):
        await migrate.upgrade(empty, folder)


async def test_a_failing_file_leaves_nothing_behind(empty, tmp_path):
    folder = _folder(tmp_path, ("0001_expand_a.sql", "CREATE TABLE a (n int); SELECT 1/0;"))
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate.upgrade(empty, folder)
    assert (await migrate.status(empty, folder)).pending == ["0001_expand_a.sql"]


async def test_a_missing_number_is_refused(tmp_path):
    folder = _folder(tmp_path, ("0001_expand_a.sql", "SELECT 1"), ("0003_expand_c.sql", "SELECT 3"))
    with pytest.raises(migrate.SchemaProblem, match="0002 is missing"):
        migrate.read(folder)
