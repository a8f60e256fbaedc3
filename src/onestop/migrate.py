"""Numbered plain SQL files, each applied once, in order, in a transaction of its own, by one starter at a time."""

import hashlib
import re
from pathlib import Path

import asyncpg
import msgspec

from onestop.errors import Internal
from onestop.resources import shipped

_LOCK = 0x6F6E6573746F70  # "onestop"
_NAME = re.compile(r"(\d{4})_(expand|contract)_[a-z0-9_]+\.sql")
_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        number     integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


class SchemaProblem(Internal):
    """The database and the migrations of this release do not fit together; the sentence says how."""

    code = "schema.problem"


class Migration(msgspec.Struct, frozen=True):
    """One file."""

    number: int
    name: str
    checksum: str  # SHA-256 of the text with LF line ends
    sql: str


class Status(msgspec.Struct, frozen=True):
    """Where a database stands."""

    applied: list[str]
    pending: list[str]


def read(folder: Path | None = None) -> list[Migration]:
    """Return the migrations of this release in order.

    Raises:
        SchemaProblem: a file is misnamed, or a number is missing or used twice.
    """
    found = []
    for path in sorted((folder or shipped("migrations")).glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise SchemaProblem(f"{path.name} is not named NNNN_expand_….sql or NNNN_contract_….sql")
        sql = path.read_text("utf-8").replace("\r\n", "\n")
        found.append(Migration(int(match[1]), path.name, hashlib.sha256(sql.encode()).hexdigest(), sql))
    for expected, migration in enumerate(found, 1):
        if migration.number != expected:
            raise SchemaProblem(f"migration {expected:04d} is missing or doubled (found {migration.name})")
    return found


async def _applied(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[int, tuple[str, str]]:
    await connection.execute(_TABLE)
    rows = await connection.fetch("SELECT number, name, checksum FROM schema_migrations ORDER BY number LIMIT 10000")
    return {row["number"]: (row["name"], row["checksum"]) for row in rows}


def _pending(files: list[Migration], applied: dict[int, tuple[str, str]]) -> list[Migration]:
    known = {file.number: file for file in files}
    for number, (name, checksum) in applied.items():
        file = known.get(number)
        if file is None:
            newest = files[-1].name if files else "none"
            raise SchemaProblem(
                f"the database is newer than this release: it has {name}, this release ends at {newest}; "
                "run a release that knows it"
            )
        if file.checksum != checksum:
            raise SchemaProblem(
                f"{name} changed after it was applied (recorded {checksum[:12]}, file {file.checksum[:12]}); "
                "put the file back and write a new migration"
            )
    return [file for file in files if file.number not in applied]


async def upgrade(dsn: str, folder: Path | None = None) -> list[str]:
    """Apply what is pending and return its names; several starters may call it at once.

    Raises:
        SchemaProblem: the database is newer than this release, or an applied file was changed.
    """
    files = read(folder)
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "onestop migrate"})
    try:
        # A session lock: the second starter waits here and then finds nothing pending.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        done = []
        for migration in _pending(files, await _applied(connection)):
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '5s'")
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.checksum,
                )
            done.append(migration.name)
        return done
    finally:
        await connection.close()


async def status(dsn: str, folder: Path | None = None) -> Status:
    """Tell what is applied and what is pending; changes nothing but the bookkeeping table.

    Raises:
        SchemaProblem: as `upgrade`.
    """
    files = read(folder)
    connection = await asyncpg.connect(dsn)
    try:
        applied = await _applied(connection)
        return Status([name for name, _ in applied.values()], [m.name for m in _pending(files, applied)])
    finally:
        await connection.close()
