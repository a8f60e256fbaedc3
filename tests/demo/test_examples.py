"""The recorded examples beside each manifest are what the manifest sends and understands today."""

import pytest

from demo.record_examples import CASES, Case, request_name
from onestop.gateway.manifest import load
from onestop.gateway.operations import prepare
from onestop.outbound.decoding import decode_json
from onestop.outbound.models import Reply
from onestop.resources import shipped

FOLDER = shipped("adapters")
MANIFESTS = load(FOLDER)
OPERATIONS = {name: prepare(manifest) for name, manifest in MANIFESTS.items()}
EVERY = [(adapter, case) for adapter, cases in CASES.items() for case in cases]
EXPECTED = {
    "ok": {"ok"},
    "pending": {"ok"},
    "extended": {"ok"},
    "not_found": {"not_found"},
    "differs": {"correction"},
    "correction": {"correction"},
    "declined": {"declined"},
}


def replied(status: int, body: bytes) -> Reply:
    return Reply(status, [], body, reused=False, connect_s=0.0, started=0.0, written=0.0, first_byte=0.0, ended=0.0)


def ids(value: object) -> str:
    return f"{value.operation}.{value.name}" if isinstance(value, Case) else str(value)


@pytest.mark.parametrize(("adapter", "case"), EVERY, ids=ids)
def test_the_manifest_still_makes_the_recorded_request(adapter, case):
    prepared = OPERATIONS[adapter][case.operation]
    name = request_name(prepared.spec, case)
    body = prepared.request(case.values)[3]
    assert body == ((FOLDER / adapter / "examples" / name).read_bytes() if name else b"")


@pytest.mark.parametrize(("adapter", "case"), EVERY, ids=ids)
def test_the_manifest_still_understands_the_recorded_response(adapter, case):
    (file,) = (FOLDER / adapter / "examples").glob(f"{case.operation}.{case.name}.*.response.*")
    number = case.values.get("subject", {}).get("number")
    reply = replied(int(file.name.split(".")[2]), file.read_bytes())
    answer = OPERATIONS[adapter][case.operation].answer(reply, number)
    assert answer.kind in EXPECTED[case.name], answer.reason
    if case.name in ("pending", "extended"):
        assert answer.outcome == case.name


def test_a_response_about_somebody_else_is_not_believed():
    body = (FOLDER / "gongan" / "examples" / "household.ok.200.response.json").read_bytes()
    answer = OPERATIONS["gongan"]["household"].answer(replied(200, body), "990102199008210351")
    assert answer.kind == "bad_reply"


def test_the_recorded_callback_names_our_key_and_the_card():
    prepared = OPERATIONS["renshe"]["social_security_card"]
    value = decode_json((FOLDER / "renshe" / "examples" / "social_security_card.callback.json").read_bytes())
    answer = prepared.read(value)
    assert prepared.key
    assert prepared.key(value) == "eff-social_security_card-1"
    assert (answer.outcome, answer.fields and answer.fields["card_no"]) == ("completed", "云A00990001")


@pytest.mark.parametrize("adapter", sorted(CASES))
def test_every_operation_has_an_example_and_no_example_is_left_over(adapter):
    files = {file.name.split(".")[0] for file in (FOLDER / adapter / "examples").iterdir()}
    assert files == set(OPERATIONS[adapter])
    recorded = {f"{case.operation}.{case.name}" for case in CASES[adapter]} | {"social_security_card.callback"}
    assert {".".join(f.name.split(".")[:2]) for f in (FOLDER / adapter / "examples").iterdir()} <= recorded
