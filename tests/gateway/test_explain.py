"""Who sees what of an explanation: the caller all of it, a department its own parts, who has a link the same."""

import asyncio
import secrets
from functools import partial
from typing import Any

import httpx
import msgspec
import pytest

from onestop.gateway import store_traces
from onestop.gateway.call import Piece
from onestop.gateway.errors import NoSuchTrace
from onestop.gateway.explain import TraceLog, Viewer, explain
from onestop.gateway.explain_curl import curl_of
from onestop.gateway.facts import fact, of_refusal, shape_of
from onestop.gateway.manifest import parse
from onestop.gateway.owners import owned_by
from onestop.gateway.parts import Record
from onestop.gateway.service import Gateway
from onestop.gateway.waterfall import rows, svg
from onestop.identity.models import Identified
from onestop.settings import Settings
from tests.gateway.department import manifest_text
from tests.overview.conftest import ANA, BEN, World, world

pytestmark = pytest.mark.anyio
REGION = "990100"
__all__ = ("world",)


def record(adapter: str, outcome: str, **more: Any) -> Record:
    return Record(adapter, "query", "1.0.0", outcome, 0.0, 12.0, **more)


def manifests(*names: str) -> dict[str, Any]:
    return {name: parse(manifest_text(name)) for name in names}


async def seen(pool: Any, trace_id: str, viewer: Viewer, **more: Any) -> list[Any]:
    known = manifests("one", "two")
    more.setdefault("owned_by", partial(owned_by, manifests=known, owners={name: name for name in known}))
    return await explain(pool, REGION, trace_id, viewer=viewer, lang="en", manifests=known, **more)


@pytest.fixture
async def trace_id(pool) -> str:
    """One request of Ana's that asked two departments in vain, one call of the worker, and one refused callback."""
    trace_id, log = secrets.token_hex(16), TraceLog(pool, REGION)
    failed = [record("one", "down", detail=fact("status_down", status=503)), record("two", "cut")]
    log.note(trace_id, "ana", "POST /v1/me/lookups", "partial", 30.0, failed)
    log.note(trace_id, None, "worker apply", "timeout", 9.0, [record("two", "timeout")], case="case_a")
    why = fact("callback_skew", seconds=900, limit_s=300)
    log.note(trace_id, "public", "POST /v1/callbacks/one", "callback.not_genuine", 1.0, [], fact=why, adapter="one")
    await log.flush()
    return trace_id


async def test_a_stranger_sees_nothing_and_the_caller_their_own_request(pool, trace_id):
    with pytest.raises(NoSuchTrace):
        await seen(pool, trace_id, Viewer(principal="ben"))
    [own] = await seen(pool, trace_id, Viewer(principal="ana"))
    assert [(link.link, link.adapter) for link in own.links if link.state == "failed"] == [
        ("upstream", "one"),
        ("upstream", "two"),
    ]


async def test_what_the_worker_did_is_seen_by_whose_case_it_is(pool, trace_id):
    async def owns(case_id: str) -> bool:
        return case_id == "case_a"

    async def owns_none(_: str) -> bool:
        return False

    routes = [one.route for one in await seen(pool, trace_id, Viewer(principal="ana"), owns=owns)]
    assert routes == ["POST /v1/me/lookups", "worker apply"]
    assert len(await seen(pool, trace_id, Viewer(principal="ana"), owns=owns_none)) == 1
    with pytest.raises(NoSuchTrace):
        await seen(pool, trace_id, Viewer(principal="ben"), owns=owns_none)


async def test_a_department_sees_its_own_parts_of_everybodys_requests_and_no_others(pool, trace_id):
    told = await seen(pool, trace_id, Viewer(principal="clerk", department="one", curl=True))
    assert [one.route for one in told] == ["POST /v1/me/lookups", "POST /v1/callbacks/one"]
    text = msgspec.json.encode(told).decode()
    assert "two" not in text.replace("Test bureau two", "two")
    assert "ana" not in text
    [link] = [link for link in told[0].links if link.state == "failed"]
    assert link.detail == "The department's system failed with status 503."
    assert link.curl.startswith('curl -sS -X POST "$URL"/query')
    [refused] = [link for link in told[1].links if link.state == "failed"]
    assert "900" in refused.detail
    with pytest.raises(NoSuchTrace):
        await seen(pool, trace_id, Viewer(principal="clerk", department="three"))


async def test_an_adapter_of_another_name_is_explained_to_its_owner_and_not_to_whom_it_is_called_like(pool, trace_id):
    told = partial(owned_by, manifests=manifests("one", "two"), owners={"one": "bureau", "two": "two"})
    with pytest.raises(NoSuchTrace):
        await seen(pool, trace_id, Viewer(principal="clerk", department="one"), owned_by=told)
    for_owner = await seen(pool, trace_id, Viewer(principal="clerk", department="bureau"), owned_by=told)
    assert [one.route for one in for_owner] == ["POST /v1/me/lookups", "POST /v1/callbacks/one"]
    assert {bar["adapter"] for one in for_owner for bar in one.waterfall} == {"one"}


def test_a_request_to_copy_holds_placeholders_for_every_secret_and_value():
    auth = (
        'kind = "signed"\nbase = "{app_key}{timestamp}{body}"\n'
        'headers = { X-Key = "{app_key}", X-Sign = "{signature}" }'
    )
    source = manifest_text("dep").decode().replace("[limits]", f"[auth]\n{auth}\n[limits]")
    told = curl_of(parse(source.encode()), "query")
    assert told == (
        """curl -sS -X POST "$URL"/query -H 'Content-Type: application/json' -H 'X-Key: <app_key>' """
        """-H 'X-Sign: <signature>' --data '{"id_number": "<subject.number>"}'"""
    )
    assert curl_of(parse(source.encode()), "gone") is None


def test_what_people_wrote_is_in_no_fact():
    assert shape_of({"data": 1, ANA: 2, "林晓舟的记录 ": 3}) == "{data, …, …}"
    assert shape_of(list(range(7))) == "[7]"
    assert len(str(fact("not_opened", why="x" * 999).params["why"])) == 160
    assert of_refusal(NoSuchTrace("x")) is None


async def test_steps_pages_and_repetitions_have_bars_and_rows_of_their_own(pool):
    trace_id, log = secrets.token_hex(16), TraceLog(pool, REGION)
    pieces = [
        Piece(kind="retry", name="1", start_ms=0, took_ms=4, outcome="reset"),
        Piece(kind="page", name="2", start_ms=5, took_ms=6, outcome="ok"),
    ]
    log.note(trace_id, "ana", "GET /x", "complete", 30.0, [record("one", "ok", pieces=pieces)])
    await log.flush()
    found = await seen(pool, trace_id, Viewer(principal="ana"))
    table = rows(found, "en")
    assert [row[0] for row in table] == ["Test bureau one", "↳ retry 1", "↳ page 2"]
    assert svg(found, "zh").count("<g>") == 3


# --- over the portal ------------------------------------------------------------------------------------------------


def client(world: World, token: str | None = None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app=world.desk)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)


async def asked(ana: httpx.AsyncClient) -> str:
    """Ask a slow department in vain and return the trace, once it is written."""
    answer = await ana.post("/v1/me/lookups", json={"wants": ["one", "slow"], "deadline_ms": 200})
    trace_id = answer.json()["trace_id"]
    for _ in range(40):
        if (await ana.get(f"/v1/explain/{trace_id}")).status_code == 200:
            return str(trace_id)
        await asyncio.sleep(0.05)
    raise AssertionError("no trace was written")


async def share(who: httpx.AsyncClient, trace_id: str, key: str = "k-1") -> httpx.Response:
    return await who.post(f"/v1/explain/{trace_id}/shares", headers={"idempotency-key": key})


async def test_a_link_opens_the_explanation_without_an_account_until_it_is_revoked(world, pool):
    async with world.client(ANA) as ana, world.client(BEN) as ben, client(world) as anybody:
        trace_id = await asked(ana)
        assert (await share(ben, trace_id)).status_code == 404
        assert (await share(anybody, trace_id)).status_code == 401
        made = await share(ana, trace_id)
        assert made.status_code == 201
        assert (await share(ana, trace_id)).json() == made.json(), "pressed twice, one link"
        path = made.json()["href"].removeprefix("http://127.0.0.1:8000")
        told = await anybody.get(path, headers={"accept": "*/*"})
        assert [bar["adapter"] for bar in told.json()["data"][0]["waterfall"]] == ["one", "slow"]
        assert "curl" not in told.text
        page = await anybody.get(path, headers={"accept": "text/html", "accept-language": "zh"})
        assert "此请求的处理经过" in page.text
        assert "<table>" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert ANA not in told.text + page.text
        kept = await pool.fetchval(
            "SELECT count(*) FROM trace_shares WHERE token_hash = $1", path.split("/")[-1].encode()
        )
        assert kept == 0, "the token is not kept"
        [listed] = (await ana.get(f"/v1/explain/{trace_id}/shares")).json()["data"]
        assert (await ben.get(f"/v1/explain/{trace_id}/shares")).json()["data"] == []
        own = f"/v1/explain/{trace_id}/shares/{listed['id']}"
        assert (await ben.delete(own)).status_code == 404
        assert (await ana.delete(own)).status_code == 204
        assert (await ana.delete(own)).json()["code"] == "share.unknown"
        assert (await anybody.get(path)).status_code == 404


async def test_a_link_is_over_after_a_day(world, pool):
    async with world.client(ANA) as ana, client(world) as anybody:
        made = (await share(ana, await asked(ana))).json()
        path = made["href"].removeprefix("http://127.0.0.1:8000")
        assert (await anybody.get(path)).status_code == 200
        await pool.execute("UPDATE trace_shares SET expires_at = now() - interval '1 second' WHERE id = $1", made["id"])
        assert (await anybody.get(path)).status_code == 404
        assert (await anybody.get("/explain/shared/" + "x" * 32)).json()["code"] == "share.unknown"


@pytest.fixture
async def owned(pool):
    """Whose the adapters of the world are, on record before it opens."""
    for name, owner in {"one": "one", "two": "two", "slow": "bureau"}.items():
        await pool.execute(
            "INSERT INTO adapters (id, owner, department_code, created_by) VALUES ($1, $2, 'code', 'test')", name, owner
        )
    yield
    await pool.execute("DELETE FROM adapters WHERE created_by = 'test'")


async def bearer_of(world: World, name: str) -> str:
    sessions: Any = world.desk._sessions
    who = Identified(number_type="account", number=f"desk-{name}", name="值班", role="department", department=name)
    return (await sessions.issue_bearer(who)).token


async def test_a_department_signed_in_is_shown_the_part_it_owns_whatever_its_adapter_is_called(owned, world):
    token, other = await bearer_of(world, "bureau"), await bearer_of(world, "slow")
    async with world.client(ANA) as ana, client(world, token) as department, client(world, other) as stranger:
        trace_id = await asked(ana)
        assert (await stranger.get(f"/v1/explain/{trace_id}")).status_code == 404
        told = await department.get(f"/v1/explain/{trace_id}")
        assert [bar["adapter"] for bar in told.json()["data"][0]["waterfall"]] == ["slow"]
        [link] = [one for one in told.json()["data"][0]["links"] if one["state"] == "failed"]
        assert (link["fact"], link["link"]) == ("answer_timeout", "upstream")
        assert "<subject.number>" in link["curl"]


async def test_the_schema_of_a_manifest_is_there_for_everybody(world):
    async with client(world) as anybody:
        told = await anybody.get("/schema/manifest.json")
    assert told.headers["access-control-allow-origin"] == "*"
    assert told.json()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


async def test_one_department_set_up_wrongly_does_not_close_the_others(tmp_path):
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
        source = manifest_text(name).decode()
        if name == "bad":
            source = source.replace("[limits]", '[auth]\nkind = "basic"\n[limits]')
        (tmp_path / name / "manifest.toml").write_text(source, "utf-8")
    (tmp_path / "e.toml").write_text('[adapters.bad]\nurl = "http://x"\n[adapters.good]\nurl = "http://x"\n')
    gateway = Gateway.open(Settings(adapters_dir=tmp_path, environment_file=tmp_path / "e.toml"))
    assert list(gateway.lines) == ["good"]
    assert gateway.closed["bad"] == fact("missing_secret", id="bad", secrets="password, username")
    await gateway.close()


async def test_old_traces_go(pool, trace_id):
    await pool.execute("UPDATE traces SET at = now() - interval '8 days' WHERE trace_id = $1", trace_id)
    assert await store_traces.delete_old(pool, REGION, 7) >= 3
