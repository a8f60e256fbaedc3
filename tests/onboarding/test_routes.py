"""The API of an adapter's life through a whole portal: departments, an office, a stranger, machines."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from onestop.app import open_portal
from onestop.gateway import effects
from onestop.gateway.manifest import parse
from onestop.gateway.models import NewEffect
from onestop.gateway.service import Gateway
from onestop.identity.models import Identified
from onestop.ids import new_id
from tests.gateway.department import department
from tests.onboarding.conftest import LIN, Room, manifest, record_run
from tests.onboarding.test_registry import answering

pytestmark = pytest.mark.anyio
ROLES = {
    "one": ("department", "one"), "two": ("department", "two"), "office": ("governance", None),
    "operator": ("operator", None), "lin": ("citizen", None),
}  # fmt: skip


class Portal:
    """A portal and a client for everybody who comes to it."""

    def __init__(self, desk, tokens, served):
        self.desk, self.tokens, self.served = desk, tokens, served

    def client(self, who):
        token = self.tokens.get(who, who)
        transport = httpx.ASGITransport(app=self.desk)
        headers = {"authorization": f"Bearer {token}", "accept-language": "en"}
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)

    async def get(self, who, path, **headers):
        async with self.client(who) as client:
            return await client.get(path, headers=headers)

    async def send(self, who, method, path, body=None, **headers):
        async with self.client(who) as client:
            headers = {"idempotency-key": secrets.token_hex(8), **headers}
            return await client.request(method, path, json=body, headers=headers)

    async def follows(self, check, patience_s=5.0):
        end = asyncio.get_running_loop().time() + patience_s
        while not await check():
            assert asyncio.get_running_loop().time() < end, "it did not follow"
            await asyncio.sleep(0.05)

    async def live(self, text=None):
        """Bring department one's first version on line, every step by its own actor."""
        v = "/v1/adapters/one/versions/1.0.0"
        made = await self.send("one", "POST", "/v1/adapters", {"manifest": text or manifest()})
        assert made.status_code == 201, made.text
        place = {"url": f"http://127.0.0.1:{self.served.port}"}
        assert (await self.send("one", "PUT", "/v1/adapters/one/places/live", place)).status_code == 200
        assert (await self.send("one", "POST", f"{v}/submit", {})).status_code == 200
        await record_run(self.pool, "one", "1.0.0", bytes.fromhex(made.json()["digest"]))
        shown = (await self.get("office", f"{v}/diff")).json()["digest"]
        assert (await self.send("office", "POST", f"{v}/approve", {"diff_digest": shown})).status_code == 200
        trial = {"subjects": [{"number": LIN}]}
        assert (await self.send("one", "POST", f"{v}/trial", trial)).status_code == 200
        done = await self.send("one", "POST", f"{v}/publish", {})
        assert done.json()["state"] == "live", done.text

        async def serves():
            return (await self.get("one", "/v1/adapters/one")).json()["connected"]

        await self.follows(serves)


@pytest.fixture
async def portal(room: Room, told, tmp_path, pool):
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(answering()))
        await pool.execute("TRUNCATE signing_keys")
        desk = await stack.enter_async_context(open_portal(msgspec.structs.replace(told, state_dir=tmp_path)))
        tokens = {}
        for name, (role, of) in ROLES.items():
            number = LIN if name == "lin" else f"demo {name}"
            kind = "citizen_id" if name == "lin" else "account"
            who = Identified(number_type=kind, number=number, name=name, role=role, department=of)
            tokens[name] = (await desk._sessions.issue_bearer(who)).token
        made = Portal(desk, tokens, served)
        made.pool = pool
        yield made


async def test_to_another_department_everything_reads_as_if_it_were_not_there(portal):
    await portal.send("one", "POST", "/v1/adapters", {"manifest": manifest()})
    known = await portal.get("two", "/v1/adapters/one")
    unknown = await portal.get("two", "/v1/adapters/nobody")
    same = ("type", "title", "status", "detail", "code", "stage", "who_acts", "retry")
    assert [known.json()[key] for key in same] == [unknown.json()[key] for key in same]
    assert known.status_code == 404
    for method, path, body in (
        ("GET", "versions", None), ("GET", "versions/1.0.0", None), ("GET", "secrets", None), ("GET", "keys", None),
        ("GET", "quota", None), ("GET", "notices", None), ("GET", "maintenance-windows", None),
        ("GET", "agreements", None), ("POST", "versions/1.0.0/submit", {}), ("POST", "keys", {"label": "x"}),
        ("POST", "versions/1.0.0/lint", None), ("GET", "versions/1.0.0/diff", None), ("GET", "health", None),
        ("PUT", "places/live", {"url": "http://127.0.0.1:9"}),
    ):  # fmt: skip
        refused = await portal.send("two", method, f"/v1/adapters/one/{path}", body)
        assert (refused.status_code, refused.json()["code"]) == (404, "adapter.absent"), path
    assert "one" not in str((await portal.get("two", "/v1/adapters")).json()["drafts"])
    assert (await portal.get("lin", "/v1/adapters/one")).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {}, {"manifest": ""}, {"manifest": 1}, {"manifest": "x" * 300_000}, {"manifest": "a", "more": 1},
        {"manifest": "a = '\u0000'"}, {"manifest": "manifest = 1"}, {"manifest": manifest(), "signature": "a.b.c"},
    ],
)  # fmt: skip
async def test_bad_input_is_a_clear_refusal(portal, body):
    refused = await portal.send("one", "POST", "/v1/adapters", body)
    assert 400 <= refused.status_code < 500
    assert refused.json()["code"]


async def test_keys_and_versions_are_asked_for_as_everywhere(portal):
    async with portal.client("one") as client:
        assert (await client.post("/v1/adapters", json={"manifest": manifest()})).status_code == 400  # no key
    key = {"idempotency-key": "k-12345678"}
    first = await portal.send("one", "POST", "/v1/adapters", {"manifest": manifest()}, **key)
    again = await portal.send("one", "POST", "/v1/adapters", {"manifest": manifest()}, **key)
    assert (first.status_code, again.headers["idempotent-replay"]) == (201, "true")
    assert first.json() == again.json()
    path = "/v1/adapters/one/versions/1.0.0"
    new = {"manifest": manifest().replace("total_s = 2.0", "total_s = 1.0")}
    assert (await portal.send("one", "PUT", path, new)).status_code == 428
    changed = await portal.send("one", "PUT", path, new, **{"if-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert (await portal.send("one", "PUT", path, new, **{"if-match": first.headers["etag"]})).status_code == 412
    stale = await portal.send("one", "POST", f"{path}/submit", {}, **{"if-match": first.headers["etag"]})
    assert stale.status_code == 412
    same = await portal.get("one", path, **{"if-none-match": changed.headers["etag"]})
    assert same.status_code == 304


async def test_the_whole_way_over_http_with_a_citizen_at_its_end(portal):
    await portal.live()
    found = (await portal.send("lin", "POST", "/v1/me/lookups", {"wants": ["one"]})).json()
    assert [part["state"] for part in found["parts"]] == ["ok"]
    listed = (await portal.get("two", "/v1/adapters")).json()
    assert [(a["id"], a["version"], a["connected"]) for a in listed["data"]] == [("one", "1.0.0", True)]
    notices = await portal.get("one", "/v1/adapters/one/notices?limit=2")
    assert len(notices.json()["data"]) == 2
    assert 'rel="next"' in notices.headers["link"]
    cursor = notices.json()["next_cursor"]
    rest = (await portal.get("one", f"/v1/adapters/one/notices?cursor={cursor}")).json()
    assert not {n["id"] for n in rest["data"]} & {n["id"] for n in notices.json()["data"]}


async def test_a_quota_shows_in_headers_and_ends_in_words(portal):
    await portal.live()
    asked = {"consumer": "overview", "operation": "query", "purpose_zh": "办事", "purpose_en": "Serve", "per_day": 2}
    assert (await portal.send("one", "POST", "/v1/adapters/one/agreements", asked)).json()["state"] == "active"

    async def look():
        return await portal.send("lin", "POST", "/v1/me/lookups", {"wants": ["one"]})

    async def counted():
        return "ratelimit" in (await portal.get("one", "/v1/adapters/one/quota")).headers

    await portal.follows(counted)
    first = await look()
    assert first.headers["ratelimit"].split(";")[1] == "r=1"
    assert ";q=2;w=86400" in first.headers["ratelimit-policy"]
    await look()
    third = await look()
    part = third.json()["parts"][0]
    assert (part["state"], part["problem"]["code"]) == ("denied", "quota.exhausted")
    assert int(third.headers["retry-after"]) >= 1


async def test_a_window_makes_the_part_maintenance_until_it_is_taken_back(portal):
    await portal.live()
    now = datetime.now(UTC)
    body = {"begins": (now - timedelta(hours=1)).isoformat(), "ends": (now + timedelta(hours=1)).isoformat()}
    made = await portal.send("one", "POST", "/v1/adapters/one/maintenance-windows", body)
    assert made.status_code == 201

    async def state():
        found = await portal.send("lin", "POST", "/v1/me/lookups", {"wants": ["one"]})
        return found.json()["parts"][0]["state"]

    async def away():
        return await state() == "maintenance"

    async def back():
        return await state() == "ok"

    await portal.follows(away)
    path = f"/v1/adapters/one/maintenance-windows/{made.json()['id']}"
    assert (await portal.send("two", "DELETE", path)).status_code == 404
    assert (await portal.send("one", "DELETE", path)).status_code == 204
    await portal.follows(back)


async def test_a_machine_key_opens_its_own_department_s_door_and_no_other(portal, pool):
    await portal.send("one", "POST", "/v1/adapters", {"manifest": manifest()})
    await portal.send("two", "POST", "/v1/adapters", {"manifest": manifest("two")})
    made = (await portal.send("one", "POST", "/v1/adapters/one/keys", {"label": "etl", "days": 30})).json()
    second = (await portal.send("one", "POST", "/v1/adapters/one/keys", {"label": "etl 2"})).json()
    key = made["key"]
    assert key.startswith("os_live_")
    assert (await portal.get(key, "/v1/adapters/one")).status_code == 200
    assert (await portal.get(key, "/v1/adapters/two")).json()["code"] == "adapter.absent"
    me = (await portal.get(key, "/v1/me")).json()
    assert (me["role"], me["department"]) == ("department", "one")
    for wrong in (key + "x", key.replace("os_live_", "os_test_"), "os_live_", "os_" + "x" * 500):
        assert (await portal.get(wrong, "/v1/adapters/one")).status_code == 401
    stored = await pool.fetchval("SELECT string_agg(k::text, ' ') FROM machine_keys k")
    assert key not in stored
    assert "hash" not in str((await portal.get("one", "/v1/adapters/one/keys")).json())
    assert (await portal.send("two", "DELETE", f"/v1/adapters/two/keys/{made['id']}")).status_code == 404
    assert (await portal.send("one", "DELETE", f"/v1/adapters/one/keys/{made['id']}")).status_code == 204

    async def refused():
        return (await portal.get(key, "/v1/adapters/one")).status_code == 401

    await portal.follows(refused)
    assert (await portal.get(second["key"], "/v1/adapters/one")).status_code == 200  # the other one holds on
    rows = (await portal.get("one", "/v1/adapters/one/keys")).json()["data"]
    assert [row["revoked_at"] is None for row in rows] == [False, True]
    assert all(row["last_used_at"] for row in rows)


async def test_an_expired_key_opens_nothing(portal, pool):
    await portal.send("one", "POST", "/v1/adapters", {"manifest": manifest()})
    key = (await portal.send("one", "POST", "/v1/adapters/one/keys", {"label": "etl"})).json()["key"]
    await pool.execute("UPDATE machine_keys SET expires_at = now() - interval '1 second'")
    assert (await portal.get(key, "/v1/adapters/one")).status_code == 401


async def test_what_a_department_does_not_have_and_has_too_much_of_is_said_by_code(portal):
    await portal.send("one", "POST", "/v1/adapters", {"manifest": manifest()})
    absent = await portal.get("one", "/v1/adapters/one/versions/9.9.9")
    assert (absent.status_code, absent.json()["code"]) == (404, "adapter.version_absent")
    unknown = await portal.send("one", "DELETE", "/v1/adapters/one/keys/mk_nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "identity.machine_key_unknown")
    made = [await portal.send("one", "POST", "/v1/adapters/one/keys", {"label": f"etl {n}"}) for n in range(11)]
    last = made[-1]
    assert (last.status_code, last.json()["code"]) == (409, "identity.machine_keys_full")
    assert made[-2].status_code == 201, "ten hold"


async def test_a_secret_goes_in_and_never_comes_out(portal):
    await portal.send("one", "POST", "/v1/adapters", {"manifest": manifest()})
    body = {"environment": "live", "name": "api_key", "value": "very-secret-word"}
    made = await portal.send("one", "POST", "/v1/adapters/one/secrets", body)
    assert made.status_code == 201
    for answer in (made, await portal.get("one", "/v1/adapters/one/secrets")):
        assert "very-secret-word" not in answer.text
    place = {"url": "http://127.0.0.1:9", "token_url": "http://127.0.0.1:7/t", "config": {"tenant": "t"}}
    told = await portal.send("one", "PUT", "/v1/adapters/one/places/live", place)
    assert {name: told.json()[name] for name in place} == place
    outside = await portal.send("one", "PUT", "/v1/adapters/one/places/live", {"url": "http://10.0.0.1"})
    assert (outside.status_code, outside.json()["code"]) == (422, "adapter.place_not_allowed")
    assert "10.0.0.1" in outside.json()["detail"]
    removed = await portal.send("one", "DELETE", f"/v1/adapters/one/secrets/{made.json()['id']}")
    assert removed.status_code == 204


async def test_templates_over_http(portal):
    body = manifest().replace('id = "one"', 'id = "${id}"', 1)
    new = {"name": "bureau", "body": body, "parameters": {"id": "name"}}
    assert (await portal.send("one", "POST", "/v1/adapter-templates", new)).status_code == 403
    assert (await portal.send("operator", "POST", "/v1/adapter-templates", new)).status_code == 201
    made = await portal.send("one", "POST", "/v1/adapter-templates/bureau/instances", {"values": {"id": "one"}})
    assert (made.status_code, made.json()["state"]) == (201, "draft")
    wrong = await portal.send("one", "POST", "/v1/adapter-templates/bureau/instances", {"values": {"id": 'o"x'}})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "template.parameter")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("maintenance-windows", {"begins": "9999-12-31T23:00:00-23:00", "ends": "9999-12-31T23:59:00-23:00"}),
        ("maintenance-windows", {"begins": "0001-01-01T00:00:00+23:00", "ends": "0001-01-02T00:00:00"}),
        ("secrets", {"environment": "live", "name": "a", "value": "b", "not_after": "9999-12-31T23:00:00-23:00"}),
        ("secrets", {"environment": "live", "name": "a", "value": "b", "not_before": "0001-01-01T00:00:00+23:00"}),
        ("secrets", {"environment": "live", "name": "a", "value": "b", "not_after": "2001-01-01T00:00:00"}),
        ("agreements", {"consumer": "x", "purpose_zh": "a", "purpose_en": "b", "ends": "9999-12-31T23:00:00-23:00"}),
        ("signing-keys", {"kid": "k", "jwk": {"kty": "EC", "crv": "P-256"}}),
        ("signing-keys", {"kid": "k", "jwk": {}}),
    ],
)
async def test_odd_moments_and_keys_are_refused_in_words(portal, path, body):
    await portal.send("one", "POST", "/v1/adapters", {"manifest": manifest()})
    refused = await portal.send("one", "POST", f"/v1/adapters/one/{path}", body)
    assert refused.status_code == 422, refused.text


@pytest.mark.parametrize("cursor", ["²²²", "1.2", "1.².3", "x", "99999.0.0", "%27"])
async def test_an_odd_cursor_is_a_page_and_no_failure(portal, cursor):
    await portal.send("one", "POST", "/v1/adapters", {"manifest": manifest()})
    for path in ("", "/one/versions", "/one/notices", "/one/keys", "/one/agreements"):
        assert (await portal.get("one", f"/v1/adapters{path}?cursor={cursor}")).status_code == 200


async def test_an_operator_alone_reads_one_effect_and_nothing_that_is_sealed(portal, keys):
    await portal.live()
    effect = NewEffect(
        id=new_id("eff"), case_id="case_x", step="s", adapter="one", operation="apply", key="k-of-lin",
        payload={"name": "林晓舟", "subject": {"number": LIN}},
    )  # fmt: skip
    gateway = Gateway({"one": parse(manifest().encode())}, {})
    async with portal.pool.acquire() as db, db.transaction():
        await effects.intend(db, keys, gateway, "990100", [effect])
    path = f"/v1/ops/effects/{effect.id}"
    for who, status, code in (
        ("lin", 403, "auth.role_not_allowed"),
        ("one", 403, "auth.role_not_allowed"),
        ("nobody", 401, "auth.required"),
    ):
        refused = await portal.get(who, path)
        assert (refused.status_code, refused.json()["code"]) == (status, code), who
    absent = await portal.get("operator", "/v1/ops/effects/eff_nothing")
    assert (absent.status_code, absent.json()["code"]) == (404, "effect.unknown")
    shown = await portal.get("operator", path)
    assert shown.status_code == 200
    told = shown.json()["effect"]
    assert (told["id"], told["key"], told["adapter"], told["state"]) == (effect.id, "k-of-lin", "one", "intended")
    assert LIN not in shown.text
    assert "林晓舟" not in shown.text


async def test_an_operator_alone_stops_a_line_and_says_why_and_until_when(portal):
    await portal.live()
    path = "/v1/ops/lines/one/override"
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    told = {"state": "stopped", "reason": "leaks", "until": until}
    for who in ("one", "two", "office", "lin"):
        assert (await portal.send(who, "PUT", path, told)).status_code in (403, 404)
    for lacking in ("reason", "until", "state"):
        less = {name: value for name, value in told.items() if name != lacking}
        assert (await portal.send("operator", "PUT", path, less)).status_code == 400 + 22
    wrong = await portal.send("operator", "PUT", path, {**told, "until": "2099-01-01T00:00:00Z"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "adapter.override_wrong")
    made = await portal.send("operator", "PUT", path, told)
    assert (made.status_code, made.json()["state"], made.json()["operation"]) == (200, "stopped", "")

    async def stopped():
        lines = (await portal.get("operator", "/healthz")).json()["lines"]
        return "stopped" in {line["state"] for line in lines if line["department"] == "one"}

    await portal.follows(stopped)
    assert "leaks" in (await portal.get("one", "/v1/adapters/one/health")).text
    assert "leaks" not in (await portal.get("lin", "/healthz")).text
    assert [one["reason"] for one in (await portal.get("operator", path)).json()["data"]] == ["leaks"]
    assert (await portal.send("operator", "DELETE", path)).status_code == 204
    assert (await portal.send("operator", "DELETE", path)).status_code == 404
