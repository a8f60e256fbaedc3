"""The sealer: takes committed rows into the tree, and signs once a minute what the tree is.

It runs beside the work of a case, never in its transaction. Nothing orders rows when they are written, and the row of a
long transaction is seen long after younger ones. So a round takes whatever it sees and the tree lacks, and remembers as
`upto` the oldest transaction that was not over *before* it looked: all that can still appear are rows of that one or of
later ones, and the next round looks there again. A row waits for its own transaction only.
"""

import asyncio
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from onestop import clock
from onestop.audit import anchors, canonical, merkle, store_tree
from onestop.audit.anchors import Anchor, AnchorKey, LedgerRewritten
from onestop.audit.store_tree import EntryRow, NewLeaf
from onestop.audit.witness import Witness
from onestop.crypto import Keys
from onestop.db import Connection, Db, Pool

log = structlog.get_logger(__name__)

EVERY_S = 5.0
ANCHOR_EVERY_S = 60.0
IDLE_ANCHOR_S = 3600.0  # a sign of life where nothing was added
_MOST = 5_000  # rows of one transaction
_anchor_in = msgspec.json.Decoder(Anchor)


def witness_of(state_dir: Path, region: str) -> Witness:
    """Return the file that a process with this state folder writes anchors to."""
    return Witness(state_dir / "anchors" / f"{region}.jsonl")


def canonical_entry(region: str, row: EntryRow) -> bytes:
    """Return the bytes of a row of either table, as its leaf takes them."""
    content = row.content
    if content is None:  # out of jsonb, which keeps neither order nor spaces
        content = canonical.sorted_json(msgspec.json.decode(row.decoded or "null"))
    about = (row.object, row.trace_id, content, row.mandate, row.beneficiary)
    if row.action is None:
        return canonical.of_use(region, row.id, row.subject or "", row.actor, *about)
    return canonical.of_act(region, row.id, row.actor, row.subject, row.action, *about)


class Sealer:
    """Seals the rows of one region; any number of them may run at once, one at a time does something."""

    def __init__(self, pool: Pool, keys: Keys, region: str, witness: Witness) -> None:
        self._pool, self._region, self._witness = pool, region, witness
        self._key = AnchorKey(keys)

    async def run(self) -> None:
        """Seal and anchor until cancelled; a fault is logged and tried again, since all of it can be done later."""
        while True:
            try:
                await self.seal()
                await self.anchor()
            except LedgerRewritten as fault:
                log.error("ledger_rewritten", region=self._region, fault=str(fault))
            except Exception as fault:
                log.warning("not_sealed", fault=type(fault).__name__)
            await asyncio.sleep(EVERY_S)

    async def seal(self, most: int = _MOST) -> int:
        """Take what the tree lacks into it, in portions of `most`; return how many rows that were."""
        total = 0
        while taken := await self._portion(most):
            total += taken
            if taken < most:
                break
        return total

    async def _portion(self, most: int) -> int:
        async with self._pool.acquire() as db, db.transaction():
            head = await store_tree.hold_head(db, self._region)
            if head is None:
                return 0
            over = await store_tree.horizon(db)  # before looking: see above
            # A database that was restored elsewhere counts its transactions anew: everything is looked at once.
            since = head.upto if over >= head.upto else 0
            rows = await store_tree.unsealed(db, self._region, since, most)
            if rows:
                await self._add(db, head.size, rows)
            upto = over if len(rows) < most else min(over, rows[-1].xact)
            if rows or upto != head.upto:
                await store_tree.move_head(db, self._region, head.size + len(rows), upto)
            return len(rows)

    async def _add(self, db: Connection, first: int, rows: list[NewLeaf]) -> None:
        old = await store_tree.entries(db, self._region, [row.id for row in rows if row.leaf is None])
        leaves = [row.leaf or self._leaf(old[row.id]) for row in rows]
        await store_tree.insert_leaves(db, self._region, first, [row.id for row in rows], leaves)
        end = first + len(rows)
        known: dict[tuple[int, int], bytes] = {}
        nodes = []
        for level, begin, stop in merkle.grown(first, end):
            below = level - merkle.STEP
            known |= await store_tree.hashes(db, self._region, below, begin << merkle.STEP, stop << merkle.STEP)
            tree = merkle.Tree(end, known)
            for nth in range(begin, stop):
                known[level, nth] = tree.part(level, nth)
                nodes.append((level, nth, known[level, nth]))
        await store_tree.insert_nodes(db, self._region, nodes)

    def _leaf(self, row: EntryRow) -> bytes:
        return canonical.leaf(canonical_entry(self._region, row), row.at)

    async def anchor(self, *, every_s: float = ANCHOR_EVERY_S) -> Anchor | None:
        """Sign what the tree is, where the last anchor is old enough; None where there is nothing to sign yet.

        Raises:
            LedgerRewritten: the database's anchors are not those of the file outside of it. Nothing is signed: what a
                database owner made of the past would otherwise get a new, genuine signature.
        """
        await self._catch_up()
        async with self._pool.acquire() as db, db.transaction():
            head = await store_tree.hold_head(db, self._region)
            if head is None or head.size == 0:
                return None
            before = await newest(db, self._region)
            now = clock.real_now()
            if before is not None and not _due(before, head.size, now, every_s):
                return None
            tree = await tree_of(db, self._region, head.size)
            made = self._key.sign(self._region, before, head.size, tree.root(), now)
            await store_tree.insert_anchor(
                db, self._region, made.number, made.size, now, anchors.written(made)
            )  # fmt: skip
        # After the commit: were it before, a commit that fails would look like a rollback for ever.
        await self._catch_up()
        return made

    async def _catch_up(self) -> None:
        """Write anchors to the file that it lacks: of a crash after the commit, or of another machine."""
        last = await asyncio.to_thread(self._witness.last)
        if last is not None:
            here = await store_tree.anchor(self._pool, self._region, last.number)
            if here is None or _anchor_in.decode(here.body) != last:
                raise LedgerRewritten(f"anchor {last.number} of {self._witness.path} is not the database's")
        while rows := await store_tree.anchors(self._pool, self._region, last.number if last else 0, 1000):
            found = [_anchor_in.decode(row.body) for row in rows]
            for one in found:
                if not anchors.follows(one, last) or not self._key.is_own(one):
                    raise LedgerRewritten(f"anchor {one.number} was not signed here after the one before")
                last = one
            await asyncio.to_thread(self._witness.append, found)


def _due(before: Anchor, size: int, now: datetime, every_s: float) -> bool:
    age = (now - datetime.fromisoformat(before.at)).total_seconds()
    return age >= (every_s if size > before.size else max(every_s, IDLE_ANCHOR_S))


async def newest(db: Db, region: str) -> Anchor | None:
    """Return the newest anchor of a region, None before the first."""
    row = await store_tree.last_anchor(db, region)
    return None if row is None else _anchor_in.decode(row.body)


async def tree_of(db: Db, region: str, size: int, position: int | None = None) -> merkle.Tree:
    """Return the tree at a size, with what its root takes and the path to a position."""
    known: dict[tuple[int, int], bytes] = {}
    for level, first, end in merkle.needed(size, position):
        known |= await store_tree.hashes(db, region, level, first, end)
    return merkle.Tree(size, known)
