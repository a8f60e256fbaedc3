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
    try:
        await work()
    except _TOLD as fault:
        log.warning(f"{name}_failed", fault=type(fault).__name__, sentence=str(fault)[:200], **about)
        return False
    except Exception:
        log.exception(f"{name}_failed", **about)
        return False
    return True
