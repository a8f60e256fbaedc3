"""Controllers of the simulator, of conformance runs and of drift; they are handed what they need by name."""

import asyncio
from datetime import datetime
from typing import Any, Literal

import msgspec
from litestar import Controller, HttpMethod, Request, Response, get, post, put, route
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from onestop.db import Connection
from onestop.gateway.line import Where
from onestop.gateway.registry import place_of
from onestop.http.idempotency import Keyed, Reply, once
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.onboarding import drift, store_play
from onestop.onboarding.conformance import Telling, conform
from onestop.onboarding.conformance_models import Report, ReportShown, shown
from onestop.onboarding.conformance_report import html
from onestop.onboarding.drift import DriftView
from onestop.onboarding.models import Environment, Version
from onestop.onboarding.routes import CHANGES, ROLES, actor_of
from onestop.onboarding.service import Life, read
from onestop.onboarding.simulator import Simulator, Told
from onestop.onboarding.simulator_errors import NoPlaceToAsk
from onestop.onboarding.simulator_house import House
from onestop.onboarding.simulator_scenario import Ordered
from onestop.onboarding.simulator_server import HANG_S, SimulatorApp, request_of, serving, state_of
from onestop.outbound.addresses import AllowList

_WITHIN_S = 30.0
_METHODS = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE]


class NewRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a conformance run asks, and whether it may have effects."""

    against: Literal["simulator", "sandbox", "live"] = "simulator"
    allow_effects: bool = False  # in the sandbox and the simulator submissions are always sent


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A conformance run that was kept."""

    id: str
    adapter: str
    version: str
    against: Environment
    passed: bool
    at: datetime
    report: dict[str, Any]


class RunList(msgspec.Struct, frozen=True, kw_only=True):
    """The last run in each environment over exactly this version's bytes."""

    data: list[RunView]


class SimulatorView(msgspec.Struct, frozen=True, kw_only=True):
    """What plays an adapter here: address, credentials it believes, what was ordered."""

    adapter: str
    version: str
    url: str
    secrets: dict[str, str]
    scenario: Ordered
    operations: dict[str, list[dict[str, Any]]]


class SimulatorController(Controller):
    """The simulator that every adapter has in the demo and the sandbox."""

    path = "/v1/adapters/{adapter:str}/simulator"
    tags = ("departments",)
    opt = ROLES

    @get("/", operation_id="getSimulator")
    async def one(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        house: NamedDependency[House],
        adapter: FromPath[str],
    ) -> SimulatorView:
        """Where the adapter's simulator is, which credentials it believes, which examples it plays."""
        await life.find(life.pool, actor_of(session), adapter)
        return await _view(life, house, adapter)

    @put("/", operation_id="orderSimulator", opt={**ROLES, "refusals": (404,)})
    async def order(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        house: NamedDependency[House],
        adapter: FromPath[str],
        data: JSONBody[Ordered],
    ) -> SimulatorView:
        """Order a bad day: errors, silence, slowness, cut connections; everywhere within two seconds."""
        actor = actor_of(session)

        async def verb(db: Connection) -> None:
            await life.find(db, actor, adapter)
            await store_play.set_scenario(db, adapter, msgspec.to_builtins(data), actor.id)

        await life.commit(verb)
        (await house.simulator(adapter)).looked = 0.0
        return await _view(life, house, adapter)


async def _view(life: Life, house: House, adapter: str) -> SimulatorView:
    simulator = (await house.simulator(adapter)).simulator
    base = life.settings.public_url.rstrip("/")
    return SimulatorView(
        adapter=adapter,
        version=simulator.manifest.version,
        url=f"{base}/simulators/{adapter}",
        secrets=simulator.secrets,
        scenario=simulator.scenario.ordered,
        operations=state_of(simulator)["operations"],
    )


@route(
    ["/simulators/{adapter:str}", "/simulators/{adapter:str}/{rest:path}"],
    http_method=_METHODS,
    operation_id="playDepartment",
    tags=["departments"],
    include_in_schema=False,
    opt={"public": True, "raw": True, "max_body": 1_048_576},
)
async def play(
    request: Request[Any, Any, Any], house: NamedDependency[House], adapter: FromPath[str]
) -> Response[bytes]:
    """Answer as the department would, from its manifest; nobody real is known here."""
    await house.admit(adapter, request.headers.get("simulator-key"))
    playing = await house.simulator(adapter)
    body = await request.body()
    asked = request_of(request.scope, body, f"/simulators/{adapter}")  # type: ignore[arg-type]  # a mapping of its own
    told: Told = playing.simulator.answer(asked)
    playing.callbacks.owe(told.callback)
    await asyncio.sleep(told.delay_s if told.ending == "answer" else HANG_S if told.ending == "hang" else 0)
    headers = {name: value for name, value in told.headers.items() if name != "content-type"}
    kind = told.headers.get("content-type", "application/octet-stream")
    if told.ending != "answer":
        # A portal does not close connections by itself: what would be cut says so and is no answer of the department.
        return Response(b"", status_code=504, headers={"simulator-refusal": f"ordered; {told.ending}"})
    return Response(told.body, status_code=told.status, headers=headers, media_type=kind)


class ConformanceController(Controller):
    """Runs of a version's manifest against the system it describes."""

    path = "/v1/adapters/{adapter:str}/versions/{version:str}/conformance-runs"
    tags = ("departments",)
    opt = ROLES

    @post("/", operation_id="runConformance", opt={**CHANGES, "returns": RunView})
    async def run(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        version: FromPath[str],
        data: JSONBody[NewRun],
    ) -> Response[bytes]:
        """Run the version against its simulator, its sandbox or its live system; at most thirty seconds."""
        _, found = await life.version(life.pool, actor_of(session), adapter, version)
        report = await _run(life, found, data)
        against: Environment = "live" if data.against == "live" else "sandbox"

        async def write(_: Connection) -> Reply:
            told = msgspec.to_builtins(shown(report))
            id_ = await life.record_run(adapter, version, found.digest, against, report.passed, told)
            view = RunView(
                id=id_, adapter=adapter, version=version, against=against, passed=report.passed,
                at=report.started_at, report=told,
            )  # fmt: skip
            return Reply(status=201, body=msgspec.json.encode(view))

        return (await once(life.pool, life.keys, keyed, write)).response()

    @get("/", operation_id="listConformanceRuns")
    async def listed(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        version: FromPath[str],
    ) -> RunList:
        """The last run in each environment over exactly this version's bytes."""
        _, found = await life.version(life.pool, actor_of(session), adapter, version)
        return RunList(data=await _runs(life, found))

    @get("/report.html", operation_id="printConformance", media_type="text/html")
    async def page(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        version: FromPath[str],
    ) -> Response[str]:
        """The last run as a page to print; 404 where there was none."""
        _, found = await life.version(life.pool, actor_of(session), adapter, version)
        runs = await _runs(life, found)
        if not runs:
            from onestop.onboarding.errors import ThingAbsent

            raise ThingAbsent(what="conformance run")
        report = msgspec.convert(runs[0].report, ReportShown)
        return Response(html(report, context.lang), media_type="text/html; charset=utf-8")


async def _runs(life: Life, found: Version) -> list[RunView]:
    kept = [await life.latest_run(found.adapter, found.digest, against) for against in ("sandbox", "live")]
    return [
        RunView(
            id=run.id,
            adapter=run.adapter,
            version=run.version,
            against=run.against,
            passed=run.passed,
            at=run.at,
            report=run.report,
        )
        for run in sorted((r for r in kept if r is not None), key=lambda r: r.at, reverse=True)
    ]


async def _run(life: Life, found: Version, asked: NewRun) -> Report:
    manifest = read(found.manifest)
    if asked.against == "simulator":
        telling = Telling(against="simulator", effects=True, digest=found.digest)
        simulator = Simulator(manifest)
        async with asyncio.timeout(_WITHIN_S), serving(SimulatorApp(simulator)) as url:
            return await conform(manifest, Where(url, simulator.secrets), AllowList(["127.0.0.0/8"]), telling)
    place = await place_of(life.pool, life.keys, life.settings, found.adapter, asked.against)
    if place is None:
        raise NoPlaceToAsk(adapter=found.adapter, environment=asked.against)
    effects = asked.allow_effects or asked.against == "sandbox"
    telling = Telling(against=asked.against, effects=effects, digest=found.digest)
    async with asyncio.timeout(_WITHIN_S):
        return await conform(manifest, place, AllowList(life.settings.outbound_allow), telling)


class DriftController(Controller):
    """What an adapter's owner should look at today."""

    path = "/v1/adapters/{adapter:str}/drift"
    tags = ("departments",)
    opt = ROLES

    @get("/", operation_id="getDrift")
    async def one(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        days: FromQuery[int] = 30,
    ) -> DriftView:
        """Answers that are no longer as they were, failing probes, certificates and keys that end soon."""
        return await drift.view(life, actor_of(session), adapter, max(1, min(days, 365)))


CONTROLLERS = [SimulatorController, ConformanceController, DriftController, play]
