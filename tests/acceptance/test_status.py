"""The public status of a running city, for anybody and from the command line."""

import json
import re
import subprocess
import sys

from onestop.demo.visitor import Visitor

from .city import City


def test_anybody_may_look_and_nothing_is_left_lying(city: City, journeys: object) -> None:
    answer = Visitor(city.url).get("/v1/public/status")
    assert answer.status == 200
    told = answer.json()
    assert told["orphans"]["count"] == 0
    assert len(told["departments"]) == 13
    page = Visitor(city.url).get("/status").body.decode()
    assert "<script" not in page


def test_the_command_tells_the_same(city: City) -> None:
    command = [sys.executable, "-m", "onestop", "status", "--state", str(city.state), "--lang", "en"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 steps without an owner (cases.store_owners.SELECT_ORPHANS)" in done.stdout
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=30).stdout)
    found = {one["condition"]["id"]: one["condition"] for one in told["departments"]}
    assert {"gongan", "zwfw"} <= set(found)
    assert found["gongan"]["declared"] == 64
    assert 32 <= found["gongan"]["share"] < 64, "the gateway's part; the worker has one"
    assert re.search(r"\b\d+/64\b", done.stdout)


def test_an_operators_list_is_an_operators(city: City) -> None:
    assert Visitor(city.url).get("/v1/ops/effects").status == 401
    assert city.visitor("lin").get("/v1/ops/effects").status == 403
    assert city.clerk().get("/v1/ops/effects").status == 403
    answer = city.visitor("lin", "operator").get("/v1/ops/effects?state=overdue")
    assert answer.status == 200
    assert answer.json()["data"] == []
    assert city.visitor("lin", "operator").get("/v1/ops/effects?state=lost").status == 400
