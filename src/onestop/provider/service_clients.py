"""The registry of clients: registered, listed, given another secret, revoked; and found at every endpoint.

A client is remembered for at most five seconds, so a revocation holds on every instance within that time.
"""

import secrets
from datetime import timedelta
from time import monotonic
from typing import Final

from onestop.audit import service as audit
from onestop.db import Connection, Db, Pool
from onestop.provider import rules, rules_clients
from onestop.provider import store_clients as store
from onestop.provider.errors import BadClient, ClientTaken, ClientUnknown
from onestop.provider.models import Client, ClientList, ClientMade, NewClient, NewSecret
from onestop.settings import Settings

_HOLD_S: Final = 5.0
_HOLD_COUNT: Final = 10_000


class Clients:
    """All clients of this installation, as one process sees them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._held: dict[str, tuple[float, Client]] = {}

    async def find(self, client_id: str) -> Client | None:
        """Return a client that may sign people in, at most five seconds old; None where there is none."""
        held = self._held.get(client_id)
        if held is not None and held[0] > monotonic():
            return held[1]
        self._held.pop(client_id, None)
        found = await store.client(self._pool, client_id) if len(client_id) <= 40 else None
        if found is not None:
            if len(self._held) >= _HOLD_COUNT:
                self._held.clear()
            self._held[client_id] = (monotonic() + _HOLD_S, found)
        return found


async def register(db: Connection, settings: Settings, new: NewClient, *, by: str) -> ClientMade:
    """Register a client; its secret, where it has one, is in the answer and nowhere else.

    Raises:
        BadClient: it cannot be registered so.
        ClientTaken: the id was used before.
    """
    sector = rules_clients.check_client(new, settings.profile)
    secret = secrets.token_urlsafe(32) if new.auth_method == "client_secret_basic" else None
    row = (
        new.id, new.department, new.name_zh, new.name_en, new.auth_method, list(new.redirect_uris),
        list(new.logout_uris), new.backchannel_logout, sector, list(new.purposes), new.level, new.binding, new.keys,
        new.tls_subject, None if secret is None else rules.hash_of(secret), by,
    )  # fmt: skip
    if not await store.insert_client(db, *row):
        raise ClientTaken(client=new.id)
    detail = {"department": new.department, "purposes": [purpose.code for purpose in new.purposes]}
    await audit.record(db, settings.region, actor=by, action="client.registered", object=new.id, detail=detail)
    return ClientMade(id=new.id, secret=secret)


async def listed(db: Db, *, after: str | None = None, limit: int = 50) -> ClientList:
    """Return clients in order of id, the revoked ones too; at most `limit` (200)."""
    size = max(1, min(limit, 200))
    rows = await store.clients(db, after, size + 1)
    more = len(rows) > size
    return ClientList(data=rows[:size], next_cursor=rows[size - 1].id if more else None, has_more=more)


async def rotate(db: Connection, settings: Settings, client_id: str, wish: NewSecret, *, by: str) -> ClientMade:
    """Give a client another secret; the one it has holds beside it for as long as told.

    Raises:
        ClientUnknown: there is none.
        BadClient: it proves itself by something else than a secret.
    """
    known = await store.client(db, client_id)
    if known is None:
        raise ClientUnknown(client=client_id)
    secret = secrets.token_urlsafe(32)
    until = await store.change_secret(db, client_id, rules.hash_of(secret), timedelta(hours=wish.overlap_h))
    if until is None:
        raise BadClient("no_secret")
    await audit.record(db, settings.region, actor=by, action="client.secret_changed", object=client_id)
    return ClientMade(id=client_id, secret=secret, old_secret_until=until)


async def revoke(db: Connection, settings: Settings, client_id: str, *, by: str) -> None:
    """End a client for good: nobody is signed in for it any more, and none of its tokens holds, within five seconds.

    Raises:
        ClientUnknown: there is none, or it was revoked before.
    """
    if not await store.revoke_client(db, client_id):
        raise ClientUnknown(client=client_id)
    await audit.record(db, settings.region, actor=by, action="client.revoked", object=client_id)
