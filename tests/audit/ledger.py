"""A small ledger that was sealed in several steps, and what a database owner may do to it."""

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from onestop.audit import anchor_keys, canonical, export, sealer, service, store_tree
from onestop.audit.anchor_keys import Ed25519Key, KeyRing
from onestop.audit.models import Use
from onestop.audit.sealer import Sealer
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.rootkeys import FIRST, RootFolder
from onestop.suites import SUITES
from onestop_verify import Report, Verifier, read_anchors, read_keys

R = "990100"
USE = Use(adapter="gongan", basis="法", fields=("name",), operation="ask", outcome="read", purpose="办事", version="1")
TABLES = "audit_entries, data_uses, audit_heads, audit_leaves, audit_nodes, audit_anchors, audit_keys"
Tamper = Callable[[Any, random.Random], Awaitable[None]]


def signer(root: bytes) -> Ed25519Key:
    """Return the first key of an installation with that root key."""
    folder = RootFolder(Path("none"))
    folder.roots[FIRST] = root
    return anchor_keys.derived_key(Keys(folder))


def jwks(*keys: anchor_keys.AnchorKey) -> dict[str, Any]:
    return {"keys": [msgspec.to_builtins(key.public) for key in keys]}


async def write(db: Any, count: int, by: str = "a") -> None:
    for nth in range(count):
        uses = [service.use_entry(USE)] if nth % 2 else []
        await service.record(db, R, actor=by, action=f"case.{nth}", subject="sub_s", detail={"n": nth}, uses=uses)


async def fill(pool: Pool, works: Sealer) -> None:
    """Write four times, each with an anchor: 24, 48, 72 and 96 leaves; then twelve entries that are not sealed."""
    await pool.execute(f"TRUNCATE {TABLES}")
    for by in "abcd":
        await write(pool, 16, by)
        await works.seal()
        await works.anchor(every_s=0)
    await write(pool, 8, "e")


async def verified(db: Any, works: Sealer, kept: bool = True, **rest: Any) -> Report:
    """Export what a connection sees and have it verified with the file outside of the database."""
    text = "".join([portion async for portion in export.lines(db, R)])
    anchors = read_anchors(works._witness.path.read_text().splitlines()) if kept else []
    lines = text.encode().splitlines(keepends=True)
    keys = await KeyRing.load(db, works._keys, R)
    return Verifier(read_keys(keys.jwks()), anchors, **rest).run(lines)


# ---- what a database owner may do; each is one tampering with whatever the dice say


async def _some(db: Any, dice: random.Random, sql: str) -> Any:
    return dice.choice(await db.fetch(sql))


async def _sealed(db: Any, dice: random.Random) -> Any:
    return await _some(db, dice, "SELECT position, id, leaf FROM audit_leaves ORDER BY position LIMIT 96")


def _table(id_: str) -> str:
    return "audit_entries" if id_.startswith("aud_") else "data_uses"


async def change(db: Any, dice: random.Random) -> None:
    """Another value in any column of a sealed row."""
    id_ = (await _sealed(db, dice))["id"]
    own = (
        ("action = action || '!'", "detail = '{\"n\": 99}'")
        if id_.startswith("aud_")
        else ("content = content || ' '",)
    )
    shared = ("actor = 'nobody'", "subject = 'sub_t'", "object = 'case_x'", "trace_id = 't'")
    shift = f"at = at + interval '{dice.randint(1, 10**6)} microseconds'"
    await db.execute(f"UPDATE {_table(id_)} SET {dice.choice((*own, *shared, shift))} WHERE id = $1", id_)


async def change_and_hash(db: Any, dice: random.Random) -> None:
    """The same, with every hash of the tree worked out anew: only the signatures are missing."""
    await change(db, dice)
    await rehash(db)


async def delete(db: Any, dice: random.Random) -> None:
    """A row gone, its leaf left."""
    id_ = (await _sealed(db, dice))["id"]
    await db.execute(f"DELETE FROM {_table(id_)} WHERE id = $1", id_)


async def delete_with_leaf(db: Any, dice: random.Random) -> None:
    """A row gone with its leaf."""
    one = await _sealed(db, dice)
    await db.execute(f"DELETE FROM {_table(one['id'])} WHERE id = $1", one["id"])
    await db.execute("DELETE FROM audit_leaves WHERE position = $1", one["position"])


async def delete_and_close(db: Any, dice: random.Random) -> None:
    """A row gone with its leaf, the rest moved up, every hash worked out anew."""
    one = await _sealed(db, dice)
    await db.execute(f"DELETE FROM {_table(one['id'])} WHERE id = $1", one["id"])
    await db.execute("DELETE FROM audit_leaves WHERE position = $1", one["position"])
    await _shift(db, one["position"], -1)
    await rehash(db)


async def insert_old(db: Any, dice: random.Random) -> None:
    """A row that pretends to be old."""
    await service.record(db, R, actor="forger", action="case.decided", subject="sub_s")
    await db.execute("UPDATE audit_entries SET at = at - interval '1 hour', xact = 3 WHERE actor = 'forger'")


async def insert_sealed(db: Any, dice: random.Random) -> None:
    """A row that pretends to be sealed: the rest moved down, every hash worked out anew."""
    await service.record(db, R, actor="forger", action="case.decided", subject="sub_s")
    id_ = await db.fetchval("SELECT id FROM audit_entries WHERE actor = 'forger'")
    place = dice.randrange(96)
    await _shift(db, place, 1)
    await store_tree.insert_leaves(db, R, place, [id_], [b"\0" * 32])
    await rehash(db)


async def reorder(db: Any, dice: random.Random) -> None:
    """Two leaves in each other's place."""
    one, two = dice.sample(range(96), 2)
    await db.execute("UPDATE audit_leaves SET position = -1 WHERE position = $1", one)
    await db.execute("UPDATE audit_leaves SET position = $1 WHERE position = $2", one, two)
    await db.execute("UPDATE audit_leaves SET position = $1 WHERE position = -1", two)


async def truncate(db: Any, dice: random.Random) -> None:
    """The tail of the tree gone, the anchors left."""
    await _cut(db, dice.randint(72, 95))


async def roll_back(db: Any, dice: random.Random) -> None:
    """As an older backup would be: tail and anchors gone."""
    left = dice.randint(1, 3)
    await db.execute("DELETE FROM audit_anchors WHERE number > $1", left)
    await _cut(db, left * 24)


async def fork(db: Any, dice: random.Random) -> None:
    """Rolled back, and gone on with other entries and anchors that are genuinely signed."""
    await roll_back(db, dice)
    await write(db, 8, "other")
    await db.execute("UPDATE audit_heads SET size = (SELECT count(*) FROM audit_leaves)")
    await FORGER.go_on(db)


async def anchor(db: Any, dice: random.Random) -> None:
    """Any member of an anchor changed, its signature with it."""
    what = dice.choice(("size", "root", "at", "previous", "region", "signature", "kid"))
    number = dice.randint(1, 4)
    value = (
        "to_jsonb((body::jsonb ->> 'size')::int - 1)"
        if what == "size"
        else f"to_jsonb('0' || (body::jsonb ->> '{what}'))"
    )
    await db.execute(
        f"UPDATE audit_anchors SET body = jsonb_set(body::jsonb, '{{{what}}}', {value})::text WHERE number = $1", number
    )


async def drop_anchor(db: Any, dice: random.Random) -> None:
    """One anchor gone."""
    await db.execute("DELETE FROM audit_anchors WHERE number = $1", dice.randint(1, 4))


TAMPERINGS: dict[str, tuple[Tamper, set[str]]] = {
    "change": (change, {"changed"}),
    "change_and_hash": (change_and_hash, {"root"}),
    "delete": (delete, {"deleted"}),
    "delete_with_leaf": (delete_with_leaf, {"deleted", "truncated"}),
    "delete_and_close": (delete_and_close, {"root", "truncated"}),
    "insert_old": (insert_old, {"inserted"}),
    "insert_sealed": (insert_sealed, {"root"}),
    "reorder": (reorder, {"root"}),
    "truncate": (truncate, {"truncated"}),
    "roll_back": (roll_back, {"rolled_back"}),
    "fork": (fork, {"forked", "rolled_back"}),
    "anchor": (anchor, {"signature"}),
    "drop_anchor": (drop_anchor, {"chain", "rolled_back"}),
}


async def _shift(db: Any, since: int, by: int) -> None:
    # By way of numbers that nobody has: the key is looked at row by row.
    await db.execute("UPDATE audit_leaves SET position = -position - 1000 WHERE position >= $1", since)
    await db.execute("UPDATE audit_leaves SET position = -(position + 1000) + $1 WHERE position < 0", by)


async def _cut(db: Any, size: int) -> None:
    rows = await db.fetch("DELETE FROM audit_leaves WHERE position >= $1 RETURNING id", size)
    ids = [row["id"] for row in rows]
    await db.execute("DELETE FROM audit_entries WHERE id = ANY($1::text[])", ids)
    await db.execute("DELETE FROM data_uses WHERE id = ANY($1::text[])", ids)
    await db.execute("UPDATE audit_heads SET size = $1", size)


async def rehash(db: Any) -> None:
    """Work out the leaf of every sealed row anew, in the rows and in the tree."""
    places = await store_tree.places(db, R, 0, 10_000)
    rows = await store_tree.entries(db, R, [id_ for _, id_, _ in places])
    trees = await db.fetch("SELECT DISTINCT base, suite FROM audit_anchors ORDER BY base")
    found = []
    for position, id_, _ in places:
        suite = SUITES[next(row["suite"] for row in reversed(trees) if row["base"] <= position)]
        found.append((id_, canonical.leaf(sealer.canonical_entry(R, rows[id_]), rows[id_].at, suite)))
    for table in ("audit_leaves", "audit_entries", "data_uses"):
        await db.execute(
            f"UPDATE {table} t SET leaf = x.leaf FROM unnest($1::text[], $2::bytea[]) AS x(id, leaf) WHERE t.id = x.id",
            [id_ for id_, _ in found],
            [leaf for _, leaf in found],
        )


class Forger:
    """Somebody who has the signing key as well, and so can fork the chain in earnest."""

    works: Sealer

    async def go_on(self, db: Any) -> None:
        """Seal and sign on as the sealer would that lost its file."""
        head = await store_tree.head(db, R)
        rows = await store_tree.unsealed(db, R, 0, 1000)
        await self.works._add(db, head, rows)
        size = head.size + len(rows)
        await store_tree.move_head(db, R, size, head.upto)
        head = msgspec.structs.replace(head, size=size)
        before = await sealer.newest(db, R)
        ring = await KeyRing.load(db, self.works._keys, R)
        await self.works._sign(db, ring.signer(before), before, head, sealer.clock.real_now())


FORGER = Forger()
