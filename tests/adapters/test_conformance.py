"""Each department in the sandbox and against its live server, by the conformance run."""

import tomllib

import msgspec
import pytest

from onestop.gateway.line import Where
from onestop.gateway.manifest import parse
from onestop.onboarding.conformance import Telling, conform
from onestop.onboarding.importing.service import import_document
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_server import SimulatorApp, serving
from onestop.outbound.addresses import AllowList
from tests.adapters.office import DEPARTMENTS
from tests.adapters.servers import DOCUMENTS, XTIF
from tests.adapters.test_onboarding import SOURCES

pytestmark = pytest.mark.anyio
XTIF_SECRETS = {"paasid": XTIF["paasid"], "token": XTIF["token"]}
ALLOW = AllowList(["127.0.0.1/32"])


def finished(name):
    return parse((DEPARTMENTS / name / "manifest.toml").read_bytes(), f"{name}/manifest.toml")


def made(name):
    """Return the manifest that the import makes of a department's document, as TOML."""
    answers = tomllib.loads((DEPARTMENTS / name / "answers.toml").read_text())
    beside = {path.name: path.read_bytes() for path in DOCUMENTS.glob("*.xsd")}
    return import_document((DOCUMENTS / SOURCES[name]).read_bytes(), SOURCES[name], answers, beside).manifest_toml


def imported(name):
    return parse(made(name).encode(), name)


def faults(report):
    return [(check.sentence("en"), check.facts) for check in report.failed]


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "attributes"])  # sealed by nobody but its own
async def test_the_sandbox_answers_every_documented_example(name):
    # How requests are signed no document tells: that manifest is finished by hand before it can be played.
    manifest = finished(name) if name == "xtif" else imported(name)
    simulator = Simulator(manifest, told=XTIF_SECRETS if name == "xtif" else None)
    async with serving(SimulatorApp(simulator)) as url:
        report = await conform(manifest, Where(url, simulator.secrets), ALLOW, Telling(against="sandbox", effects=True))
    assert faults(report) == []


@pytest.mark.parametrize("name", SOURCES)
async def test_a_finished_manifest_conforms_to_the_live_system(name, places, servers):
    report = await conform(finished(name), places[name](), ALLOW, Telling(effects=False, calls=3))
    assert faults(report) == []
    assert msgspec.json.encode(report)
