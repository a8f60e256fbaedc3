"""Three whole journeys through the birth bundle, with everything that was seen on the way."""

from dataclasses import dataclass, field
from typing import Any

from onestop.demo.visitor import Answer, Visitor

from .city import (
    ENDED,
    City,
    await_steps,
    case_of,
    fresh_key,
    only_desk_left,
    steps_of,
)

CORRECTED = "周沐荷"


@dataclass
class Journey:
    """One case from draft to decision."""

    visitor: Visitor
    case_id: str = ""
    draft: dict[str, Any] = field(default_factory=dict)
    case: dict[str, Any] = field(default_factory=dict)  # as it stands at the end
    answers: dict[str, Answer] = field(default_factory=dict)  # what was answered on the way, by name

    @property
    def path(self) -> str:
        return f"/v1/cases/{self.case_id}"


def standard(city: City) -> Journey:
    """林晓舟 applies; the police, the clinic and both insurances do their part; the station's clerk answers."""
    journey = Journey(city.visitor("lin"))
    journey.draft, etag = city.open_birth(journey.visitor)
    journey.case_id = journey.draft["id"]
    etag = city.fill_birth(journey.visitor, journey.draft, etag)
    key = fresh_key()
    for name in ("submission", "again"):
        journey.answers[name] = journey.visitor.post(
            f"{journey.path}/submission", {"declarations": ["all_true"]}, if_match=etag, idempotency_key=key
        )
    await_steps(journey.visitor, journey.case_id, only_desk_left, 25)
    _desk(city, journey)
    journey.case = case_of(journey.visitor, journey.case_id)
    return journey


def _desk(city: City, journey: Journey) -> None:
    """Let everybody who must not answer the desk's task try, then its clerk."""
    tasks = city.clerk().get("/v1/tasks?limit=200").json()["data"]
    [task] = [one for one in tasks if one["case_number"] == journey.draft["number"]]
    path, body = f"/v1/tasks/{task['id']}", {"outcome": "completed", "reference": "YE-0001"}
    journey.answers["task"] = city.clerk().get(path)
    strangers = {
        "citizen": city.visitor("lin"),
        "wrong_clerk": city.visitor("window03", "clerk", "gongan"),
        "wrong_desk": city.visitor("desk-gongan", "department", "gongan"),
        "operator": city.visitor("operator", "operator"),
    }
    for name, stranger in strangers.items():
        journey.answers[f"{name}_reads"] = stranger.get(path)
        journey.answers[f"{name}_answers"] = stranger.post(f"{path}/answer", body, idempotency_key=fresh_key())
    journey.answers["answered"] = city.clerk().post(f"{path}/answer", body, idempotency_key=fresh_key())
    journey.answers["answered_twice"] = city.clerk().post(f"{path}/answer", body, idempotency_key=fresh_key())


def declined(city: City) -> Journey:
    """Trigger person 909: every department with a system declines; the station does its part."""
    journey = Journey(city.visitor("909"))
    journey.case_id = city.submit_birth(journey.visitor)
    waiting = await_steps(journey.visitor, journey.case_id, only_desk_left)
    journey.answers["early_certificate"] = journey.visitor.get(f"{journey.path}/certificate")
    city.answer_desk(waiting["number"], reference="YE-0002")
    journey.case = case_of(journey.visitor, journey.case_id)
    return journey


def corrected(city: City) -> Journey:
    """Trigger person 908: each department asks once for a correction, and is satisfied with what is sent again."""
    journey = Journey(city.visitor("908"))
    journey.case_id = city.submit_birth(journey.visitor)

    def pausing(steps: dict[str, Any]) -> bool:
        return only_desk_left(steps) or any(s["state"] == "correcting" for s in steps.values())

    for _ in range(12):
        case = await_steps(journey.visitor, journey.case_id, pausing)
        asked = [code for code, step in steps_of(case).items() if step["state"] == "correcting"]
        if not asked:
            break
        journey.answers.setdefault("asked", journey.visitor.get(journey.path))
        for code in asked:
            _resubmit(city, journey, code)
    city.answer_desk(case["number"])
    journey.case = case_of(journey.visitor, journey.case_id)
    assert all(step["state"] in ENDED for step in journey.case["steps"]), journey.case["steps"]
    return journey


def _resubmit(city: City, journey: Journey, code: str) -> None:
    path, said = f"{journey.path}/steps/{code}/resubmission", journey.answers
    corrected = {"baby": {"name": CORRECTED}} if code == "issue_birth_certificate" else {}
    if "stranger" not in said:
        foreign = {"contact": {"phone": "15400000009"}}
        said["stranger"] = city.visitor("909").post(path, {"answers": corrected}, idempotency_key=fresh_key())
        said["foreign"] = journey.visitor.post(path, {"answers": foreign}, idempotency_key=fresh_key())
    sent = journey.visitor.post(path, {"answers": corrected}, idempotency_key=fresh_key())
    assert sent.status == 202, sent.body.decode()
    twice = journey.visitor.post(path, {"answers": corrected}, idempotency_key=fresh_key())
    said.setdefault("resubmitted", sent)
    said.setdefault("resubmitted_twice", twice)
