"""Verbs of overrides: an operator stops a department's line, or lets it pass, for a stated reason and at most a day."""

from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from onestop import clock
from onestop.db import Connection
from onestop.gateway.overrides import WHOLE, OverrideState
from onestop.onboarding import rules, store, store_overrides
from onestop.onboarding.errors import OverrideWrong, ThingAbsent
from onestop.onboarding.models import Actor
from onestop.onboarding.service import Life
from onestop.onboarding.service_terms import operations_of
from onestop.onboarding.store_overrides import OverrideRow

LONGEST: Final = timedelta(hours=24)

OperationId = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,39}$", examples=["residence_query"])]


class SetOverride(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator's word on a line."""

    state: OverrideState
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    until: datetime
    operation: OperationId | None = None  # null: the whole line


class OverrideList(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for a line now; an empty operation means the whole line."""

    data: list[OverrideRow]


async def set_override(
    life: Life, db: Connection, actor: Actor, adapter_id: str, told: SetOverride
) -> OverrideRow:  # fmt: skip
    """Stop a line, or let it pass although its breaker is open.

    Raises:
        AdapterAbsent: there is none.
        OverrideWrong: it has no reason, no such operation, is over, or lasts longer than a day.
    """
    await life.hold(db, actor, adapter_id)
    until, now = rules.instant(told.until), clock.real_now()
    if until is None or until <= now:
        raise OverrideWrong(reason="over")
    if until - now > LONGEST:
        raise OverrideWrong(reason="long")
    if not told.reason.strip():
        raise OverrideWrong(reason="reason")
    if told.operation is not None and told.operation not in await operations_of(life, db, adapter_id):
        raise OverrideWrong(reason="operation")
    operation = told.operation or WHOLE
    await store_overrides.set_override(db, adapter_id, operation, told.state, told.reason, until, actor.id)
    await store.changed(db)
    detail = {
        "operation": operation, "state": told.state, "reason": told.reason, "until": until.isoformat(),
    }  # fmt: skip
    await life.record(db, actor, "line.override", adapter_id, detail)
    await life.notify(
        db, adapter_id, None, f"line_{told.state}", operation=operation or "*", why=told.reason,
        until=until.isoformat(timespec="minutes"), by=actor.id,
    )  # fmt: skip
    return OverrideRow(
        operation=operation, state=told.state, reason=told.reason, until=until, set_by=actor.id, set_at=now
    )  # fmt: skip


async def overrides(life: Life, actor: Actor, adapter_id: str) -> OverrideList:
    """Return what holds for a line now.

    Raises:
        AdapterAbsent: there is none.
    """
    await life.find(life.pool, actor, adapter_id)
    return OverrideList(data=await store_overrides.overrides(life.pool, adapter_id))


async def end_override(life: Life, db: Connection, actor: Actor, adapter_id: str, operation: str | None) -> None:
    """Take a word back before its end: the line is its own again.

    Raises:
        AdapterAbsent, ThingAbsent: there is none.
    """
    await life.hold(db, actor, adapter_id)
    if not await store_overrides.delete_override(db, adapter_id, operation or WHOLE):
        raise ThingAbsent(what=operation or adapter_id)
    await store.changed(db)
    await life.record(db, actor, "line.override_ended", adapter_id, {"operation": operation or WHOLE})
    await life.notify(db, adapter_id, None, "line_released", operation=operation or "*", by=actor.id)
