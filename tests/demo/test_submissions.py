"""Effects: at most one per key, on disk before the answer, found again after a crash, told later where it must be."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from stdnum.cn import ric

from demo.callers import LIN, TRIGGERS, ZHOU, sign, soap
from demo.portal import Portal
from demo.test_departments import calm, read

BABY = "990102202511180465"


def birth(mother: str = LIN, **changes: Any) -> dict[str, Any]:
    """Return the standard baby's registration."""
    return {
        "birth_certificate_no": "Y990000123",
        "name": "周沐禾",
        "sex": "female",
        "born_on": "2025-11-18",
        "mother_id": mother,
        "mother_name": "林晓舟",
        "father_id": ZHOU,
        "father_name": "周启明",
        **changes,
    }


def register(running, key: str, body: dict[str, Any] | None = None, **how: Any) -> httpx.Response:
    return running.call.send("POST", "/api/v1/births", body or birth(), headers={"Idempotency-Key": key}, **how)


def certificate(serial: str, mother: str = LIN) -> dict[str, Any]:
    return {
        "serial": serial,
        "motherIdNo": mother,
        "motherName": "林晓舟",
        "babyName": "周沐禾",
        "sex": "2",
        "birthDate": "20251118",
    }


def card(serial: str, applicant: str = LIN) -> dict[str, Any]:
    return {
        "serial": serial,
        "service": "social_security_card",
        "applicant_id": applicant,
        "applicant_name": "林晓舟",
        "holder_id": BABY,
        "holder_name": "周沐禾",
    }


def claim(serial: str, mother: str = LIN) -> bytes:
    return soap(
        "ClaimMaternity",
        Serial=serial,
        IdNo=mother,
        Name="林晓舟",
        BirthCertificateNo="Y990000123",
        BirthDate="2025-11-18",
    )


def yibao(running, body: bytes) -> tuple[int, dict[str, Any]]:
    response = running.call.send("POST", "/services/MedicalInsurance", body)
    content = read("yibao", response)["Body"]
    return response.status_code, next(iter(content.values()))


def fresh_key() -> str:
    return f"eff_{uuid4().hex}"


def test_the_first_girl_of_the_day_gets_exactly_the_standard_babys_number(town):
    running = town.fresh("gongan")
    first = register(running, "k1").json()
    girl, boy = register(running, "k2").json(), register(running, "k3", birth(sex="male", name="周沐阳")).json()
    assert first["citizen_id"] == BABY
    assert girl["citizen_id"][14:17] == "048"
    assert boy["citizen_id"][14:17] == "047"
    for answer in (first, girl, boy):
        assert ric.calc_check_digit(answer["citizen_id"]) == answer["citizen_id"][17]
    household = running.call.query(LIN).json()["household"]
    assert [m["name"] for m in household["members"]] == ["周启明", "林晓舟", "周沐禾", "周沐禾", "周沐阳"]


def test_a_replay_by_key_gives_the_same_answer_and_one_ledger_entry(town):
    for department in ("gongan", "weijian"):
        running, key = calm(town, department), fresh_key()
        if department == "gongan":
            answers = [register(running, key) for _ in range(3)]
            assert [a.headers.get("idempotent-replay") for a in answers] == [None, "true", "true"]
        else:
            path = "/openapi/birth-certificates/issue"
            answers = [running.call.send("POST", path, certificate(key)) for _ in range(3)]
        assert len({a.content for a in answers}) == 1
        (entry,) = running.call.ledger(key)
        assert entry["outcome"] == "done"
        assert entry["effect_id"]
        assert LIN not in json.dumps(entry)


def test_one_key_sent_by_twenty_at_once_has_one_effect(town):
    running, key = calm(town, "gongan"), fresh_key()
    register(running, fresh_key())
    with ThreadPoolExecutor(20) as many:
        answers = list(many.map(lambda _: register(running, key), range(20)))
    assert len({a.json()["citizen_id"] for a in answers}) == 1
    assert len(running.call.ledger(key)) == 1


def test_a_key_used_for_something_else_is_refused(town):
    running, key = calm(town, "gongan"), fresh_key()
    register(running, key)
    other = register(running, key, birth(name="周沐苗"))
    assert other.status_code == 422
    assert other.json()["error"]["code"] == "KEY_REUSED"


def test_unknown_or_missing_fields_are_refused_without_an_effect(town):
    running, key = calm(town, "gongan"), fresh_key()
    assert register(running, key, birth(surprise=1)).status_code == 400
    assert register(running, key, birth(birth_certificate_no="12")).status_code == 400
    assert running.call.send("POST", "/api/v1/births", birth()).status_code == 400
    assert running.call.ledger(key) == []


def test_health_issues_certificates_and_cards_and_finds_them_again(town):
    running = town.fresh("weijian")
    send = running.call.send
    told = send("POST", "/openapi/birth-certificates/issue", certificate("s1")).json()
    assert (told["code"], told["data"]["certificateNo"]) == (0, "Y990000123")
    body = {
        "serial": "s2",
        "guardianIdNo": LIN,
        "guardianName": "林晓舟",
        "babyName": "周沐禾",
        "sex": "2",
        "birthDate": "20251118",
    }
    assert send("POST", "/openapi/vaccination-cards/apply", body).json()["data"]["cardNo"] == "YM990102000001"
    assert send("POST", "/openapi/serials/query", {"serial": "s1"}).json() == told
    assert send("POST", "/openapi/serials/query", {"serial": "s9"}).json()["code"] == 40402
    assert running.call.query(LIN).json()["data"]["records"][0]["certificateNo"] == "Y990000123"


def test_drop_after_effect_leaves_an_entry_and_no_answer_and_the_look_up_finds_it(town):
    running, key = town.fresh("gongan"), fresh_key()
    running.call.control("/_fail", {"mode": "drop-after-effect", "for_s": 60})
    with pytest.raises(httpx.TransportError):
        register(running, key)
    assert [e["outcome"] for e in running.call.ledger(key)] == ["done"]
    assert running.call.send("GET", f"/api/v1/births/by-key/{key}").json()["citizen_id"] == BABY
    assert register(running, key).json()["citizen_id"] == BABY
    assert running.call.send("GET", "/api/v1/births/by-key/other").status_code == 404


def test_a_kill_and_a_restart_keep_the_ledger_and_never_double(town):
    running, keys = town.fresh("gongan"), [fresh_key() for _ in range(12)]
    before = {key: register(running, key).json()["citizen_id"] for key in keys[:6]}
    running.call.control("/_fail", {"mode": "slow", "for_s": 600, "share": 0.0})
    running.kill()
    with (running.state / "gongan.ledger.jsonl").open("ab") as ledger:
        ledger.write(b'{"seq":7,"at":"2025')  # what a write cut short by the crash leaves
    running.start()
    assert running.call.client.get(running.url + "/_health").json()["fault"] == "slow"
    after = {key: register(running, key).json()["citizen_id"] for key in keys}
    assert {key: after[key] for key in before} == before
    assert len(set(after.values())) == 12
    entries = running.call.control("/_ledger").json()["entries"]
    assert [e["seq"] for e in entries] == list(range(1, 13))


def test_the_modes_of_failure_do_as_they_say_until_healed(town):
    running = town.fresh("weijian")
    call, key = running.call, fresh_key()
    assert call.control("/_fail", {"mode": "error"}, secret="guess").status_code == 401
    assert call.control("/_fail", {"mode": "unheard-of"}).status_code == 400
    call.control("/_fail", {"mode": "error"})
    assert call.query(LIN).json()["code"] == 50000
    call.control("/_fail", {"mode": "timeout"})
    with pytest.raises(httpx.ReadTimeout):
        call.send("POST", "/openapi/birth-certificates/issue", certificate(key), timeout=0.3)
    assert call.ledger(key) == []
    call.control("/_fail", {"mode": "garbage"})
    assert b"<html>" in call.send("POST", "/openapi/birth-certificates/issue", certificate(key)).content
    assert len(call.ledger(key)) == 1
    call.control("/_set", {"slow_ms": 200})
    call.control("/_fail", {"mode": "slow"})
    begun = time.monotonic()
    assert call.query(LIN).json()["code"] == 0
    assert time.monotonic() - begun >= 0.2
    call.control("/_fail", {"mode": "error", "for_s": 0.2})
    time.sleep(0.25)
    assert call.query(LIN).json()["code"] == 0
    call.control("/_fail", {"mode": "error"})
    call.control("/_heal", {})
    assert call.query(LIN).json()["code"] == 0


def test_trigger_people_in_submissions_to_the_police(town):
    running = calm(town, "gongan")

    def fate(trigger: int, key: str | None = None) -> httpx.Response:
        return register(running, key or fresh_key(), birth(TRIGGERS[trigger], father_id=None, father_name=None))

    assert fate(901).status_code == 404
    assert fate(902).json()["error"]["code"] == "RECORD_DIFFERS"
    assert fate(904).status_code == 500
    assert fate(909).json()["error"] == {"code": "DECLINED", "message": "不予登记", "reason": "不符合办理条件"}
    assert fate(911).json() == {"status": "handled_elsewhere", "region": "990200"}
    asked = fate(908)
    assert asked.status_code == 422
    assert asked.json()["error"]["corrections"][0]["field"] == "applicant_name"
    assert fate(908).status_code == 201


def test_905_has_its_effect_though_the_first_answer_cannot_be_read(town):
    running, key = calm(town, "gongan"), fresh_key()
    body = birth(TRIGGERS[905])
    unreadable = register(running, key, body)
    assert unreadable.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        unreadable.json()
    assert register(running, key, body).json()["status"] == "registered"
    assert len(running.call.ledger(key)) == 1


def test_910_is_extended_first_and_done_later(town):
    running, key = calm(town, "gongan"), fresh_key()
    body = birth(TRIGGERS[910])
    told = register(running, key, body)
    assert (told.status_code, told.json()["status"]) == (202, "extended")
    time.sleep(0.55)
    assert register(running, key, body).json()["status"] == "registered"


def test_enrolment_answers_at_once_and_never_takes_a_serial_twice(town):
    running, serial = calm(town, "yibao"), fresh_key()
    body = soap("EnrolResident", Serial=serial, IdNo=BABY, Name="周沐禾", GuardianIdNo=LIN, GuardianName="林晓舟")
    status, told = yibao(running, body)
    assert (status, told["Status"], told["EnrolmentNo"][:8]) == (200, "ENROLLED", "YB990100")
    status, fault = yibao(running, body)
    assert (status, fault["faultcode"]) == (500, "soap:Client.DuplicateSerial")
    assert yibao(running, soap("QueryBySerial", Serial=serial))[1] == told
    assert [e["outcome"] for e in running.call.ledger(serial)] == ["done", "duplicate"]
    assert yibao(running, soap("QueryBySerial", Serial="none"))[1]["faultcode"] == "soap:Client.SerialNotFound"


def test_a_claim_is_pending_first_and_approved_with_its_amount_later(town):
    running, serial = calm(town, "yibao"), fresh_key()
    running.call.control("/_set", {"delay_ms": 500})
    accepted = yibao(running, claim(serial))[1]
    assert accepted["Status"] == "ACCEPTED"
    ask = soap("QueryClaim", AcceptanceNo=accepted["AcceptanceNo"])
    assert yibao(running, ask)[1]["Status"] == "PENDING"
    assert yibao(running, soap("QueryBySerial", Serial=serial))[1]["Status"] == "PENDING"
    time.sleep(0.55)
    told = yibao(running, ask)[1]
    assert (told["Status"], told["AmountFen"]) == ("APPROVED", "526000")


def test_claims_of_trigger_people_end_in_their_own_ways(town):
    running = calm(town, "yibao")
    running.call.control("/_set", {"delay_ms": 0})
    told = {}
    for trigger in (908, 909, 910, 911):
        number = yibao(running, claim(fresh_key(), TRIGGERS[trigger]))[1]["AcceptanceNo"]
        told[trigger] = yibao(running, soap("QueryClaim", AcceptanceNo=number))[1]["Status"]
    yibao(running, claim(fresh_key(), TRIGGERS[908]))  # what was asked for
    assert told == {908: "CORRECTION", 909: "DECLINED", 910: "EXTENDED", 911: "TRANSFERRED"}
    assert yibao(running, claim(fresh_key(), TRIGGERS[902]))[1]["faultcode"] == "soap:Client.RecordDiffers"


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.close()


@pytest.fixture(scope="module")
def renshe(town, portal):
    running = town.fresh("renshe", portal.url)
    running.call.control("/_set", {"delay_ms": 150, "extension_ms": 150})
    return running


def test_a_card_is_accepted_now_and_told_later_by_a_signed_callback(renshe, portal):
    serial = fresh_key()
    accepted = renshe.call.send("POST", "/submissions", card(serial))
    assert (accepted.status_code, accepted.json()["status"]) == (202, "accepted")
    (told,) = portal.wait(serial, 1)
    path, headers, body = next(h for h in portal.heard if serial.encode() in h[2])
    base = f"{headers['x-timestamp']}\n{headers['x-nonce']}\n".encode() + body
    assert path == "/v1/callbacks/renshe"
    assert headers["x-signature"] == sign(renshe.secrets["callback_secret"], base).hex()
    assert abs(time.time() - int(headers["x-timestamp"])) < 60
    assert told["status"] == "completed"
    assert told["receipt"] == accepted.json()["receipt"]
    assert told["card_no"].startswith("云A")
    looked_up = renshe.call.send("GET", f"/submissions/{serial}").json()
    assert looked_up["card_no"] == told["card_no"]
    assert renshe.call.send("GET", "/submissions/none").status_code == 404


def test_a_callback_is_repeated_until_it_is_heard_and_not_after(renshe, portal):
    serial = fresh_key()
    portal.answers = [503, 404]
    renshe.call.send("POST", "/submissions", card(serial))
    told = portal.wait(serial, 3)
    time.sleep(0.3)
    assert len(portal.about(serial)) == 3
    assert len({each["card_no"] for each in told}) == 1
    nonces = [headers["x-nonce"] for _, headers, body in portal.heard if serial.encode() in body]
    assert len(set(nonces)) == 3


def test_a_callback_owed_at_a_crash_is_sent_after_the_restart_and_once(town, portal):
    running, heard, owed = town.fresh("renshe", portal.url), fresh_key(), fresh_key()
    running.call.control("/_set", {"delay_ms": 0})
    running.call.send("POST", "/submissions", card(heard))
    portal.wait(heard, 1)
    running.call.control("/_set", {"delay_ms": 600})
    running.call.send("POST", "/submissions", card(owed))
    running.kill()
    assert portal.about(owed) == []
    running.start()
    portal.wait(owed, 1)
    time.sleep(0.2)
    assert (len(portal.about(heard)), len(portal.about(owed))) == (1, 1)
    assert [e["operation"] for e in running.call.ledger(owed)] == ["social_security_card", "callback"]


def test_a_serial_is_taken_once_and_a_blind_repetition_shows_in_the_ledger(renshe):
    serial = fresh_key()
    renshe.call.send("POST", "/submissions", card(serial))
    again = renshe.call.send("POST", "/submissions", card(serial))
    assert (again.status_code, again.json()["code"]) == (409, "duplicate_serial")
    entries = [e for e in renshe.call.ledger(serial) if e["operation"] == "social_security_card"]
    assert [bool(e["effect_id"]) for e in entries] == [True, False]


def test_cards_of_trigger_people_end_in_their_own_ways(renshe, portal):
    serials = {trigger: fresh_key() for trigger in (908, 909, 910, 911)}
    for trigger, serial in serials.items():
        assert renshe.call.send("POST", "/submissions", card(serial, TRIGGERS[trigger])).status_code == 202
    told = {trigger: portal.wait(serial, 1 + (trigger == 910)) for trigger, serial in serials.items()}
    assert [[each["status"] for each in told[trigger]] for trigger in (908, 909, 910, 911)] == [
        ["correction"],
        ["declined"],
        ["extended", "completed"],
        ["transferred"],
    ]
    assert told[908][0]["corrections"][0]["field"] == "applicant_name"


def test_a_newborn_without_a_valid_number_gets_no_card(renshe):
    refused = renshe.call.send("POST", "/submissions", {**card(fresh_key()), "holder_id": "990102202511180466"})
    assert refused.status_code == 400
