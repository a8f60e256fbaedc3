"""The proof of one entry: the way from its leaf to a signed root, to be checked without onestop."""

import msgspec

from onestop.audit import canonical, store, store_tree
from onestop.audit.anchors import Anchor
from onestop.audit.errors import DataUseUnknown, NotAnchored
from onestop.audit.sealer import ANCHOR_EVERY_S, canonical_entry, newest, tree_of
from onestop.db import Pool


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier takes; docs/audit.md tells the bytes."""

    entry: str  # JSON, to the byte as it was hashed
    time_us: int  # microseconds since 1970 in UTC
    position: int  # in the tree, from zero
    path: list[str]  # hex; the leaf's neighbour first
    anchor: Anchor  # the newest


async def own_proof(pool: Pool, region: str, subject: str, id: str) -> Proof:
    """Return the proof of one of a person's own entries, under the newest anchor.

    Raises:
        DataUseUnknown: no entry of this person's.
        NotAnchored: no anchor is over it yet; within a minute or two one is.
    """
    if await store.own_data_use(pool, region, subject, id) is None:
        raise DataUseUnknown(id)
    position = await store_tree.position(pool, region, id)
    anchor = await newest(pool, region)
    if position is None or anchor is None or anchor.size <= position:
        raise NotAnchored(retry_after_s=ANCHOR_EVERY_S)
    row = (await store_tree.entries(pool, region, [id]))[id]
    tree = await tree_of(pool, region, anchor.size, position)
    return Proof(
        entry=canonical_entry(region, row).decode(),
        time_us=canonical.microseconds(row.at),
        position=position,
        path=[one.hex() for one in tree.path(position)],
        anchor=anchor,
    )
