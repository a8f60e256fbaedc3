"""The registry of clients: by operators alone, by API and command; what cannot be registered."""

import asyncio
import json

import msgspec
import pytest
from joserfc.jwk import ECKey

from identity.conftest import CLERK, LIN
from onestop.cli.entry import main
from onestop.provider import rules_clients
from onestop.provider.errors import BadClient
from onestop.provider.models import NewClient
from tests.provider.conftest import BACK, MASKED, OPERATOR, PURPOSE

pytestmark = pytest.mark.anyio
KEY = ECKey.generate_key("P-256", private=True)
PUBLIC = {"keys": [KEY.as_dict(private=False)]}
TOLD = {
    "id": "renshe-portal",
    "department": "renshe",
    "name_zh": "社保网上大厅",
    "name_en": "Social insurance online",
    "auth_method": "client_secret_basic",
    "redirect_uris": [BACK],
    "purposes": msgspec.to_builtins([PURPOSE]),
}


def new(**changed):
    told = {name: value for name, value in (TOLD | changed).items() if value is not ...}
    return msgspec.convert(told, NewClient)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"redirect_uris": ["http://rs.example.cn/back"]}, "uri_scheme"),
        ({"redirect_uris": ["http://localhost/back"]}, "uri_scheme"),
        ({"redirect_uris": ["javascript:alert(1)//"]}, "uri"),
        ({"redirect_uris": ["https://*.example.cn/"]}, "uri"),
        ({"redirect_uris": ["https://rs.example.cn/#x"]}, "uri"),
        ({"redirect_uris": ["https://user@rs.example.cn/"]}, "uri"),
        ({"redirect_uris": ["https://rs.example.cn\\@evil/"]}, "uri"),
        ({"redirect_uris": ["https://[::1/"]}, "uri"),
        ({"logout_uris": ["ftp://rs.example.cn/"]}, "uri_scheme"),
        ({"backchannel_logout": "http://rs.example.cn/out"}, "uri_scheme"),
        ({"redirect_uris": [BACK, "https://other.example.cn/back"]}, "sector"),
        ({"purposes": msgspec.to_builtins([PURPOSE, PURPOSE])}, "purposes"),
        ({"purposes": [*msgspec.to_builtins([PURPOSE]), msgspec.to_builtins(MASKED) | {"code": "openid"}]}, "purposes"),
        ({"keys": PUBLIC}, "keys"),
        ({"auth_method": "private_key_jwt"}, "keys"),
        ({"auth_method": "private_key_jwt", "keys": {"keys": []}}, "keys"),
        ({"auth_method": "private_key_jwt", "keys": {"keys": ["x"]}}, "keys"),
        ({"auth_method": "private_key_jwt", "keys": {"keys": [KEY.as_dict(private=True)]}}, "private_key"),
        ({"auth_method": "private_key_jwt", "keys": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "private_key"),
        ({"auth_method": "tls_client_auth"}, "tls_subject"),
        ({"tls_subject": "CN=x"}, "tls_subject"),
        ({"auth_method": "none", "binding": "tls"}, "binding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_client_that_could_not_be_trusted_is_not_registered(changed, reason):
    with pytest.raises(BadClient) as refused:
        rules_clients.check_client(new(**changed), "demo")
    assert refused.value.reason == reason


def test_a_sector_is_the_one_host_or_what_is_told():
    assert rules_clients.check_client(new(), "production") == "rs.example.cn"
    several = {"redirect_uris": [BACK, "https://other.example.cn/back"], "sector": "renshe.gov"}
    assert rules_clients.check_client(new(**several), "production") == "renshe.gov"


def test_this_machine_may_be_gone_back_to_in_the_clear_outside_production_only():
    local = new(redirect_uris=["http://127.0.0.1:8400/back"])
    assert rules_clients.check_client(local, "demo") == "127.0.0.1"
    with pytest.raises(BadClient):
        rules_clients.check_client(local, "production")


async def operator(onestop):
    return {"authorization": f"Bearer {await onestop.token_of(OPERATOR)}"}


async def test_nobody_but_an_operator_sees_or_changes_clients(onestop):
    for who in (LIN, CLERK):
        async with onestop.http(authorization=f"Bearer {await onestop.token_of(who)}") as http:
            for answer in (
                await http.get("/v1/clients"),
                await http.post("/v1/clients", json=TOLD, headers={"idempotency-key": "k-1"}),
                await http.post("/v1/clients/x/secrets", json={}, headers={"idempotency-key": "k-2"}),
                await http.delete("/v1/clients/x"),
            ):
                assert (answer.status_code, answer.json()["code"]) == (403, "auth.role_not_allowed")
    async with onestop.http() as http:
        assert (await http.get("/v1/clients")).status_code == 401


async def test_a_client_is_registered_listed_given_another_secret_and_revoked(onestop, lin, pool):
    async with onestop.http(**await operator(onestop)) as http:
        made = await http.post("/v1/clients", json=TOLD, headers={"idempotency-key": "k-3"})
        assert made.status_code == 201, made.text
        again = await http.post("/v1/clients", json=TOLD, headers={"idempotency-key": "k-3"})
        assert again.json() == made.json()
        taken = await http.post("/v1/clients", json=TOLD, headers={"idempotency-key": "k-4"})
        assert (taken.status_code, taken.json()["code"]) == (409, "provider.client_taken")
        bad = await http.post("/v1/clients", json=TOLD | {"keys": PUBLIC}, headers={"idempotency-key": "k-5"})
        assert (bad.status_code, bad.json()["code"]) == (422, "provider.bad_client")
        listed = await http.get("/v1/clients?limit=1")
        assert [one["id"] for one in listed.json()["data"]] == ["renshe-portal"]
        assert made.json()["secret"] not in listed.text
        assert not {"secret", "secret_hash"} & listed.json()["data"][0].keys()
        secret = (
            await http.post("/v1/clients/renshe-portal/secrets", json={}, headers={"idempotency-key": "k-6"})
        ).json()
        assert secret["secret"] != made.json()["secret"]
        unknown = await http.post("/v1/clients/nobody/secrets", json={}, headers={"idempotency-key": "k-7"})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "provider.client_unknown")
        assert (await http.delete("/v1/clients/renshe-portal")).status_code == 204
        assert (await http.delete("/v1/clients/renshe-portal")).json()["code"] == "provider.client_unknown"
        once_more = await http.post("/v1/clients", json=TOLD, headers={"idempotency-key": "k-8"})
        assert once_more.json()["code"] == "provider.client_taken"  # a name means one client for ever
    rows = await pool.fetch("SELECT action FROM audit_entries WHERE object = 'renshe-portal' ORDER BY id")
    assert [row["action"] for row in rows] == ["client.registered", "client.secret_changed", "client.revoked"]


async def test_both_secrets_hold_until_the_overlap_is_over(onestop, register, lin, pool):
    from onestop.provider import service_clients
    from onestop.provider.models import NewSecret

    site = await register()
    async with pool.acquire() as db, db.transaction():
        made = await service_clients.rotate(db, onestop.settings, site.id, NewSecret(overlap_h=1), by="test")
    old, site.secret = site.secret, made.secret
    onestop.provider.clients._held.clear()
    assert (await site.signs_in(lin))["access_token"]
    site.secret = old
    assert (await site.signs_in(lin))["access_token"]
    await pool.execute("UPDATE clients SET old_secret_until = now() WHERE id = $1", site.id)
    onestop.provider.clients._held.clear()
    refused = await site.redeems(await site.code(lin))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


async def test_a_client_with_a_key_has_no_secret_to_change(onestop, register):
    site = await register("private_key_jwt")
    async with onestop.http(**await operator(onestop)) as http:
        refused = await http.post(f"/v1/clients/{site.id}/secrets", json={}, headers={"idempotency-key": "k-9"})
    assert (refused.status_code, refused.json()["code"]) == (422, "provider.bad_client")


async def test_an_operator_does_the_same_by_command(dsn, monkeypatch, capsys, tmp_path, onestop):
    monkeypatch.setenv("ONESTOP_DATABASE_URL", dsn)
    monkeypatch.setenv("ONESTOP_PROFILE", "demo")
    file = tmp_path / "client.json"
    file.write_text(json.dumps(TOLD | {"id": "by-command"}), "utf-8")

    async def says(*args: str) -> str:
        assert await asyncio.to_thread(main, ["client", *args]) == 0, capsys.readouterr()
        return capsys.readouterr().out

    made = json.loads(await says("add", str(file), "--as", "wang", "--json"))
    assert (await onestop.provider.clients.find("by-command")).secret_hash is not None
    changed = json.loads(await says("rotate", "by-command", "--overlap", "0", "--as", "wang", "--json"))
    assert changed["secret"] not in (None, made["secret"])
    assert "by-command" in await says("list")
    first, *_ = json.loads(await says("list", "--after", "by", "--json"))["data"]
    assert first["id"] == "by-command"
    await says("revoke", "by-command", "--as", "wang")
    onestop.provider.clients._held.clear()
    assert await onestop.provider.clients.find("by-command") is None
    assert await asyncio.to_thread(main, ["client", "revoke", "by-command", "--as", "wang"]) == 1
