"""Conformance runs outlive their request: looked at while they work, one at a time, interrupted with their process."""

import asyncio
from typing import Any

import msgspec
import pytest

from onestop.onboarding import service_runs, store_runs
from onestop.onboarding.conformance_models import Progress
from onestop.onboarding.models import Version
from onestop.onboarding.service_runs import Job, NewRun, Runner
from onestop.onboarding.simulator_errors import RunUnderWay
from tests.gateway.department import department
from tests.onboarding.conftest import ONE, OPERATOR, Room, manifest
from tests.onboarding.test_routes import portal  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio
RUNS = "/v1/adapters/one/versions/1.0.0/conformance-runs"
SIMULATED = NewRun(against="simulator")


async def pushed(desk: Any) -> dict[str, Any]:
    made = await desk.send("one", "POST", "/v1/adapters", {"manifest": manifest()})
    assert made.status_code == 201, made.text
    told: dict[str, Any] = made.json()
    return told


async def ended(desk: Any, there: str) -> dict[str, Any]:
    run: dict[str, Any] = {}

    async def over() -> bool:
        found = await desk.get("one", there)
        run.update(found.json())
        assert ("retry-after" in found.headers) is (run["state"] == "running")
        return run["state"] != "running"

    await desk.follows(over, patience_s=30.0)
    return run


async def begun(room: Room, made: Version, asked: NewRun = SIMULATED, place: Any = None) -> Job:
    return await room.life.commit(lambda db: service_runs.begin(db, ONE, made, asked, place))


async def run_of(room: Room, job: Job) -> tuple[str, str | None]:
    run = await store_runs.run(room.pool, job.id, "one", "1.0.0")
    assert run is not None
    return run.state, run.fault


async def test_a_run_is_begun_looked_at_and_kept_and_one_against_the_simulator_does_not_open_the_way(
    portal,  # noqa: F811
):
    told = await pushed(portal)
    refused = await portal.send("one", "POST", RUNS, {"against": "live"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conformance.no_place")
    made = await portal.send("one", "POST", RUNS, {}, **{"idempotency-key": "run-1"})
    assert (made.status_code, made.json()["state"], made.json()["passed"]) == (202, "running", None), made.text
    there = made.headers["location"]
    run = await ended(portal, there)
    assert (run["passed"], run["report"]["digest"]) == (True, told["digest"]), run
    assert run["progress"]["done"] == run["progress"]["of"] > 0
    again = await portal.send("one", "POST", RUNS, {}, **{"idempotency-key": "run-1"})
    assert (again.status_code, again.headers["location"], again.json()["id"]) == (202, there, run["id"])
    assert [entry["id"] for entry in (await portal.get("one", RUNS)).json()["data"]] == [run["id"]]
    for who, where, status in (("two", there, 404), ("lin", there, 403), ("one", f"{RUNS}/run_other", 404)):
        assert (await portal.get(who, where)).status_code == status
    page = await portal.get("one", f"{RUNS}/report.html")
    assert page.headers["content-type"].startswith("text/html")
    assert "@media print" in page.text
    view = (await portal.get("one", "/v1/adapters/one/versions/1.0.0")).json()
    checks = {check["name"]: (check["passed"], check["sentence"]) for check in view["checks"]}
    assert checks["conformance"][0] is False
    assert "Only a simulator" in checks["conformance"][1]


async def test_two_runs_against_one_system_at_once_are_refused_and_a_lost_one_makes_way(portal, room):  # noqa: F811
    await pushed(portal)
    _, version = await room.life.version(room.pool, ONE, "one", "1.0.0")
    other = await begun(room, version)  # another process works on it
    refused = await portal.send("one", "POST", RUNS, {})
    assert (refused.status_code, refused.json()["code"]) == (409, "conformance.running")
    assert other.id in refused.json()["detail"]
    await room.pool.execute("UPDATE conformance_runs SET beat_at = now() - interval '1 minute'")
    made = await portal.send("one", "POST", RUNS, {})
    assert made.status_code == 202, made.text
    lost = (await portal.get("one", f"{RUNS}/{other.id}")).json()
    assert (lost["state"], lost["fault"], lost["passed"], lost["report"]) == ("interrupted", "restart", None, None)
    assert (await ended(portal, made.headers["location"]))["state"] == "ended"
    kinds = [n["kind"] for n in (await portal.get("one", "/v1/adapters/one/notices")).json()["data"]]
    assert {"run_interrupted", "run_passed"} <= set(kinds)


async def test_of_many_that_begin_at_once_one_does(room):
    made = await room.push(ONE)
    results = await asyncio.gather(*(begun(room, made) for _ in range(5)), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Job"] + ["RunUnderWay"] * 4


async def test_a_process_that_closes_marks_its_runs_and_what_was_not_finished_proves_nothing(room):
    async def silent(path: str, headers: Any, body: bytes) -> None:
        asked.set()
        await asyncio.sleep(60)

    asked = asyncio.Event()
    made = await room.push(ONE, manifest().replace("total_s = 2.0", "total_s = 60.0"))
    async with department(silent) as served:
        await room.life.commit(
            lambda db: db.execute(
                "INSERT INTO adapter_places (adapter, environment, url, set_by) VALUES ('one', 'sandbox', $1, 'x')",
                f"http://127.0.0.1:{served.port}",
            )
        )
        await room.secret("token", "x")
        place = await service_runs.place(room.life, made, NewRun(against="sandbox"))
        assert place is not None
        place = msgspec.structs.replace(place, secrets={"token": "x"})
        job = await begun(room, made, NewRun(against="sandbox"), place)
        runner = Runner(room.life)
        runner.start(job)
        async with asyncio.timeout(20):
            await asked.wait()
        await runner.close()
    assert await run_of(room, job) == ("interrupted", "restart")
    assert await room.life.proof(room.pool, made) == "none"


async def test_a_fault_of_ours_interrupts_and_a_run_written_off_meanwhile_stays_so(room):
    made = await room.push(ONE)
    broken = msgspec.structs.replace(await begun(room, made), version=msgspec.structs.replace(made, manifest=b"["))
    await service_runs.work(room.life, broken, Progress())
    assert await run_of(room, broken) == ("interrupted", "error")
    job = await begun(room, made)
    await store_runs.interrupt(room.pool, job.id, "restart")
    await service_runs.work(room.life, job, Progress())
    assert await run_of(room, job) == ("interrupted", "restart")
    first = await begun(room, made)
    with pytest.raises(RunUnderWay) as refusal:
        await room.life.commit(lambda db: service_runs.begin(db, OPERATOR, made, SIMULATED, None))
    assert refusal.value.params["run"] == first.id


async def test_a_database_that_is_away_for_a_moment_ends_no_run(room):
    made = await room.push(ONE)
    job = await begun(room, made)

    class Away:
        """A pool that is asked for nothing while it is away."""

        def __getattr__(self, name: str) -> Any:
            raise OSError

    life = room.life
    gone = type(life)(Away(), life.keys, life.settings, life.files, lambda _: None)  # type: ignore[arg-type]
    await service_runs.work(gone, job, Progress())  # it cannot be written down; nothing is raised, and it stays silent
    assert await run_of(room, job) == ("running", None)
    await room.pool.execute("UPDATE conformance_runs SET beat_at = now() - interval '1 minute'")
    assert (await service_runs.one(life, made, job.id)).state == "interrupted"
