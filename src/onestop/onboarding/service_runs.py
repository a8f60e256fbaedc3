"""Conformance runs that are kept: begun in a request, worked on beside it, written down when they end.

A run beats while its process works on it. Who looks finds one that has stopped beating interrupted: its process is
gone, and nobody can say what the department was asked.
"""

import asyncio
from typing import Annotated, Final

import asyncpg
import msgspec
import structlog
from msgspec import Meta

from onestop.db import Connection
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import Manifest
from onestop.gateway.places import place_of
from onestop.ids import new_id
from onestop.onboarding import store, store_runs
from onestop.onboarding.conformance import Telling, conform
from onestop.onboarding.conformance_models import Progress, Report, shown
from onestop.onboarding.errors import ThingAbsent
from onestop.onboarding.models import Actor, Run, RunTarget, Version
from onestop.onboarding.service import Life, read_again
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_errors import NoPlaceToAsk, RunUnderWay
from onestop.onboarding.simulator_secrets import sandbox_place
from onestop.onboarding.simulator_server import SimulatorApp, serving
from onestop.outbound.addresses import AllowList

log = structlog.get_logger(__name__)

WITHIN_S: Final = 900.0
BEAT_S: Final = 2.0
SILENT_S: Final = 30.0  # many beats: a database that is away for a moment interrupts nothing
_AWAY: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_AT_ONCE: Final = 4  # a process's; further ones wait


class NewRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a conformance run asks, and whether it may have effects."""

    against: RunTarget = "simulator"
    allow_effects: Annotated[
        bool, Meta(description="against `live`; in the sandbox and the simulator submissions are always sent")
    ] = False


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was begun, and what it takes to work on it."""

    id: str
    version: Version
    asked: NewRun
    place: Where | None  # None: the simulator


async def place(life: Life, found: Version, asked: NewRun) -> Where | None:
    """Return where a run's questions go; None for the simulator, which is made for the run.

    Raises:
        NoPlaceToAsk: nobody told where the system is.
        BadManifest: what is told there does not do: a secret or a constant is missing; says which.
    """
    manifest = read_again(found.manifest)
    if asked.against == "simulator":
        if not manifest.desk:
            await _opens(manifest, sandbox_place(manifest, "http://127.0.0.1:9"), AllowList(["127.0.0.0/8"]))
        return None
    where = await place_of(life.pool, life.keys, life.settings, found.adapter, asked.against)
    if where is None:
        raise NoPlaceToAsk(adapter=found.adapter, environment=asked.against)
    await _opens(manifest, where, AllowList(life.settings.outbound_allow))
    return where


async def _opens(manifest: Manifest, where: Where, allow: AllowList) -> None:
    """Open a line and close it: what is not told is said before the run, not found in the middle of it."""
    await Line(manifest, where, allow).close()


async def begin(db: Connection, actor: Actor, found: Version, asked: NewRun, where: Where | None) -> Job:
    """Write a run as under way; `work` does it.

    Raises:
        RunUnderWay: another one asks the same system; two would measure each other.
    """
    await write_off(db, found.adapter)
    id_ = new_id("run")
    if not await store_runs.begin(
        db, id_, found.adapter, found.version, found.digest, asked.against, actor.id
    ):  # fmt: skip
        other = await store_runs.under_way(db, found.adapter, asked.against)
        raise RunUnderWay(adapter=found.adapter, against=asked.against, run=other or "-")
    return Job(id=id_, version=found, asked=asked, place=where)


async def write_off(db: Connection, adapter: str | None = None) -> int:
    """Mark the runs of processes that are gone as interrupted and tell the owners; return how many."""
    lost = await store_runs.interrupt_lost(db, SILENT_S, adapter)
    for run in lost:
        await _tell_interrupted(db, run.adapter, run.version, run.against, run.id)
    return len(lost)


async def _tell_interrupted(db: Connection, adapter: str, version: str, against: str, id_: str) -> None:
    await store.insert_notice(
        db, new_id("ntc"), adapter, version, "run_interrupted", {"against": against, "run": id_}
    )  # fmt: skip


async def work(life: Life, job: Job, progress: Progress) -> None:
    """Do a run to its end and write down what it found; cancelled, it is written down as interrupted."""
    task = asyncio.get_running_loop().create_task(_examine(life, job, progress))
    try:
        async with asyncio.timeout(WITHIN_S):
            while not (await asyncio.wait({task}, timeout=BEAT_S))[0]:
                if not await _beat(life, job.id, progress):
                    return
        await _end(life, job, task.result(), progress.done)
    except asyncio.CancelledError:
        await _interrupted(life, job, "restart")
        raise
    except TimeoutError:
        await _interrupted(life, job, "time")
    except Exception as fault:  # a fault of ours is not the department's, and is no proof either
        log.exception("run_failed", run=job.id, adapter=job.version.adapter, fault=type(fault).__name__)
        await _interrupted(life, job, "error")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _beat(life: Life, id_: str, progress: Progress) -> bool:
    """Say that the run goes on; where the database is away for a moment, the run goes on all the same."""
    try:
        return await store_runs.beat(life.pool, id_, progress.done, progress.of, progress.operation)
    except _AWAY as fault:
        log.warning("run_not_told", run=id_, fault=type(fault).__name__)
        return True


async def _examine(life: Life, job: Job, progress: Progress) -> Report:
    manifest, found, against = read_again(job.version.manifest), job.version, job.asked.against
    effects = job.asked.allow_effects or against != "live"
    telling = Telling(against=against, effects=effects, digest=found.digest)
    if job.place is not None:
        return await conform(manifest, job.place, AllowList(life.settings.outbound_allow), telling, progress)
    simulator = Simulator(manifest)
    async with serving(SimulatorApp(simulator)) as url:
        where = Where(url, simulator.secrets, simulator.config)
        return await conform(manifest, where, AllowList(["127.0.0.0/8"]), telling, progress)


async def _end(life: Life, job: Job, report: Report, looked: int) -> None:
    # What answered counts, not what was to be asked: an address may lead to a simulator.
    against: RunTarget = "simulator" if report.against == "simulator" else job.asked.against
    found, kind = job.version, "run_passed" if report.passed else "run_failed"
    async with life.pool.acquire() as db, db.transaction():
        if await store_runs.end(db, job.id, against, report.passed, msgspec.to_builtins(shown(report)), looked):
            await life.notify(db, found.adapter, found.version, kind, against=against, run=job.id)


async def _interrupted(life: Life, job: Job, fault: str) -> None:
    try:
        async with life.pool.acquire() as db, db.transaction():
            if await store_runs.interrupt(db, job.id, fault):
                await _tell_interrupted(db, job.version.adapter, job.version.version, job.asked.against, job.id)
    except _AWAY as lost:  # whoever looks will find it silent
        log.warning("run_not_told", run=job.id, fault=type(lost).__name__)


async def one(life: Life, found: Version, id_: str) -> Run:
    """Return a run of a version, under way or not.

    Raises:
        ThingAbsent: there is none.
    """
    async with life.pool.acquire() as db, db.transaction():
        await write_off(db, found.adapter)
        run = await store_runs.run(db, id_, found.adapter, found.version)
    if run is None:
        raise ThingAbsent(what="conformance run")
    return run


async def listed(life: Life, found: Version) -> list[Run]:
    """Return, newest first, the last run over exactly a version's bytes against each target, and what did not end."""
    async with life.pool.acquire() as db, db.transaction():
        await write_off(db, found.adapter)
        runs = [
            *await store_runs.last_runs(db, found.adapter, found.digest),
            *await store_runs.unfinished(db, found.adapter, found.digest),
        ]
    return sorted(runs, key=lambda run: run.id, reverse=True)


class Runner:
    """The runs that one process works on."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, job: Job) -> None:
        """Work on a run beside what else the process does; after the commit that began it."""
        task = asyncio.get_running_loop().create_task(self._work(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, job: Job) -> None:
        try:
            while True:
                try:
                    async with asyncio.timeout(BEAT_S):
                        await self._room.acquire()
                    break
                except TimeoutError:  # it waits for room, and says so
                    if not await _beat(self._life, job.id, Progress()):
                        return
        except asyncio.CancelledError:
            await _interrupted(self._life, job, "restart")
            raise
        try:
            await work(self._life, job, Progress())
        finally:
            self._room.release()

    async def close(self) -> None:
        """Interrupt what is under way, and write that down."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
