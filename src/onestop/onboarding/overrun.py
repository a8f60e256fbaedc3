"""Overrun 维护超时: a department that is still down when its maintenance window ends is given a little longer.

An extension is a one-off window that begins where the window ends, so that gateways take the two as one, and anybody
who may end a window may end it.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from onestop import clock
from onestop.gateway.manifest import Window
from onestop.gateway.windows import OneOff, in_window
from onestop.onboarding import store, store_terms
from onestop.onboarding.models import Actor
from onestop.onboarding.service import Life
from onestop.onboarding.store_terms import WindowRow

log = structlog.get_logger(__name__)

BY: Final = Actor(id="probe-watch", role="operator", machine=True)
STEP: Final = timedelta(minutes=15)
MOST: Final = 2
AHEAD: Final = timedelta(seconds=20)  # a few rounds before the end: the extension must be known before calls go out


def due(weekly: Sequence[Window], rows: Sequence[WindowRow], adapter: str, now: datetime) -> datetime | None:
    """Return the end, close at hand, of the window that `now` lies in; None where it may not be extended (again)."""
    one_offs = [OneOff(id=row.id, adapter=adapter, begins=row.begins, ends=row.ends) for row in rows]
    until = in_window(weekly, one_offs, now)
    if until is None or until - now > AHEAD:
        return None
    before = {row.ends: row.begins for row in rows if row.made_by == BY.id}
    at, times = until, 0
    while at in before and times < MOST:
        at, times = before[at], times + 1
    return until if times < MOST else None


async def look(life: Life, adapter: str, weekly: Sequence[Window], well: Callable[[], Awaitable[bool]]) -> bool:
    """Extend a window that is about to end where the department is not `well`, which is asked then only.

    True: it was extended here. The owner is told.
    """
    until = due(weekly, await store_terms.late_windows(life.pool, adapter), adapter, clock.now())
    if until is None or await well():
        return False

    ends = until + STEP
    async with life.pool.acquire() as db, db.transaction():
        await life.hold(db, BY, adapter)
        # The id is told by adapter and moment: however many processes look, one extends.
        id_ = f"win_{adapter}_{until.astimezone(UTC):%Y%m%dT%H%M%S%f}"
        if not await store_terms.extend_window(db, id_, adapter, until, ends, BY.id):
            return False
        await store.changed(db)
        await life.record(db, BY, "adapter.window", adapter, {"window": id_})
        await life.notify(
            db, adapter, None, "window_extended", until=until.isoformat(timespec="minutes"),
            ends=ends.isoformat(timespec="minutes"),
        )  # fmt: skip
    life.announce()
    log.warning("window_extended", adapter=adapter, ends=ends.isoformat())
    return True
