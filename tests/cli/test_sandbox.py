"""The sandbox's clock and orders."""

import asyncio
from datetime import UTC, datetime, timedelta

import click
import pytest

from onestop import clock
from onestop.cli import moved_clock, store
from onestop.cli.moved_clock import BadStep, advanced
from onestop.cli.sandbox import _clock, seconds
from onestop.cli.speech import Halt
from onestop.directory.service import calendar
from onestop.settings import Settings

# Friday evening in China, before a plain weekend.
FRIDAY = datetime(2025, 11, 21, 17, 30, tzinfo=clock.CHINA)


@pytest.fixture(autouse=True)
def clock_put_right():
    yield
    clock.set_offset(timedelta(0))


def test_working_days_pass_over_the_weekend_and_keep_the_time_of_day():
    assert advanced(FRIDAY, "1wd", calendar()) == datetime(2025, 11, 24, 17, 30, tzinfo=clock.CHINA)
    assert advanced(FRIDAY, "5wd", calendar()) == datetime(2025, 11, 28, 17, 30, tzinfo=clock.CHINA)


def test_working_days_pass_over_a_national_holiday():
    before = datetime(2025, 9, 30, 9, tzinfo=clock.CHINA)
    assert advanced(before, "1wd", calendar()).date().isoformat() == "2025-10-09"


@pytest.mark.parametrize(("step", "hours"), [("3d", 72), ("2h", 2), ("30m", 0.5)])
def test_other_steps_are_plain_time(step, hours):
    assert advanced(FRIDAY, step, calendar()) - FRIDAY == timedelta(hours=hours)


@pytest.mark.parametrize("step", ["", "wd", "5", "-5wd", "5w", "5wd "])
def test_what_is_no_step_is_refused(step):
    with pytest.raises(BadStep):
        advanced(FRIDAY, step, calendar())


@pytest.mark.parametrize(("lasts", "expected"), [("90", 90), ("90s", 90), ("2m", 120), ("1h", 3600)])
def test_how_long_is_read(lasts, expected):
    assert seconds(lasts) == expected


@pytest.mark.parametrize("lasts", ["0", "0s", "-1m", "soon", "1d", ""])
def test_how_long_is_refused(lasts):
    with pytest.raises(click.UsageError):
        seconds(lasts)


@pytest.mark.anyio
async def test_in_production_the_clock_is_not_moved(dsn, tmp_path):
    settings = Settings(profile="production", state_dir=tmp_path, database_url=dsn)
    with pytest.raises(Halt) as caught:
        await _clock(settings, "advance", "5wd")
    assert caught.value.key == "clock_production"


@pytest.mark.anyio
async def test_a_moved_clock_adds_up_and_can_be_put_right(settings, pool):
    await _clock(settings, "advance", "3d")
    await _clock(settings, "advance", "2h")
    assert await store.clock_offset_s(pool) == pytest.approx(3 * 86_400 + 7_200, abs=1)
    told = await _clock(settings, "reset", None)
    assert told["offset_s"] == 0


@pytest.mark.anyio
async def test_a_process_follows_the_clock_and_production_does_not(settings, pool):
    await store.move_clock(pool, 86_400.0)
    following = asyncio.create_task(moved_clock.follow(settings))
    async with asyncio.timeout(5):
        while clock.offset() != timedelta(days=1):  # noqa: ASYNC110 - the clock is a plain value
            await asyncio.sleep(0.02)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert abs(clock.now() - datetime.now(UTC) - timedelta(days=1)) < timedelta(seconds=5)
    clock.set_offset(timedelta(0))
    production = Settings(profile="production", state_dir=settings.state_dir, database_url=settings.database_url)
    await moved_clock.follow(production)
    assert clock.offset() == timedelta(0)
