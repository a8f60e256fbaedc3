"""Verbs of windows and agreements: when a department is away, and who may ask it what, how often."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from onestop import clock
from onestop.db import Connection
from onestop.gateway.quotas import ANY, PORTAL
from onestop.gateway.windows import CHINA
from onestop.ids import new_id
from onestop.onboarding import rules, store, store_terms
from onestop.onboarding.errors import AdapterAbsent, AgreementDecided, AgreementWrong, ThingAbsent, WindowWrong
from onestop.onboarding.models import Actor, Adapter, AgreementState, Note, Why
from onestop.onboarding.service import Life, read_again
from onestop.onboarding.store_terms import AgreementRow, WindowRow

_LONGEST: Final = timedelta(days=30)
_EVERYTHING: Final = "operator"

PerDay = Annotated[int, Meta(ge=1, le=100_000_000)]
Consumer = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9_.:-]{0,63}$", examples=["overview", "birth", "department:renshe"])
]


class NewWindow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A window, once."""

    begins: datetime
    ends: datetime
    note_zh: Note = ""
    note_en: Note = ""


class WindowList(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter's windows that are not over, and until when it is away now."""

    data: list[WindowRow]


class NewAgreement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who wants to ask what, for which purpose, how often."""

    consumer: Consumer
    operation: Annotated[str, Meta(pattern=r"^(\*|[a-z][a-z0-9_]{1,39})$")] = ANY
    purpose_zh: Annotated[str, Meta(min_length=1, max_length=200)]
    purpose_en: Annotated[str, Meta(min_length=1, max_length=200)]
    per_day: PerDay | None = None
    per_second: Annotated[float, Meta(gt=0, le=10_000)] | None = None
    begins: datetime | None = None
    ends: datetime | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The provider's word on an agreement."""

    decision: Literal["approve", "refuse", "end"]
    why: Why = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether this portal needs agreements of its own, and what is agreed without a person's look."""

    portal: Literal["open", "agreed"] = "open"
    approves: Literal["owner", "automatic"] = "owner"
    automatic_per_day: PerDay | None = None


class AgreementList(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter's agreements, oldest first; `portal` says whether the portal's own traffic needs one."""

    portal: Literal["open", "agreed"]
    data: list[AgreementRow]
    next_cursor: str | None
    has_more: bool


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of one agreement today, over all processes, at most a second old."""

    agreement: str
    consumer: str
    operation: str
    per_day: int | None
    per_second: float | None
    used: int
    remaining: int | None
    resets_at: datetime


class QuotaList(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of every agreement that holds now."""

    data: list[Quota]


# ---- windows


async def add_window(life: Life, db: Connection, actor: Actor, adapter_id: str, new: NewWindow) -> WindowRow:
    """Announce a window.

    Raises:
        AdapterAbsent: there is none, or it is somebody else's.
        WindowWrong: it ends before it begins, is over, or is longer than thirty days.
    """
    await life.hold(db, actor, adapter_id)
    begins, ends = rules.instant(new.begins), rules.instant(new.ends)
    if begins is None or ends is None:
        raise WindowWrong(reason="order")
    for reason, wrong in (
        ("order", ends <= begins),
        ("over", ends <= clock.now()),
        ("long", ends - begins > _LONGEST),
    ):
        if wrong:
            raise WindowWrong(reason=reason)
    id_ = new_id("win")
    await store_terms.insert_window(db, id_, adapter_id, begins, ends, new.note_zh, new.note_en, actor.id)
    await store.changed(db)
    await life.record(db, actor, "adapter.window", adapter_id, {"window": id_})
    await life.notify(
        db, adapter_id, None, "window", begins=begins.isoformat(timespec="minutes"),
        ends=ends.isoformat(timespec="minutes"), by=actor.id,
    )  # fmt: skip
    return WindowRow(
        id=id_, begins=begins, ends=ends, note_zh=new.note_zh, note_en=new.note_en, made_by=actor.id
    )  # fmt: skip


async def windows(life: Life, actor: Actor, adapter_id: str) -> WindowList:
    """Return the windows that are announced.

    Raises:
        AdapterAbsent: there is none, or it is somebody else's.
    """
    await life.find(life.pool, actor, adapter_id)
    return WindowList(data=await store_terms.windows(life.pool, adapter_id))


async def end_window(life: Life, db: Connection, actor: Actor, adapter_id: str, id_: str) -> None:
    """Take a window back, also one that has begun: calls go on at once.

    Raises:
        AdapterAbsent, ThingAbsent: there is none.
    """
    await life.hold(db, actor, adapter_id)
    if not await store_terms.delete_window(db, adapter_id, id_):
        raise ThingAbsent(what=id_)
    await store.changed(db)
    await life.record(db, actor, "adapter.window_ended", adapter_id, {"window": id_})
    await life.notify(db, adapter_id, None, "window_ended", by=actor.id)


# ---- agreements


async def propose(life: Life, db: Connection, actor: Actor, adapter_id: str, new: NewAgreement) -> AgreementRow:
    """Ask for an agreement; active at once where the provider asks, or its policy says so.

    A department asks for itself; items and the overview are asked for by the operator or the provider.

    Raises:
        AdapterAbsent: there is none here.
        AgreementWrong: there is no such operation, it ends before it begins, or it is for somebody else.
        AgreementDecided: one for this consumer and operation holds already.
    """
    known = await _provider(life, db, actor, adapter_id)
    begins = rules.instant(new.begins) if new.begins else clock.real_now()
    ends = rules.instant(new.ends) if new.ends else None
    if begins is None or (new.ends and ends is None):
        raise AgreementWrong(reason="order")
    _check_agreement(await operations_of(life, db, adapter_id), actor, known, new, begins, ends)
    if await store_terms.active_agreement(db, adapter_id, new.consumer, new.operation):
        raise AgreementDecided(state="active")
    most = known.automatic_per_day
    automatic = known.approves == "automatic" and (
        most is None or (new.per_day is not None and new.per_day <= most)
    )  # fmt: skip
    decider = actor.id if rules.owns(actor, known.owner) else "policy" if automatic else None
    id_ = new_id("agr")
    await store_terms.insert_agreement(
        db, id_, adapter_id, new.consumer, new.operation, new.purpose_zh, new.purpose_en, new.per_day, new.per_second,
        begins, ends, "active" if decider else "proposed", actor.department or actor.id, decider,
    )  # fmt: skip
    await store.changed(db)
    await life.record(db, actor, "agreement.proposed", adapter_id, {"agreement": id_, "consumer": new.consumer})
    kind = "agreed" if decider else "agreement_asked"
    await life.notify(db, adapter_id, None, kind, consumer=new.consumer, operation=new.operation, by=actor.id)
    return await _agreement(db, adapter_id, id_)


def _check_agreement(
    operations: set[str], actor: Actor, known: Adapter, new: NewAgreement, begins: datetime, ends: datetime | None
) -> None:
    if new.operation not in operations | {ANY}:
        raise AgreementWrong(reason="operation")
    if ends is not None and ends <= max(begins, clock.real_now()):
        raise AgreementWrong(reason="order")
    own = f"department:{actor.department}"
    if not rules.owns(actor, known.owner) and new.consumer != own:
        raise AgreementWrong(reason="consumer")


async def _provider(life: Life, db: Connection, actor: Actor, adapter_id: str) -> Adapter:
    """Return an adapter that serves, for any department that wants to ask it; drafts of others stay absent."""
    known = await store.adapter(db, adapter_id)
    if known is None or rules.owns(actor, known.owner):
        return await life.hold(db, actor if known else Actor(id=actor.id, role=_EVERYTHING), adapter_id)
    if adapter_id not in life.files and not await store.in_state(db, adapter_id, "live"):
        raise AdapterAbsent(adapter=adapter_id)
    await store.lock_adapter(db, adapter_id)
    return known


async def operations_of(life: Life, db: Connection, adapter_id: str) -> set[str]:
    """Return the operations of every version of an adapter that serves or may come to serve."""
    versions = await store.in_state(db, adapter_id, "live", "trial", "approved", "testing", "draft")
    told = [version.manifest for version in versions]
    if adapter_id in life.files:
        told.append(life.files[adapter_id])
    return {operation.id for data in told for operation in read_again(data).operations}


async def decide(
    life: Life, db: Connection, actor: Actor, adapter_id: str, id_: str, told: Decision
) -> AgreementRow:  # fmt: skip
    """Approve, refuse or end an agreement; the provider's to say.

    Raises:
        AdapterAbsent, ThingAbsent: there is none.
        AgreementDecided: its state does not allow that, or another one holds.
    """
    await life.hold(db, actor, adapter_id)
    row = await _agreement(db, adapter_id, id_)
    wanted: dict[str, tuple[AgreementState, Literal["active", "refused", "ended"]]] = {
        "approve": ("proposed", "active"), "refuse": ("proposed", "refused"), "end": ("active", "ended"),
    }  # fmt: skip
    start, end = wanted[told.decision]
    if row.state != start:
        raise AgreementDecided(state=row.state)
    if end == "active" and await store_terms.active_agreement(db, adapter_id, row.consumer, row.operation):
        raise AgreementDecided(state="active")
    await store_terms.decide_agreement(db, row, end, actor.id, told.why)
    await store.changed(db)
    await life.record(db, actor, f"agreement.{end}", adapter_id, {"agreement": id_, "why": told.why})
    await life.notify(
        db, adapter_id, None, f"agreement_{end}", consumer=row.consumer, operation=row.operation, why=told.why or "-"
    )  # fmt: skip
    return await _agreement(db, adapter_id, id_)


async def _agreement(db: Connection, adapter_id: str, id_: str) -> AgreementRow:
    row = await store_terms.agreement(db, adapter_id, id_)
    if row is None:
        raise ThingAbsent(what=id_)
    return row


async def agreements(life: Life, actor: Actor, adapter_id: str, *, after: str | None, limit: int) -> AgreementList:
    """Return an adapter's agreements: its owner sees all, another department those it asked for.

    Raises:
        AdapterAbsent: there is none.
    """
    known = await store.adapter(life.pool, adapter_id)
    if known is None or rules.owns(actor, known.owner):
        known, asker = await life.find(life.pool, actor, adapter_id), None
    else:
        asker = actor.department or actor.id
    size = max(1, min(limit, 200))
    rows = await store_terms.agreements(life.pool, adapter_id, asker, after, size + 1)
    if asker is not None and not rows:
        raise AdapterAbsent(adapter=adapter_id)
    more = len(rows) > size
    return AgreementList(
        portal=known.portal, data=rows[:size], next_cursor=rows[size - 1].id if more else None, has_more=more
    )


async def set_policy(life: Life, db: Connection, actor: Actor, adapter_id: str, told: Policy) -> Adapter:
    """Say whether the portal itself needs agreements, and who approves them.

    Raises:
        AdapterAbsent: there is none, or it is somebody else's.
    """
    await life.hold(db, actor, adapter_id)
    await store.set_policy(db, adapter_id, told.portal, told.approves, told.automatic_per_day)
    await store.changed(db)
    await life.record(db, actor, "agreement.policy", adapter_id, {PORTAL: told.portal, "approves": told.approves})
    return await life.find(db, actor, adapter_id)


async def quota(life: Life, actor: Actor, adapter_id: str) -> QuotaList:
    """Return what is left of every agreement that holds now.

    Raises:
        AdapterAbsent: there is none, or it is somebody else's.
    """
    await life.find(life.pool, actor, adapter_id)
    now = clock.now().astimezone(CHINA)
    ends = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), CHINA)
    used = await store_terms.used(life.pool, adapter_id, now.date())
    rows = [row for row in await store_terms.agreements(life.pool, adapter_id) if row.state == "active"]
    return QuotaList(data=[_left(row, used.get(row.id, 0), ends) for row in rows])


def _left(row: AgreementRow, used: int, ends: datetime) -> Quota:
    return Quota(
        agreement=row.id,
        consumer=row.consumer,
        operation=row.operation,
        per_day=row.per_day,
        per_second=row.per_second,
        used=used,
        remaining=None if row.per_day is None else max(row.per_day - used, 0),
        resets_at=ends,
    )
