"""Three questions about this process: does it live, may it be sent requests, and how is everything."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal

import asyncpg
import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from onestop import migrate
from onestop.db import Pool
from onestop.http import store
from onestop.http.errors import DatabaseGone
from onestop.rounds import failing

_PATIENCE_S: Final = 1.0
_HIDDEN: Final = {"public": True, "health": True}


class LineHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one department's line is; no more than a person at the next office may know."""

    department: str
    operation: str
    state: str  # "ok", or what ails it: the state of its breaker, or stopped by an operator
    note: str | None = None


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The database answers, and its schema is this release's."""

    status: Literal["ready"] = "ready"
    schema_version: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Everything: `degraded` names each part that is not well."""

    status: Literal["ok", "degraded"]
    database: Literal["ok", "down"]
    schema_version: int | None
    degraded: list[str]
    lines: list[LineHealth]


Lines = Callable[[], Awaitable[Sequence[LineHealth]]]


async def tell_rounds(pool: Pool, worker: str) -> None:
    """Write what this process fails at again and again, for every gateway's `/healthz`."""
    await store.tell_failing_rounds(pool, worker, failing())


def routes(pool: Pool, lines: Lines | None = None, newest: int | None = None) -> list[HTTPRouteHandler]:
    """Return the handlers; `newest` is the migration this release ends at, read from its files if not given."""
    wanted = migrate.read()[-1].number if newest is None else newest

    async def version() -> int:
        """Raises: DatabaseGone, where it does not answer within a second or has an older schema."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                found = await store.schema_version(pool)
        except Exception as cause:  # whatever ails it, it is not ready
            raise DatabaseGone("the database does not answer", retry_after_s=5.0) from cause
        if found is None or found < wanted:
            raise DatabaseGone(f"schema {found}, this release wants {wanted}", retry_after_s=5.0)
        return found

    @get("/livez", opt=_HIDDEN, operation_id="livez", tags=["health"])
    async def livez() -> Alive:
        """Tell that the process answers; asks nobody."""
        return Alive()

    @get("/readyz", opt=_HIDDEN, operation_id="readyz", tags=["health"])
    async def readyz() -> Ready:
        """Tell whether requests may be sent here: the database answers with this release's schema."""
        return Ready(schema_version=await version())

    @get("/healthz", opt=_HIDDEN, operation_id="healthz", tags=["health"])
    async def healthz() -> Response[Health]:
        """Tell how the database, the workers and every department's line are; 200 also when something is degraded.

        `worker/<work>` is what a worker has failed at three times in a row or more.
        """
        rounds: list[str] = []
        try:
            found: int | None = await version()
            async with asyncio.timeout(_PATIENCE_S):
                rounds = await store.failing_rounds(pool)
        except DatabaseGone:
            found = None
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            rounds = ["?"]  # it answered just now: whether workers do well cannot be told
        told = list(await lines()) if lines is not None else []
        unwell = [f"{line.department}/{line.operation}" for line in told if line.state != "ok"]
        degraded = ([] if found is not None else ["database"]) + [f"worker/{name}" for name in rounds] + unwell
        health = Health(
            status="degraded" if degraded else "ok",
            database="ok" if found is not None else "down",
            schema_version=found,
            degraded=degraded,
            lines=told,
        )
        return Response(health)

    handlers: list[Any] = [livez, readyz, healthz]
    return handlers
