"""Controllers of the audit: what anybody may keep so that nothing of it can be changed unseen.

They are handed `pool`, `settings` and `keys` by name.
"""

from typing import Any

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from onestop.audit import store_tree
from onestop.audit.anchor_keys import KeyRing
from onestop.audit.anchors import Anchor
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.settings import Settings

_MOST = 1_000
_anchor_in = msgspec.json.Decoder(Anchor)


class Anchors(msgspec.Struct, frozen=True, kw_only=True):
    """Signed anchors in order, oldest first."""

    data: list[Anchor]
    next_after: int | None  # the number to ask on with; None where these are the newest


class AuditController(Controller):
    """The ledger's anchors and the keys they are signed with."""

    path = "/v1/audit"
    tags = ("audit",)

    @get("/anchors", operation_id="listAnchors", opt={"public": True})
    async def anchors(
        self,
        pool: NamedDependency[Pool],
        settings: NamedDependency[Settings],
        after: FromQuery[int] = 0,
        limit: FromQuery[int] = 100,
    ) -> Response[Anchors]:
        """What the ledger was once a minute, signed: whoever keeps these can tell that it was changed since.

        They hold sizes, times and hashes, nothing of anybody.
        """
        most = max(1, min(limit, _MOST))
        rows = await store_tree.anchors(pool, settings.region, max(0, min(after, 2**62)), most + 1)
        found = [_anchor_in.decode(row.body) for row in rows[:most]]
        told = Anchors(data=found, next_after=found[-1].number if len(rows) > most else None)
        return Response(told, headers={"cache-control": "public, max-age=30"})

    @get("/keys", operation_id="getAnchorKeys", opt={"public": True})
    async def keys(
        self, pool: NamedDependency[Pool], settings: NamedDependency[Settings], keys: NamedDependency[Keys]
    ) -> Response[dict[str, Any]]:
        """The public keys (JWK set, Ed25519 or SM2) that anchors are signed with, oldest first; keep your own copy.

        A key is here an hour before it signs, and an anchor that the key before it signed announces it.
        """
        ring = await KeyRing.load(pool, keys, settings.region)
        return Response(ring.jwks(), headers={"cache-control": "public, max-age=300"})


CONTROLLERS = [AuditController]
