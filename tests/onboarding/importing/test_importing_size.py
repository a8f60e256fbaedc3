"""Large and malicious documents cost what they may: work is counted, since a clock tells of the machine as well."""

import json
import time
from typing import Any

import pytest

from onestop.onboarding.importing.errors import DocumentUnusable
from onestop.onboarding.importing.models import Shape
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.openapi import OpenApi
from onestop.onboarding.importing.source import At, Source
from tests.onboarding.importing.conftest import imported

TEXT = {"type": "string", "description": "At most 100 requests per minute, a member with words"}


def schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def body(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema(name)}}}


def document(operations: int, schemas: dict[str, Any], statuses: int = 1) -> dict[str, Any]:
    names = list(schemas)
    paths = {
        f"/things{i}": {
            "post": {
                "operationId": f"queryThing{i}",
                "requestBody": body(names[i % len(names)]),
                "responses": {str(200 + j): body(names[(i + j) % len(names)]) for j in range(statuses)},
            }
        }
        for i in range(operations)
    }
    return {"openapi": "3.0.3", "info": {"title": "Big"}, "paths": paths, "components": {"schemas": schemas}}


def fan(levels: int, wide: int) -> dict[str, Any]:
    """Return schemas each of which refers so many times to the next one."""
    made: dict[str, Any] = {
        f"C{i}": {"allOf": [schema(f"C{i + 1}")] * wide, "oneOf": [schema(f"C{i + 1}")] * wide} for i in range(levels)
    }
    return made | {f"C{levels}": {"type": "object", "properties": {f"a{j}": TEXT for j in range(50)}}}


class Counting(Source):
    """A source that counts the references it follows."""

    followed = 0

    def follow(self, value: Any, at: At) -> Any:
        self.followed += 1
        return super().follow(value, at)


def count(shape: Shape | None) -> int:
    return 0 if shape is None else 1 + count(shape.item) + sum(count(part) for part in shape.members.values())


def read(told: dict[str, Any]) -> tuple[Counting, OpenApi, Any]:
    source = Counting("a.json", json.dumps(told), told, {}, Notes())
    reader = OpenApi(source)
    described = reader.describe().operations[0]
    source.followed = 0
    return source, reader, described


def test_a_fan_of_references_costs_no_more_than_its_budget() -> None:
    source, reader, described = read(document(1, fan(12, 12)))
    reader.detail(described)
    assert source.followed < 4_000  # twelve levels of 24 references would be 10 to the 16


def test_glancing_at_an_operation_costs_a_tenth_of_reading_it() -> None:
    many = {f"S{i}": {"properties": {f"m{j}": schema(f"S{(i + 1) % 9}") for j in range(40)}} for i in range(9)}
    source, reader, described = read(document(1, many))
    reader.glance(described)
    glanced = source.followed
    reader.detail(described)
    assert glanced < 300
    assert source.followed - glanced < 4_000


def test_all_answers_of_an_operation_together_are_bounded() -> None:
    wide = {"type": "object", "properties": {f"m{j}": TEXT for j in range(1000)}}
    _, reader, described = read(document(1, {"S": wide}, statuses=60))
    reader.detail(described)
    shapes = [media.shape for answer in described.answers for media in answer.media]
    assert len(shapes) == 60
    assert sum(count(shape) for shape in shapes) < 6_200


def test_what_is_glanced_at_first_is_read_whole_where_it_is_taken() -> None:
    deep = {
        "type": "object",
        "properties": {"a": {"properties": {"b": {"properties": {"c": {"properties": {"de": TEXT}}}}}}},
    }
    found = imported(json.dumps(document(1, {"S": deep})), **{"kind.query_thing0": "query"})
    assert "payload.a_value.b_value.c_value.de" in (found.manifest_toml or "")


def test_two_megabytes_are_read_within_their_time() -> None:
    many = {
        f"S{i}": {"type": "object", "properties": {f"member{j}": schema(f"S{(i * 7 + j) % 300}") if j % 5 == 0 else TEXT
                                                   for j in range(50)}}
        for i in range(300)
    }  # fmt: skip
    text = json.dumps(document(1500, many))
    assert len(text) > 1_500_000
    started = time.process_time()  # of this process alone, however busy the machine is
    found = imported(text)
    assert time.process_time() - started < 10
    assert len(found.operations) == 1500


@pytest.mark.parametrize(
    "lines",
    [
        ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]", *(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12))],
        ["m0: &m0 {k: 1}", *(f"m{i}: &m{i} {{<<: [{','.join([f'*m{i - 1}'] * 20)}], k{i}: 1}}" for i in range(1, 300))],
        [f"s: &s {{{', '.join(f'm{i}: x' for i in range(300))}}}", *(f"p{i}: [*s, *s]" for i in range(1300))],
    ],
)
def test_aliases_that_stand_for_too_much_are_refused_before_they_are_made(lines: list[str]) -> None:
    text = "\n".join(["openapi: 3.0.0", *lines, "paths: {/a: {get: {responses: {}}}}"])
    with pytest.raises(DocumentUnusable) as refused:
        imported(text, "bomb.yaml")
    assert refused.value.reason == "yaml_bomb"
