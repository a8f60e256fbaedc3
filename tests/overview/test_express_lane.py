"""The express lane answers as the framework does: the same handler, the same bytes, the same refusals."""

import re
import uuid

import pytest

from tests.overview.conftest import ANA, BEN

pytestmark = pytest.mark.anyio
OPENING = {"item": "permit", "submit": True, "answers": {"applicant": {"note": "x"}}}
REQUESTS = [
    ("GET", "/v1/me", None, {}),
    ("GET", "/v1/me", None, {"authorization": "Bearer forged"}),
    ("POST", "/v1/me/lookups", {"wants": ["one"]}, {}),
    ("POST", "/v1/me/lookups", {"wants": ["nonsense"]}, {"accept-language": "en"}),
    ("POST", "/v1/me/lookups", {"wants": ["one"], "more": 1}, {}),
    ("POST", "/v1/cases", OPENING, {"idempotency-key": "fresh"}),
    ("POST", "/v1/cases", OPENING, {}),
    ("POST", "/v1/cases", {"item": "nothing"}, {"idempotency-key": "fresh"}),
]
# What differs from request to request by its nature.
_OWN = re.compile(
    r"(case|req|eff|op|cmp|trc)_[0-9a-z]{26}|[0-9a-f]{32}|\d{4}-\d\d-\d\dT[\d:.+Z]+|[A-Z0-9]{4}-[A-Z0-9]{4}"
)


def plain(text: str) -> str:
    text = _OWN.sub("*", text)
    text = re.sub(r'"(took_ms|age_s|budget_ms)":[\d.]+', r'"\1":0', text)
    return re.sub(r'"number":"[^"]+"', '"number":"*"', text)


@pytest.mark.parametrize(("method", "path", "body", "headers"), REQUESTS)
async def test_both_ways_give_the_same_answer(world, method, path, body, headers):
    answers = []
    for express in (True, False):
        if not express:
            assert world.desk._express.pop((method, path), None) is not None, "not an express route at all"
        told = dict(headers)
        if told.get("idempotency-key"):
            told["idempotency-key"] = str(uuid.uuid4())
        async with world.client(ANA) as ana:
            answers.append(await ana.request(method, path, json=body, headers=told))
    fast, slow = answers
    assert fast.status_code == slow.status_code
    assert plain(fast.text) == plain(slow.text)
    own = {"content-length", "request-id", "traceparent", "location"}
    assert {k: v for k, v in fast.headers.items() if k not in own} == {
        k: v for k, v in slow.headers.items() if k not in own
    }


async def test_a_key_is_one_persons_own_on_the_express_lane(world):
    async with world.client(ANA) as ana, world.client(BEN) as ben:
        first = await ana.post("/v1/cases", json=OPENING, headers={"idempotency-key": "same"})
        again = await ana.post("/v1/cases", json=OPENING, headers={"idempotency-key": "same"})
        other = await ben.post("/v1/cases", json=OPENING, headers={"idempotency-key": "same"})
    assert first.status_code == again.status_code == other.status_code == 201
    assert again.headers["idempotent-replay"] == "true"
    assert again.content == first.content
    assert other.json()["id"] != first.json()["id"]
