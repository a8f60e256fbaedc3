"""A department that is still down at the end of its window is given a little longer, twice, and its owner is told."""

from datetime import UTC, datetime, time, timedelta

import msgspec
import pytest

from onestop.gateway.manifest import Window
from onestop.onboarding import overrun, store_terms
from onestop.onboarding.probes import Prober
from onestop.onboarding.store_terms import WindowRow
from tests.gateway.peer import line, peer
from tests.onboarding.conftest import ONE

pytestmark = pytest.mark.anyio
END = datetime(2026, 11, 27, 10, tzinfo=UTC)
STEP = timedelta(minutes=15)
NIGHT = Window(days=("fri",), begins=time(16, 0), ends=time(18, 0))


def row(begins, ends, by="maker-one"):
    return WindowRow(id=f"w{begins:%H%M}", begins=begins, ends=ends, note_zh="", note_en="", made_by=by)


ANNOUNCED = row(END - 8 * STEP, END)
FIRST = row(END, END + STEP, "probe-watch")
SECOND = row(END + STEP, END + 2 * STEP, "probe-watch")
SOON = timedelta(seconds=10)


@pytest.mark.parametrize(
    ("weekly", "rows", "now", "end"),
    [
        ([], [], END, None),
        ([], [ANNOUNCED], END - timedelta(minutes=5), None),  # it is not about to end
        ([], [ANNOUNCED], END, None),  # it is over
        ([], [ANNOUNCED, FIRST, SECOND], END + 2 * STEP - SOON, None),  # twice is enough
        ([NIGHT], [FIRST, SECOND], END + 2 * STEP - SOON, None),
        ([], [ANNOUNCED], END - SOON, END),
        ([NIGHT], [], END - SOON, END),
        ([], [ANNOUNCED, FIRST], END + STEP - SOON, END + STEP),
        ([], [row(END - 8 * STEP, END - STEP), row(END - STEP, END)], END - SOON, END),  # a department's own two
    ],
)
def test_a_window_is_extended_just_before_it_ends_and_twice_at_most(weekly, rows, now, end):
    assert overrun.due(weekly, rows, "one", now) == end


async def ending(room):
    await room.push(ONE)
    now = datetime.now(UTC)
    row = ("win_x", "one", now - timedelta(hours=1), now + timedelta(seconds=15), "", "", ONE.id)
    async with room.pool.acquire() as db:
        await store_terms.insert_window(db, *row)
    return row[3]


async def test_a_department_that_is_down_is_away_for_longer_and_told_once_by_many_processes(room):
    end = await ending(room)

    async def down():
        return False

    assert [await overrun.look(room.life, "one", (), down) for _ in range(3)] == [True, False, False]
    rows = await store_terms.windows(room.pool, "one")
    assert [(one.begins, one.ends, one.made_by) for one in rows[1:]] == [(end, end + STEP, "probe-watch")]
    told = (await room.life.notices(ONE, "one", "en")).data
    assert [one.kind for one in told].count("window_extended") == 1
    assert await room.pool.fetchval("SELECT number FROM registry_mark") > 0


async def test_a_department_that_is_back_is_asked_from_the_announced_end_on(room):
    await ending(room)

    async def back():
        return True

    assert not await overrun.look(room.life, "one", (), back)
    assert len(await store_terms.windows(room.pool, "one")) == 1


async def test_the_prober_asks_the_health_path_before_it_extends(room):
    await ending(room)
    text = '[probe]\npath = "/health"\naccept = [204]\n'
    async with peer() as served, line(text, {}, served) as opened:
        opened.manifest = msgspec.structs.replace(opened.manifest, id="one")
        await Prober(room.life, lambda: {"one": opened}, None, None).round()
        assert "/health" in [seen.target for seen in served.asked]
    assert len(await store_terms.windows(room.pool, "one")) == 2
