"""Machine keys: what a department's own systems call us with. Shown once, kept as a hash, revoked within seconds.

`os_live_…` opens production and demo, `os_test_…` the sandbox. Several may hold at once, so that keys change without
a gap.
"""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from onestop import clock
from onestop.audit import service as audit
from onestop.db import Connection, Db, Pool
from onestop.identity import rules
from onestop.identity import store_machine_keys as store
from onestop.identity.errors import MachineKeyUnknown, TooManyMachineKeys
from onestop.identity.models import Me, Session
from onestop.identity.store_machine_keys import MachineKeyRow
from onestop.ids import new_id
from onestop.settings import Settings

PREFIX: Final = "os_"
_LIFE: Final = timedelta(days=365)
_SEEN_STEP: Final = timedelta(minutes=1)
_MOST: Final = 10

KeyEnvironment = Literal["test", "live"]


class NewMachineKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key is made for, and how long it is good."""

    label: Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]
    days: Annotated[int, Meta(ge=1, le=730)] = _LIFE.days


class MachineKeyMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new key: the only time it is shown."""

    id: str
    key: str
    environment: KeyEnvironment
    expires_at: datetime


class MachineKeyList(msgspec.Struct, frozen=True, kw_only=True):
    """A department's keys without what opens the door."""

    data: list[MachineKeyRow]
    next_cursor: str | None
    has_more: bool


def environment_of(settings: Settings) -> KeyEnvironment:
    """Return which keys open this installation's door."""
    return "test" if settings.profile == "sandbox" else "live"


async def make(
    db: Connection, settings: Settings, department: str, new: NewMachineKey, *, by: str
) -> MachineKeyMade:  # fmt: skip
    """Make a key for a department; those it has hold beside it.

    Raises:
        TooManyMachineKeys: ten hold already.
    """
    environment = environment_of(settings)
    if await store.count_live(db, department, environment) >= _MOST:
        raise TooManyMachineKeys(most=_MOST)
    key = f"{PREFIX}{environment}_{secrets.token_urlsafe(32)}"
    id_ = new_id("mk")
    ends = clock.real_now() + timedelta(days=new.days)
    row = (id_, department, environment, new.label, sha256(key.encode()).digest(), key[-4:], by, ends)
    await store.insert_machine_key(db, *row)
    await audit.record(db, settings.region, actor=by, action="machine_key.made", object=id_)
    return MachineKeyMade(id=id_, key=key, environment=environment, expires_at=ends)


async def listed(db: Db, department: str, *, after: str | None = None, limit: int = 50) -> MachineKeyList:
    """Return a department's keys, oldest first."""
    size = max(1, min(limit, 200))
    rows = await store.machine_keys(db, department, after, size + 1)
    more = len(rows) > size
    return MachineKeyList(data=rows[:size], next_cursor=rows[size - 1].id if more else None, has_more=more)


async def ending(db: Db, settings: Settings, span: timedelta) -> list[MachineKeyRow]:
    """Return the keys to this installation that end within `span`, or ended within it, of all departments."""
    return await store.ending_keys(db, environment_of(settings), span)


async def revoke(db: Connection, settings: Settings, department: str, id_: str, *, by: str) -> None:
    """End a key; refused everywhere within five seconds.

    Raises:
        MachineKeyUnknown: the department has none of that id.
    """
    if not await store.revoke_machine_key(db, id_, department):
        raise MachineKeyUnknown
    await audit.record(db, settings.region, actor=by, action="machine_key.revoked", object=id_)


async def resolve(pool: Pool, settings: Settings, key: str) -> tuple[Session, float] | None:
    """Return the session a key stands for and for how long it may be remembered; None where it opens nothing."""
    if len(key) > 100:
        return None
    row = await store.live_key(pool, sha256(key.encode()).digest(), environment_of(settings))
    if row is None:
        return None
    if row.unseen_s is None or row.unseen_s > _SEEN_STEP.total_seconds():
        await store.touch_machine_key(pool, row.id, _SEEN_STEP)
    session = Session(
        id=row.id,
        subject_id=row.id,
        actor_id=row.id,
        role="department",
        department=row.department,
        level=0,
        kind="machine",
        expires_at=row.expires_at,
        principal=rules.principal(row.id, "department", row.department),
    )
    return session, row.remaining_s


def me(session: Session) -> Me:
    """Return what is known of a machine that asks who it is."""
    return Me(
        subject_id=session.subject_id,
        name=session.department or "",
        number_type="account",
        number_masked="",
        role=session.role,
        department=session.department,
        level=session.level,
        actor_id=session.actor_id,
        mandate=None,
        session_id=session.id,
        session_expires_at=session.expires_at,
    )
