"""An operator's `onestop effect` on the database, with no gateway: what is unclear is seen, sent again, settled."""

import asyncio
import io
import json

import pytest
import structlog

from onestop.cli import main
from onestop.crypto import Keys
from tests.cases.conftest import effects_of
from tests.cases.test_owners import CERTIFICATE, at_desk, effect_row, step

pytestmark = pytest.mark.anyio
WHY = ("--reason", "their letter of today", "--as", "li")


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def keys(state_dir):
    """The keys of the installation that the command works on."""
    return Keys.load(state_dir)


@pytest.fixture(autouse=True)
def logs_as_before():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def run(office, dsn, state_dir, monkeypatch, capsys):
    """Run a command as an operator's shell does, in a thread of its own: it has an event loop of its own."""
    told = {"DATABASE_URL": dsn, "STATE_DIR": str(state_dir), "LANG": "en", "PROFILE": "demo"}
    for name, value in told.items():
        monkeypatch.setenv(f"ONESTOP_{name}", value)

    async def command(*args, given=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        code = await asyncio.to_thread(main, ["effect", *args])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


async def test_what_is_not_there_or_not_said_rightly_changes_nothing(run, office, lin):
    live = (await effects_of(office, await lin.submitted()))[CERTIFICATE]
    code, _, said = await run("retry", "eff_nothing", *WHY)
    assert code == 1
    assert "eff_nothing" in said
    assert (await run("retry", live.id, "--reason", "990102199203140221 called", "--as", "li"))[0] == 2
    assert (await run("resolve", live.id, "perhaps", *WHY))[0] == 2
    assert (await run("resolve", live.id, "completed", "--reason", "said so"))[0] == 2, "nobody acts unnamed"
    assert (await run("resolve", live.id, "completed", *WHY, "--fields", "-", given="[]"))[0] == 2
    assert (await effects_of(office, live.case_id))[CERTIFICATE].state == live.state


async def test_what_is_on_its_way_and_what_a_person_has_are_listed_apart_and_shown(run, office, lin):
    fresh = (await effects_of(office, await lin.submitted()))[CERTIFICATE]
    case_id, _ = await at_desk(office, lin)
    stuck = await effect_row(office, case_id)
    waiting = [
        one["effect"]["id"] for one in json.loads((await run("list", "--which", "waiting", "--json"))[1])["data"]
    ]
    desk = (await run("list", "--which", "desk"))[1]
    assert (fresh.id in waiting, stuck["id"] in waiting) == (True, False)
    assert (fresh.id in desk, stuck["id"] in desk) == (False, True)
    shown = (await run("show", stuck["id"]))[1]
    assert stuck["key"] in shown
    assert (await run("show", "eff_nothing"))[0] == 1


async def test_an_effect_is_sent_again_and_settled_by_hand_and_the_audit_names_who(run, office, lin):
    case_id, _ = await at_desk(office, lin)
    effect_id = (await effect_row(office, case_id))["id"]
    code, out, said = await run("retry", effect_id, *WHY)
    assert (code, said, effect_id in out) == (0, "", True)
    assert (await step(lin, case_id)).state == "in_progress"
    fields = json.dumps({"certificate_no": "Y990000123"})
    code, out, said = await run("resolve", effect_id, "completed", *WHY, "--fields", "-", "--json", given=fields)
    assert (code, said) == (0, "")
    assert json.loads(out) == {"id": effect_id, "state": "done", "outcome": "completed"}
    assert (await step(lin, case_id)).state == "completed"
    assert (await run("retry", effect_id, *WHY))[0] == 1, "what is on record stands"
    acts = await office.pool.fetch("SELECT actor, action FROM audit_entries WHERE object = $1 ORDER BY 2", effect_id)
    assert [tuple(act) for act in acts] == [("cli:li", "effect.resolved"), ("cli:li", "effect.sent_again")]
