"""Verbs of the audit: record an act, record a use of data, show a person theirs."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from onestop.audit import canonical, store
from onestop.audit.models import DataUse, Use
from onestop.db import Db, Pool
from onestop.grouping import GroupWriter
from onestop.ids import new_id

_uses_in = msgspec.json.Decoder(list[Use])


async def record(
    db: Db,
    region: str,
    *,
    actor: str,
    action: str,
    subject: str | None = None,
    object: str | None = None,
    trace_id: str | None = None,
    detail: Mapping[str, Any] | None = None,
    uses: Sequence[str] = (),
    mandate: str | None = None,
    beneficiary: str | None = None,
) -> None:
    """Write that `actor` did `action`, in the caller's transaction; `detail` never holds personal data.

    `mandate` is under which the actor acts for the subject; `beneficiary` is who gains, None where that is the subject.

    `uses` are the uses of the subject's data that the act leads to, as `data_used` takes them.
    """
    entry = entry_row(
        region, canonical.sorted_json(detail or {}), actor=actor, action=action, subject=subject, object=object,
        trace_id=trace_id, mandate=mandate, beneficiary=beneficiary,
    )  # fmt: skip
    if uses and subject is not None:
        use = use_row(
            region, uses, subject=subject, actor=actor, object=object, trace_id=trace_id, mandate=mandate,
            beneficiary=beneficiary,
        )  # fmt: skip
        await store.insert_entry_and_data_use(db, region, entry, use)
    else:
        await store.insert_entry(db, region, entry)


async def data_used(
    db: Db,
    region: str,
    uses: Sequence[str],
    *,
    subject: str,
    actor: str,
    object: str | None = None,
    trace_id: str | None = None,
    mandate: str | None = None,
    beneficiary: str | None = None,
) -> None:
    """Write whose data was read or given, by and to whom and on what basis, in the caller's transaction.

    `uses` are entries as JSON; where there are none nothing is written.
    """
    if uses:
        row = use_row(
            region, uses, subject=subject, actor=actor, object=object, trace_id=trace_id, mandate=mandate,
            beneficiary=beneficiary,
        )  # fmt: skip
        await store.insert_data_use(db, region, row)


def entry_row(
    region: str,
    detail: str,
    *,
    actor: str,
    action: str,
    subject: str | None,
    object: str | None,
    trace_id: str | None,
    mandate: str | None = None,
    beneficiary: str | None = None,
) -> tuple[Any, ...]:
    """Return an act as a row: id, actor, subject, action, object, trace, detail, digest, mandate, beneficiary.

    `detail` is JSON with its members in order of name and nothing between them.
    """
    id_ = new_id("aud")
    whole = canonical.of_act(region, id_, actor, subject, action, object, trace_id, detail, mandate, beneficiary)
    return (id_, actor, subject, action, object, trace_id, detail, canonical.digest(whole), mandate, beneficiary)


def use_row(
    region: str,
    uses: Sequence[str],
    *,
    subject: str,
    actor: str,
    object: str | None,
    trace_id: str | None,
    mandate: str | None = None,
    beneficiary: str | None = None,
) -> tuple[Any, ...]:
    """Return a row of uses: id, subject, actor, object, trace, content, digest, mandate, beneficiary."""
    id_, content = new_id("use"), f"[{','.join(uses)}]"
    whole = canonical.of_use(region, id_, subject, actor, object, trace_id, content, mandate, beneficiary)
    return (id_, subject, actor, object, trace_id, content, canonical.digest(whole), mandate, beneficiary)


def use_entry(use: Use) -> str:
    """Return one use as the ledger takes it."""
    return msgspec.json.encode(use).decode()


async def own_data_uses(
    db: Db, region: str, subject: str, *, before: str | None = None, limit: int = 50
) -> list[DataUse]:
    """Return who read this person's data, or was given it, newest first; at most `limit` (200)."""
    rows = await store.own_data_uses(db, region, subject, before, max(1, min(limit, 200)))
    return [_shown(row) for row in rows]


async def own_data_use(db: Db, region: str, subject: str, id: str) -> DataUse | None:
    """Return one use of this person's data; None where there is none of that id, or it is somebody else's."""
    row = await store.own_data_use(db, region, subject, id)
    return None if row is None else _shown(row)


async def uses_under(db: Db, region: str, mandate: str, *, before: str | None = None, limit: int = 50) -> list[DataUse]:
    """Return what was read or given away under a mandate, newest first; at most `limit` (200).

    The caller has checked that the reader is one of its parties.
    """
    rows = await store.uses_under(db, region, mandate, before, max(1, min(limit, 200)))
    return [_shown(row) for row in rows]


def _shown(row: store.UseRow) -> DataUse:
    return DataUse(
        id=row.id,
        at=row.at,
        subject=row.subject,
        actor=row.actor,
        object=row.object,
        trace_id=row.trace_id,
        mandate=row.mandate,
        beneficiary=row.beneficiary,
        uses=_uses_in.decode(row.content),
    )


class DataUses:
    """Writes the data-use ledger in groups: a row is there before the data is shown, and many cost one statement."""

    def __init__(self, pool: Pool, region: str) -> None:
        self._pool, self._region = pool, region
        self._writer: GroupWriter[tuple[object, ...], None] = GroupWriter(self._write)

    async def note(
        self,
        uses: Sequence[str],
        *,
        subject: str,
        actor: str,
        object: str | None = None,
        trace_id: str | None = None,
        mandate: str | None = None,
    ) -> None:
        """Return once it is on record whose data was read; `uses` are entries as JSON, nothing where there are none."""
        if uses:
            row = use_row(
                self._region, uses, subject=subject, actor=actor, object=object, trace_id=trace_id, mandate=mandate
            )
            await self._writer.put(row)

    async def _write(self, rows: Sequence[tuple[object, ...]]) -> list[None]:
        await store.insert_data_uses(self._pool, self._region, rows)
        return [None] * len(rows)
