"""Versions: what the caller has need not be sent again, and what it has not seen it may not overwrite."""

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def test_a_version_the_caller_has_is_304(ana: httpx.AsyncClient) -> None:
    fresh = await ana.get("/v1/notes/n1")
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"v7"')
    assert fresh.headers["cache-control"] == "private, no-cache"
    for known in ('"v7"', 'W/"v7"', '"v6", "v7"'):
        again = await ana.get("/v1/notes/n1", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"v7"')
    for unknown in ('"v6"', "v7", '"v"', "*"):
        assert (await ana.get("/v1/notes/n1", headers={"if-none-match": unknown})).status_code == 200


@pytest.mark.parametrize("header", [None, "*", 'W/"v7"', "v7", '"7"', ""])
async def test_an_edit_says_which_version_it_edits(ana: httpx.AsyncClient, header: str | None) -> None:
    headers = {} if header is None else {"if-match": header}
    answer = await ana.put("/v1/notes/n1", json={"words": "a"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (428, "version.required")


async def test_an_edit_of_an_old_version_is_412(ana: httpx.AsyncClient) -> None:
    stale = await ana.put("/v1/notes/n1", json={"words": "a"}, headers={"if-match": '"v6"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version.stale")
    assert (await ana.put("/v1/notes/n1", json={"words": "a"}, headers={"if-match": '"v7"'})).status_code == 200
