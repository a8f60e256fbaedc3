"""The sealer: takes committed rows into the tree, and signs once a minute what the tree is.

It runs beside the work of a case, never in its transaction. Nothing orders rows when they are written, and the row of a
long transaction is seen long after younger ones. So a round takes whatever it sees and the tree lacks, and remembers as
`upto` the oldest transaction that was not over *before* it looked: all that can still appear are rows of that one or of
later ones, and the next round looks there again. A row waits for its own transaction only.

The key that signs is followed by another by command, by age, or because the suite was changed. It is announced first;
an hour later it signs. With another suite a tree of its own begins: the old key signs what the old tree came to, the
new key the new tree while it is empty, and that anchor's hash of the one before is the link between them.
"""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from onestop import clock
from onestop.audit import anchor_keys, anchors, canonical, merkle, store_tree
from onestop.audit.anchor_keys import AnchorKey, KeyRing
from onestop.audit.anchors import Anchor, LedgerRewritten
from onestop.audit.store_tree import EntryRow, Head, NewLeaf
from onestop.audit.witness import Witness
from onestop.crypto import Keys
from onestop.db import Connection, Db, Pool
from onestop.suites import INTL, SUITES, Suite

log = structlog.get_logger(__name__)

EVERY_S = 5.0
ANCHOR_EVERY_S = 60.0
IDLE_ANCHOR_S = 3600.0  # a sign of life where nothing was added
OVERLAP_S = 3600.0  # a key is announced so long before it signs
KEY_DAYS = 90
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

    def __init__(
        self,
        pool: Pool,
        keys: Keys,
        region: str,
        witness: Witness,
        *,
        key_days: int = KEY_DAYS,
        overlap_s: float = OVERLAP_S,
    ) -> None:
        self._pool, self._keys, self._region, self._witness = pool, keys, region, witness
        self._key_age, self._overlap = timedelta(days=key_days), timedelta(seconds=overlap_s)

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
            head = await store_tree.hold_head(db, self._region, self._keys.suite.name)
            if head is None:
                return 0
            over = await store_tree.horizon(db)  # before looking: see above
            # A database that was restored elsewhere counts its transactions anew: everything is looked at once.
            since = head.upto if over >= head.upto else 0
            rows = await store_tree.unsealed(db, self._region, since, most)
            if rows:
                await self._add(db, head, rows)
            upto = over if len(rows) < most else min(over, rows[-1].xact)
            if rows or upto != head.upto:
                await store_tree.move_head(db, self._region, head.size + len(rows), upto)
            return len(rows)

    async def _add(self, db: Connection, head: Head, rows: list[NewLeaf]) -> None:
        leaves = await self._leaves(db, rows, SUITES[head.suite])
        await store_tree.insert_leaves(db, self._region, head.size, [row.id for row in rows], leaves)
        first = head.size - head.base
        end = first + len(rows)
        known: dict[tuple[int, int], bytes] = {}
        nodes = []
        for level, begin, stop in merkle.grown(first, end):
            below, edge = level - merkle.STEP, (begin << merkle.STEP, stop << merkle.STEP)
            known |= await store_tree.hashes(db, self._region, head.base, below, *edge)
            tree = merkle.Tree(end, known, SUITES[head.suite])
            for nth in range(begin, stop):
                known[level, nth] = tree.part(level, nth)
                nodes.append((level, nth, known[level, nth]))
        await store_tree.insert_nodes(db, self._region, head.base, nodes)

    async def _leaves(self, db: Connection, rows: list[NewLeaf], suite: Suite) -> list[bytes]:
        """Return what is put into the tree: what the rows were written with, or the same by another suite."""
        asked = [row.id for row in rows if row.leaf is None or suite is not INTL]
        found = await store_tree.entries(db, self._region, asked)
        return [row.leaf if row.leaf and suite is INTL else self._leaf(row, found[row.id], suite) for row in rows]

    def _leaf(self, new: NewLeaf, row: EntryRow, suite: Suite) -> bytes:
        entry = canonical_entry(self._region, row)
        if new.leaf is not None and new.leaf != canonical.leaf(entry, row.at):
            # It was changed since it was written. What is sealed fits nothing, so every verifier finds it.
            log.error("entry_changed", entry=new.id)
            return suite.hash(new.leaf)
        return canonical.leaf(entry, row.at, suite)

    async def anchor(self, *, every_s: float = ANCHOR_EVERY_S, rotate: bool = False) -> Anchor | None:
        """Sign what the tree is, where the last anchor is old enough; None where there is nothing to sign yet.

        `rotate`: sign at once, and announce another key unless one is announced already.

        Raises:
            LedgerRewritten: the database's anchors are not those of the file outside of it. Nothing is signed: what a
                database owner made of the past would otherwise get a new, genuine signature.
            Sm2Missing: the suite is `sm`, and the optional package is not installed.
        """
        await self._catch_up()
        async with self._pool.acquire() as db, db.transaction():
            head = await store_tree.hold_head(db, self._region, self._keys.suite.name)
            if head is None or head.size == 0:
                return None
            made = await self._signed(db, head, every_s, rotate)
        if made is None:
            return None
        # After the commit: were it before, a commit that fails would look like a rollback for ever.
        await self._catch_up()
        return made

    async def _signed(self, db: Connection, head: Head, every_s: float, rotate: bool) -> Anchor | None:
        """Write the anchor that is due, with the key whose turn it is."""
        now = clock.real_now()
        before = await newest(db, self._region)
        ring = await KeyRing.load(db, self._keys, self._region)
        if before is None:
            key = await ring.first(db, SUITES[head.suite], now)
            return await self._sign(db, key, None, head, now)
        key = ring.signer(before)
        after = await ring.following(db, key)
        if after is not None and now - (ring.made_at(after) or now) >= self._overlap:
            return await self._turn(db, key, after, before, head, now)
        if not rotate and not _due(before, head.size, now, every_s):
            return None
        if after is None and (rotate or await self._is_over(db, ring, key, now)):
            fresh = await ring.make(db, self._keys.suite, before.number + 1, now)
            log.info("anchor_key_announced", kid=fresh.public.kid, suite=fresh.suite.name)
            return await self._sign(db, key, before, head, now, fresh)
        return await self._sign(db, key, before, head, now)

    async def _is_over(self, db: Connection, ring: KeyRing, key: AnchorKey, now: datetime) -> bool:
        """Tell whether another key is wanted: of another suite, or since this one is old."""
        if key.suite is not self._keys.suite:
            return True
        made_at = ring.made_at(key)
        if made_at is None:
            first = await store_tree.anchor(db, self._region, 1)
            made_at = now if first is None else first.at
        return bool(self._key_age) and now - made_at >= self._key_age

    async def _turn(
        self, db: Connection, key: AnchorKey, after: AnchorKey, before: Anchor, head: Head, now: datetime
    ) -> Anchor:
        """Let the announced key sign; where it is of another suite, close the tree and begin one of its own."""
        log.info("anchor_key_turned", kid=after.public.kid, suite=after.suite.name)
        if after.suite.name != head.suite:
            if head.size > before.size:
                before = await self._sign(db, key, before, head, now)
            await store_tree.begin_tree(db, self._region, after.suite.name)
            head = msgspec.structs.replace(head, base=head.size, suite=after.suite.name)
        return await self._sign(db, after, before, head, now)

    async def _sign(
        self,
        db: Connection,
        key: AnchorKey,
        before: Anchor | None,
        head: Head,
        now: datetime,
        announces: AnchorKey | None = None,
    ) -> Anchor:
        tree = await tree_of(db, self._region, head.base, head.size, SUITES[head.suite])
        made = anchor_keys.sign(
            key, self._region, before,
            size=head.size, root=tree.root(), at=now, base=head.base, announces=announces,
        )  # fmt: skip
        await store_tree.insert_anchor(db, self._region, made, now)
        return made

    async def _catch_up(self) -> None:
        """Write anchors to the file that it lacks: of a crash after the commit, or of another machine."""
        last = await asyncio.to_thread(self._witness.last)
        if last is not None:
            here = await store_tree.anchor(self._pool, self._region, last.number)
            if here is None or _anchor_in.decode(here.body) != last:
                raise LedgerRewritten(f"anchor {last.number} of {self._witness.path} is not the database's")
        while rows := await store_tree.anchors(self._pool, self._region, last.number if last else 0, 1000):
            # Read after the anchors: a key is there before what it signed.
            ring = await KeyRing.load(self._pool, self._keys, self._region)
            found = [_anchor_in.decode(row.body) for row in rows]
            for one in found:
                ring.signer(one)
                if not anchors.follows(one, last):
                    raise LedgerRewritten(f"anchor {one.number} does not follow the one before")
                last = one
            await asyncio.to_thread(self._witness.append, found)


def _due(before: Anchor, size: int, now: datetime, every_s: float) -> bool:
    age = (now - datetime.fromisoformat(before.at)).total_seconds()
    return age >= (every_s if size > before.size else max(every_s, IDLE_ANCHOR_S))


async def newest(db: Db, region: str) -> Anchor | None:
    """Return the newest anchor of a region, None before the first."""
    row = await store_tree.last_anchor(db, region)
    return None if row is None else _anchor_in.decode(row.body)


async def tree_of(
    db: Db, region: str, base: int, size: int, suite: Suite = INTL, position: int | None = None
) -> merkle.Tree:
    """Return the tree from `base` on until `size`, with what its root takes and the path to a position in it."""
    known: dict[tuple[int, int], bytes] = {}
    for level, first, end in merkle.needed(size - base, position):
        known |= await store_tree.hashes(db, region, base, level, first, end)
    return merkle.Tree(size - base, known, suite)
