"""Controllers of the simulator and of drift; they are handed what they need by name."""

import asyncio
from typing import Any

import msgspec
from litestar import Controller, HttpMethod, Request, Response, get, put, route
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from onestop.db import Connection
from onestop.identity.models import Session
from onestop.onboarding import drift, store_play
from onestop.onboarding.drift import DriftView
from onestop.onboarding.routes import ROLES, actor_of
from onestop.onboarding.service import Life
from onestop.onboarding.simulator import Told
from onestop.onboarding.simulator_house import House
from onestop.onboarding.simulator_scenario import Ordered
from onestop.onboarding.simulator_server import HANG_S, request_of, state_of

_METHODS = [HttpMethod.GET, HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH, HttpMethod.DELETE]


class SimulatorView(msgspec.Struct, frozen=True, kw_only=True):
    """What plays an adapter here: address, credentials it believes, what was ordered."""

    adapter: str
    version: str
    url: str
    secrets: dict[str, str]
    config: dict[str, str]  # constants
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
        config=simulator.config,
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


CONTROLLERS = [SimulatorController, DriftController, play]
