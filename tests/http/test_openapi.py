"""The document says what the app does: every status, exact types, the streams."""

from typing import Any

import pytest

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.http.app_parts import build
from onestop.http.streams import EventStream, Hub
from onestop.settings import Settings

from .conftest import FakeSessions, client_of, handlers

pytestmark = pytest.mark.anyio


@pytest.fixture
async def document(pool: Pool, keys: Keys, site_settings: Settings) -> dict[str, Any]:
    async def nothing(*_: Any) -> Any:
        return []

    stream = EventStream("/v1/cases/{case_id}/events", Hub(nothing), nothing, roles=frozenset({"citizen"}))
    desk = build(handlers(keys, pool, []), settings=site_settings, pool=pool, sessions=FakeSessions(), streams=[stream])
    async with client_of(desk, None) as nobody:
        told = await nobody.get("/schema/openapi.json")
        page = await nobody.get("/schema")
    assert told.headers["content-type"].startswith("application/json")
    assert "/v1/cases/{case_id}/events" in page.text
    document: dict[str, Any] = told.json()
    return document


def operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


async def test_inputs_take_no_more_than_they_say(document: dict[str, Any]) -> None:
    note = document["components"]["schemas"]["Note"]
    assert note["additionalProperties"] is False
    assert note["properties"]["count"] == {"type": "integer", "minimum": 0, "maximum": 99, "default": 0}
    assert note["properties"]["children"]["maxItems"] == 3
    assert "additionalProperties" not in document["components"]["schemas"]["Kept"]
    body = operation(document, "post", "/v1/notes")["requestBody"]["content"]
    assert body == {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}}


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("post", "/v1/notes", {201, 400, 401, 403, 413, 415, 422, 500, 503}),
        ("get", "/v1/notes/{note_id}", {200, 304, 400, 401, 403, 404, 500, 503}),
        ("put", "/v1/notes/{note_id}", {200, 400, 401, 403, 404, 412, 413, 415, 422, 428, 500, 503}),
        ("post", "/v1/things", {201, 400, 401, 403, 409, 413, 415, 422, 500, 503}),
        ("get", "/v1/open", {200, 400, 500, 503}),
        ("get", "/v1/cases/{case_id}/events", {200, 400, 401, 403, 404, 500, 503}),
    ],
)
async def test_every_status_is_documented(document: dict[str, Any], method: str, path: str, statuses: set[int]) -> None:
    assert {int(s) for s in operation(document, method, path)["responses"]} == statuses


async def test_keys_versions_and_sessions_are_documented(document: dict[str, Any]) -> None:
    make = operation(document, "post", "/v1/things")
    assert {"$ref": "#/components/parameters/IdempotencyKey"} in make["parameters"]
    assert make["security"] == [{"session": []}, {"bearer": []}]
    assert operation(document, "get", "/v1/open")["security"] == []
    change = operation(document, "put", "/v1/notes/{note_id}")
    assert {"$ref": "#/components/parameters/IfMatch"} in change["parameters"]
    assert operation(document, "get", "/v1/clerks")["x-onestop-roles"] == ["clerk"]
    assert operation(document, "get", "/v1/notes/{note_id}")["summary"] == "Read a note"


async def test_streams_are_documented(document: dict[str, Any]) -> None:
    stream = operation(document, "get", "/v1/cases/{case_id}/events")
    assert list(stream["responses"]["200"]["content"]) == ["text/event-stream"]
    assert stream["operationId"] == "streamCasesEvents"


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def refs(tree: Any) -> list[str]:
        if isinstance(tree, dict):
            own = [tree["$ref"]] if isinstance(tree.get("$ref"), str) else []
            return own + [r for inner in tree.values() for r in refs(inner)]
        return [r for inner in tree for r in refs(inner)] if isinstance(tree, list) else []

    for ref in set(refs(document)):
        place: Any = document
        for step in ref.removeprefix("#/").split("/"):
            place = place[step]
    assert document["openapi"].startswith("3.1")
    assert all(
        path.startswith(("/v1/", "/livez", "/readyz", "/healthz", "/page", "/hook")) for path in document["paths"]
    )


async def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [o["operationId"] for item in document["paths"].values() for o in item.values()]
    assert len(ids) == len(set(ids))
