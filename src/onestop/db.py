"""The door to PostgreSQL: one pool, rows as structs."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:  # the classes take no type arguments when they run
    Connection = asyncpg.Connection | PoolConnectionProxy
    Pool = asyncpg.Pool
Db: TypeAlias = Connection | Pool
T = TypeVar("T")

_BUILTIN = (bytes, datetime, date, Decimal, UUID)
_json_out = msgspec.json.Encoder()


def _encode_json(value: Any) -> str:
    return _json_out.encode(value).decode()


class _Connection(asyncpg.Connection):
    """A connection that is given back as it is: onestop never changes a session's state outside a transaction.

    asyncpg's own reset is a statement of its own at every giving back, a second round trip for a small read. An open
    transaction is still rolled back.
    """

    __slots__ = ()

    def get_reset_query(self) -> str:
        """Return nothing to run."""
        return ""


async def _prepare(connection: Any) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=_encode_json, decoder=msgspec.json.decode)


async def open_pool(dsn: str, *, size: int = 16, name: str = "onestop") -> Pool:
    """Open a pool of at most `size` connections; jsonb goes in and comes out as Python objects."""
    pool = await asyncpg.create_pool(
        dsn,
        min_size=min(2, size),
        max_size=size,
        init=_prepare,
        connection_class=_Connection,
        command_timeout=30,
        server_settings={
            "application_name": name,
            "timezone": "UTC",
            "statement_timeout": "30000",
            # An abandoned transaction must not hold rows or old snapshots back.
            "idle_in_transaction_session_timeout": "15000",
        },
    )
    return pool


def as_struct(kind: type[T], row: "asyncpg.Record") -> T:
    """Return one row as a struct; column names are field names."""
    return msgspec.convert(dict(row), kind, builtin_types=_BUILTIN)


async def one(db: Db, kind: type[T], sql: str, *args: object) -> T | None:
    """Run a statement and return its first row, or None where there is none."""
    row = await db.fetchrow(sql, *args)
    return None if row is None else as_struct(kind, row)


async def many(db: Db, kind: type[T], sql: str, *args: object) -> list[T]:
    """Run a statement and return all its rows in order."""
    return [as_struct(kind, row) for row in await db.fetch(sql, *args)]


async def value(db: Db, sql: str, *args: object) -> Any:
    """Run a statement and return the first column of its first row, or None."""
    return await db.fetchval(sql, *args)


async def execute(db: Db, sql: str, *args: object) -> int:
    """Run a statement and return how many rows it touched."""
    tag: str = await db.execute(sql, *args)
    last = tag.rsplit(" ", 1)[-1]
    return int(last) if last.isdigit() else 0


def columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    """Turn rows into columns, for statements that take their rows by `unnest`."""
    return [list(column) for column in zip(*rows, strict=True)]
