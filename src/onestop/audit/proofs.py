"""The proof of one entry: the way from its leaf to a signed root, to be checked without onestop."""

import msgspec

from onestop.audit import canonical, store, store_tree
from onestop.audit.anchors import Anchor
from onestop.audit.errors import DataUseUnknown, NotAnchored
from onestop.audit.sealer import ANCHOR_EVERY_S, canonical_entry, tree_of
from onestop.db import Pool

_anchor_in = msgspec.json.Decoder(Anchor)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier takes; docs/audit.md tells the bytes."""

    entry: str  # JSON, to the byte as it was hashed
    time_us: int  # microseconds since 1970 in UTC
    position: int  # among all leaves, from zero; the anchor's tree begins at its `base`
    path: list[str]  # hex; the leaf's neighbour first
    anchor: Anchor  # the newest over this tree
    keys: list[Anchor]  # anchors that announce a key, oldest first: from a key one knows to the one that signed


async def own_proof(pool: Pool, region: str, subject: str, id: str) -> Proof:
    """Return the proof of one of a person's own entries, under the newest anchor.

    Raises:
        DataUseUnknown: no entry of this person's.
        NotAnchored: no anchor is over it yet; within a minute or two one is.
    """
    if await store.own_data_use(pool, region, subject, id) is None:
        raise DataUseUnknown(id)
    position = await store_tree.position(pool, region, id)
    over = None if position is None else await store_tree.anchor_over(pool, region, position)
    if position is None or over is None or over.size <= position:
        raise NotAnchored(retry_after_s=ANCHOR_EVERY_S)
    anchor = _anchor_in.decode(over.body)
    announced = [_anchor_in.decode(one.body) for one in await store_tree.announcements(pool, region)]
    row = (await store_tree.entries(pool, region, [id]))[id]
    base = anchor.begins
    tree = await tree_of(pool, region, base, anchor.size, anchor.by, position - base)
    return Proof(
        entry=canonical_entry(region, row).decode(),
        time_us=canonical.microseconds(row.at),
        position=position,
        path=[one.hex() for one in tree.path(position - base)],
        anchor=anchor,
        keys=[one for one in announced if one.number < anchor.number],
    )
