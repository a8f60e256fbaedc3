"""SQL of the tree: which rows are not in it yet, what it consists of, its anchors."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from onestop.audit.anchors import Anchor, written
from onestop.db import Connection, Db, columns, execute, many, one, value
from onestop.settings import SuiteName


class Head(msgspec.Struct, frozen=True):
    """How far a region's tree has grown."""

    size: int  # leaves of all trees
    upto: int
    base: int = 0  # where the present tree begins
    suite: SuiteName = "intl"  # of the present tree


class NewLeaf(msgspec.Struct, frozen=True):
    """A row that is not in the tree."""

    id: str
    xact: int
    leaf: bytes | None  # None: written before there were leaves


class EntryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of either table, whichever it is; `id` tells."""

    id: str
    at: datetime
    actor: str
    subject: str | None
    action: str | None  # of an act
    object: str | None
    trace_id: str | None
    content: str | None  # of a use, to the byte
    mandate: str | None = None  # under which the actor acted
    beneficiary: str | None = None  # who gains; None: the subject
    decoded: str | None  # detail of an act, uses of an old use: out of jsonb


class AnchorRow(msgspec.Struct, frozen=True):
    """One anchor as it was published."""

    number: int
    size: int
    at: datetime
    body: str
    base: int
    suite: SuiteName


class KeyRow(msgspec.Struct, frozen=True):
    """One key that signs anchors; its private half is sealed."""

    kid: str
    announced: int
    made_at: datetime
    sealed: bytes


INSERT_HEAD = """
    INSERT INTO audit_heads (region, suite) VALUES ($1, $2) ON CONFLICT DO NOTHING
"""

# Who finds it taken lets the other one do it.
SELECT_HEAD_FOR_UPDATE = """
    SELECT size, upto, base, suite FROM audit_heads WHERE region = $1 LIMIT 1 FOR UPDATE SKIP LOCKED
"""


async def hold_head(db: Connection, region: str, suite: SuiteName) -> Head | None:
    """Hold a region's head until the transaction ends; None where another sealer does. A new one is of that suite."""
    held = await one(db, Head, SELECT_HEAD_FOR_UPDATE, region)
    if held is None and await execute(db, INSERT_HEAD, region, suite):
        held = await one(db, Head, SELECT_HEAD_FOR_UPDATE, region)
    return held


SELECT_HEAD = """
    SELECT size, upto, base, suite FROM audit_heads WHERE region = $1 LIMIT 1
"""


async def head(db: Db, region: str) -> Head:
    """Return how far a region's tree has grown."""
    return await one(db, Head, SELECT_HEAD, region) or Head(0, 0)


# Every transaction before it is over: committed and seen by whatever statement comes next, or gone.
SELECT_HORIZON = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint
"""


async def horizon(db: Connection) -> int:
    """Return the oldest transaction that is not over."""
    return int(await value(db, SELECT_HORIZON))


SELECT_UNSEALED = """
    SELECT e.id, e.xact, e.leaf
      FROM (SELECT id, xact, leaf FROM audit_entries WHERE region = $1 AND xact >= $2
            UNION ALL
            SELECT id, xact, leaf FROM data_uses WHERE region = $1 AND xact >= $2) e
     WHERE NOT EXISTS (SELECT FROM audit_leaves l WHERE l.region = $1 AND l.id = e.id)
     ORDER BY e.xact, e.id
     LIMIT $3
"""


async def unsealed(db: Db, region: str, since: int, limit: int) -> list[NewLeaf]:
    """Return rows of transactions from `since` on that are not in the tree, oldest transaction first."""
    return await many(db, NewLeaf, SELECT_UNSEALED, region, since, limit)


SELECT_ENTRIES = """
    SELECT id, at, actor, subject, action, object, trace_id, NULL AS content, detail::text AS decoded, mandate,
           beneficiary
      FROM audit_entries WHERE region = $1 AND id = ANY($2::text[])
    UNION ALL
    SELECT id, at, actor, subject, NULL, object, trace_id, content, uses::text, mandate, beneficiary
      FROM data_uses WHERE region = $1 AND id = ANY($2::text[])
     LIMIT 100000
"""


async def entries(db: Db, region: str, ids: Sequence[str]) -> dict[str, EntryRow]:
    """Return rows of both tables by id."""
    return {row.id: row for row in await many(db, EntryRow, SELECT_ENTRIES, region, list(ids))}


INSERT_LEAVES = """
    INSERT INTO audit_leaves (region, position, id, leaf)
    SELECT $1, $2 + nth - 1, id, leaf
      FROM unnest($3::text[], $4::bytea[]) WITH ORDINALITY AS x(id, leaf, nth)
"""


async def insert_leaves(db: Connection, region: str, first: int, ids: Sequence[str], leaves: Sequence[bytes]) -> None:
    """Add leaves from a position on."""
    await execute(db, INSERT_LEAVES, region, first, list(ids), list(leaves))


INSERT_NODES = """
    INSERT INTO audit_nodes (region, base, level, nth, hash)
    SELECT $1, $2, * FROM unnest($3::smallint[], $4::bigint[], $5::bytea[])
"""


async def insert_nodes(db: Connection, region: str, base: int, nodes: Sequence[tuple[int, int, bytes]]) -> None:
    """Add complete parts of the tree that begins at `base`: level, which, hash."""
    if nodes:
        await execute(db, INSERT_NODES, region, base, *columns(nodes))


UPDATE_HEAD = """
    UPDATE audit_heads SET size = $2, upto = $3 WHERE region = $1
"""


async def move_head(db: Connection, region: str, size: int, upto: int) -> None:
    """Say how far the tree has grown."""
    await execute(db, UPDATE_HEAD, region, size, upto)


UPDATE_TREE = """
    UPDATE audit_heads SET base = size, suite = $2 WHERE region = $1
"""


async def begin_tree(db: Connection, region: str, suite: SuiteName) -> None:
    """Let a tree of that suite begin behind the leaves that are there."""
    await execute(db, UPDATE_TREE, region, suite)


SELECT_LEAVES = """
    SELECT position, leaf FROM audit_leaves
     WHERE region = $1 AND position >= $2 AND position < $3
     ORDER BY position LIMIT 100000
"""
SELECT_NODES = """
    SELECT nth, hash FROM audit_nodes
     WHERE region = $1 AND base = $2 AND level = $3 AND nth >= $4 AND nth < $5
     ORDER BY nth LIMIT 100000
"""


async def hashes(db: Db, region: str, base: int, level: int, first: int, end: int) -> dict[tuple[int, int], bytes]:
    """Return kept hashes of one level of the tree that begins at `base`, by level and place in it."""
    if level == 0:
        rows = await db.fetch(SELECT_LEAVES, region, base + first, base + end)
        return {(0, row[0] - base): row[1] for row in rows}
    return {(level, row[0]): row[1] for row in await db.fetch(SELECT_NODES, region, base, level, first, end)}


SELECT_POSITION = """
    SELECT position FROM audit_leaves WHERE region = $1 AND id = $2
"""


async def position(db: Db, region: str, id: str) -> int | None:
    """Return where an entry stands in the tree; None where it is not in it yet."""
    found: int | None = await value(db, SELECT_POSITION, region, id)
    return found


SELECT_PLACES = """
    SELECT position, id, leaf FROM audit_leaves
     WHERE region = $1 AND position >= $2
     ORDER BY position LIMIT $3
"""


async def places(db: Db, region: str, since: int, limit: int) -> list[tuple[int, str, bytes]]:
    """Return position, id and leaf of the tree's leaves in order."""
    return [(row[0], row[1], row[2]) for row in await db.fetch(SELECT_PLACES, region, since, limit)]


INSERT_ANCHOR = """
    INSERT INTO audit_anchors (region, number, size, at, body, base, suite) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def insert_anchor(db: Connection, region: str, anchor: Anchor, at: datetime) -> None:
    """Add an anchor."""
    told = (anchor.number, anchor.size, at, written(anchor), anchor.begins, anchor.by.name)
    await execute(db, INSERT_ANCHOR, region, *told)


SELECT_ANCHORS = """
    SELECT number, size, at, body, base, suite FROM audit_anchors
     WHERE region = $1 AND number > $2
     ORDER BY number LIMIT $3
"""


async def anchors(db: Db, region: str, after: int, limit: int) -> list[AnchorRow]:
    """Return anchors in order, after the one numbered so."""
    return await many(db, AnchorRow, SELECT_ANCHORS, region, after, limit)


SELECT_LAST_ANCHOR = """
    SELECT number, size, at, body, base, suite FROM audit_anchors WHERE region = $1 ORDER BY number DESC LIMIT 1
"""


async def last_anchor(db: Db, region: str) -> AnchorRow | None:
    """Return the newest anchor, or None."""
    return await one(db, AnchorRow, SELECT_LAST_ANCHOR, region)


SELECT_ANCHOR = """
    SELECT number, size, at, body, base, suite FROM audit_anchors WHERE region = $1 AND number = $2
"""


async def anchor(db: Db, region: str, number: int) -> AnchorRow | None:
    """Return one anchor, or None."""
    return await one(db, AnchorRow, SELECT_ANCHOR, region, number)


# The newest of the tree that the position is in.
SELECT_ANCHOR_OVER = """
    SELECT number, size, at, body, base, suite FROM audit_anchors
     WHERE region = $1 AND base = (SELECT max(base) FROM audit_anchors WHERE region = $1 AND base <= $2)
     ORDER BY number DESC LIMIT 1
"""


async def anchor_over(db: Db, region: str, position: int) -> AnchorRow | None:
    """Return the newest anchor over the tree of a position; it may not reach it yet. None before the first."""
    return await one(db, AnchorRow, SELECT_ANCHOR_OVER, region, position)


INSERT_ANCHOR_KEY = """
    INSERT INTO audit_keys (region, kid, announced, made_at, sealed) VALUES ($1, $2, $3, $4, $5)
"""


async def insert_anchor_key(
    db: Connection, region: str, kid: str, announced: int, made_at: datetime, sealed: bytes
) -> None:
    """Add a key that the anchor of that number announces; 0 where it is the first."""
    await execute(db, INSERT_ANCHOR_KEY, region, kid, announced, made_at, sealed)


SELECT_ANCHOR_KEYS = """
    SELECT kid, announced, made_at, sealed FROM audit_keys WHERE region = $1 ORDER BY announced, kid LIMIT 10000
"""


async def anchor_keys(db: Db, region: str) -> list[KeyRow]:
    """Return a region's keys, oldest first."""
    return await many(db, KeyRow, SELECT_ANCHOR_KEYS, region)


SELECT_ANNOUNCEMENTS = """
    SELECT a.number, a.size, a.at, a.body, a.base, a.suite
      FROM audit_keys k JOIN audit_anchors a ON a.region = k.region AND a.number = k.announced
     WHERE k.region = $1
     ORDER BY a.number LIMIT 10000
"""


async def announcements(db: Db, region: str) -> list[AnchorRow]:
    """Return the anchors that announce a key, oldest first."""
    return await many(db, AnchorRow, SELECT_ANNOUNCEMENTS, region)
