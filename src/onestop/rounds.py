"""Work that is done again and again for as long as a process lives: one bad round never ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import asyncpg
import structlog

from onestop.errors import OnestopError

log = structlog.get_logger(__name__)

# The database or a department is away for a moment, or something was refused in words: no defect of ours.
_TOLD: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OnestopError)


FAILS_OFTEN: Final = 3  # in a row; once may happen to anything that asks a network

_in_a_row: dict[str, int] = {}  # by name of what failed last, in this process


def failing() -> dict[str, int]:
    """Return what failed at least `FAILS_OFTEN` times in a row in this process, and how often; names without people."""
    return {name: times for name, times in _in_a_row.items() if times >= FAILS_OFTEN}


def failed(name: str) -> None:
    """Count one more failure of a piece of work that is done again and again."""
    _in_a_row[name] = _in_a_row.get(name, 0) + 1


def went_well(name: str) -> None:
    """Forget the failures of a piece of work."""
    _in_a_row.pop(name, None)


async def repeat(name: str, work: Callable[[], Awaitable[object]], every_s: float, *, at_once: bool = True) -> NoReturn:
    """Do a round of `work` every `every_s` seconds until cancelled; `at_once`: the first without waiting.

    Whatever a round raises is logged as `<name>_failed` and the next is tried: a task that ended would do so unseen.
    """
    if not at_once:
        await asyncio.sleep(every_s)
    while True:
        await attempt(name, work)
        await asyncio.sleep(every_s)


async def attempt(name: str, work: Callable[[], Awaitable[object]], **about: str) -> bool:
    """Do one part of a round, so that its failure keeps no other part from being done; False: it failed."""
    part = " ".join((name, *about.values()))[:100]
    try:
        await work()
    except _TOLD as fault:
        log.warning(f"{name}_failed", fault=type(fault).__name__, sentence=str(fault)[:200], **about)
        failed(part)
        return False
    except Exception:
        log.exception(f"{name}_failed", **about)
        failed(part)
        return False
    went_well(part)
    return True
