"""Addresses as documents write them, and bodies that are lists: the manifest asks for what the sandbox then plays."""

import asyncio
import json
from typing import Any

import pytest

from onestop.gateway.manifest import Manifest, parse
from onestop.gateway.operations import Prepared
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_examples import as_request
from tests.onboarding.importing.conftest import imported
from tests.onboarding.playing import played

TEXT = {"type": "string"}


def manifest(path: str, places: list[str], method: str = "get", body: Any = None) -> Manifest:
    operation: dict[str, Any] = {
        "operationId": "findIt",
        "parameters": [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in places],
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}},
    }
    if body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": body}}}
    document = {"openapi": "3.0.3", "info": {"title": "One"}, "paths": {path: {method: operation}}}
    found = imported(json.dumps(document), **{"kind.find_it": "query"})
    assert found.manifest_toml is not None, found.open
    return parse(found.manifest_toml.encode())


def request(made: Manifest, payload: dict[str, Any]) -> tuple[str, bytes]:
    path, _, _, body = Prepared(made, made.operations[0]).request({"payload": payload})
    return path, body


@pytest.mark.parametrize(
    ("path", "places", "sent"),
    [
        ("/permits/{permit-no}", ["permit-no"], "/permits/7"),
        ("/permits/{permit.no}:verify", ["permit.no"], "/permits/7:verify"),
        ("/permits{.form}", ["form"], "/permits.7"),
        ("/permits/{no*}{?page,size}", ["no"], "/permits/7"),
        ("/permits/{+no}{&page}", ["no"], "/permits/7"),
        ("/permits(no='{no}')", ["no"], "/permits(no='7')"),
    ],
)
def test_a_place_in_an_address_is_filled_and_the_sandbox_knows_it(path, places, sent):
    made = manifest(path, places)
    name = next(source for source in made.operations[0].request.path.values()).removeprefix("payload.")
    assert request(made, {name: "7"}) == (sent, b"")
    form = Simulator(made).books["find_it"].form
    asked = as_request(Prepared(made, made.operations[0]), {"payload": {name: "7"}})
    assert list((form.fits(asked) or {}).values()) == ["7"]


@pytest.mark.parametrize(
    ("item", "handed_over"),
    [
        ({"type": "object", "properties": {"permitNo": TEXT}}, [{"permit_no": "a"}, {"permit_no": "b"}]),
        (TEXT, ["a", "b"]),
    ],
)
def test_a_body_that_is_a_list_is_made_of_records_that_are_handed_over(item, handed_over):
    made = manifest("/permits", [], "post", {"type": "array", "items": item})
    sent = json.loads(request(made, {"items": handed_over})[1])
    assert sent == (["a", "b"] if item is TEXT else [{"permitNo": "a"}, {"permitNo": "b"}])

    async def ask() -> str:
        async with played(made) as player:
            values = {"subject": {"number": "990101199001010017"}, "payload": {"items": handed_over}}
            return str((await player.line.ask("find_it", values, 2.0)).kind)

    assert asyncio.run(ask()) == "ok"
