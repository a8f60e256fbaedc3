"""Work that is done again and again: a round that fails is told of and is not the last."""

import asyncio

import asyncpg
import pytest
from structlog.testing import capture_logs

from onestop.rounds import attempt, repeat

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "fault",
    [OSError("away"), asyncpg.CannotConnectNowError("starting up"), KeyError("x"), AssertionError(), TypeError()],
)
async def test_a_round_that_fails_is_not_the_last(fault):
    done = asyncio.Event()
    rounds = []

    async def work():
        rounds.append(1)
        if len(rounds) == 1:
            raise fault
        done.set()

    with capture_logs() as logged:
        task = asyncio.create_task(repeat("looking", work, 0.001))
        async with asyncio.timeout(10):
            await done.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [entry["event"] for entry in logged] == ["looking_failed"]


async def test_a_defect_is_told_louder_than_a_database_that_is_away():
    async def away():
        raise asyncpg.CannotConnectNowError("starting up")

    async def defect():
        raise KeyError("x")

    async def well():
        return None

    with capture_logs() as logged:
        done = [await attempt("one", work, adapter="gongan") for work in (away, defect, well)]
    assert done == [False, False, True]
    assert [(entry["log_level"], entry["adapter"]) for entry in logged] == [("warning", "gongan"), ("error", "gongan")]


async def test_nothing_is_done_before_the_first_wait_where_that_is_asked():
    rounds = []

    async def work():
        rounds.append(1)

    task = asyncio.create_task(repeat("later", work, 60.0, at_once=False))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rounds == []
