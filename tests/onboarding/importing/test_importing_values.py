"""What a request is made of: lists and tables as the document writes them, a name of ours for each of theirs."""

import json
from typing import Any

import pytest

from onestop.gateway.manifest import Manifest, parse
from onestop.gateway.operations import Prepared
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
