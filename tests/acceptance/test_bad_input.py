"""What cannot be taken is refused with a clear problem, in both languages, and nothing that was there is lost."""

import json
import time

import pytest

from onestop.demo import people
from onestop.demo.visitor import Visitor

from .city import City, as_text, await_steps, case_of, check_problem, fresh_key, only_desk_left, part, steps_of, until

REAL = "11010519491231002X"  # the published example of GB 11643: a real area and a right check character
WRONG_CHECK = "990102199203140222"
LANGUAGES = [("zh", "zh-CN"), ("en", "en")]


class Draft:
    """A draft that must stay as it is."""

    def __init__(self, city: City, person: str) -> None:
        self.visitor = city.visitor(person)
        case, self.etag = city.open_birth(self.visitor)
        self.id = str(case["id"])
        self.path = f"/v1/cases/{self.id}"
        self.before = case_of(self.visitor, self.id)

    def unchanged(self) -> bool:
        """Tell whether the draft is as it was, and still its applicant's to edit."""
        return case_of(self.visitor, self.id) == self.before


@pytest.fixture(scope="module")
def draft(city: City) -> Draft:
    return Draft(city, "zhou")


@pytest.mark.parametrize(("lang", "tag"), LANGUAGES)
@pytest.mark.parametrize(
    ("number", "code"), [(REAL, "sandbox.real_identity"), (WRONG_CHECK, "identity.bad_checksum"), ("123", None)]
)
def test_a_number_that_cannot_be_taken_is_named_at_its_field_and_not_repeated(city, draft, lang, tag, number, code):
    writer = city.visitor("zhou", lang=tag)
    body = {"answers": {"father": {"id_number": number}, "contact": {"phone": "15400000002"}}}
    answer = writer.patch(f"{draft.path}/answers", body, if_match=draft.etag)
    problem = check_problem(answer, 422, answer.json()["code"], lang)
    [error] = problem["errors"]
    assert error["pointer"] == "/answers/father/id_number"
    assert code in (None, error["code"])
    assert number not in as_text(problem)
    assert draft.unchanged()  # all values are taken or none


def test_a_real_number_is_refused_before_its_check_character_is_looked_at(city, draft):
    body = {"answers": {"father": {"id_number": REAL[:-1] + "1"}}}
    answer = draft.visitor.patch(f"{draft.path}/answers", body, if_match=draft.etag)
    assert answer.json()["errors"][0]["code"] == "sandbox.real_identity"


def test_every_fault_of_a_form_is_told_at_once(draft):
    body = {
        "answers": {
            "mother": {"name": "别人"},
            "baby": {"born_on": "2999-01-01", "sex": "neither", "weight_g": True},
            "contact": {"phone": "12"},
            "guidance": {"station": "nowhere"},
            "nobody": {"asked": "this"},
        }
    }
    problem = check_problem(
        draft.visitor.patch(f"{draft.path}/answers", body, if_match=draft.etag), 422, "form.invalid"
    )
    assert {e["pointer"]: e["code"] for e in problem["errors"]} == {
        "/answers/mother/name": "form.not_editable",
        "/answers/baby/born_on": "form.future_date",
        "/answers/baby/sex": "form.not_a_choice",
        "/answers/baby/weight_g": "form.not_a_number",
        "/answers/contact/phone": "form.bad_phone",
        "/answers/guidance/station": "form.not_a_choice",
        "/answers/nobody/asked": "form.unknown",
    }
    assert draft.unchanged()


@pytest.mark.parametrize(("lang", "tag"), LANGUAGES)
def test_an_edit_of_an_old_version_or_of_none_is_refused(city, draft, lang, tag):
    writer = city.visitor("zhou", lang=tag)
    body = {"answers": {"baby": {"name": "周沐阳"}}}
    check_problem(writer.patch(f"{draft.path}/answers", body, if_match='"v999"'), 412, "case.version_stale", lang)
    check_problem(writer.patch(f"{draft.path}/answers", body), 428, "version.required", lang)
    stale = writer.post(
        f"{draft.path}/submission",
        {"declarations": ["all_true"]},
        if_match='"v999"',
        idempotency_key=fresh_key(),
    )
    check_problem(stale, 412, "case.version_stale", lang)
    assert draft.unchanged()


@pytest.mark.parametrize(("lang", "tag"), LANGUAGES)
def test_an_unfinished_form_is_not_submitted_and_says_what_is_missing(city, draft, lang, tag):
    writer = city.visitor("zhou", lang=tag)
    answer = writer.post(
        f"{draft.path}/submission",
        {"declarations": ["all_true"]},
        if_match=draft.etag,
        idempotency_key=fresh_key(),
    )
    problem = check_problem(answer, 422, answer.json()["code"], lang)
    assert {e["pointer"] for e in problem["errors"]} >= {"/answers/baby/name", "/answers/contact/phone"}
    assert draft.unchanged()


@pytest.mark.parametrize(("lang", "tag"), LANGUAGES)
def test_another_citizens_draft_reads_as_none(city, draft, lang, tag):
    other = city.visitor("chen", lang=tag)
    body = {"answers": {"baby": {"name": "别人的"}}}
    check_problem(other.get(draft.path), 404, "case.unknown", lang)
    check_problem(other.patch(f"{draft.path}/answers", body, if_match=draft.etag), 404, "case.unknown", lang)
    assert draft.unchanged()


# ---- the same key ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lang", "tag"), LANGUAGES)
def test_a_key_is_needed_and_belongs_to_one_body(city, lang, tag):
    chen, key = city.visitor("chen", lang=tag), fresh_key()
    check_problem(chen.post("/v1/cases", {"item": "birth"}), 400, "idempotency.key_missing", lang)
    first = chen.post("/v1/cases", {"item": "birth"}, idempotency_key=key)
    again = chen.post("/v1/cases", {"item": "birth"}, idempotency_key=key)
    assert (first.status, again.status) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotent-replay"] == "true"
    assert first.headers["idempotent-replay"] is None
    other = chen.post("/v1/cases", {"item": "birth", "situation": {"mother_insured": True}}, idempotency_key=key)
    check_problem(other, 422, "idempotency.key_reused", lang)
    # Somebody else's equal key is another key.
    wang = city.visitor("wang").post("/v1/cases", {"item": "birth"}, idempotency_key=key)
    assert wang.status == 201
    assert wang.json()["id"] != first.json()["id"]


def test_a_second_submission_under_the_same_key_is_one_submission(city):
    chen = city.visitor("chen")
    case, etag = city.open_birth(chen)
    etag = city.fill_birth(chen, case, etag)
    path, key = f"/v1/cases/{case['id']}/submission", fresh_key()
    first = chen.post(path, {"declarations": ["all_true"]}, if_match=etag, idempotency_key=key)
    again = chen.post(path, {"declarations": ["all_true"]}, if_match=etag, idempotency_key=key)
    other = chen.post(path, {"declarations": []}, if_match=etag, idempotency_key=key)
    assert (first.status, again.status) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["idempotent-replay"] == "true"
    check_problem(other, 422, "idempotency.key_reused")
    new_key = chen.post(path, {"declarations": ["all_true"]}, if_match=etag, idempotency_key=fresh_key())
    assert new_key.status in (409, 412), new_key
    await_steps(chen, case["id"], only_desk_left)
    done = city.effects_of("weijian", case["id"])
    assert sorted(e["operation"] for e in done) == ["issue_birth_certificate", "vaccination_card"]


# ---- a session that ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lang", "tag"), LANGUAGES)
def test_a_session_that_ends_in_the_middle_of_a_form_loses_nothing(city, lang, tag):
    shen = Visitor(city.url, lang=tag, token=city.token("shen"))
    case, etag = city.open_birth(shen)
    kept = shen.patch(f"/v1/cases/{case['id']}/answers", {"answers": {"baby": {"name": "沈𬭚𬭚"}}}, if_match=etag)
    etag = kept.headers["etag"]
    session = shen.get("/v1/me").json()["session_id"]
    assert shen.send("DELETE", f"/v1/me/sessions/{session}", None, {}).status == 204
    typed = {"answers": {"contact": {"phone": "15400000009"}}}
    refused = shen.patch(f"/v1/cases/{case['id']}/answers", typed, if_match=etag)
    check_problem(refused, 401, "auth.required", lang)
    assert refused.headers["www-authenticate"]
    check_problem(shen.get(f"/v1/cases/{case['id']}"), 401, "auth.required", lang)
    back = Visitor(city.url, lang=tag, token=city.token("shen"))
    found = case_of(back, case["id"])
    assert found["answers"]["baby"]["name"]["value"] == "沈𬭚𬭚"
    assert found["answers"] == kept.json()["answers"]
    assert back.patch(f"/v1/cases/{case['id']}/answers", typed, if_match=etag).status == 200


def test_a_token_of_somebody_else_makes_nothing_open(city):
    forged = city.token("shen")[:-6] + "AAAAAA"
    check_problem(Visitor(city.url, token=forged).get("/v1/me"), 401, "auth.required")
    check_problem(Visitor(city.url).get("/v1/me"), 401, "auth.required")


# ---- bodies ---------------------------------------------------------------------------------------------------------

JSON = {"content_type": "application/json"}
BODIES = [
    ("unknown want", {"wants": ["household", "horoscope"]}, {}, 422, "lookup.unknown_want"),
    ("unknown member", {"wants": ["household"], "also": 1}, {}, 422, "form.invalid"),
    ("a number as text", {"wants": ["household"], "deadline_ms": "2500"}, {}, 422, "form.invalid"),
    ("no wants", {"wants": []}, {}, 422, "form.invalid"),
    ("deep", b'{"wants": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", JSON, 413, "request.too_large"),
    ("deep enough", b'{"wants": ' + b"[" * 400 + b"]" * 400 + b"}", JSON, 400, "request.bad_body"),
    ("wrong type", b'{"wants": ["household"]}', {"content_type": "text/plain"}, 415, "request.unsupported_type"),
    ("no type", b'{"wants": ["household"]}', {"content_type": ""}, 415, "request.unsupported_type"),
    ("gbk", '{"wants": ["户口"]}'.encode("gbk"), JSON, 400, "request.bad_body"),
    (
        "gbk declared",
        '{"wants": ["户口"]}'.encode("gbk"),
        {"content_type": "application/json; charset=gbk"},
        415,
        "request.unsupported_type",
    ),
    ("nine megabytes", b'{"wants": ["' + b"a" * 9_000_000 + b'"]}', JSON, 413, "request.too_large"),
    ("nul", b'{"wants": ["house\\u0000hold"]}', JSON, 400, "request.bad_body"),
    ("half a character", b'{"wants": ["\\ud800"]}', JSON, 400, "request.bad_body"),
    ("a key twice", b'{"wants": ["tax"], "wants": ["household"]}', JSON, 400, "request.bad_body"),
    ("not a number", b'{"wants": ["tax"], "deadline_ms": NaN}', JSON, 400, "request.bad_body"),
    ("broken off", b'{"wants": ["tax"', JSON, 400, "request.bad_body"),
    ("empty", b"", JSON, 400, "request.bad_body"),
]


@pytest.mark.parametrize(("lang", "tag"), LANGUAGES)
@pytest.mark.parametrize(("body", "headers", "status", "code"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
def test_a_body_that_cannot_be_read_is_refused_clearly(city, lang, tag, body, headers, status, code):
    answer = city.visitor("lin", lang=tag).post("/v1/me/lookups", body, **headers)
    check_problem(answer, status, code, lang)


@pytest.mark.parametrize(("name", "code"), [("周\0沐禾", "json.nul"), ("周\u2028沐禾", "form.control_character")])
def test_a_control_character_in_a_name_is_refused_at_its_place(draft, name, code):
    body = json.dumps({"answers": {"baby": {"name": name}}}).encode()
    answer = draft.visitor.patch(f"{draft.path}/answers", body, if_match=draft.etag, content_type="application/json")
    assert answer.status in (400, 422)
    [error] = check_problem(answer, answer.status, answer.json()["code"])["errors"]
    assert (error["pointer"], error["code"]) == ("/answers/baby/name", code)
    assert draft.unchanged()


@pytest.mark.parametrize(("lang", "tag"), LANGUAGES)
def test_addresses_and_methods_that_are_none_are_refused_clearly(city, lang, tag):
    lin = city.visitor("lin", lang=tag)
    check_problem(lin.get("/v1/nowhere"), 404, "not_found", lang)
    check_problem(lin.send("DELETE", "/v1/me/lookups", None, {}), 405, "request.method_not_allowed", lang)
    check_problem(lin.get("/v1/cases?limit=many"), 400, "request.bad_parameter", lang)
    check_problem(lin.get("/v1/cases?cursor=%00"), 400, "request.bad_address", lang)
    check_problem(lin.get("/v1/cases?cursor=%ff"), 400, "request.bad_address", lang)


# ---- departments that answer nonsense -------------------------------------------------------------------------------


@pytest.mark.parametrize("department", [d.id for d in people.departments() if d.query])
@pytest.mark.parametrize(("mode", "code"), [("garbage", "upstream.bad_reply"), ("error", "upstream.down")])
def test_a_department_that_answers_nonsense_is_never_read_as_having_no_record(city, department, mode, code):
    want, other = people.department(department).query, "medical_insurance" if department == "gongan" else "household"
    with city.failing(department, mode):
        answer = city.visitor("lin").post("/v1/me/lookups", {"wants": [want, other]}).json()
    broken = part(answer, want)
    assert (broken["state"], broken.get("found")) == ("unavailable", None)
    assert broken["problem"]["code"] == code
    assert broken["problem"]["who_acts"] == "department"
    assert broken["source"]["department"] in broken["problem"]["detail"]
    assert part(answer, other)["state"] == "ok"


def test_a_submission_answered_with_garbage_waits_and_has_one_effect(city):
    ouyang = city.visitor("ouyang")
    case, etag = city.open_birth(ouyang)
    etag = city.fill_birth(ouyang, case, etag)
    with city.failing("weijian", "garbage"):
        answer = ouyang.post(
            f"/v1/cases/{case['id']}/submission",
            {"declarations": ["all_true"]},
            if_match=etag,
            idempotency_key=fresh_key(),
        )
        assert answer.status == 202
        until(lambda: city.effects_of("weijian", case["id"]), 10)  # the department did it, and could not say so
        time.sleep(0.5)
        waiting = steps_of(case_of(ouyang, case["id"]))
        assert waiting["issue_birth_certificate"]["state"] == "in_progress"
        assert "还没有收到" in waiting["issue_birth_certificate"]["says"]  # nobody is told that it is being worked on
        assert waiting["register_birth"]["state"] == "waiting"  # what is not known to be done is not built upon
    healed = await_steps(ouyang, case["id"], only_desk_left, 30)
    assert {s["state"] for s in healed["steps"]} == {"completed", "at_desk"}
    for department in ("weijian", "gongan", "renshe", "yibao"):
        keys = [e["key"] for e in city.effects_of(department, case["id"])]
        assert keys
        assert len(keys) == len(set(keys)), department
