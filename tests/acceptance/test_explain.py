"""Why a request went as it did: the link that failed, whose it is, and what to do; nobody else sees it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import pytest

from onestop.demo.secrets import DEPARTMENTS
from onestop.demo.visitor import Visitor

from .city import City, check_problem, part, until


def ask(visitor: Visitor, *wants: str, deadline_ms: int = 600) -> dict[str, Any]:
    answer = visitor.post("/v1/me/lookups", {"wants": list(wants), "deadline_ms": deadline_ms})
    assert answer.status == 200, answer.body.decode()
    found: dict[str, Any] = answer.json()
    return found


def explained(visitor: Visitor, trace_id: str) -> dict[str, Any]:
    """Return the explanation; rows are written in batches, so it may take a moment."""

    def look() -> dict[str, Any] | None:
        answer = visitor.get(f"/v1/explain/{trace_id}")
        return answer.json() if answer.status == 200 else None

    [only] = until(look, 5)["data"]
    return dict(only)


def failed(explanation: dict[str, Any]) -> dict[str, Any]:
    [link] = [one for one in explanation["links"] if one["state"] == "failed"]
    return dict(link)


def check(city: City, answer: dict[str, Any], want: str, link: str, code: str, department: str) -> None:
    """Check that the part, the explanation and the operator's view of it name the same failure."""
    assert part(answer, want)["problem"]["code"] == code
    told = explained(city.visitor("lin"), answer["trace_id"])
    assert told["route"] == "POST /v1/me/lookups"
    found = failed(told)
    assert (found["link"], found["code"], found["department"]) == (link, code, department)
    assert found["says"]
    assert found["fix"]
    assert found["who_acts"]
    assert len(told["waterfall"]) == len(answer["parts"])
    english = failed(explained(city.visitor("lin", lang="en"), answer["trace_id"]))
    assert not re.search(r"[\u4e00-\u9fff]", english["fix"] + english["says"])
    operator = city.visitor("operator", "operator")
    seen = failed(explained(operator, answer["trace_id"]))
    assert "<subject.number>" in seen.pop("curl")  # the request to copy is not a citizen's
    assert seen == found
    check_problem(city.visitor("zhou").get(f"/v1/explain/{answer['trace_id']}"), 404, "trace.unknown")


@pytest.mark.parametrize(
    ("mode", "link", "code"),
    [
        ("timeout", "upstream", "upstream.timeout"),
        ("garbage", "mapping", "upstream.bad_reply"),
        ("error", "upstream", "upstream.down"),
    ],
)
def test_a_department_that_fails_is_named_with_its_link_and_its_fix(city, mode, link, code):
    with city.failing("jiaoyu", mode):
        answer = ask(city.visitor("lin"), "education", "tax")
    check(city, answer, "education", link, code, "教育局")


def test_a_department_that_refuses_onestop_is_named_as_denied(city):
    with another_key(city, "shichang"):
        answer = ask(city.visitor("lin"), "business", "tax")
    assert part(answer, "business")["state"] == "denied"
    check(city, answer, "business", "agreement", "upstream.denied", "市场监管局")
    assert part(ask(city.visitor("lin"), "business"), "business")["state"] == "ok"


@contextmanager
def another_key(city: City, department: str) -> Iterator[None]:
    """Let a department change the key it expects without telling onestop."""
    path = city.state / DEPARTMENTS
    before = path.read_text("utf-8")
    head, _, table = before.partition(f"[{department}]")
    path.write_text(
        f"{head}[{department}]" + re.sub(r'api_key = "\w+"', 'api_key = "changed"', table, count=1), "utf-8"
    )
    try:
        restart(city, department)
        yield
    finally:
        path.write_text(before, "utf-8")
        restart(city, department)


def restart(city: City, department: str) -> None:
    city.kill(department)
    city.await_department(department)


def test_a_paused_department_costs_nobody_a_wait_and_is_named_in_health(city):
    lin, anybody = city.visitor("lin"), Visitor(city.url)
    with city.failing("chengguan", "error"):
        for _ in range(12):
            ask(lin, "sign_permits")
        answer = ask(lin, "sign_permits", "tax")
        paused = part(answer, "sign_permits")
        assert paused["took_ms"] < 50
        assert paused["problem"]["retry_after_s"] > 0
        health = anybody.get("/healthz").json()
        assert health["status"] == "degraded"
        assert "chengguan/sign_permits" in health["degraded"]
        assert anybody.get("/readyz").status == 200
        assert anybody.get("/livez").status == 200
        adapters = city.visitor("operator", "operator").get("/v1/adapters").json()["data"]
        [own] = [one for one in adapters if one["id"] == "chengguan"]
        assert "sign_permits" in own["line"]["breakers"]
        check(city, answer, "sign_permits", "breaker", "upstream.paused", "城管局")
    # It comes back by itself.
    until(lambda: part(ask(lin, "sign_permits"), "sign_permits")["state"] == "ok", 15, 0.3)
    until(lambda: "chengguan/sign_permits" not in anybody.get("/healthz").json()["degraded"], 5)


def test_a_refused_request_is_explained_too(city):
    refused = city.visitor("lin").post("/v1/me/lookups", {"wants": ["horoscope"]})
    trace_id = refused.headers["traceparent"].split("-")[1]
    found = failed(explained(city.visitor("lin"), trace_id))
    assert (found["link"], found["code"]) == ("schema", "lookup.unknown_want")
    check_problem(city.visitor("zhou").get(f"/v1/explain/{trace_id}"), 404, "trace.unknown")


def test_the_waterfall_is_a_picture_for_its_owner_only(city):
    lin = city.visitor("lin")
    trace_id = ask(lin, "household", "tax")["trace_id"]
    explained(lin, trace_id)
    drawn = lin.get(f"/v1/traces/{trace_id}/waterfall.svg")
    assert ElementTree.fromstring(drawn.body).tag == "{http://www.w3.org/2000/svg}svg"
    check_problem(city.visitor("zhou").get(f"/v1/traces/{trace_id}/waterfall.svg"), 404, "trace.unknown")
    check_problem(lin.get("/v1/adapters"), 403, "auth.role_not_allowed")


def test_a_callers_own_trace_id_does_not_open_somebody_elses_requests(city):
    trace_id = ask(city.visitor("lin"), "tax")["trace_id"]
    explained(city.visitor("lin"), trace_id)
    zhou = city.visitor("zhou")
    parent = f"00-{trace_id}-00f067aa0ba902b7-01"
    own = zhou.post("/v1/me/lookups", {"wants": ["household"]}, traceparent=parent).json()
    assert own["trace_id"] == trace_id
    told = until(lambda: zhou.get(f"/v1/explain/{trace_id}").json().get("data"), 5)
    assert [bar["operation"] for one in told for bar in one["waterfall"]] == ["household"]
