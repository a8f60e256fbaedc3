"""Controller of conformance runs: begun with 202, looked at under their own address until they have ended."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from onestop.db import Connection
from onestop.http.idempotency import Keyed, Reply, once
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.onboarding import service_runs, store_runs
from onestop.onboarding.conformance_models import ReportShown
from onestop.onboarding.conformance_report import html
from onestop.onboarding.errors import ThingAbsent
from onestop.onboarding.models import Run, RunState, RunTarget
from onestop.onboarding.routes import CHANGES, ROLES, actor_of
from onestop.onboarding.service import Life
from onestop.onboarding.service_runs import Job, NewRun, Runner

_LOOK_AGAIN_S = 1


class ProgressView(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is."""

    done: int  # operations looked at
    of: int  # of so many; 0 until it has begun
    operation: str | None  # looked at now


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A conformance run: under way, ended with a report, or interrupted."""

    id: str
    adapter: str
    version: str
    against: RunTarget  # once it has ended, what answered: `simulator` too where one did at the address told
    state: RunState
    progress: ProgressView
    passed: bool | None  # null until it has ended
    fault: str | None  # why it was interrupted: restart, time, error
    at: datetime
    ended_at: datetime | None
    report: dict[str, Any] | None


class RunList(msgspec.Struct, frozen=True, kw_only=True):
    """The last run against each target over exactly this version's bytes, and those that did not end."""

    data: list[RunView]


def view_of(run: Run) -> RunView:
    """Return a run as it is shown."""
    ended = run.state == "ended"
    return RunView(
        id=run.id,
        adapter=run.adapter,
        version=run.version,
        against=run.against,
        state=run.state,
        progress=ProgressView(done=run.done, of=run.of, operation=run.operation),
        passed=run.passed if ended else None,
        fault=run.fault,
        at=run.at,
        ended_at=run.ended_at,
        report=run.report if ended else None,
    )


class ConformanceController(Controller):
    """Runs of a version's manifest against the system it describes."""

    path = "/v1/adapters/{adapter:str}/versions/{version:str}/conformance-runs"
    tags = ("departments",)
    opt = ROLES

    @post("/", operation_id="runConformance", status_code=202, opt={**CHANGES, "returns": RunView})
    async def run(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        runner: NamedDependency[Runner],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        version: FromPath[str],
        data: JSONBody[NewRun],
    ) -> Response[bytes]:
        """Begin a run against the version's simulator, test system or live system; `Location` is where to look."""
        actor = actor_of(session)
        _, found = await life.version(life.pool, actor, adapter, version)
        where = await service_runs.place(life, found, data)
        begun: list[Job] = []

        async def write(db: Connection) -> Reply:
            job = await service_runs.begin(db, actor, found, data, where)
            begun.append(job)
            run = await store_runs.run(db, job.id, adapter, version)
            assert run is not None  # written above
            there = f"/v1/adapters/{adapter}/versions/{version}/conformance-runs/{job.id}"
            headers = {"location": there, "retry-after": str(_LOOK_AGAIN_S)}
            return Reply(status=202, body=msgspec.json.encode(view_of(run)), made_id=job.id, headers=headers)

        reply = await once(life.pool, life.keys, keyed, write)
        if begun and begun[0].id == reply.made_id:  # committed, and not the answer of an earlier request
            runner.start(begun[0])
        return reply.response()

    @get("/", operation_id="listConformanceRuns")
    async def listed(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        version: FromPath[str],
    ) -> RunList:
        """The last run against each target over exactly this version's bytes, and those that did not end."""
        _, found = await life.version(life.pool, actor_of(session), adapter, version)
        return RunList(data=[view_of(run) for run in await service_runs.listed(life, found)])

    @get("/{run:str}", operation_id="getConformanceRun")
    async def one(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        version: FromPath[str],
        run: FromPath[str],
    ) -> Response[RunView]:
        """One run: how far it is, what it found, or that it was interrupted."""
        _, found = await life.version(life.pool, actor_of(session), adapter, version)
        view = view_of(await service_runs.one(life, found, run))
        headers = {"retry-after": str(_LOOK_AGAIN_S)} if view.state == "running" else {}
        return Response(view, headers=headers)

    @get("/report.html", operation_id="printConformance", media_type="text/html")
    async def page(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        version: FromPath[str],
    ) -> Response[str]:
        """The last run that ended as a page to print; 404 where there was none."""
        _, found = await life.version(life.pool, actor_of(session), adapter, version)
        ended = [run for run in await service_runs.listed(life, found) if run.state == "ended"]
        if not ended:
            raise ThingAbsent(what="conformance run")
        report = msgspec.convert(ended[0].report, ReportShown)
        return Response(html(report, context.lang), media_type="text/html; charset=utf-8")


CONTROLLERS = [ConformanceController]
