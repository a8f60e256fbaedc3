"""Group commit: rows share batches, few rows share a lane, none is left behind."""

import asyncio
import random

import pytest

from onestop.grouping import GroupWriter

pytestmark = pytest.mark.anyio


class Slow:
    """A table whose batches are committed when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.commit = asyncio.Event()

    async def write(self, rows):
        self.batches.append(list(rows))
        await self.commit.wait()
        return [row * 2 for row in rows]


async def put(writer: GroupWriter[int, int], rows: range) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(writer.put(row)) for row in rows]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_few_rows_wait_for_the_lane_under_way_and_eight_open_another():
    table = Slow()
    writer = GroupWriter(table.write, lanes=2)
    first = await put(writer, range(1))
    few = await put(writer, range(1, 8))
    assert table.batches == [[0]]
    eighth = await put(writer, range(8, 9))
    assert table.batches == [[0], list(range(1, 9))]
    later = await put(writer, range(9, 30))
    assert len(table.batches) == 2  # both lanes are under way
    table.commit.set()
    assert await asyncio.gather(*first, *few, *eighth, *later) == [row * 2 for row in range(30)]
    assert table.batches[2] == list(range(9, 30))
    await writer.close()


@pytest.mark.parametrize("seed", range(5))
async def test_no_row_is_left_behind_however_lanes_end(seed):
    chance = random.Random(seed)

    async def write(rows):
        await asyncio.sleep(chance.choice((0, 0, 0.001)))
        if chance.random() < 0.1:
            raise OSError("cut")
        return list(rows)

    writer: GroupWriter[int, int] = GroupWriter(write, lanes=3)

    async def caller(row):
        await asyncio.sleep(chance.random() / 100)
        return await writer.put(row)

    async with asyncio.timeout(5):
        found = await asyncio.gather(*(caller(row) for row in range(300)), return_exceptions=True)
    assert all(got == row or isinstance(got, OSError) for row, got in enumerate(found))
    await writer.close()


async def test_a_lane_that_was_cancelled_makes_room_for_the_next():
    table = Slow()
    writer = GroupWriter(table.write)
    lost = await put(writer, range(1))
    for task in writer._tasks:
        task.cancel()
    await asyncio.sleep(0)
    later = await put(writer, range(1, 2))
    table.commit.set()
    assert await asyncio.gather(*later) == [2]
    lost[0].cancel()
