import asyncio
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, time, timedelta

import pytest

from onestop.gateway import effect_verdicts, effects, store
from onestop.gateway.manifest import Window
from onestop.gateway.models import NewEffect
from onestop.gateway.windows import CHINA, OneOff, in_window
from onestop.ids import new_id
from onestop.onboarding import service_terms
from onestop.onboarding.errors import AdapterAbsent, ThingAbsent, WindowWrong
from tests.gateway.department import department
from tests.onboarding.conftest import ONE, TWO
from tests.onboarding.test_registry import answering, serving

pytestmark = pytest.mark.anyio
NIGHT = Window(days=("fri",), begins=time(23, 0), ends=time(2, 0))
FRIDAY = datetime(2026, 11, 27, tzinfo=CHINA)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        (FRIDAY.replace(hour=22, minute=59), None),
        (FRIDAY.replace(hour=23), FRIDAY + timedelta(hours=26)),
        (FRIDAY + timedelta(hours=25, minutes=59), FRIDAY + timedelta(hours=26)),
        (FRIDAY + timedelta(hours=26), None),  # the end is no longer in it
        (FRIDAY - timedelta(hours=1), None),  # Thursday evening
        ((FRIDAY + timedelta(hours=24)).astimezone(UTC), FRIDAY + timedelta(hours=26)),  # any zone may ask
    ],
)
def test_a_weekly_window_counts_in_china_and_goes_past_midnight(at, until):
    assert in_window([NIGHT], [], at) == until


def test_windows_that_touch_are_one_and_every_day_around_the_clock_ends_the_looking():
    one = OneOff(
        id="w", adapter="one", begins=FRIDAY + timedelta(hours=26), ends=FRIDAY + timedelta(hours=30)
    )  # fmt: skip
    assert in_window([NIGHT], [one], FRIDAY.replace(hour=23)) == one.ends
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    always = Window(days=days, begins=time(0), ends=time(0))
    assert in_window([always], [], FRIDAY) > FRIDAY + timedelta(days=10)


async def window(room, actor=ONE, begins=-1.0, ends=1.0, **told):
    now = datetime.now(UTC)
    new = service_terms.NewWindow(begins=now + timedelta(hours=begins), ends=now + timedelta(hours=ends), **told)
    return await room.life.commit(lambda db: service_terms.add_window(room.life, db, actor, "one", new))


async def test_a_window_must_make_sense_and_be_one_s_own(room):
    await room.push(ONE)
    for begins, ends in ((1, 0.5), (-3, -2), (0, 24 * 31)):
        with pytest.raises(WindowWrong):
            await window(room, begins=begins, ends=ends)
    with pytest.raises(AdapterAbsent):
        await window(room, TWO)
    made = await window(room)
    with pytest.raises(AdapterAbsent):
        await room.life.commit(lambda db: service_terms.end_window(room.life, db, TWO, "one", made.id))
    with pytest.raises(ThingAbsent):
        await room.life.commit(lambda db: service_terms.end_window(room.life, db, ONE, "one", "win_x"))


async def test_during_a_window_nothing_is_sent_and_effects_wait_for_its_end(room, keys, told, dsn, monkeypatch):
    monkeypatch.setattr(effect_verdicts, "LONGEST_HELD_S", 0.2)
    monkeypatch.setattr(effects.random, "uniform", lambda low, high: low)
    heard = []

    async def handler(_db, effect, settled):
        heard.append(settled.outcome)

    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(answering()))
        await room.push(ONE, version="0.1.0")
        await room.place("one", f"http://127.0.0.1:{served.port}")
        await room.live()
        made = await window(room, note_zh="升级", note_en="Upgrade")
        here = await stack.enter_async_context(serving(dsn, keys, told))
        part = await here.ask()
        assert (part.state, part.problem.code) == ("maintenance", "upstream.maintenance")
        assert 3500 < part.problem.retry_after_s <= 3600
        new = NewEffect(
            id=new_id("eff"), case_id="c", step="s", adapter="one", operation="apply", key="w-1", payload={"name": "x"}
        )
        async with room.pool.acquire() as db, db.transaction():
            await effects.intend(db, keys, here.gateway, "990100", [new])
        worker = effects.Dispatcher(room.pool, keys, here.gateway, "990100", handler)
        task = asyncio.create_task(worker.run())
        await asyncio.sleep(0.8)
        assert served.asked == []
        assert heard == []
        effect = await store.by_key_for_update(room.pool, "990100", "one", "w-1")
        assert effect.state == "intended"
        problem = await room.pool.fetchval("SELECT problem FROM effects WHERE key = 'w-1'")
        assert problem == {"code": "upstream.maintenance"}
        await room.life.commit(lambda db: service_terms.end_window(room.life, db, ONE, "one", made.id))
        await here.follows(lambda _: bool(heard))
        worker.stop()
        await task
        assert heard == ["completed"]
        assert json.loads(served.asked[0][2])["key"] == "w-1"
        assert (await here.ask()).state == "ok"
