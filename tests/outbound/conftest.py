"""Pools that are closed after the test, and a loop that must have had nothing to complain of."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from onestop.outbound.addresses import AllowList
from onestop.outbound.pool import Pool

OpenPool = Callable[..., Pool]


@pytest.fixture(
    scope="module",
    params=[("asyncio", {"use_uvloop": True}), ("asyncio", {"use_uvloop": False})],
    ids=["uvloop", "asyncio"],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def calm() -> AsyncIterator[None]:
    """Fails the test if anything was left to the loop's exception handler."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    yield
    await asyncio.sleep(0.01)
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


@pytest.fixture
async def opened(calm: None) -> AsyncIterator[OpenPool]:
    """Opens pools to ports of 127.0.0.1."""
    pools: list[Pool] = []

    def open_pool(port: int, host: str = "127.0.0.1", **options: Any) -> Pool:
        options.setdefault("allow", AllowList(["127.0.0.0/8"]))
        pools.append(Pool(host, port, **options))
        return pools[-1]

    yield open_pool
    for pool in pools:
        await pool.close()
        assert (pool.open, pool.idle, pool.waiting) == (0, 0, 0)
