"""What an operator reads of cases: the right case, in order, and nothing of another region."""

import json

import pytest

from onestop.cli import store
from onestop.cli.entry import main
from onestop.ids import new_id

pytestmark = pytest.mark.anyio
REGION = "990100"

CASE = """
    INSERT INTO cases (region, id, number, claim_code, subject, actor, item, state, answers)
    VALUES ($1, $2, $3, 'K7M4', 'sub_x', 'sub_x', 'birth', $4, '')
"""
EVENT = """
    INSERT INTO case_events (region, case_id, seq, type, by_whom)
    VALUES ($1, $2, $3, 'cn.onestop.case.submitted', 'applicant')
"""


async def put(pool, region: str, state: str = "in_progress") -> str:
    case_id = new_id("case")
    await pool.execute(CASE, region, case_id, f"N-{case_id}", state)
    return case_id


async def test_latest_is_the_newest_of_this_region(pool):
    await put(pool, REGION)
    newest = await put(pool, REGION)
    await put(pool, "990200")
    found = await store.case(pool, REGION, "latest")
    assert found is not None
    assert found.id == newest


async def test_a_case_is_found_by_id_and_by_number_and_not_from_another_region(pool):
    case_id = await put(pool, REGION)
    assert (await store.case(pool, REGION, case_id)).id == case_id
    assert (await store.case(pool, REGION, f"N-{case_id}")).id == case_id
    assert await store.case(pool, "990200", case_id) is None


async def test_events_come_once_and_in_order(pool):
    case_id = await put(pool, REGION)
    for seq in (1, 2, 3):
        await pool.execute(EVENT, REGION, case_id, seq)
    assert [e.seq for e in await store.events_after(pool, REGION, case_id, 1)] == [2, 3]


async def test_case_show_tells_states_and_no_personal_data(pool, dsn, monkeypatch, capsys):
    import asyncio

    case_id = await put(pool, REGION)
    await pool.execute(EVENT, REGION, case_id, 1)
    monkeypatch.setenv("ONESTOP_DATABASE_URL", dsn)
    assert await asyncio.to_thread(main, ["case", "show", case_id, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["case"]["id"] == case_id
    assert len(told["events"]) == 1
    assert not {"answers", "subject", "actor", "claim_code"} & told["case"].keys()
    assert await asyncio.to_thread(main, ["case", "show", "latest", "--lang", "zh"]) == 0
    assert "办理中" in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["case", "show", "case_nosuch"]) == 1


async def test_watching_ends_when_the_case_is_over(pool, dsn, monkeypatch, capsys):
    import asyncio

    case_id = await put(pool, REGION)
    monkeypatch.setenv("ONESTOP_DATABASE_URL", dsn)
    watching = asyncio.create_task(asyncio.to_thread(main, ["case", "watch", case_id, "--json"]))
    await asyncio.sleep(0.3)
    await pool.execute(EVENT, REGION, case_id, 1)
    await pool.execute("UPDATE cases SET state = 'withdrawn' WHERE region = $1 AND id = $2", REGION, case_id)
    async with asyncio.timeout(10):
        assert await watching == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["event"]["seq"] == 1
    assert lines[-1]["case"]["state"] == "withdrawn"


async def test_a_database_that_is_silent_is_told_without_its_password(monkeypatch, capsys):
    import asyncio

    monkeypatch.setenv("ONESTOP_DATABASE_URL", "postgresql://onestop:secret@127.0.0.1:9/none")
    assert await asyncio.to_thread(main, ["case", "show", "latest"]) == 4
    said = capsys.readouterr().err
    assert "127.0.0.1:9" in said
    assert "secret" not in said
