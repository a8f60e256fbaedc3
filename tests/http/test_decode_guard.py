"""Whatever bytes come as a body, the answer is a problem with a place in it, never a 500."""

import json
import time
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from onestop.errors import OnestopError
from onestop.http import body
from onestop.http.errors import BadBody

pytestmark = pytest.mark.anyio

GOOD = {"words": "hello"}


async def send(client: httpx.AsyncClient, content: bytes, media: str | None = "application/json") -> httpx.Response:
    headers = {} if media is None else {"content-type": media}
    return await client.post("/v1/notes", content=content, headers=headers)


BAD_BODIES: dict[str, tuple[bytes, str, str | None]] = {
    "deep": (b"[" * 30_000 + b"]" * 30_000, "depth", None),
    "deep, unclosed": (b'{"a":' * 5_000, "depth", None),
    "33 levels": (b'{"more":' + b"[" * 32 + b"]" * 32 + b',"words":"a"}', "depth", None),
    "invalid utf-8": (b'{"words":"\xff"}', "utf8", None),
    "gbk": ('{"words":"中文"}'.encode("gb18030"), "utf8", None),
    "utf-16": ('{"words":"a"}'.encode("utf-16"), "bom", None),
    "byte-order mark": (b'\xef\xbb\xbf{"words":"a"}', "bom", None),
    "raw nul": (b'{"words":"a\x00"}', "syntax", None),
    "escaped nul": (b'{"words":"a\\u0000"}', "nul", "/words"),
    "lone surrogate": (b'{"words":"\\ud800"}', "surrogate", "/words"),
    "lone surrogate in a list": (b'{"words":"a","more":["\\udc00"]}', "surrogate", "/more/0"),
    "twice": (b'{"words":"a","words":"b"}', "duplicate_key", "/words"),
    "twice, deep": (b'{"words":"a","more":[{"x/y":1,"x/y":2}]}', "duplicate_key", "/more/0/x~1y"),
    "65 bits": (b'{"words":"a","more":9223372036854775808}', "integer_range", "/more"),
    "4000 digits": (b'{"words":"a","more":[' + b"9" * 4_000 + b"]}", "integer_range", "/more/0"),
    "5000 digits": (b'{"words":"a","more":' + b"9" * 5_000 + b"}", "integer_range", "/more"),
    "huge float": (b'{"words":"a","more":1e400}', "float_range", "/more"),
    "nan": (b'{"words":"a","more":NaN}', "not_a_number", "/more"),
    "infinity": (b'{"words":"a","more":-Infinity}', "not_a_number", "/more"),
    "truncated": (b'{"words":"a"', "syntax", None),
    "two values": (b'{"words":"a"} {}', "syntax", None),
    "empty": (b"", "empty", None),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_a_400_that_says_where(ana: httpx.AsyncClient, name: str) -> None:
    content, reason, pointer = BAD_BODIES[name]
    answer = await send(ana, content)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (400, "request.bad_body")
    with pytest.raises(OnestopError) as caught:
        body.read_json(content)
    assert caught.value.params["reason"] == reason
    if pointer is not None:
        assert [(e["pointer"], e["code"]) for e in told["errors"]] == [(pointer, f"json.{reason}")]
        assert "{" not in told["errors"][0]["detail"]


@pytest.mark.parametrize("content", [b"1", b'"a"', b"null", b"[]", b"true"])
async def test_a_value_that_is_no_object_is_invalid(ana: httpx.AsyncClient, content: bytes) -> None:
    answer = await send(ana, content)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == ""


async def test_every_wrong_field_is_named_at_once(ana: httpx.AsyncClient) -> None:
    answer = await send(ana, b'{"count":"5","surname":1,"children":[{"name":"a","born_on":"2026-02-30"}]}')
    errors = {e["pointer"]: e["code"] for e in answer.json()["errors"]}
    assert answer.status_code == 422
    assert errors == {"/words": "missing", "/count": "type", "/surname": "unknown", "/children/0/born_on": "date"}


async def test_limits_of_the_type_are_told_without_the_value(ana: httpx.AsyncClient) -> None:
    answer = await send(ana, json.dumps({"words": "9901" * 100, "count": 100}).encode())
    errors = {e["pointer"]: e for e in answer.json()["errors"]}
    assert {p: e["code"] for p, e in errors.items()} == {"/words": "length", "/count": "range"}
    assert "99" in errors["/count"]["detail"]
    assert "99019901" not in answer.text


async def test_what_is_allowed_passes(ana: httpx.AsyncClient) -> None:
    deep: Any = "x"
    for _ in range(31):
        deep = [deep]
    for value in (deep, "\U0001f600", 2**63 - 1, -(2**63), 1.5, "a\\u0000b", [{"k": 1}, {"k": 2}], ["[" * 40]):
        answer = await send(ana, json.dumps(GOOD | {"more": value}).encode())
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "media",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "application/jsonx", ""],
)
async def test_another_media_type_is_415(ana: httpx.AsyncClient, media: str | None) -> None:
    answer = await send(ana, json.dumps(GOOD).encode(), media)
    assert (answer.status_code, answer.json()["code"]) == (415, "request.unsupported_type")


async def test_json_with_utf_8_declared_passes(ana: httpx.AsyncClient) -> None:
    assert (await send(ana, json.dumps(GOOD).encode(), "Application/JSON; charset=UTF-8")).status_code == 201


async def test_a_compressed_body_is_415(ana: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert (await ana.post("/v1/notes", content=b"x", headers=headers)).status_code == 415


async def test_a_route_without_a_body_refuses_what_a_foreign_form_sends(ana: httpx.AsyncClient) -> None:
    assert (await ana.post("/v1/empty")).status_code == 200
    assert (await ana.post("/v1/empty", json={})).status_code == 200
    assert (await ana.post("/v1/empty", content=b"a=b", headers={"content-type": "text/plain"})).status_code == 415


async def test_an_optional_body_may_be_absent(ana: httpx.AsyncClient) -> None:
    assert (await ana.post("/v1/optional")).json() == {"given": False}
    assert (await ana.post("/v1/optional", json=GOOD)).json() == {"given": True}


async def test_a_body_is_counted_whether_its_length_is_declared_or_not(ana: httpx.AsyncClient) -> None:
    async def pieces() -> Any:
        for _ in range(30):
            yield b" " * 10

    headers = {"content-type": "application/json"}
    declared = await ana.post("/v1/small", content=b" " * 101, headers=headers)
    counted = await ana.post("/v1/small", content=pieces(), headers=headers)
    big = await ana.post("/v1/notes", content=b" " * 65_537, headers=headers)
    assert [a.status_code for a in (declared, counted, big)] == [413, 413, 413]
    assert declared.json()["code"] == "request.too_large"


async def test_a_form_is_read_strictly(nobody: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}

    async def form(content: bytes) -> httpx.Response:
        return await nobody.post("/page", content=content, headers=headers)

    assert (await form(b"words=%E4%B8%AD&count=3")).text == "<p>3"
    assert (await form(b"words=%ff")).status_code == 400
    assert (await form(b"words=a%00")).status_code == 400
    assert (await form(b"words=\xff")).status_code == 400
    assert (await form(b"words=a&count=x")).status_code == 422
    assert (await form(b"words=a&other=x")).status_code == 422
    assert (await form(b"")).status_code == 422
    assert (await nobody.post("/page", json={"words": "a"})).status_code == 415


async def test_a_hook_reads_its_own_bytes_within_the_limit(nobody: httpx.AsyncClient) -> None:
    assert (await nobody.post("/hook", content=b"\xff\x00", headers={"content-type": "x/y"})).json() == {"bytes": 2}
    assert (await nobody.post("/hook", content=b"x" * 65_537)).status_code == 413


@pytest.mark.parametrize("query", ["a=%ff", "a=%00", "a=%c3%28", "limit=%e4"])
async def test_a_query_that_is_no_text_is_400(ana: httpx.AsyncClient, query: str) -> None:
    answer = await ana.get(f"/v1/numbers/1?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "request.bad_address")


async def test_a_nul_in_the_path_is_400(ana: httpx.AsyncClient) -> None:
    assert (await ana.get("/v1/notes/%00")).status_code == 400


async def test_a_wrong_parameter_is_400_and_an_impossible_id_is_404(ana: httpx.AsyncClient) -> None:
    wrong = await ana.get("/v1/numbers/1?limit=500")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "request.bad_parameter")
    assert wrong.json()["errors"][0]["pointer"] == "/query/limit"
    assert (await ana.get("/v1/numbers/1?limit=x")).status_code == 400
    assert (await ana.get("/v1/numbers/abc")).status_code == 404


def test_hostile_bodies_do_not_cost_more_than_their_size() -> None:
    hostile = [
        b"[" * 40 + b'"\\' * 32_000,
        b"[" * 40 + b'"\\"' * 20_000,
        b'{"a":"' + b"\\u0000" * 10_000 + b'"}',
        b"[[]" * 20_000,
    ]
    for content in hostile:
        began = time.process_time()
        with pytest.raises(OnestopError):
            body.read_json(content)
        assert time.process_time() - began < 0.5


PIECES = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b'"words"', b'"a"', b'"count":', b"1", b"-", b"1e999", b"9" * 30),
    *(b"\\u0000", b"\\ud83d", b"\\", b"NaN", b"null", b"\xff", b"\xef\xbb\xbf", b"\x00", b" "),
]


def pieces_of_json() -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


@effort(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=200), pieces_of_json(), st.text(max_size=100).map(lambda t: t.encode())))
def test_any_bytes_are_a_value_or_a_refusal(content: bytes) -> None:
    try:
        value = body.read_json(content)
    except BadBody:
        return
    assert value == json.loads(content)


@effort(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(st.binary(max_size=200), pieces_of_json()),
    media=st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]
    ),
    path=st.sampled_from(["/v1/notes", "/v1/optional", "/v1/empty", "/page", "/hook", "/v1/things"]),
)
async def test_any_bytes_to_any_route_never_give_a_500(
    ana: httpx.AsyncClient, content: bytes, media: str, path: str
) -> None:
    headers = {"content-type": media, "idempotency-key": "k"}
    assert (await ana.post(path, content=content, headers=headers)).status_code < 500
