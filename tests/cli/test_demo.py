"""The whole city, as a newcomer starts it: ready, toured from outside, gone; and nothing personal in any log."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import onestop
from onestop.demo import people
from onestop.demo.folder import Folder
from tests.ports import free_port

SOURCE = str(Path(onestop.__file__).parents[1])
PATIENCE_S = 150


@pytest.fixture(scope="module")
def toured() -> Iterator[tuple[subprocess.CompletedProcess[str], Path]]:
    # Not pytest's own folder: that is closed to others, and PostgreSQL runs as somebody else where we are root.
    top = Path(tempfile.mkdtemp(prefix="onestop-city-", dir="/tmp"))
    top.chmod(0o711)
    folder = top / "state"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ONESTOP_")}
    command = [sys.executable, "-m", "onestop", "demo", "--tour", "--json", "--port", str(free_port(100))]
    done = subprocess.run(
        [*command, "--state", str(folder)],
        env=environ | {"PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    yield done, folder
    shutil.rmtree(top, ignore_errors=True)


def test_the_tour_ends_well_and_within_forty_seconds(toured):
    done, _ = toured
    assert done.returncode == 0, done.stdout + done.stderr
    *steps, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["number"] for step in steps] == list(range(1, 13))
    assert end["tour"] == "ok"
    assert end["took_s"] < 40


def test_an_effect_whose_outcome_was_unknown_was_sent_again_and_happened_once(toured):
    done, _ = toured
    steps = {step["step"]: step["facts"] for step in map(json.loads, done.stdout.splitlines()[:-1])}
    assert steps["heal"]["attempts"] >= 2
    assert steps["ledgers"]["effects"] >= 12


def test_the_demo_started_for_the_tour_is_gone_afterwards(toured):
    _, folder = toured
    assert Folder(folder).running() is None
    record = Folder(folder).read()
    assert record is not None
    assert record.state == "stopped"
    assert not (folder / "postgres" / "data" / "postmaster.pid").exists()


def test_no_log_of_any_process_holds_a_name_a_number_or_a_telephone(toured):
    _, folder = toured
    logs = {path.name: path.read_text("utf-8", "replace") for path in (folder / "logs").iterdir()}
    assert {"gateway.log", "worker.log", "gongan.log"} <= logs.keys()
    for person in people.people():
        for secret in filter(None, (person.id_number, person.name, person.phone, person.mail)):
            assert [name for name, log in logs.items() if secret in log] == []
