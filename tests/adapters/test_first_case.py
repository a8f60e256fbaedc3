"""From a department's own document to its first decided case, in one go: no line of Python knows the department."""

import shutil

import pytest

from onestop.gateway.line import Where
from onestop.gateway.lint.linter import lint
from onestop.gateway.manifest import parse
from onestop.onboarding.conformance import Telling, conform
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_server import SimulatorApp, serving
from onestop.settings import Settings
from tests.adapters.chain import finished_by_hand, open_counter
from tests.adapters.servers import LIN
from tests.adapters.test_conformance import ALLOW, faults, made

pytestmark = pytest.mark.anyio
NAMES = ("open311", "govpay", "bag", "nodo", "xtif")
LAMP = {"address": "Market Street 8", "description": "The lamp is dark"}
FEE = {"what_for": "Residence permit"}


@pytest.fixture(scope="module")
def manifests():
    """Each document imported with its answers, and finished by its overlay."""
    return {name: finished_by_hand(made(name).encode(), name) for name in NAMES}


@pytest.fixture(scope="module")
async def counter(manifests, places, dsn, tmp_path_factory):
    """One portal over all five; without the one that needs java where there is none."""
    there = [name for name in NAMES if name != "open311" or shutil.which("java")]
    settings = Settings(profile="sandbox", state_dir=tmp_path_factory.mktemp("portal"), database_url=dsn)
    async with open_counter(
        settings, {name: manifests[name] for name in there}, {name: places[name]() for name in there}
    ) as opened:
        yield opened


@pytest.fixture
def brought(manifests, places):
    """Take a department as far as its first case: lint, its sandbox, conformance there and at its own system."""

    async def bring(name):
        assert [found for found in lint(manifests[name], name) if found.severity == "error"] == []
        manifest, place = parse(manifests[name], name), places[name]()
        simulator = Simulator(manifest, told=place.secrets)
        async with serving(SimulatorApp(simulator)) as url:
            played = Telling(against="sandbox", effects=True, calls=3)
            report = await conform(manifest, Where(url, simulator.secrets), ALLOW, played)
        assert faults(report) == []
        report = await conform(manifest, place, ALLOW, Telling(effects=False, calls=3))
        assert faults(report) == []

    return bring


def decided(case):
    """Return what became of the only step of a case, and what the department said."""
    [step] = case["steps"]
    assert case["state"] == "decided"
    return step["state"], step.get("reference"), step.get("reason"), [one["value"] for one in step.get("result", [])]


async def test_a_street_report_ends_when_the_city_has_closed_it(brought, counter):
    await brought("open311")
    state, reference, reason, result = decided(await counter.apply("street", report=LAMP | {"service": "033"}))
    assert (state, reference, reason, result) == ("completed", "SR-881", "The lamp was replaced.", ["SR-881"])
    state, _, reason, _ = decided(await counter.apply("street", report=LAMP | {"service": "999"}))
    assert (state, reason) == ("declined", "service_code 999 was not found")


async def test_a_fee_is_paid_once_the_payments_centre_says_so(brought, counter, servers):
    await brought("govpay")
    before = servers.pay.told("/-/created")["created"]
    state, reference, _, result = decided(await counter.apply("fee", fee=FEE | {"amount_fen": 1200}))
    assert (state, reference, result) == ("completed", "hu20sqlact5260q2nanm0q8u93", [reference])
    assert servers.pay.told("/-/created")["created"] == before + 1
    state, _, reason, _ = decided(await counter.apply("fee", fee=FEE | {"amount_fen": 99_000_000}))
    assert state == "declined"
    assert reason.startswith("Invalid attribute value: amount")


async def test_a_form_is_filled_in_by_the_register_and_the_residence_office_takes_it(brought, counter):
    await brought("bag")
    case = await counter.apply("collection")
    shown = {name: one["value"] for name, one in case["answers"]["counter"].items()}
    assert shown == {"postcode": "6922KZ", "place": "Duiven"}
    state, reference, _, _ = decided(case)
    assert (state, reference[:2]) == ("completed", "SL")


async def test_a_notice_is_paid_or_declined_as_the_hub_says(brought, counter, servers):
    await brought("nodo")
    before = len(servers.nodo.told("/-/paid"))
    good, expired = (
        {"number": number, "amount_yuan": "12.50"} for number in ("302000100000009424", "302000100000009410")
    )
    state, reference, _, result = decided(await counter.apply("notice", notice=good))
    assert (state, result) == ("completed", [reference])
    assert servers.nodo.told("/-/paid")[before:] == [[reference, "12.50"]]
    state, _, reason, _ = decided(await counter.apply("notice", notice=expired))
    assert (state, reason) == ("declined", "the due date has passed")


async def test_a_residence_permit_is_looked_up_first_and_then_accepted_or_declined(brought, counter, servers):
    await brought("xtif")
    before = len(servers.xtif.told("/-/applied"))
    case = await counter.apply("residence", permit={"matter": "renew"})
    assert case["answers"]["permit"]["before"]["value"] == "JZ1"
    state, reference, _, result = decided(case)
    assert (state, result) == ("completed", [reference])
    assert len(servers.xtif.told("/-/applied")) == before + 1
    state, _, reason, _ = decided(await counter.apply("residence", permit={"matter": "unknown"}))
    assert (state, reason) == ("declined", "事项未开通")
    assert LIN["number"] not in servers.xtif.log
