"""Records `adapters/*/examples`: what onestop sends and what the departments answer, at a fixed instant.

Run from the top of the checkout: `PYTHONPATH=src:tests python -m demo.record_examples`. Example requests are what the
manifests make; `<operation>.<case>.request.*` goes with `<operation>.<case>.<status>.response.*`.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from demo.callers import CHEN, LIN, TRIGGERS
from demo.conftest import Town
from demo.payloads import PAYLOADS
from demo.portal import Portal
from onestop.gateway.manifest import Operation, load
from onestop.gateway.operations import prepare
from onestop.resources import shipped

NOW = "2025-12-01T09:30:00+08:00"
_ENDINGS = {"json": "json", "xml": "xml", "soap": "xml", "form": "txt"}


class Case(msgspec.Struct, frozen=True):
    """One example: an operation, a name and the values its request is made from."""

    operation: str
    name: str
    values: dict[str, Any]
    wait_s: float = 0.0  # before it is sent


def _query(operation: str, person: str = LIN) -> list[Case]:
    asked = (("ok", person), ("not_found", TRIGGERS[901]))
    return [Case(operation, name, {"subject": {"number": number}}) for name, number in asked]


def _submit(operation: str, person: str, *, later: bool = False) -> list[Case]:
    payload = PAYLOADS[operation]
    cases = [Case(operation, "ok", {"key": f"eff-{operation}-1", "payload": payload})]
    asked = {"differs": 902} if later else {"differs": 902, "correction": 908, "declined": 909, "extended": 910}
    for name, trigger in asked.items():
        values = {"key": f"eff-{operation}-{trigger}", "payload": {**payload, person: TRIGGERS[trigger]}}
        cases.append(Case(operation, name, values))
    return cases


# In this order: the first girl of the day gets the standard baby's number, and what is looked up was sent before.
CASES: dict[str, list[Case]] = {
    "gongan": [
        *_query("household"),
        *_query("guardianship", CHEN),
        *_submit("register_birth", "mother_id"),
        Case("birth_by_key", "ok", {"key": "eff-register_birth-1"}),
        Case("birth_by_key", "not_found", {"key": "eff-none"}),
    ],
    "weijian": [
        *_query("birth_records"),
        *_submit("issue_birth_certificate", "mother_id"),
        *_submit("vaccination_card", "guardian_id"),
        Case("by_serial", "ok", {"key": "eff-issue_birth_certificate-1"}),
        Case("by_serial", "not_found", {"key": "eff-none"}),
    ],
    "renshe": [
        *_query("social_insurance"),
        *_submit("social_security_card", "guardian_id", later=True),
        Case("by_serial", "pending", {"key": "eff-social_security_card-1"}),
        Case("by_serial", "ok", {"key": "eff-social_security_card-1"}, wait_s=0.5),
        Case("by_serial", "not_found", {"key": "eff-none"}),
    ],
    "yibao": [
        *_query("medical_insurance"),
        *_submit("enrol_resident", "guardian_id"),
        *_submit("maternity_claim", "mother_id", later=True),
        Case("claim_status", "pending", {"reference": "YBSL000005"}),
        Case("claim_status", "ok", {"reference": "YBSL000005"}, wait_s=0.5),
        Case("by_serial", "ok", {"key": "eff-enrol_resident-1"}),
        Case("by_serial", "not_found", {"key": "eff-none"}),
    ],
    "shichang": [*_query("business", CHEN), *_query("representation", CHEN)],
    "shuiwu": _query("tax"),
    "minzheng": _query("marriage"),
    "jiaoyu": _query("education"),
    "ziran": _query("property"),
    "gjj": _query("housing_fund"),
    "chengguan": _query("sign_permits", CHEN),
    "xiaofang": _query("fire_checks", CHEN),
}


def request_name(operation: Operation, case: Case) -> str | None:
    """Return the file of the example's request; None where it has no body."""
    if operation.request_codec == "none":
        return None
    return f"{case.operation}.{case.name}.request.{_ENDINGS[operation.request_codec]}"


def record(folder: Path) -> None:
    """Ask every case of a town of its own and write what went and came below `folder`."""
    manifests = load(shipped("adapters"))
    portal = Portal()
    with tempfile.TemporaryDirectory() as state:
        town = Town(Path(state))
        try:
            for adapter, cases in CASES.items():
                running = town.fresh(adapter, portal.url, "--now", NOW)
                running.call.control("/_set", {"flaky_share": 0.0, "rate_per_s": 100.0, "delay_ms": 400})
                operations = prepare(manifests[adapter])
                examples = folder / adapter / "examples"
                examples.mkdir(parents=True, exist_ok=True)
                for case in cases:
                    time.sleep(case.wait_s)
                    prepared = operations[case.operation]
                    path, _, headers, body = prepared.request(case.values)
                    told = {name.lower(): value for name, value in headers}
                    answer = running.call.send(prepared.spec.method, path, body or None, headers=told)
                    sent = request_name(prepared.spec, case)
                    if sent:
                        (examples / sent).write_bytes(body)
                    ending = _ENDINGS[prepared.spec.response_codec]
                    got = f"{case.operation}.{case.name}.{answer.status_code}.response.{ending}"
                    (examples / got).write_bytes(answer.content)
                if adapter == "renshe":
                    portal.wait("eff-social_security_card-1", 1)
                    (examples / "social_security_card.callback.json").write_bytes(portal.heard[0][2])
        finally:
            town.close()
            portal.close()


if __name__ == "__main__":
    record(shipped("adapters"))
