"""What a request is made of: lists and tables as the document writes them, a name of ours for each of theirs."""

import json
from typing import Any

import pytest

from onestop.gateway.manifest import Example, Manifest, parse
from onestop.gateway.operations import Prepared
from onestop.onboarding.importing.models import Imported
from tests.onboarding.importing.conftest import imported

TEXT: dict[str, Any] = {"type": "string"}
TAGS = {"schema": {"type": "array", "items": TEXT}}
YEARS = {"schema": {"type": "object", "properties": {"from": {"type": "integer"}, "until": {"type": "integer"}}}}
OPENAPI = {"openapi": "3.0.3"}
PAYLOAD = {"tags": ["a", "b"], "span": {"from": 1999, "until": 2001}}


def manifest(*parameters: dict[str, Any], head: dict[str, str] = OPENAPI) -> Manifest:
    """Return the manifest of a document with one operation that has these parameters."""
    told = [{"in": "query", "required": True, **parameter} for parameter in parameters]
    answer = {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}}}
    document = {
        "info": {"title": "One"},
        "paths": {"/x": {"get": {"operationId": "findIt", "parameters": told, "responses": answer}}},
    }  # fmt: skip
    found = imported(json.dumps(head | document))
    assert found.manifest_toml is not None, found.open
    return parse(found.manifest_toml.encode())


def asked(*parameters: dict[str, Any], head: dict[str, str] = OPENAPI) -> str:
    """Return the query that the gateway sends for it."""
    made = manifest(*parameters, head=head)
    return Prepared(made, made.operations[0]).request({"payload": PAYLOAD})[1]


@pytest.mark.parametrize(
    ("told", "query"),
    [
        ({}, "tags=a&tags=b"),
        ({"style": "form", "explode": False}, "tags=a%2Cb"),
        ({"style": "pipeDelimited"}, "tags=a%7Cb"),
        ({"style": "spaceDelimited", "explode": False}, "tags=a+b"),
        ({"schema": None, "content": {"application/json": TAGS}}, "tags=%5B%22a%22%2C%22b%22%5D"),
    ],
)
def test_a_list_is_written_in_the_style_that_is_declared(told, query):
    parameter = {name: part for name, part in {"name": "tags", **TAGS, **told}.items() if part is not None}
    assert asked(parameter) == query


@pytest.mark.parametrize(
    ("told", "query"),
    [
        ({}, "tags=a%2Cb"),
        ({"collectionFormat": "multi"}, "tags=a&tags=b"),
        ({"collectionFormat": "pipes"}, "tags=a%7Cb"),
        ({"collectionFormat": "ssv"}, "tags=a+b"),
    ],
)
def test_swagger_joins_by_commas_unless_it_says_otherwise(told, query):
    parameter = {"name": "tags", "type": "array", "items": TEXT, **told}
    assert asked(parameter, head={"swagger": "2.0"}) == query


def test_a_table_is_written_in_brackets_or_member_by_member():
    assert asked({"name": "span", "style": "deepObject", **YEARS}) == "span%5Bfrom%5D=1999&span%5Buntil%5D=2001"
    assert asked({"name": "span", **YEARS}) == "from=1999&until=2001"


def test_two_names_of_theirs_are_never_one_of_ours():
    long = "membershipInTheDateRangeOfTheRegister"
    names = ["made>", "made<", f"{long}.from", f"{long}.until", "permitId", "permit_id"]
    made = manifest(*({"name": name, "schema": TEXT} for name in names)).operations[0].request.query
    assert len(set(made.values())) == 5
    assert made["permitId"] == made["permit_id"] == "payload.permit_id", "one name in two spellings is one value"


def shown(body: dict[str, Any] | None, answer: dict[str, Any], about: str = "") -> Imported:
    """Import an operation with this body and this answer, each as a media type and what stands below it."""
    operation: dict[str, Any] = {"operationId": "sendIt", "responses": {"201": {"description": "", "content": answer}}}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    document = OPENAPI | {"info": {"title": "One", "description": about}, "paths": {"/x": {"post": operation}}}
    found = imported(json.dumps(document), **{"idempotent.send_it": "none"})
    assert found.manifest_toml is not None, found.open
    return found


def example(found: Imported) -> Example:
    return parse((found.manifest_toml or "").encode()).operations[0].examples[0]


ANSWER = {"application/json": {"schema": {"type": "object", "properties": {"no": TEXT}}}}


def test_an_example_has_what_its_request_is_made_of():
    text = shown({"text/plain": {"schema": TEXT, "example": "BEGIN"}}, ANSWER)
    assert example(text).values["payload"] == {"text": "BEGIN"}
    day = {"schema": {"type": "object", "properties": {"born": TEXT | {"description": "Date, as yyyyMMdd"}}}}
    assert example(shown({"application/json": day}, ANSWER)).values["payload"] == {"born": "2025-01-15"}


def test_an_example_that_cannot_be_read_is_named_and_another_made():
    broken = {"application/xml": {"schema": TEXT, "example": "<?xml version='1.0'?>..."}}
    found = shown(None, broken, about="At most 10 requests per second.")
    assert "example_unreadable" in {finding.code for finding in found.findings}
    assert example(found).body.startswith("<?xml")
    assert "..." not in example(found).body
    assert parse((found.manifest_toml or "").encode()).limits.per_second == 10, "what else was found stays"


def test_a_long_example_is_shown_with_one_record_of_each_list():
    records = [{"no": f"P-{number}"} for number in range(3_000)]
    schema = {"type": "object", "properties": {"permits": {"type": "array", "items": {"type": "object"}}}}
    found = shown(None, {"application/json": {"schema": schema, "example": {"permits": records}}})
    assert json.loads(example(found).body) == {"permits": [{"no": "P-0"}]}
