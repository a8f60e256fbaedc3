"""Verbs of the audit: record an act, record a use of data, show a person theirs."""

from collections.abc import Sequence
from typing import Any

import msgspec

from onestop.audit import store
from onestop.audit.models import DataUse, Use
from onestop.db import Db, Pool
from onestop.grouping import GroupWriter
from onestop.ids import new_id


async def record(
    db: Db,
    region: str,
    *,
    actor: str,
    action: str,
    subject: str | None = None,
    object: str | None = None,
    trace_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write that `actor` did `action`, in the caller's transaction; `detail` never holds personal data."""
    await store.insert_entry(db, region, new_id("aud"), actor, subject, action, object, trace_id, detail or {})


async def data_used(
    db: Db,
    region: str,
    uses: Sequence[Use],
    *,
    subject: str,
    actor: str,
    object: str | None = None,
    trace_id: str | None = None,
) -> None:
    """Write whose data a request read, from whom and on what basis; nothing where nothing was read."""
    if uses:
        rows = msgspec.to_builtins(list(uses))
        await store.insert_data_use(db, region, new_id("use"), subject, actor, object, trace_id, rows)


async def own_data_uses(
    db: Db, region: str, subject: str, *, before: str | None = None, limit: int = 50
) -> list[DataUse]:
    """Return who read this person's data, newest first; at most `limit` (200)."""
    return await store.own_data_uses(db, region, subject, before, min(limit, 200))


class DataUses:
    """Writes the data-use ledger in groups: a row is there before the data is shown, and many cost one statement."""

    def __init__(self, pool: Pool, region: str) -> None:
        self._pool, self._region = pool, region
        self._writer: GroupWriter[tuple[object, ...], None] = GroupWriter(self._write)

    async def note(
        self, uses: Sequence[str], *, subject: str, actor: str, object: str | None = None, trace_id: str | None = None
    ) -> None:
        """Return once it is on record whose data was read; `uses` are entries as JSON, nothing where there are none."""
        if uses:
            await self._writer.put((new_id("use"), subject, actor, object, trace_id, f"[{','.join(uses)}]"))

    async def _write(self, rows: Sequence[tuple[object, ...]]) -> list[None]:
        await store.insert_data_uses(self._pool, self._region, rows)
        return [None] * len(rows)
