"""Maintenance windows 维护窗口: whether a department has announced that it is away now, and until when; pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

import msgspec

from onestop.gateway.manifest import Window

CHINA: Final = timezone(timedelta(hours=8))
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST_JOINED: Final = 20  # windows that follow one another without a gap


class OneOff(msgspec.Struct, frozen=True, kw_only=True):
    """A window told by API: once, from and until."""

    id: str
    adapter: str
    begins: datetime
    ends: datetime
    note_zh: str = ""
    note_en: str = ""


def in_window(weekly: Sequence[Window], one_offs: Sequence[OneOff], now: datetime) -> datetime | None:
    """Return when the window that `now` lies in ends, None where it lies in none.

    Windows that touch are one. A weekly window counts in China Standard Time and may go past midnight.
    """
    until: datetime | None = None
    for _ in range(_MOST_JOINED):
        at = until or now
        ends = [end for begin, end in _around(weekly, one_offs, at) if begin <= at < end]
        if not ends:
            break
        until = max(ends)
    return until


def _around(weekly: Sequence[Window], one_offs: Sequence[OneOff], at: datetime) -> list[tuple[datetime, datetime]]:
    found = [(one.begins, one.ends) for one in one_offs]
    local = at.astimezone(CHINA)
    for window in weekly:
        for day in (local.date() - timedelta(days=1), local.date()):
            if _DAYS[day.weekday()] in window.days:
                begin = datetime.combine(day, window.begins.replace(tzinfo=None), CHINA)
                end = datetime.combine(day, window.ends.replace(tzinfo=None), CHINA)
                found.append((begin, end if end > begin else end + timedelta(days=1)))
    return found
