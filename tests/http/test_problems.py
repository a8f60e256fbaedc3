"""Refusals: one form, two languages, nothing given away."""

import httpx
import litestar
import pytest
import structlog

from onestop import errors
from onestop.http import problem_pages, problems
from onestop.http.gate import matrix

from .conftest import SITE

pytestmark = pytest.mark.anyio


async def test_a_problem_has_every_member_in_the_callers_language(nobody: httpx.AsyncClient) -> None:
    zh = await nobody.get("/v1/numbers/1")
    en = await nobody.get("/v1/numbers/1", headers={"accept-language": "en"})
    told = zh.json()
    assert zh.headers["content-type"] == "application/problem+json"
    assert [zh.headers["content-language"], en.headers["content-language"]] == ["zh-CN", "en"]
    assert "Accept-Language" in zh.headers["vary"]
    assert list(told) == [
        *("type", "title", "status", "detail", "instance", "code", "stage", "who_acts", "retry", "request_id")
    ]
    assert told["type"] == f"{SITE}/problems/auth.required"
    assert (told["instance"], told["request_id"]) == ("/v1/numbers/1", zh.headers["request-id"])
    assert (told["title"], en.json()["title"]) == ("请先登录", "Please sign in")


async def test_unknown_addresses_and_methods_are_problems(ana: httpx.AsyncClient) -> None:
    absent = await ana.get("/v1/nowhere")
    wrong = await ana.delete("/v1/open")
    assert (absent.status_code, absent.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "request.method_not_allowed")
    assert "GET" in wrong.headers["allow"]
    assert (await ana.get("/schema/nothing")).json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("any", 500, "internal"),
        ("internal", 500, "internal"),
        ("recursion", 500, "internal"),
        ("database", 503, "database.unavailable"),
        ("time", 503, "budget.spent"),
        ("group", 401, "auth.required"),
    ],
)
async def test_what_goes_wrong_inside_is_told_without_its_words(
    nobody: httpx.AsyncClient, how: str, status: int, code: str
) -> None:
    answer = await nobody.get(f"/v1/breaks/{how}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "secret" not in answer.text
    assert "9901" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_defect_is_logged_once_with_its_traceback(nobody: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await nobody.get("/v1/breaks/any")
    assert [line["log_level"] for line in lines] == ["error"]
    assert isinstance(lines[0]["exc_info"], RuntimeError)
    assert lines[0]["request_id"] == answer.headers["request-id"]


async def test_a_browser_on_a_page_gets_a_page(nobody: httpx.AsyncClient) -> None:
    page = await nobody.get("/nowhere", headers={"accept": "text/html,*/*", "accept-language": "en"})
    api = await nobody.get("/v1/nowhere", headers={"accept": "text/html,*/*"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "Not found" in page.text
    assert page.headers["request-id"] in page.text
    assert api.headers["content-type"] == "application/problem+json"


async def test_every_problem_can_be_read_about(nobody: httpx.AsyncClient) -> None:
    page = await nobody.get("/problems/version.stale")
    told = (await nobody.get("/problems/version.stale", headers={"accept": "application/json"})).json()
    listed = (await nobody.get("/problems?lang=en", headers={"accept": "application/json"})).json()
    assert "内容已被更新" in page.text
    assert "由谁处理" in page.text
    assert (told["status"], told["who_acts"]) == (412, "caller")
    assert {p["code"] for p in listed["data"]} >= {"version.stale", "internal", "idempotency.key_reused"}
    assert (await nobody.get("/problems/no.such")).status_code == 404
    english = await nobody.get("/problems", headers={"accept-language": "en"})
    assert "All problem codes" in english.text


def test_every_kind_has_a_status_of_its_own() -> None:
    direct = set(errors.OnestopError.__subclasses__()) & {k for k in vars(errors).values() if isinstance(k, type)}
    assert direct <= set(problems.STATUS)
    assert len(set(problems.STATUS.values())) == len(problems.STATUS)
    assert problems.status_of(type("New", (errors.Stale,), {})) == 412


async def test_the_matrix_tells_who_may_enter_every_route(desk: object) -> None:
    rules = {(r.method, r.path): r for r in matrix(desk.app)}  # type: ignore[attr-defined]
    assert rules["GET", "/v1/clerks"].roles == ("clerk",)
    assert not rules["POST", "/v1/notes"].public
    open_routes = {path for (_, path), rule in rules.items() if rule.public}
    assert open_routes == {
        *("/v1/open", "/page", "/hook", "/v1/breaks/{how}"),  # of this test's app
        *("/livez", "/readyz", "/healthz", "/problems", "/problems/{code}", "/http-assets/{name}"),
        *("/schema", "/schema/openapi.json"),
    }


def test_the_written_page_has_every_code_of_this_room() -> None:
    page = problem_pages.errors_page()
    assert all(f"## `{kind.code}`" in page for kind in problem_pages.kinds())


@pytest.mark.parametrize(("status", "code"), [(418, "request.malformed"), (507, "internal")])
def test_what_the_framework_refuses_in_its_own_words_is_told_in_ours(status: int, code: str) -> None:
    told = problems.translate(litestar.exceptions.HTTPException("words", status_code=status))
    assert (told.code, "words" in str(told)) == (code, False)
