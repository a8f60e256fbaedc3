"""What a process does beside serving begins anew, whatever ended it."""

import asyncio

import asyncpg
import pytest

from onestop.cli import serve

pytestmark = pytest.mark.anyio


async def test_a_worker_beside_the_portal_that_ends_begins_anew(settings, monkeypatch):
    begun, again = [], asyncio.Event()

    async def work(_):
        begun.append(1)
        if len(begun) == 1:
            raise asyncpg.CannotConnectNowError("starting up")
        if len(begun) == 2:
            raise KeyError("a defect of ours")
        again.set()
        await asyncio.Event().wait()

    async def follow(_):
        await asyncio.Event().wait()

    monkeypatch.setattr(serve, "_work", work)
    monkeypatch.setattr(serve, "follow", follow)
    tasks = serve._beside(settings, True, again_s=0.001)
    try:
        async with asyncio.timeout(10):
            await again.wait()
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
