"""Explanations by link: for people without an account here, for a day. Only the token's hash is kept."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

import msgspec

from onestop import clock
from onestop.crypto import Keys
from onestop.db import Connection, Db, Pool
from onestop.gateway import store_shares
from onestop.gateway.errors import NoSuchShare
from onestop.gateway.explain import Viewer
from onestop.gateway.store_shares import ShareRow
from onestop.http import idempotency
from onestop.http.idempotency import Keyed, Reply
from onestop.identity.models import Session
from onestop.ids import new_id

LIFE: Final = timedelta(hours=24)
_TOKEN_BYTES: Final = 24


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A link to an explanation, as whoever made it sees it afterwards."""

    id: str
    trace_id: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class NewShare(msgspec.Struct, frozen=True, kw_only=True):
    """A link that was just made; its address is told this once."""

    id: str
    trace_id: str
    href: str
    expires_at: datetime


class Shares(msgspec.Struct, frozen=True):
    """The newest links to one explanation; at most 50."""

    data: list[Share]


async def make(
    pool: Pool, keys: Keys, keyed: Keyed, trace_id: str, session: Session, viewer: Viewer, public_url: str
) -> Reply:
    """Make a link that shows what its maker sees; whether there is anything to see the caller has looked."""

    async def write(db: Connection) -> Reply:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        made = NewShare(
            id=new_id("shr"),
            trace_id=trace_id,
            href=f"{public_url.rstrip('/')}/explain/shared/{token}",
            expires_at=clock.real_now() + LIFE,
        )
        await store_shares.insert_share(
            db, keyed.region, made.id, _hash(token), trace_id, session.principal, session.subject_id,
            viewer.principal, viewer.department, made.expires_at,
        )  # fmt: skip
        return Reply(status=201, body=msgspec.json.encode(made), made_id=made.id)

    return await idempotency.once(pool, keys, keyed, write)


async def opened(db: Db, region: str, token: str) -> tuple[ShareRow, Viewer]:
    """Return which trace a link shows, and as whom.

    Raises:
        NoSuchShare: it is over, was revoked, or never was.
    """
    row = await store_shares.live_share(db, region, _hash(token))
    if row is None:
        raise NoSuchShare
    # The request to copy is for whom it was there: operators, who see everybody's, and departments.
    curl = row.principal is None or row.department is not None
    return row, Viewer(principal=row.principal, department=row.department, curl=curl)


async def listed(db: Db, region: str, trace_id: str, made_by: str | None) -> Shares:
    """Return the links to an explanation that were made by this principal; None: by anybody."""
    rows = await store_shares.shares(db, region, trace_id, made_by)
    return Shares(
        [
            Share(
                id=row.id,
                trace_id=row.trace_id,
                created_at=row.created_at,
                expires_at=row.expires_at,
                revoked_at=row.revoked_at,
            )
            for row in rows
        ]
    )


async def revoke(db: Db, region: str, trace_id: str, id_: str, made_by: str | None) -> None:
    """End a link at once.

    Raises:
        NoSuchShare: no live link of that id was made by this principal.
    """
    if not await store_shares.revoke_share(db, region, trace_id, id_, made_by):
        raise NoSuchShare


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
