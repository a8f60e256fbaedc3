"""What every request meets: its names, its language, its time, its session, the headers it goes home with."""

import json
import re
from typing import Any

import httpx
import pytest

from onestop.http import access
from onestop.http.desk import FrontDesk, preferred
from onestop.http.models import Context

from .conftest import SITE, client_of

pytestmark = pytest.mark.anyio

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_every_reply_carries_the_names_of_its_request(ana: httpx.AsyncClient) -> None:
    for path in ("/v1/open", "/v1/nowhere", "/livez", "/v1/breaks/x", "/problems"):
        answer = await ana.get(path)
        assert re.fullmatch(r"req_[0-9a-z]{26}", answer.headers["request-id"])
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", answer.headers["traceparent"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


async def test_a_well_formed_request_id_is_kept_and_another_is_not(ana: httpx.AsyncClient) -> None:
    kept = await ana.get("/v1/open", headers={"request-id": "req_7F3K.a-b"})
    assert kept.headers["request-id"] == "req_7F3K.a-b"
    for bad in ("short", "x" * 65, 'a"b<script>', "a b c d e f"):
        answer = await ana.get("/v1/open", headers={"request-id": bad})
        assert answer.headers["request-id"].startswith("req_0")


async def test_a_trace_is_continued_under_a_span_of_our_own(ana: httpx.AsyncClient) -> None:
    told = (await ana.get("/v1/open", headers={"traceparent": TRACE})).json()
    assert told["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert told["span_id"] != "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "bad", ["00-" + "0" * 32 + "-00f067aa0ba902b7-01", "ff" + TRACE[2:], TRACE.upper(), "x", TRACE + "-x"]
)
async def test_a_malformed_trace_is_replaced(ana: httpx.AsyncClient, bad: str) -> None:
    told = (await ana.get("/v1/open", headers={"traceparent": bad})).json()
    assert re.fullmatch("[0-9a-f]{32}", told["trace_id"])
    assert told["trace_id"] not in bad


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        ("", "zh"),
        ("en", "en"),
        ("en-GB,zh;q=0.9", "en"),
        ("zh-CN,en;q=0.9", "zh"),
        ("en;q=0.5,zh;q=0.6", "zh"),
        ("fr", "zh"),
        ("en;q=x", "zh"),
    ],
)
def test_the_language_is_the_better_liked_of_the_two(header: str, lang: str) -> None:
    assert preferred(header.encode()) == lang


async def test_pages_also_take_the_language_from_address_and_cookie(nobody: httpx.AsyncClient) -> None:
    assert (await nobody.get("/page")).text == "<p>zh"
    assert (await nobody.get("/page?a=1&lang=en")).text == "<p>en"
    assert (await nobody.get("/page", headers={"cookie": "a=b; onestop-lang=en"})).text == "<p>en"
    assert (await nobody.get("/page?lang=zh", headers={"cookie": "onestop-lang=en"})).text == "<p>zh"
    assert (await nobody.get("/v1/open?lang=en")).json()["lang"] == "zh"


async def test_the_budget_is_the_callers_up_to_the_ceiling(ana: httpx.AsyncClient) -> None:
    told = [
        (await ana.get("/v1/open", headers={} if b is None else {"onestop-budget-ms": b})).json()
        for b in (None, "800", "99999999")
    ]
    assert [t["budget_ms"] for t in told] == [2_500, 800, 10_000]
    assert 0.5 < told[1]["left"] <= 0.8


@pytest.mark.parametrize("budget", ["0", "-1", "1.5", "x", "9" * 12])
async def test_a_budget_that_is_no_number_is_400(ana: httpx.AsyncClient, budget: str) -> None:
    answer = await ana.get("/v1/open", headers={"onestop-budget-ms": budget})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.bad_header")


async def test_a_route_is_closed_unless_it_says_otherwise(nobody: httpx.AsyncClient) -> None:
    answer = await nobody.get("/v1/numbers/1")
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await nobody.get("/v1/open")).status_code == 200


async def test_a_route_of_one_role_is_closed_to_others(desk: FrontDesk, ana: httpx.AsyncClient) -> None:
    answer = await ana.get("/v1/clerks")
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.role_not_allowed")
    async with client_of(desk, "slow-clerk") as clerk:
        assert (await clerk.get("/v1/clerks")).status_code == 200


async def test_a_refused_credential_closes_closed_routes_alone(desk: FrontDesk) -> None:
    async with client_of(desk, "stranger") as stranger:
        assert (await stranger.get("/v1/numbers/1")).status_code == 401
        assert (await stranger.get("/v1/open")).json()["principal"] == "public"
    async with client_of(desk, "broken") as unlucky:
        assert (await unlucky.get("/v1/numbers/1")).status_code == 503
        assert (await unlucky.get("/v1/open")).status_code == 200


COOKIE = {"cookie": "__Host-onestop=ana"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://portal.test"}, 403),
        ({"origin": SITE + ".evil.test"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://evil.test", "sec-fetch-site": "same-origin"}, 403),
        ({"origin": SITE}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
    ],
)
async def test_a_change_by_cookie_must_come_from_our_own_pages(
    nobody: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    assert (await nobody.post("/v1/empty", headers=COOKIE | headers)).status_code == status


async def test_reading_by_cookie_and_changes_by_bearer_need_no_origin(
    nobody: httpx.AsyncClient, ana: httpx.AsyncClient
) -> None:
    assert (await nobody.get("/v1/numbers/1", headers=COOKIE)).status_code == 200
    assert (await ana.post("/v1/empty", headers={"origin": "http://evil.test"})).status_code == 200


async def test_pages_carry_a_strict_policy(nobody: httpx.AsyncClient) -> None:
    for path in ("/page", "/problems", "/schema"):
        answer = await nobody.get(path, headers={"accept": "text/html"})
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "<script" not in answer.text
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", answer.text)
        assert "style=" not in answer.text


async def test_one_line_is_written_that_names_route_and_nobody(
    desk: FrontDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    access.flush()
    capsys.readouterr()
    desk._access_log = True
    async with client_of(desk) as ana:
        await ana.get("/v1/notes/case_990100199001010011?limit=990100199001010011")
    access.flush()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["route"], line["status"], line["method"]) == ("/v1/notes/{note_id}", 200, "GET")
    assert line["duration_ms"] > 0
    assert "9901" not in str(line)
    assert "ana" not in str(line)


async def test_the_end_of_every_request_can_be_watched(desk: FrontDesk, ana: httpx.AsyncClient) -> None:
    seen: list[tuple[Any, int]] = []

    def watch(scope: Any, context: Context, status: int) -> None:
        seen.append((scope.get("path_template"), status))

    desk.on_end = watch
    await ana.get("/v1/numbers/1")
    await ana.get("/v1/nowhere")
    assert seen == [("/v1/numbers/{number}", 200), (None, 404)]


async def test_no_more_fan_outs_are_admitted_than_can_be_served_well(
    desk: FrontDesk, ana: httpx.AsyncClient, made: list[str]
) -> None:
    gate = desk.app.middleware[0]  # type: ignore[attr-defined]
    gate.fanouts = gate.limit
    answer = await ana.post("/v1/things", json={"words": "a"}, headers={"idempotency-key": "k"})
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "overload.shed", "1")
    assert made == []
    gate.fanouts = 0
    assert (await ana.post("/v1/things", json={"words": "a"}, headers={"idempotency-key": "k"})).status_code == 201
    assert gate.fanouts == 0
    assert not gate.running


async def test_a_websocket_is_closed(desk: FrontDesk) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await desk({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1003}]
