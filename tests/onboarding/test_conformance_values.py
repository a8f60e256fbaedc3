"""Conformance asks with an example's own values: numbers, lists and tables stay what they are."""

import msgspec
import pytest

from onestop.gateway.line import Where
from onestop.onboarding.conformance import Telling, conform
from onestop.onboarding.simulator import Simulator, Told
from onestop.onboarding.simulator_requests import Request
from onestop.onboarding.simulator_server import SimulatorApp
from onestop.onboarding.simulator_wire import nested
from tests.onboarding.playing import LIN, LOOPBACK, listening, manifest_of

pytestmark = pytest.mark.anyio

QUERY = """
[[operations]]
id = "ask"
kind = "query"
want = "permits"
title = { zh = "问", en = "Ask" }
method = "POST"
path = "/permits"
purpose = { zh = "试", en = "Try" }
basis = { zh = "试", en = "Try" }
idempotent = "safe"
total_s = 5.0
request.query = { state = "payload.states", area = "payload.area" }
request.body = { id = "subject.number", year = "payload.year", paid = "payload.paid", states = "payload.states" }
reply.fields = { no = "no" }
errors = [{ status = 404, outcome = "not_found" }]

[[operations.examples]]
name = "ok"
status = 200
body = '{"no": "P-1"}'
outcome = "ok"
[operations.examples.values]
subject = { number = "LIN", name = "林晓舟" }
payload = { year = 2025, paid = true, states = ["open", "late"], area = { north = 1 } }
""".replace("LIN", LIN)


class Listening(Simulator):
    """A department that keeps what it was asked."""

    asked: list[Request]

    def answer(self, request: Request) -> Told:
        self.asked.append(request)
        return super().answer(request)


async def test_an_example_is_asked_with_its_numbers_lists_and_tables() -> None:
    manifest = manifest_of(QUERY)
    simulator = Listening(manifest)
    simulator.asked = []
    async with listening(SimulatorApp(simulator)) as url:
        report = await conform(manifest, Where(url, simulator.secrets), LOOPBACK, Telling(effects=True, calls=1))
    assert [(check.name, check.reason) for check in report.failed] == []
    bodies = [msgspec.json.decode(request.body) for request in simulator.asked]
    assert {**bodies[0], "id": LIN} == {"id": LIN, "year": 2025, "paid": True, "states": ["open", "late"]}
    assert all(body["year"] == 2025 and body["states"] == ["open", "late"] for body in bodies)
    assert {request.raw_query for request in simulator.asked} == {"state=open&state=late&area%5Bnorth%5D=1"}


def test_of_a_value_and_its_own_parts_the_parts_hold() -> None:
    assert nested({"payload.a.b": "1", "payload.a": "", "payload.c": "2"}) == {"payload": {"a": {"b": "1"}, "c": "2"}}
