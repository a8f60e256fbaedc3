"""Safe repetition: a key commits together with what it made, and brings the same answer back.

A verb that writes in one transaction does: `find` first; inside its transaction `record` last, and on False roll back
and `find` again. `once` does exactly that. The gate refuses a key that is under way in this process; between processes
the unique index makes the second wait for the first.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from litestar import Request, Response

from onestop.crypto import Keys
from onestop.db import Connection, Db, Pool
from onestop.errors import Internal
from onestop.http import store
from onestop.http.errors import KeyMalformed, KeyMissing, KeyReused
from onestop.http.models import Context

_BARE: Final = re.compile(rb'(?!")[\x21-\x7e]{1,128}')
_QUOTED: Final = re.compile(rb'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,128})"')
REPLAYED: Final = "idempotent-replay"


class Keyed(msgspec.Struct, frozen=True, kw_only=True):
    """One keyed request: whose, where, which key, with what body."""

    region: str
    principal: str
    route: str  # method and path
    key: str
    body_hash: bytes  # SHA-256 of the body as it came

    @property
    def context(self) -> str:
        """Return what the stored reply is sealed for."""
        return "\0".join(("idempotency_keys.reply", self.principal, self.route, self.key))


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it was or will be sent."""

    status: int
    body: bytes  # JSON
    made_id: str | None = None  # the thing the request made
    headers: dict[str, str] = {}
    replayed: bool = False

    def response(self) -> Response[bytes]:
        """Return the answer for Litestar, marked where it is a replay."""
        headers = self.headers | ({REPLAYED: "true"} if self.replayed else {})
        return Response(self.body, status_code=self.status, media_type="application/json", headers=headers)


def key_of(header: bytes | None) -> str:
    """Return the key in an Idempotency-Key header, bare or as a quoted string.

    Raises:
        KeyMissing: there is no header.
        KeyMalformed: not 1 to 128 visible ASCII characters.
    """
    if header is None or not header.strip():
        raise KeyMissing
    if _BARE.fullmatch(header):
        return header.decode("ascii")
    quoted = _QUOTED.fullmatch(header)
    if quoted is None:
        raise KeyMalformed
    return re.sub(rb"\\(.)", rb"\1", quoted[1]).decode("ascii")


def route_of(method: str, path: str) -> str:
    """Return the route a key belongs to: the same key on two cases is two keys."""
    return f"{method} {path}"


def keyed_of(region: str, context: Context, method: str, body: bytes) -> Keyed:
    """Return the keyed request that a route with `opt={"idempotent": True}` received.

    Raises:
        KeyMissing, KeyMalformed: as `key_of`.
    """
    return Keyed(
        region=region,
        principal=context.principal,
        route=route_of(method, context.path),
        key=key_of(context.headers.get(b"idempotency-key")),
        body_hash=hashlib.sha256(body).digest(),
    )


def provide_keyed(region: str) -> Callable[..., Awaitable[Keyed]]:
    """Return the provider of the dependency `keyed`."""

    async def keyed(request: Request[Any, Any, Any]) -> Keyed:
        scope: Any = request.scope
        return keyed_of(region, scope["state"]["context"], scope["method"], await request.body())

    return keyed


async def find(db: Db, keys: Keys, keyed: Keyed) -> Reply | None:
    """Return the answer already given under the key; None where it is new.

    Raises:
        KeyReused: the key came before with another body.
    """
    row = await store.key_row(db, keyed.region, keyed.principal, keyed.route, keyed.key)
    if row is None:
        return None
    if row.body_hash != keyed.body_hash:
        raise KeyReused
    return Reply(
        status=row.status,
        body=keys.unseal(row.reply, keyed.context),
        made_id=row.made_id,
        headers=row.headers,
        replayed=True,
    )


async def record(db: Db, keys: Keys, keyed: Keyed, reply: Reply) -> bool:
    """Keep the answer inside the caller's transaction; False where somebody was first, and the caller rolls back."""
    sealed = seal(keys, keyed, reply)
    return await store.insert_key(
        db,
        keyed.region,
        keyed.principal,
        keyed.route,
        keyed.key,
        keyed.body_hash,
        reply.status,
        sealed,
        reply.headers,
        reply.made_id,
    )


def seal(keys: Keys, keyed: Keyed, reply: Reply) -> bytes:
    """Return the reply's body as it is stored, for verbs that write the row in a statement of their own."""
    return keys.seal(reply.body, keyed.context)


class _Second(Exception):
    """Somebody committed under the same key while this one worked."""


async def once(pool: Pool, keys: Keys, keyed: Keyed, write: Callable[[Connection], Awaitable[Reply]]) -> Reply:
    """Answer under a key: the kept answer, or that of `write`, run in one transaction with the key.

    Raises:
        KeyReused: the key came before with another body.
    """
    kept = await find(pool, keys, keyed)
    if kept is not None:
        return kept
    try:
        async with pool.acquire() as db, db.transaction():
            reply = await write(db)
            if not await record(db, keys, keyed, reply):
                raise _Second
            return reply
    except _Second:
        kept = await find(pool, keys, keyed)
        if kept is None:
            raise Internal("the key was there and is gone") from None
        return kept
