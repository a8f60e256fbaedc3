"""The shipped manifests and the departments understand each other: every operation, through a real line."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from demo.callers import CHEN, LIN, TRIGGERS, ZHOU
from demo.payloads import PAYLOADS
from demo.test_departments import ALL, calm
from onestop.gateway.line import CallFailed, Line, Where
from onestop.gateway.manifest import load
from onestop.gateway.operations import Answer
from onestop.outbound.addresses import AllowList
from onestop.resources import shipped

pytestmark = pytest.mark.anyio
MANIFESTS = load(shipped("adapters"))
SUBMISSIONS = [(m.id, o.id) for m in MANIFESTS.values() for o in m.operations if o.kind == "submit" and not m.desk]


class Wires:
    """Lines to the shared departments, opened when first asked for."""

    def __init__(self, town: Any) -> None:
        self._town = town
        self._open: dict[str, Line] = {}

    def to(self, adapter: str) -> Line:
        if adapter not in self._open:
            running = calm(self._town, adapter)
            if adapter in ("renshe", "yibao"):
                running.call.control("/_set", {"delay_ms": 0})
            where = Where(running.url, running.secrets)
            self._open[adapter] = Line(MANIFESTS[adapter], where, AllowList(["127.0.0.0/8"]))
        return self._open[adapter]

    async def query(self, adapter: str, number: str) -> Answer:
        spec = next(o for o in MANIFESTS[adapter].operations if o.kind == "query")
        return await self.to(adapter).ask(spec.id, {"subject": {"number": number}}, 3.0, number)

    async def submit(self, adapter: str, operation: str, key: str, **changes: str) -> Answer:
        values = {"key": key, "payload": {**PAYLOADS[operation], **changes}}
        return await self.to(adapter).ask(operation, values, 5.0)

    async def outcome(self, adapter: str, operation: str, key: str, reference: str | None) -> Answer:
        """Ask as the ledger would for an answer that comes later."""
        spec = next(o for o in MANIFESTS[adapter].operations if o.id == operation)
        name = spec.poll.operation if spec.poll else spec.lookup
        assert name
        return await self.to(adapter).ask(name, {"key": key, "reference": reference}, 3.0)


@pytest.fixture
async def wires(town: Any) -> AsyncIterator[Wires]:
    wires = Wires(town)
    yield wires
    for line in wires._open.values():
        await line.close()


def person_of(operation: str) -> str:
    return "mother_id" if "mother_id" in PAYLOADS[operation] else "guardian_id"


def unmapped(fields: dict[str, Any]) -> set[str]:
    """Return the fields the reply gave nothing for, also inside the records of lists."""
    missing = {name for name, value in fields.items() if value in (None, "", [])}
    records = [value[0] for value in fields.values() if isinstance(value, list) and value]
    return missing.union(*(unmapped(record) for record in records))


def test_thirteen_manifests_are_shipped_and_name_the_departments_of_yunxi():
    from onestop.demo.people import departments

    assert {m.id: m.department.code for m in MANIFESTS.values()} == {d.id: d.uscc for d in departments()}
    for department in departments():
        operations = MANIFESTS[department.id].operations
        assert [o.want for o in operations if o.kind == "query" and o.want] == (
            [department.query] if department.query else []
        )
        assert tuple(o.id for o in operations if o.kind == "submit") == department.submits


@pytest.mark.parametrize("adapter", ALL)
async def test_a_query_is_understood_and_believed(wires, adapter):
    person = CHEN if adapter in ("shichang", "chengguan", "xiaofang") else LIN
    answer = await wires.query(adapter, person)
    assert (answer.kind, answer.reason) == ("ok", None)
    assert answer.as_of
    assert answer.fields["id_number"] == person
    assert answer.fields["name"] == ("陈立" if person == CHEN else "林晓舟")
    # Only the retired have a pension, and the certificate may have been issued by an earlier test.
    assert unmapped(answer.fields) <= {"pension_fen", "certificate_no"}


@pytest.mark.parametrize("adapter", ALL)
async def test_the_trigger_people_are_told_apart(wires, adapter):
    for trigger in (901, 911):
        assert (await wires.query(adapter, TRIGGERS[trigger])).kind == "not_found"
    assert (await wires.query(adapter, TRIGGERS[904])).kind == "down"
    assert (await wires.query(adapter, TRIGGERS[905])).kind == "bad_reply"


async def test_the_form_of_a_birth_finds_what_it_prefills(wires):
    fields = {a: (await wires.query(a, LIN)).fields for a in ("gongan", "weijian", "yibao", "minzheng")}
    assert fields["gongan"]["address"].startswith("云溪市临江区")
    assert fields["yibao"]["kind"] == "employee"
    assert fields["yibao"]["account_fen"] == 486320
    assert (fields["minzheng"]["spouse_name"], fields["minzheng"]["spouse_id"]) == ("周启明", ZHOU)
    born = fields["weijian"]["records"][0]
    assert (born["sex"], born["born_on"], born["weight_g"]) == ("female", "2025-11-18", 3240)
    assert born["hospital"] == "云溪市妇幼保健院"


@pytest.mark.parametrize(("adapter", "operation"), SUBMISSIONS)
async def test_a_submission_brings_what_the_bundle_waits_for(wires, adapter, operation):
    key = f"eff_{uuid4().hex}"
    answer = await wires.submit(adapter, operation, key)
    assert (answer.kind, answer.reason) == ("ok", None)
    if answer.outcome == "pending":
        answer = await wires.outcome(adapter, operation, key, answer.reference)
    assert answer.outcome == "completed"
    wanted = {
        "issue_birth_certificate": "certificate_no",
        "vaccination_card": "card_no",
        "register_birth": "id_number",
        "social_security_card": "card_no",
        "enrol_resident": "enrolment_number",
        "maternity_claim": "amount_fen",
    }
    assert answer.fields[wanted[operation]]


async def test_trigger_people_end_as_promised(wires):
    async def fate(adapter: str, operation: str, trigger: int, key: str) -> tuple[str, str | None]:
        answer = await wires.submit(adapter, operation, key, **{person_of(operation): TRIGGERS[trigger]})
        if answer.outcome == "pending":
            answer = await wires.outcome(adapter, operation, key, answer.reference)
        return answer.kind if answer.kind != "ok" else str(answer.outcome), answer.reference

    extended = {}
    for adapter, operation in SUBMISSIONS:
        told = {n: (await fate(adapter, operation, n, f"eff_{uuid4().hex}"))[0] for n in (902, 908, 909, 911)}
        corrected = await fate(adapter, operation, 908, f"eff_{uuid4().hex}")
        key = f"eff_{uuid4().hex}"
        told[910], extended[adapter, operation, key] = await fate(adapter, operation, 910, key)
        expected = {902: "correction", 908: "correction", 909: "declined", 910: "extended", 911: "transferred"}
        assert (operation, told) == (operation, expected)
        assert corrected[0] == "completed"
    await asyncio.sleep(0.55)
    for (adapter, operation, key), reference in extended.items():
        assert (await wires.outcome(adapter, operation, key, reference)).outcome == "completed"


@pytest.mark.parametrize(("adapter", "operation"), SUBMISSIONS)
async def test_a_lost_answer_is_found_again_and_nothing_is_done_twice(wires, town, adapter, operation):
    line, call, key = wires.to(adapter), town.at(adapter).call, f"eff_{uuid4().hex}"
    spec = line.operations[operation].spec
    look_up = spec.lookup or next(o.id for o in line.manifest.operations if o.kind == "lookup")
    assert (await line.ask(look_up, {"key": key}, 3.0)).kind == "not_found"
    call.control("/_fail", {"mode": "drop-after-effect", "for_s": 60})
    try:
        with pytest.raises(CallFailed) as lost:
            await wires.submit(adapter, operation, key)
    finally:
        call.control("/_heal", {})
    assert lost.value.sent
    assert (await line.ask(look_up, {"key": key}, 3.0)).outcome in ("completed", "pending")
    if spec.idempotent == "key":
        assert (await wires.submit(adapter, operation, key)).outcome == "completed"
    assert sum(bool(entry["effect_id"]) for entry in call.ledger(key)) == 1


async def test_a_wrong_secret_is_denied_everywhere(town):
    for adapter in ALL:
        running = calm(town, adapter)
        spoilt = {name: secret + "x" for name, secret in running.secrets.items()}
        line = Line(MANIFESTS[adapter], Where(running.url, spoilt), AllowList(["127.0.0.0/8"]))
        spec = next(o for o in MANIFESTS[adapter].operations if o.kind == "query")
        try:
            kind = (await line.ask(spec.id, {"subject": {"number": LIN}}, 3.0, LIN)).kind
        except CallFailed as failure:
            kind = failure.kind
        finally:
            await line.close()
        assert kind == ("no_token" if adapter == "gongan" else "denied"), adapter


async def test_a_limited_department_is_asked_no_faster_than_it_bears(town):
    running = town.fresh("ziran")
    line = Line(MANIFESTS["ziran"], Where(running.url, running.secrets), AllowList(["127.0.0.0/8"]))
    begun = time.monotonic()
    asked = [line.ask("property", {"subject": {"number": LIN}}, 5.0, LIN) for _ in range(6)]
    kinds = [answer.kind for answer in await asyncio.gather(*asked)]
    await line.close()
    assert kinds == ["ok"] * 6
    assert time.monotonic() - begun < 3
