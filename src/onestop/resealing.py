"""Seal anew what an older root key or the other suite sealed, a few rows at a time, while everything else goes on.

Rows are taken with their locks and without waiting: what somebody is just writing is left for the next round, and
nobody waits for this longer than one small batch takes. Each room says by a `Sealed` what of its own is sealed.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import structlog

from onestop.crypto import Keys, SealBroken, Sealer
from onestop.db import Pool, columns, execute

log = structlog.get_logger(__name__)

_BATCH: Final = 200
_ROUNDS: Final = 20  # rows that were in somebody's hands each time are told as left over


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """One table's sealed columns.

    `select` is given the region, the key to go on after, the header of a current seal, and how many; it answers with
    a column `key text[]` and what `anew` needs. `update` is given the region, and as arrays the parts of the key and
    what `anew` returned.
    """

    table: str
    select: str
    update: str
    first: tuple[str, ...] = ("",)  # a key before all others
    anew: Callable[[Keys, Any], Sequence[object]]


def again(keys: Sealer, sealed: bytes | None, context: str) -> bytes | None:
    """Open a seal and make it anew; None for None, and the same where it is current."""
    if sealed is None or keys.is_current(sealed):
        return sealed
    return keys.seal(keys.unseal(sealed, context), context)


async def reseal(pool: Pool, keys: Keys, region: str, sealed: Sequence[Sealed]) -> dict[str, int]:
    """Seal all of the given tables anew and return how many rows of each that changed.

    A row that cannot be opened is left as it is, holds nothing up, and is named in the log by its key alone.
    """
    return {each.table: await _table(pool, keys, region, each) for each in sealed}


async def _table(pool: Pool, keys: Keys, region: str, sealed: Sealed) -> int:
    done = 0
    broken: set[tuple[str, ...]] = set()
    for _ in range(_ROUNDS):
        moved = await _round(pool, keys, region, sealed, broken)
        done += moved
        if not moved:
            break
    if broken:
        log.error("not_opened", table=sealed.table, rows=len(broken), first=min(broken))
    return done


async def _round(pool: Pool, keys: Keys, region: str, sealed: Sealed, broken: set[tuple[str, ...]]) -> int:
    """Go through a table once; return how many rows changed."""
    moved, after = 0, list(sealed.first)
    while True:
        async with pool.acquire() as db, db.transaction():
            rows = await db.fetch(sealed.select, region, after, keys.header, _BATCH)
            changed = _anew(keys, sealed, rows, broken)
            if changed:
                await execute(db, sealed.update, region, *columns(changed))
        moved += len(changed)
        if len(rows) < _BATCH:
            return moved
        after = rows[-1]["key"]


def _anew(keys: Keys, sealed: Sealed, rows: Sequence[Any], broken: set[tuple[str, ...]]) -> list[Sequence[object]]:
    found: list[Sequence[object]] = []
    for row in rows:
        try:
            found.append((*row["key"], *sealed.anew(keys, row)))
        except SealBroken:
            broken.add(tuple(row["key"]))
    return found
