"""Controller of the registry of clients, for operators; handed `pool`, `keys`, `settings` and `session` by name."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.http.idempotency import Keyed, Reply, once
from onestop.http.pages import next_page
from onestop.identity.models import Session
from onestop.provider import service_clients as clients
from onestop.provider.models import ClientList, ClientMade, NewClient, NewSecret
from onestop.settings import Settings

_CHANGES: dict[str, Any] = {"idempotent": True}


class ClientController(Controller):
    """Sites and front ends that sign people in at onestop."""

    path = "/v1/clients"
    tags = ("provider",)
    opt = {"roles": ("operator",)}  # noqa: RUF012 - litestar's name and type

    @get("/", operation_id="listClients")
    async def listed(
        self, pool: NamedDependency[Pool], cursor: FromQuery[str | None] = None, limit: FromQuery[int] = 50
    ) -> Response[ClientList]:
        """Every client in order of id, the revoked ones too; never a secret."""
        found = await clients.listed(pool, after=cursor, limit=limit)
        return Response(found, headers=next_page("/v1/clients", found.next_cursor, limit))

    @post("/", operation_id="registerClient", opt={**_CHANGES, "returns": ClientMade, "refusals": (409,)})
    async def register(
        self,
        pool: NamedDependency[Pool],
        keys: NamedDependency[Keys],
        settings: NamedDependency[Settings],
        session: NamedDependency[Session],
        keyed: NamedDependency[Keyed],
        data: JSONBody[NewClient],
    ) -> Response[bytes]:
        """Register a client; its secret is shown in this answer only."""
        return await _once(
            pool, keys, keyed, lambda db: clients.register(db, settings, data, by=session.actor_id), 201
        )  # fmt: skip

    @post("/{client:str}/secrets", operation_id="changeClientSecret", opt={**_CHANGES, "returns": ClientMade})
    async def rotate(
        self,
        pool: NamedDependency[Pool],
        keys: NamedDependency[Keys],
        settings: NamedDependency[Settings],
        session: NamedDependency[Session],
        keyed: NamedDependency[Keyed],
        client: FromPath[str],
        data: JSONBody[NewSecret],
    ) -> Response[bytes]:
        """Give a client another secret; the one it has holds beside it for `overlap_h` hours."""
        return await _once(
            pool, keys, keyed, lambda db: clients.rotate(db, settings, client, data, by=session.actor_id), 201
        )  # fmt: skip

    @delete("/{client:str}", operation_id="revokeClient", opt={"refusals": (404,)})
    async def revoke(
        self,
        pool: NamedDependency[Pool],
        settings: NamedDependency[Settings],
        session: NamedDependency[Session],
        client: FromPath[str],
    ) -> None:
        """End a client for good; none of its tokens holds any more, within five seconds."""
        async with pool.acquire() as db, db.transaction():
            await clients.revoke(db, settings, client, by=session.actor_id)


async def _once(
    pool: Pool, keys: Keys, keyed: Keyed, verb: Callable[[Connection], Awaitable[Any]], status: int
) -> Response[bytes]:
    async def write(db: Connection) -> Reply:
        return Reply(status=status, body=msgspec.json.encode(await verb(db)), headers={})

    return (await once(pool, keys, keyed, write)).response()


CONTROLLERS = [ClientController]
