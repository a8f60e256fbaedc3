"""A version's conformance runs: over its very bytes, against where this installation finds its system, and kept."""

import asyncio
from typing import Final, Literal

import msgspec

from onestop.gateway.line import Where
from onestop.gateway.registry import place_of
from onestop.onboarding.conformance import Telling, conform
from onestop.onboarding.conformance_models import Report, shown
from onestop.onboarding.models import Version
from onestop.onboarding.service import Life, read
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_errors import NoPlaceToAsk
from onestop.onboarding.simulator_server import SimulatorApp, serving
from onestop.outbound.addresses import AllowList

Against = Literal["simulator", "sandbox", "live"]
_WITHIN_S: Final = 30.0


async def examine(life: Life, found: Version, against: Against, *, allow_effects: bool) -> Report:
    """Run a version against its simulator, its sandbox or its live system; in the first two submissions are sent.

    Raises:
        NoPlaceToAsk: nobody has told where the system is in that environment.
        TimeoutError: it took longer than thirty seconds.
    """
    manifest = read(found.manifest)
    if against == "simulator":
        telling = Telling(against="simulator", effects=True, digest=found.digest)
        simulator = Simulator(manifest)
        async with asyncio.timeout(_WITHIN_S), serving(SimulatorApp(simulator)) as url:
            return await conform(manifest, Where(url, simulator.secrets), AllowList(["127.0.0.0/8"]), telling)
    place = await place_of(life.pool, life.keys, life.settings, found.adapter, against)
    if place is None:
        raise NoPlaceToAsk(adapter=found.adapter, environment=against)
    telling = Telling(against=against, effects=allow_effects or against == "sandbox", digest=found.digest)
    async with asyncio.timeout(_WITHIN_S):
        return await conform(manifest, place, AllowList(life.settings.outbound_allow), telling)


async def keep(life: Life, found: Version, against: Against, report: Report) -> str:
    """Keep a run with its version, as approval asks for it; return its id."""
    environment: Literal["sandbox", "live"] = "live" if against == "live" else "sandbox"
    told = msgspec.to_builtins(shown(report))
    return await life.record_run(found.adapter, found.version, found.digest, environment, report.passed, told)
