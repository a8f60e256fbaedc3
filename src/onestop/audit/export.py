"""The ledger as lines for a verifier that knows nothing of onestop; docs/audit.md tells the format."""

from collections.abc import AsyncIterator

from onestop.audit import canonical, store_tree
from onestop.audit.sealer import canonical_entry
from onestop.audit.store_tree import AnchorRow, EntryRow
from onestop.db import Connection, Pool
from onestop.settings import SuiteName

_PORTION = 2_000
_MOST_UNSEALED = 100_000


async def export(pool: Pool, region: str) -> AsyncIterator[str]:
    """Yield the lines of a region's ledger as of one moment, in portions, each with its line feeds."""
    async with pool.acquire() as db, db.transaction(isolation="repeatable_read", readonly=True):
        async for portion in lines(db, region):
            yield portion


async def lines(db: Connection, region: str) -> AsyncIterator[str]:
    """Yield the same over a connection that holds its view of the database."""
    anchors, count, next_ = _Anchors(db, region), 0, 0
    yield await anchors.begin()
    while places := await store_tree.places(db, region, next_, _PORTION):
        rows = await store_tree.entries(db, region, [id_ for _, id_, _ in places])
        told = []
        for position, id_, leaf in places:
            told.append(f"e\t{position}\t{leaf.hex()}\t{_told(region, rows.get(id_))}\n")
            count += 1
            told += await anchors.upto(count)
        next_ = places[-1][0] + 1
        yield "".join(told)
    yield "".join(await anchors.upto(2**63))
    yield await _unsealed(db, region)
    yield f"z\t{count}\n"


class _Anchors:
    """The anchors of a region in order, each handed out once: behind the last entry that it is over."""

    def __init__(self, db: Connection, region: str) -> None:
        self._db, self._region = db, region
        self._ahead: list[AnchorRow] = []
        self._tree: tuple[int, SuiteName] = (0, "intl")
        self._read = 0  # the number of the last one read
        self._more = True

    async def upto(self, size: int) -> list[str]:
        told = []
        while await self._look() and self._ahead[-1].size <= size:
            told.append(self._told(self._ahead.pop()))
        return told

    async def begin(self) -> str:
        """Return what tells the suite of the first tree, where it is not the one that goes without saying."""
        first = self._ahead[-1].suite if await self._look() else (await store_tree.head(self._db, self._region)).suite
        return "" if first == "intl" else self._begun(0, first)

    def _told(self, row: AnchorRow) -> str:
        begun = "" if (row.base, row.suite) == self._tree else self._begun(row.base, row.suite)
        return f"{begun}a\t{row.body}\n"

    def _begun(self, base: int, suite: SuiteName) -> str:
        self._tree = (base, suite)
        return f"t\t{base}\t{suite}\n"

    async def _look(self) -> bool:
        if not self._ahead and self._more:
            found = await store_tree.anchors(self._db, self._region, self._read, _PORTION)
            self._more = len(found) == _PORTION
            self._read = found[-1].number if found else self._read
            self._ahead = found[::-1]
        return bool(self._ahead)


async def _unsealed(db: Connection, region: str) -> str:
    """Return what the tree lacks: `stray` where it should have been taken long ago, and never was."""
    upto = (await store_tree.head(db, region)).upto
    found = await store_tree.unsealed(db, region, 0, _MOST_UNSEALED)
    rows = await store_tree.entries(db, region, [one.id for one in found])
    told = []
    for one in found:
        state = "stray" if one.xact < upto else "pending"
        leaf = "-" if one.leaf is None else one.leaf.hex()
        told.append(f"u\t{state}\t{leaf}\t{_told(region, rows[one.id])}\n")
    return "".join(told)


def _told(region: str, row: EntryRow | None) -> str:
    if row is None:
        return "-\t-"
    return f"{canonical.microseconds(row.at)}\t{canonical_entry(region, row).decode()}"
