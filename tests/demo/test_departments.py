"""Every department answers and refuses in its own manner, and misbehaves for the trigger people."""

import json
import time
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from lxml import etree

from demo.callers import CHEN, LIN, QUERIES, SHEN, TRIGGERS, ZHOU
from onestop.demo.departments.faults import Faults, Manners

ALL = sorted(QUERIES)


def read(department: str, response: httpx.Response) -> Any:
    """Read a body as the department declares it; XML as nested tables."""
    if department in ("yibao", "shuiwu", "chengguan"):
        return nested(etree.fromstring(response.content))
    if department == "gjj":
        assert response.headers["content-type"] == "application/json; charset=GB18030"
        return json.loads(response.content.decode("gb18030"))
    return response.json()


def nested(element: Any) -> Any:
    """Return an element's children by local name, or its text."""
    if not len(element):
        return element.text or ""
    table: dict[str, Any] = {}
    for child in element:
        table.setdefault(etree.QName(child).localname, nested(child))
    return table


def refused(department: str, response: httpx.Response) -> bool:
    """Tell whether the department said, in its own way, that it does not know the caller."""
    if department == "weijian":
        return response.status_code == 200 and response.json()["code"] == 40101
    if department == "yibao":
        return response.status_code == 401 and b"soap:Client.Authentication" in response.content
    return response.status_code == 401


def calm(town, department: str):
    """Return a shared department that neither tires nor flakes."""
    running = town.at(department)
    if running.calm:
        return running
    running.calm = True
    order = {"flaky_share": 0.0, "rate_per_s": 1000.0, "slow_ms": 300, "extension_ms": 500}
    running.call.control("/_set", order | ({"delay_ms": 0} if department == "xiaofang" else {}))
    return running


@pytest.mark.parametrize("department", ALL)
def test_a_caller_with_a_wrong_secret_is_refused(town, department):
    running = calm(town, department)
    assert refused(department, running.call.query(LIN, spoil=True))
    assert not refused(department, running.call.query(LIN))


@pytest.mark.parametrize("department", ALL)
def test_the_query_answers_about_the_person_asked_for_and_nobody_else(town, department):
    call = calm(town, department).call
    ours, other = call.query(LIN), call.query(ZHOU)
    text = ours.content.decode("gb18030" if department in ("yibao", "gjj") else "utf-8")
    assert ours.status_code == other.status_code == 200
    assert LIN in text
    assert "林晓舟" in text
    assert ours.content != other.content


@pytest.mark.parametrize("department", ALL)
def test_a_number_with_a_wrong_check_character_is_a_bad_request(town, department):
    response = calm(town, department).call.query("990102199203140222")
    assert response.status_code in (400, 500) or response.json()["code"] == 40001


@pytest.mark.parametrize("department", ALL)
@pytest.mark.parametrize("trigger", [901, 911])
def test_nobody_is_found_under_901_and_911(town, department, trigger):
    call = calm(town, department).call
    response = call.query(TRIGGERS[trigger])
    assert "演示" not in response.text
    if department == "weijian":
        assert response.json()["code"] == {901: 40401, 911: 40903}[trigger]
    elif department in ("shuiwu", "xiaofang"):
        assert response.status_code == 200
        assert ("E404" in response.text or '"ret":404' in response.text) == (trigger == 901)
    else:
        moved = {"yibao": 500, "gongan": 409}.get(department, 404)
        assert response.status_code == (moved if trigger == 911 or department == "yibao" else 404)


@pytest.mark.parametrize("department", ALL)
def test_the_record_of_902_bears_another_name(town, department):
    response = calm(town, department).call.query(TRIGGERS[902])
    assert "演示异名" in response.content.decode("gb18030" if department in ("yibao", "gjj") else "utf-8")


@pytest.mark.parametrize("department", ALL)
def test_904_meets_a_broken_system(town, department):
    response = calm(town, department).call.query(TRIGGERS[904])
    assert response.status_code == 500 or response.json()["code"] == 50000


@pytest.mark.parametrize("department", ALL)
def test_905_gets_an_answer_nobody_can_read(town, department):
    response = calm(town, department).call.query(TRIGGERS[905])
    assert response.status_code == 200
    with pytest.raises((ValueError, etree.XMLSyntaxError)):
        read(department, response)


def test_903_is_never_answered(town):
    with pytest.raises(httpx.ReadTimeout):
        calm(town, "gongan").call.query(TRIGGERS[903], timeout=0.4)


def test_906_waits_and_then_is_answered(town):
    call = calm(town, "shichang").call
    begun = time.monotonic()
    assert call.query(TRIGGERS[906]).status_code == 200
    assert time.monotonic() - begun >= 0.3


def test_907_gets_data_four_hundred_days_old(town):
    call = calm(town, "gongan").call
    told = [datetime.fromisoformat(call.query(n).json()["as_of"]) for n in (TRIGGERS[907], LIN)]
    assert abs(told[1] - told[0] - timedelta(days=400)) < timedelta(minutes=10)


def test_a_signature_made_ten_minutes_ago_is_refused(town):
    for department in ("weijian", "yibao", "jiaoyu"):
        assert refused(department, calm(town, department).call.query(LIN, skew_s=-600)), department


def test_a_nonce_is_good_once(town):
    for department in ("weijian", "yibao"):
        call = calm(town, department).call
        assert not refused(department, call.query(LIN, nonce=f"once-{department}"))
        assert refused(department, call.query(LIN, nonce=f"once-{department}"))


def test_the_police_give_tokens_to_their_client_only(town):
    call = calm(town, "gongan").call
    assert call.token(secret="guess").json() == {"error": "invalid_client"}
    answer = call.token().json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 600


def test_medical_insurance_speaks_soap_in_gb18030_with_rare_characters(town):
    response = calm(town, "yibao").call.query(SHEN)
    assert response.headers["content-type"] == "text/xml; charset=GB18030"
    assert response.content.startswith(b'<?xml version="1.0" encoding="GB18030"?>')
    answer = read("yibao", response)["Body"]["QueryInsuredResponse"]
    assert answer["Name"] == "沈𬭚"
    assert (answer["InsuredType"], answer["AccountBalance"]) == ("310", "977.30")


def test_the_housing_fund_speaks_gb18030_both_ways(town):
    body = read("gjj", calm(town, "gjj").call.query(SHEN))["body"]
    assert (body["name"], body["balance_fen"], body["status"]) == ("沈𬭚", 2714400, "01")


def test_the_tax_office_tells_yuan_in_xml(town):
    answer = read("shuiwu", calm(town, "shuiwu").call.query(LIN))
    assert answer["code"] == "0000"
    assert answer["data"]["item"] == {"nd": "2024", "srje": "110760.00", "ynse": "987.60", "tbse": "-312.40", "zt": "1"}


def test_schools_answer_in_pages(town):
    call = calm(town, "jiaoyu").call
    bodies = [{"id_no": CHEN, "page": page, "size": 2} for page in (1, 2, 3, 4)]
    pages = [call.send("POST", "/api/studies/search", body).json() for body in bodies]
    assert [len(page["items"]) for page in pages] == [2, 2, 1, 0]
    assert {page["total"] for page in pages} == {5}


def test_fire_checks_are_json_inside_json_and_slow(town):
    call = calm(town, "xiaofang").call
    call.control("/_set", {"delay_ms": 150})
    begun = time.monotonic()
    answer = call.query(CHEN).json()
    took_s = time.monotonic() - begun
    call.control("/_set", {"delay_ms": 0})
    assert took_s >= 0.15
    assert [check["result"] for check in json.loads(answer["data"])] == ["rectify", "passed"]


def test_urban_management_speaks_xml(town):
    answer = read("chengguan", calm(town, "chengguan").call.query(CHEN))
    assert answer["Permits"]["Permit"]["PermitNo"] == "HZ990103-2017-0058"


def test_an_entity_in_xml_is_not_resolved(town):
    body = (
        '<!DOCTYPE q [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
        "<SignPermitQuery><HolderId>&e;</HolderId></SignPermitQuery>"
    )
    assert calm(town, "chengguan").call.send("POST", "/rest/sign-permits/query", body).status_code == 400


def test_the_fourth_request_of_a_second_is_too_many(town):
    call = town.fresh("ziran").call
    answers = [call.query(CHEN) for _ in range(6)]
    assert [a.status_code for a in answers[:3]] == [200, 200, 200]
    refusal = next(a for a in answers if a.status_code == 429)
    assert refusal.headers["retry-after"] == "1"
    time.sleep(0.4)
    assert call.query(CHEN).status_code == 200


def test_civil_affairs_fails_or_is_cut_off_now_and_then_and_may_be_steadied(town):
    call = town.fresh("minzheng", "http://127.0.0.1:9", "--seed", "7").call
    assert call.control("/_set", {}).json()["flaky_share"] == 0.05
    call.control("/_set", {"flaky_share": 0.5})
    told = []
    for _ in range(12):
        try:
            told.append(str(call.query(LIN).status_code))
        except httpx.TransportError:
            told.append("cut")
    assert {"200", "500", "cut"} == set(told)
    call.control("/_set", {"flaky_share": 0.0})
    assert {call.query(LIN).status_code for _ in range(12)} == {200}


def test_the_same_seed_spoils_the_same_requests(tmp_path):
    def fates(seed: int) -> list[str | None]:
        faults = Faults(tmp_path / "faults.json", Manners(flaky_share=0.5), seed)
        return [faults.flaky() for _ in range(40)]

    assert fates(7) == fates(7)
    assert fates(7) != fates(8)
