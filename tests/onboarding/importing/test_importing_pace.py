"""How often a system may be called and what keeps an effect from being made twice, as documents tell it."""

import json
from typing import Any

import pytest

from onestop.gateway.manifest import Manifest, Operation, parse
from onestop.onboarding.importing.models import Imported
from onestop.onboarding.importing.rules_pace import Pace, is_trace, keeps_from_repeating, pace
from tests.onboarding.importing.conftest import imported

TEXT = {"type": "string"}


def read(
    *,
    about: str = "",
    operation: dict[str, Any] | None = None,
    responses: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
    **told: Any,
) -> Imported:
    made: dict[str, Any] = {
        "operationId": "createThing", "parameters": parameters or [],
        "requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": body or {}}}}},
        "responses": {"201": {"description": ""}} | (responses or {}),
    }  # fmt: skip
    document = {
        "openapi": "3.0.3", "info": {"title": "Thing", "description": about},
        "paths": {"/things": {"post": made | (operation or {})}},
    }  # fmt: skip
    return imported(json.dumps(document), **({"answer.create_thing": "at_once"} | told))


def manifest(found: Imported) -> Manifest:
    assert found.manifest_toml is not None, found.open
    return parse(found.manifest_toml.encode())


def only(found: Imported) -> Operation:
    (operation,) = manifest(found).operations
    return operation


def header(name: str, about: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": about, "schema": TEXT} | more


SURE = {"idempotent.create_thing": "none"}
LIMITED = {"429": {"description": "Too many requests", "headers": {"Retry-After": {"schema": {"type": "integer"}}}}}

# --- pace -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("At most 100 requests per minute.", Pace(per_second=1.666)),
        ("limited to 5 calls/second", Pace(per_second=5)),
        ("Rate limit: 1,000 per hour", Pace(per_second=0.277)),
        ("600 requests in 10 minutes", Pace(per_second=1)),
        ("接口限流：每秒不超过10次", Pace(per_second=10)),
        ("调用频率 300次/分钟", Pace(per_second=5)),
        ("单接口 QPS 上限为 20", Pace(per_second=20)),
        ("Free 10 requests per second, pro 100 requests per second", Pace(per_second=10)),
        ("100;w=60", Pace(per_second=1.666)),
        ("并发数不超过 8", Pace(at_once=8)),
        ("up to 4 concurrent requests", Pace(at_once=4)),
        ("每天限 5000 次", Pace(per_day=5000)),
        ("The road is 60 km/h, and 3 days per week it is closed", Pace()),
        ("A page has 50 items; 2 hours later", Pace()),
        ("", Pace()),
    ],
)
def test_sentences_about_limits_are_read_and_others_are_not(text: str, told: Pace) -> None:
    assert pace(text) == told


def test_a_limit_of_the_whole_system_and_one_of_an_operation_stand_where_they_belong() -> None:
    found = read(
        about="每秒不超过10次，并发数不超过 8。", operation={"description": "At most 30 requests per minute."}, **SURE
    )
    made = manifest(found)
    assert (made.limits.per_second, made.limits.concurrency) == (10, 8)
    assert made.operations[0].per_second == 0.5
    assert "limits.per_second" not in {question.id for question in found.questions}


@pytest.mark.parametrize(
    "told",
    [
        {"headers": {"RateLimit-Policy": {"schema": TEXT, "example": "10;w=1"}}},
        {"headers": {"X-RateLimit-Limit": {"description": "10 requests per second", "schema": TEXT}}},
    ],
)
def test_headers_that_tell_a_limit_are_taken(told: dict[str, Any]) -> None:
    assert only(read(responses={"200": {"description": ""} | told}, **SURE)).per_second == 10


def test_an_extension_that_tells_a_limit_is_taken() -> None:
    assert only(read(operation={"x-rate-limit": {"limit": 10, "period": "second"}}, **SURE)).per_second == 10


def test_a_limit_without_a_number_is_asked_about_and_may_stay_unanswered() -> None:
    found = read(responses=LIMITED, **SURE)
    assert "limits.per_second" in {question.id for question in found.questions}
    assert manifest(found).limits.per_second is None
    assert manifest(read(responses=LIMITED, **SURE, **{"limits.per_second": 3})).limits.per_second == 3


def test_a_limit_of_a_day_is_named_and_makes_no_pace() -> None:
    found = read(about="At most 5000 requests per day", **SURE)
    assert "limit_by_day" in {finding.code for finding in found.findings}
    assert manifest(found).limits.per_second is None


def test_a_document_that_says_nothing_of_limits_brings_no_question_of_them() -> None:
    assert "limits.per_second" not in {question.id for question in read(**SURE).questions}


# --- repetition -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Idempotency-Key", "Repeatability-Request-ID", "X-Client-Token"])
def test_a_header_of_that_name_is_the_key(name: str) -> None:
    made = only(read(parameters=[header(name)]))
    assert (made.idempotent, made.request.headers) == ("key", {name: "key"})


def test_a_request_id_is_the_key_only_where_the_document_says_so() -> None:
    told = header("X-Request-Id", "Requests with the same id are idempotent.", required=True)
    made = only(read(parameters=[told]))
    assert (made.idempotent, made.request.headers) == ("key", {"X-Request-Id": "key"})
    untold = read(parameters=[header("X-Request-Id", "For our logs", required=True)])
    assert "idempotent.create_thing" in untold.open
    made_untold = manifest(read(parameters=[header("X-Request-Id", "For our logs", required=True)], **SURE))
    assert made_untold.always.headers == {"X-Request-Id": "{uuid}"}
    assert made_untold.operations[0].request.headers == {}
    assert "trace_header" in {finding.code for finding in untold.findings}


def test_a_key_that_must_be_a_uuid_is_made_one() -> None:
    about = "Idempotency token; retried requests carry the same"
    made = only(read(parameters=[header("X-Request-ID", about, schema={"type": "string", "format": "uuid"})]))
    assert made.request.headers == {"X-Request-ID": "key | uuid"}


def test_a_member_told_to_prevent_repetition_is_the_key() -> None:
    body = {"bizId": TEXT | {"description": "业务标识，幂等，同一标识重复提交返回首次结果"}, "other": TEXT}
    made = only(read(body=body))
    assert made.idempotent == "key"
    assert made.request.body == {"bizId": "key", "other": "payload.other"}
    assert only(read(body=body, **SURE)).idempotent == "none"


def test_a_number_of_ours_without_such_words_stays_a_question() -> None:
    assert "idempotent.create_thing" in read(body={"serialNo": TEXT}).open
    told = read(body={"serialNo": TEXT}, operation={"description": "Duplicate requests return the first answer."})
    assert only(told).idempotent == "key"


@pytest.mark.parametrize(
    ("text", "keeps"),
    [
        ("幂等键", True), ("接口不保证幂等", False), ("This call is not idempotent", False),
        ("Safely retry with it", True),
        ("used to detect duplicates", True), ("the id of the request", False), ("Try again later", False),
    ],
)  # fmt: skip
def test_words_about_repetition_are_understood_with_their_no(text: str, keeps: bool) -> None:
    assert keeps_from_repeating(text) is keeps


@pytest.mark.parametrize(("name", "trace"), [("X-Correlation-ID", True), ("traceId", True), ("X-Tenant", False)])
def test_headers_that_name_a_call_are_known(name: str, trace: bool) -> None:
    assert is_trace(name) is trace
