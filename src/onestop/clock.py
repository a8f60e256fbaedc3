"""The time. Legal times ask this module, so that a sandbox may move them; time-outs use `monotonic`."""

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")
_offset = timedelta(0)


def now() -> datetime:
    """Return the present instant in UTC, moved by the sandbox's offset where one is set."""
    return datetime.now(UTC) + _offset


def today() -> date:
    """Return the present day in China Standard Time, the day every deadline counts in."""
    return now().astimezone(CHINA).date()


def monotonic() -> float:
    """Return seconds that never go back; only differences mean something."""
    return time.monotonic()


def set_offset(offset: timedelta) -> None:
    """Move the clock of this process; the demo and sandbox profiles only."""
    global _offset
    _offset = offset


def offset() -> timedelta:
    """Return by how much the sandbox moved the clock; zero otherwise."""
    return _offset


def real_now() -> datetime:
    """Return the present instant in UTC, never moved: for leases and waits, which are not legal times."""
    return datetime.now(UTC)
