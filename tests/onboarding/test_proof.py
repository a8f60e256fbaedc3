"""A version is approved on what the department's own test system said, or on a reason that two persons have read."""

from datetime import UTC, datetime, timedelta

import pytest

from onestop.gateway.line import Where
from onestop.gateway.manifest import parse
from onestop.onboarding import rules_proof
from onestop.onboarding.conformance import Telling, conform
from onestop.onboarding.errors import ChecklistOpen, ReasonMissing
from onestop.onboarding.models import Run
from onestop.onboarding.rules_proof import RUN_HOLDS, proof
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_server import SimulatorApp
from tests.gateway.department import manifest_text
from tests.onboarding.conftest import OFFICE, ONE, OPERATOR
from tests.onboarding.playing import FOLDER, LOOPBACK, listening

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
WHY = "the department has one system only, in use day and night"


def runs(**told):
    """Return last runs: target → (passed, age)."""
    return {
        against: Run(
            id="run", adapter="one", version="1.0.0", digest=b"", against=against, passed=passed, report={},
            at=NOW - age,
        )
        for against, (passed, age) in told.items()
    }  # fmt: skip


NEW, OLD = timedelta(hours=1), RUN_HOLDS + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("told", "reason", "desk", "found"),
    [
        ({}, None, False, "none"),
        ({"simulator": (True, NEW)}, None, False, "simulated"),
        ({"simulator": (True, NEW), "live": (True, NEW)}, None, False, "simulated"),
        ({"sandbox": (False, NEW), "simulator": (True, NEW)}, WHY, False, "failed"),
        ({"sandbox": (True, OLD)}, None, False, "old"),
        ({}, WHY, False, "unplayed"),
        ({"simulator": (False, NEW)}, WHY, False, "unplayed"),
        ({"simulator": (True, OLD)}, WHY, False, "unplayed"),
        ({"simulator": (True, NEW)}, WHY, False, "stated"),
        ({"sandbox": (True, RUN_HOLDS)}, None, False, "proved"),
        ({}, None, True, "desk"),
    ],
)
def test_what_runs_amount_to(told, reason, desk, found):
    assert proof(runs(**told), reason, desk, NOW) == found
    assert rules_proof.enough(found) is (found in ("proved", "stated", "desk"))


async def missing(room, made):
    with pytest.raises(ChecklistOpen) as refusal:
        await room.move(OFFICE, made, "approve", diff_digest=await room.diff_digest(made))
    return [error.code for error in refusal.value.errors]


async def test_what_onestop_plays_itself_is_no_proof(room):
    made = await room.push(ONE)
    await room.move(ONE, made, "submit")
    assert await missing(room, made) == ["adapter.conformance_none"]
    await room.green(made, "simulator")
    assert await missing(room, made) == ["adapter.conformance_simulated"]
    await room.green(made, "live")
    assert await missing(room, made) == ["adapter.conformance_simulated"]
    await room.green(made, "sandbox", passed=False)
    assert await missing(room, made) == ["adapter.conformance_failed"]
    await room.green(made, "sandbox")
    await room.pool.execute("UPDATE conformance_runs SET at = now() - interval '15 days' WHERE against = 'sandbox'")
    assert await missing(room, made) == ["adapter.conformance_old"]
    await room.green(made, "sandbox")
    approved = await room.move(OFFICE, made, "approve", diff_digest=await room.diff_digest(made))
    assert approved.state == "approved"


async def test_a_stated_reason_is_read_by_the_second_person_and_stays_on_record(room):
    made = await room.push(ONE)
    unread = await room.diff_digest(made)
    with pytest.raises(ReasonMissing):
        await room.move(ONE, made, "submit", no_test_system=" n o n e      .")
    await room.move(ONE, made, "submit", no_test_system=WHY)
    assert await missing(room, made) == ["adapter.conformance_unplayed"]
    await room.green(made, "simulator")
    with pytest.raises(ChecklistOpen) as refusal:  # the difference without the reason is not what is shown now
        await room.move(OFFICE, made, "approve", diff_digest=unread)
    assert [error.code for error in refusal.value.errors] == ["adapter.diff_seen"]
    shown = await room.life.diff(room.pool, OFFICE, "one", "1.0.0", None, "en")
    assert WHY in shown.changes[-1].sentence
    await room.move(OFFICE, made, "approve", diff_digest=shown.digest)
    view = await room.life.view(room.pool, ONE, "one", "1.0.0", "en")
    check = next(check for check in view.checks if check.name == "conformance")
    assert (check.passed, WHY in check.sentence, view.no_test_system) == (True, True, WHY)
    assert (view.history[1].move, view.history[1].why) == ("submit", WHY)


async def test_a_reason_goes_with_the_draft_that_is_sent_back(room):
    made = await room.push(ONE)
    await room.move(ONE, made, "submit", no_test_system=WHY)
    await room.green(made, "simulator")
    await room.move(OFFICE, made, "reject", why="there is one, ask them")
    again = await room.move(ONE, made, "submit")
    assert again.no_test_system is None
    assert await missing(room, made) == ["adapter.conformance_simulated"]


async def test_where_people_answer_there_is_nothing_to_run(room):
    made = await room.push(OPERATOR, (FOLDER / "zwfw" / "manifest.toml").read_text("utf-8"))
    await room.move(OPERATOR, made, "submit")
    assert (await room.move(OFFICE, made, "approve", diff_digest=await room.diff_digest(made))).state == "approved"


async def test_a_simulator_at_the_test_address_is_reported_as_what_it_is():
    told = parse(manifest_text("one"))
    simulator = Simulator(told)
    async with listening(SimulatorApp(simulator)) as url:
        telling = Telling(against="sandbox", effects=True, calls=1)
        report = await conform(told, Where(url, simulator.secrets), LOOPBACK, telling)
    assert (report.passed, report.against) == (True, "simulator")
