"""The sandbox's clock: moved by a command, followed by every process of the installation. Never in production."""

import asyncio
import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from onestop import clock
from onestop.cli import store
from onestop.directory import rules
from onestop.directory.models import Calendar

if TYPE_CHECKING:
    from onestop.settings import Settings

log = structlog.get_logger(__name__)

_STEP = re.compile(r"(\d{1,4})(wd|d|h|m)")
_EVERY_S = 1.0


class BadStep(ValueError):
    """Not a number of working days, days, hours or minutes."""


def advanced(now: datetime, step: str, calendar: Calendar) -> datetime:
    """Return the instant a step after `now`: `5wd` working days, `3d` days, `2h` hours, `30m` minutes.

    Working days keep the time of day in China.

    Raises:
        BadStep: the step cannot be read.
    """
    match = _STEP.fullmatch(step)
    if match is None:
        raise BadStep(step)
    count, unit = int(match[1]), match[2]
    if unit == "wd":
        local = now.astimezone(clock.CHINA)
        day: date = rules.due_on(local.date(), count, calendar)
        return datetime.combine(day, local.time(), clock.CHINA)
    return now + count * {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}[unit]


async def follow(settings: "Settings") -> None:
    """Keep this process's clock where the sandbox's is, until cancelled; does nothing in production."""
    if settings.profile == "production":
        return
    from onestop.cli.place import database

    async with database(settings, "onestop clock") as pool:
        while True:
            try:
                told = timedelta(seconds=await store.clock_offset_s(pool))
                if told != clock.offset():
                    clock.set_offset(told)
                    log.info("clock_moved", offset_s=told.total_seconds())
            except Exception as fault:  # a database that is away for a while moves no clock
                log.warning("clock_unread", fault=type(fault).__name__)
            await asyncio.sleep(_EVERY_S)
