"""A department has its simulator, its conformance runs and its drift in the portal, and sees nobody else's."""

from typing import Any

import httpx
import msgspec
import pytest

from onestop.identity import service_machine_keys
from onestop.onboarding import store_play
from onestop.onboarding.service import Life
from onestop.onboarding.simulator_errors import SimulatorClosed
from onestop.onboarding.simulator_house import House
from tests.onboarding.conftest import LIN, ONE, ZHOU, manifest
from tests.onboarding.test_recorder import REAL
from tests.onboarding.test_routes import portal  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio


async def pushed(desk: Any, text: str | None = None) -> dict[str, Any]:
    made = await desk.send("one", "POST", "/v1/adapters", {"manifest": text or manifest()})
    assert made.status_code == 201, made.text
    told: dict[str, Any] = made.json()
    return told


def caller(to: Any, **headers: str) -> httpx.AsyncClient:
    """Return a caller of simulators, who is nobody to the portal."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=to.desk), base_url="http://127.0.0.1:8000/simulators/one", headers=headers
    )


async def test_to_another_department_all_of_it_is_absent(portal):  # noqa: F811
    await pushed(portal)
    for method, path, body in (
        ("GET", "simulator", None), ("PUT", "simulator", {"fault": "error"}), ("GET", "drift", None),
        ("POST", "versions/1.0.0/conformance-runs", {}), ("GET", "versions/1.0.0/conformance-runs", None),
        ("GET", "versions/1.0.0/conformance-runs/report.html", None),
        ("GET", "versions/1.0.0/conformance-runs/run_x", None),
    ):  # fmt: skip
        refused = await portal.send("two", method, f"/v1/adapters/one/{path}", body)
        assert (refused.status_code, refused.json()["code"]) == (404, "adapter.absent"), path
        assert (await portal.send("lin", method, f"/v1/adapters/one/{path}", body)).status_code == 403
    async with caller(portal) as client:
        nobody = await client.post("http://127.0.0.1:8000/simulators/nobody/query", json={})
    assert (nobody.status_code, nobody.json()["code"]) == (404, "adapter.absent")


@pytest.mark.parametrize("body", [{"fault": "x"}, {"share": 2}, {"polls": -1}, {"more": 1}, [], {"latency_ms": 10**9}])
async def test_a_bad_order_is_a_clear_refusal(portal, body):  # noqa: F811
    await pushed(portal)
    refused = await portal.send("one", "PUT", "/v1/adapters/one/simulator", body)
    assert 400 <= refused.status_code < 500
    assert refused.json()["code"]


async def test_a_draft_is_played_in_the_same_minute(portal):  # noqa: F811
    await pushed(portal)
    shown = (await portal.get("one", "/v1/adapters/one/simulator")).json()
    assert shown["url"].endswith("/simulators/one")
    assert "query" in shown["operations"]
    async with caller(portal, authorization="Bearer sim-of-the-department") as client:
        for number in (LIN, ZHOU):
            answer = await client.post("/query", json={"id_number": number})
            assert (answer.status_code, answer.json()["data"]["id_number"]) == (200, number)
        miss = (await client.post("/query", json={"idNumber": LIN})).json()
        real = await client.post("/query", json={"id_number": REAL})
    assert sorted(part["where"] for part in miss["differences"]) == ["body.idNumber", "body.id_number"]
    assert (real.status_code, real.json()["code"]) == (422, "sandbox.real_identity")


async def test_a_bad_day_is_ordered_by_the_owner(portal):  # noqa: F811
    await pushed(portal)
    done = await portal.send("one", "PUT", "/v1/adapters/one/simulator", {"fault": "error"})
    assert done.json()["scenario"]["fault"] == "error"
    async with caller(portal) as client:
        assert (await client.post("/query", json={"id_number": LIN})).status_code == 500
        await portal.send("one", "PUT", "/v1/adapters/one/simulator", {})
        assert (await client.post("/query", json={"id_number": LIN})).status_code == 200
        await portal.send("one", "PUT", "/v1/adapters/one/simulator", {"fault": "reset"})
        cut = await client.post("/query", json={"id_number": LIN})
        assert (cut.status_code, cut.headers["simulator-refusal"]) == (504, "ordered; cut")


async def test_drift_is_shown_to_the_owner(portal):  # noqa: F811
    await pushed(portal)
    row = ("one", "1.0.0", "query", "data.answer", "type_changed", True, "text", "number", 3)
    await store_play.add_finding(portal.pool, *row)
    found = (await portal.get("one", "/v1/adapters/one/drift")).json()
    assert [(f["path"], f["kind"], f["seen"], f["breaking"]) for f in found["findings"]] == [
        ("data.answer", "type_changed", 3, True)
    ]


async def test_where_real_people_are_served_a_simulator_opens_by_the_owners_key_only(room):
    await room.push(ONE)
    settings = msgspec.structs.replace(room.life.settings, profile="production")
    life = Life(room.pool, room.life.keys, settings, {}, lambda _: None)
    house = House(life, None)
    keys = {}
    for department in ("one", "two"):
        new = service_machine_keys.NewMachineKey(label="test")
        async with room.pool.acquire() as db, db.transaction():
            keys[department] = (await service_machine_keys.make(db, settings, department, new, by="x")).key
    for key in (None, "", "os_live_nonsense", keys["two"]):
        with pytest.raises(SimulatorClosed):
            await house.admit("one", key)
    await house.admit("one", keys["one"])
