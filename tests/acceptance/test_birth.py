"""The birth bundle, whole: one form that departments have filled, five departments in order, one certificate."""

from concurrent.futures import Future
from datetime import datetime
from hashlib import sha256
from xml.etree import ElementTree

import msgspec
import pytest

from onestop.demo import people
from onestop.demo.departments.ledger import Entry
from onestop.demo.visitor import Visitor

from .city import City, as_text, case_of, check_problem, events_of, steps_of
from .journeys import Journey

BUNDLE = {
    "weijian": ["issue_birth_certificate", "vaccination_card"],
    "gongan": ["register_birth"],
    "renshe": ["social_security_card"],
    "yibao": ["enrol_resident", "maternity_claim"],
}


@pytest.fixture(scope="module")
def birth(journeys: dict[str, Future[Journey]]) -> Journey:
    return journeys["standard"].result()


def own_entry(city: City, birth: Journey, operation: str) -> Entry:
    """Return what a department wrote of one step, as it lies in its own folder, with its digest of what it was sent."""
    [department] = [d for d, operations in BUNDLE.items() if operation in operations]
    [key] = [e["key"] for e in city.effects_of(department, birth.case_id) if e["operation"] == operation]
    lines = (city.state / f"{department}.ledger.jsonl").read_bytes().splitlines()
    [entry] = [e for e in (msgspec.json.decode(line, type=Entry) for line in lines) if e.key == key and e.effect_id]
    return entry


def test_every_prefilled_value_says_who_gave_it_as_of_when_and_on_what_basis(birth):
    values = [
        (f"{group}.{name}", answer)
        for group, fields in birth.draft["answers"].items()
        for name, answer in fields.items()
        if answer["value"] is not None
    ]
    assert len(values) == birth.draft["fields"]["prefilled"] >= 12
    for name, answer in values:
        assert answer["source"], name
        assert answer["basis"], name
        assert datetime.fromisoformat(answer["as_of"]).tzinfo, name
    assert birth.draft["parts"]["complete"] is True


def test_person_numbers_are_shown_masked_only(birth):
    shown = as_text([birth.draft, birth.case])
    assert "9901********0221" in shown
    for person in people.people():
        assert person.id_number not in shown


def test_a_submission_is_an_operation_and_pressing_twice_is_pressing_once(birth):
    first, again = birth.answers["submission"], birth.answers["again"]
    assert (first.status, again.status) == (202, 202)
    assert again.headers["idempotent-replay"] == "true"
    assert first.json() == again.json()
    told = birth.visitor.get(f"/v1/operations/{first.json()['id']}").json()
    assert (told["status"], told["progress"]) == ("succeeded", {"done": 7, "total": 7})


def test_the_case_is_granted_and_every_step_is_completed(birth):
    assert (birth.case["state"], birth.case["outcome"]) == ("decided", "granted")
    assert {s["state"] for s in birth.case["steps"]} == {"completed"}
    assert len(birth.case["steps"]) == 7


def test_every_department_did_its_part_exactly_once(city, birth):
    for department, operations in BUNDLE.items():
        assert sorted(e["operation"] for e in city.effects_of(department, birth.case_id)) == operations, department


def test_departments_acted_in_the_order_their_facts_need(city, birth):
    at = {o: own_entry(city, birth, o).at for operations in BUNDLE.values() for o in operations}
    assert at["issue_birth_certificate"] < at["register_birth"] < at["social_security_card"]
    assert at["issue_birth_certificate"] < at["vaccination_card"]
    assert at["issue_birth_certificate"] < at["maternity_claim"]
    assert at["register_birth"] < at["enrol_resident"]


def test_card_and_insurance_are_for_the_number_the_police_gave(city, birth):
    number = own_entry(city, birth, "register_birth").facts["citizen_id"]
    assert people.is_id_number(number)
    assert number.startswith("99010220251118")
    [shown] = steps_of(birth.case)["register_birth"]["result"]
    assert shown["value"] == f"{number[:4]}********{number[-4:]}"
    # What both were sent is made again with that number; the digests they took of it themselves must agree.
    mother = people.person("lin")
    card, enrolment = own_entry(city, birth, "social_security_card"), own_entry(city, birth, "enrol_resident")
    sent = {
        "serial": card.key,
        "service": "social_security_card",
        "applicant_id": mother.id_number,
        "applicant_name": mother.name,
        "holder_id": number,
        "holder_name": "周沐禾",
        "phone": "15400000001",
        "post_to": birth.draft["answers"]["mother"]["address"]["value"],
    }
    assert card.digest == sha256(msgspec.json.encode(sent)).hexdigest()
    soap = (
        '<?xml version="1.0" encoding="GB18030"?>'
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        f'<y:EnrolResident xmlns:y="urn:yunxi:yibao:1"><y:Serial>{enrolment.key}</y:Serial>'
        f"<y:IdNo>{number}</y:IdNo><y:Name>周沐禾</y:Name>"
        f"<y:GuardianIdNo>{mother.id_number}</y:GuardianIdNo><y:GuardianName>{mother.name}</y:GuardianName>"
        "</y:EnrolResident></soap:Body></soap:Envelope>"
    )
    assert enrolment.digest == sha256(soap.encode("gb18030")).hexdigest()


def test_the_claim_came_by_polling_and_the_card_by_a_signed_callback(city, birth):
    steps = steps_of(birth.case)
    types = [(e["type"], e["step"]) for e in birth.case["timeline"]]
    for code in ("maternity_claim", "social_security_card"):
        assert ("cn.onestop.step.received", code) in types
        assert types.index(("cn.onestop.step.received", code)) < types.index(("cn.onestop.step.completed", code))
        assert steps[code]["reference"]
    assert ("cn.onestop.step.received", "enrol_resident") not in types
    card = own_entry(city, birth, "social_security_card")
    heard = [e for e in city.ledger("renshe") if e["key"] == card.key and e["operation"] == "callback"]
    assert [e["outcome"] for e in heard] == ["completed"]


def test_a_callback_that_is_not_signed_is_refused(city, birth):
    key = own_entry(city, birth, "social_security_card").key
    body = {"serial": key, "receipt": "RS9901000001", "status": "declined", "reason": "假"}
    anybody = Visitor(city.url)
    assert anybody.post("/v1/callbacks/renshe", body).status in (400, 401, 403)
    forged = anybody.post(
        "/v1/callbacks/renshe", body, x_timestamp="1764000000", x_nonce="0" * 32, x_signature="0" * 64
    )
    check_problem(forged, forged.status, "callback.not_genuine")
    check_problem(anybody.post("/v1/callbacks/nobody", body), 404, "adapter.unknown")
    assert case_of(birth.visitor, birth.case_id) == birth.case


def test_only_the_clerk_of_the_department_sees_and_answers_its_task(birth):
    told = birth.answers
    check_problem(told["citizen_reads"], 403, "auth.role_not_allowed")
    check_problem(told["citizen_answers"], 403, "auth.role_not_allowed")
    check_problem(told["operator_answers"], 403, "auth.role_not_allowed")
    for stranger in ("wrong_clerk", "wrong_desk"):
        check_problem(told[f"{stranger}_reads"], 404, "task.unknown")
        check_problem(told[f"{stranger}_answers"], 404, "task.unknown")
    task = told["task"].json()
    assert task["payload"]
    assert "990102199203140221" not in as_text(task)
    assert told["answered"].json()["case_state"] == "decided"
    check_problem(told["answered_twice"], 409, "task.answered")


def test_the_certificate_is_valid_for_everybody_and_an_altered_one_is_not(city, birth):
    held = birth.visitor.get(f"{birth.path}/certificate").json()
    anybody = Visitor(city.url)

    def valid(number: str, code: str) -> bool:
        answer = anybody.post("/v1/certificate-checks", {"number": number, "code": code})
        assert answer.status == 200, answer.body.decode()
        assert "林晓舟" not in answer.body.decode()
        return bool(answer.json()["valid"])

    number, code = held["number"], held["code"]
    assert valid(number, code)
    other = "1" if number[10] != "1" else "2"
    assert not valid(number[:10] + other + number[11:], code)
    assert not valid(number[:-1] + ("A" if number[-1] != "A" else "B"), code)
    assert not valid(number, "22222222" if not code.startswith("2") else "33333333")


def test_events_are_taken_up_exactly_where_they_were_left(birth):
    path, timeline = f"{birth.path}/events", birth.case["timeline"]
    every = events_of(birth.visitor, path, 5, len(timeline))
    assert [int(e["id"]) for e in every] == [e["seq"] for e in timeline]
    assert [e["event"] for e in every] == [e["type"] for e in timeline]
    for left_at in (0, 3, len(every) - 2):
        rest = events_of(birth.visitor, path, 5, len(every) - left_at - 1, every[left_at]["id"])
        assert [e["id"] for e in rest] == [e["id"] for e in every[left_at + 1 :]]
        assert rest == every[left_at + 1 :]
    assert events_of(birth.visitor, path, 0.5, 1, every[-1]["id"]) == []


def test_another_citizen_gets_nothing_of_it(city, birth):
    zhou = city.visitor("zhou")
    nobodys = "/v1/cases/case_01kbbbbbbbbbbbbbbbbbbbbbbb"
    for tail in ("", "/events", "/timeline", "/timeline.svg", "/certificate"):
        theirs, none = zhou.get(birth.path + tail), zhou.get(nobodys + tail)
        check_problem(theirs, 404, "certificate.unknown" if tail == "/certificate" else "case.unknown")
        # Word for word what is said of a case that never was.
        for told in ("code", "title", "detail"):
            assert theirs.json()[told] == none.json()[told]
    operation = birth.answers["submission"].json()["id"]
    check_problem(zhou.get(f"/v1/operations/{operation}"), 404, "operation.unknown")
    assert birth.case_id not in zhou.get("/v1/cases?limit=200").body.decode()


@pytest.mark.parametrize("tag", ["zh-CN", "en"])
def test_the_picture_of_the_timeline_is_well_formed_and_says_what_it_shows(city, birth, tag):
    answer = city.visitor("lin", lang=tag).get(f"{birth.path}/timeline.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    root = ElementTree.fromstring(answer.body)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = "".join(root.itertext())
    for bar in city.visitor("lin", lang=tag).get(f"{birth.path}/timeline").json()["bars"]:
        assert bar["name"] in words
    assert "<script" not in answer.body.decode().lower()
