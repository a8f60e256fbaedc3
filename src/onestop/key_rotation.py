"""Root keys that change while everything runs: each process notices, a worker seals anew what the old one sealed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from onestop.audit import service_reseal as audit
from onestop.cases import service_reseal as cases
from onestop.certificates import service_reseal as certificates
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.errors import OnestopError
from onestop.gateway import service_reseal as gateway
from onestop.identity import service_reseal as identity
from onestop.mandates import service_reseal as mandates
from onestop.overview import service_reseal as overview
from onestop.resealing import reseal

log = structlog.get_logger(__name__)

# What lives for days at most is not here: sign-ins, sessions, completions, kept answers, cookies of forms, exports.
SEALED: Final = (
    *audit.SEALED,
    *identity.SEALED,
    *gateway.SEALED,
    *cases.SEALED,
    *certificates.SEALED,
    *mandates.SEALED,
    *overview.SEALED,
)

_LOOK_EVERY_S: Final = 5.0
_AGAIN_AFTER_S: Final = 60.0  # by then no process seals with the key before


@asynccontextmanager
async def following(keys: Keys, every_s: float = _LOOK_EVERY_S) -> AsyncIterator[None]:
    """Notice, as long as the block lasts, that another root key seals."""
    task = asyncio.get_running_loop().create_task(_follow(keys, every_s))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(keys: Keys, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            if keys.reload():
                log.info("root_key_changed", header=keys.header.hex())
        except (OSError, OnestopError) as fault:
            log.warning("root_keys_not_read", fault=type(fault).__name__)


async def resealing(
    pool: Pool, keys: Keys, region: str, again_after_s: float = _AGAIN_AFTER_S, every_s: float = _LOOK_EVERY_S
) -> None:
    """Seal anew, at the start and after each change, what is not sealed with the present key; once more a while later.

    The second time is for what other processes still sealed with the old key before they noticed.
    """
    while True:
        header = keys.header
        for wait_s in (again_after_s, 0.0):
            while not await _resealed(pool, keys, region):  # noqa: ASYNC110
                await asyncio.sleep(again_after_s)  # nothing tells of a database that came back
            await asyncio.sleep(wait_s)
        while keys.header == header:  # noqa: ASYNC110 - a file changed it, and files send no events
            await asyncio.sleep(every_s)


async def _resealed(pool: Pool, keys: Keys, region: str) -> bool:
    try:
        moved = await reseal(pool, keys, region, SEALED)
    except Exception as fault:
        log.warning("not_resealed", fault=type(fault).__name__)
        return False
    if any(moved.values()):
        log.info("resealed", **moved)
    return True
