"""Tokens of the portal for a department's calls: checked as the department would, by somebody else's library."""

import asyncio
import json
import time
from typing import Any

import pytest
from jwcrypto import jwk as their_jwk
from jwcrypto import jwt as their_jwt

from onestop.gateway.auth import vouching
from onestop.gateway.line import CallFailed
from onestop.gateway.manifest import BadManifest
from onestop.provider.issuer import Issuer
from onestop.settings import Settings
from tests.gateway.keys import ec_key, pem, public_pem, rsa_key
from tests.gateway.peer import VALUES, asked, line, peer

pytestmark = pytest.mark.anyio
TOKEN = '[auth]\nkind = "onestop_token"\n'
NUMBER = "990102199203140221"
ABOUT = {**VALUES, "subject": {"number": NUMBER, "name": "林晓舟"}, "case": {"number": "9901-2026-1"}}


def checked(seen: Any, keys: their_jwk.JWKSet | their_jwk.JWK) -> tuple[dict[str, Any], dict[str, Any]]:
    token = seen.headers["authorization"].removeprefix("Bearer ")
    read = their_jwt.JWT(jwt=token, key=keys, algs=["ES256"], check_claims={"exp": None})
    return json.loads(read.header), json.loads(read.claims)


@pytest.fixture
async def issuer(pool, keys, settings: Settings):
    """The portal of this process; taken away again, since another test may want none."""
    made = Issuer(pool, keys, settings)
    vouching.provide(asyncio.get_running_loop(), made)
    yield made
    vouching._vouchers.pop(asyncio.get_running_loop(), None)


async def test_without_a_portal_and_without_a_key_nothing_is_sent():
    async with peer() as served, line(TOKEN, {}, served) as opened:
        with pytest.raises(CallFailed) as failed:
            await opened.ask("ask", dict(VALUES), 5.0)
    assert (failed.value.kind, failed.value.sent, served.asked) == ("no_token", False, [])


async def test_a_key_of_another_kind_is_refused_when_the_line_opens():
    with pytest.raises(BadManifest, match="'onestop_key' is not a key for ES256"):
        await asked(TOKEN, {"onestop_key": pem(rsa_key())})


async def test_the_portals_token_says_for_whom_what_and_why_and_is_checked_with_its_jwks(issuer, settings):
    async with peer() as served, line(TOKEN, {}, served, id="gongan") as opened:
        await opened.ask("ask", ABOUT, 5.0)
        await opened.ask("ask", ABOUT, 5.0)
    ring = their_jwk.JWKSet.from_json(json.dumps(issuer.signing.jwks()))
    first, second = (checked(seen, ring) for seen in served.asked)
    header, claims = first
    assert header["typ"] == "at+jwt"
    assert (claims["iss"], claims["aud"]) == (settings.public_url, "urn:onestop:department:gongan")
    assert (claims["scope"], claims["purpose"], claims["case"]) == ("ask", "办事", "9901-2026-1")
    assert claims["act"] == {"sub": "onestop"}
    assert claims["sub"] == issuer.for_department(NUMBER, "gongan")
    assert claims["exp"] - claims["iat"] == 180
    assert abs(claims["iat"] - time.time()) < 60
    assert second[1]["jti"] != claims["jti"]
    assert NUMBER not in json.dumps(claims)


async def test_two_departments_know_a_person_by_different_names(issuer):
    names = set()
    for adapter in ("gongan", "minzheng"):
        async with peer() as served, line(TOKEN, {}, served, id=adapter) as opened:
            await opened.ask("ask", ABOUT, 5.0)
        [seen] = served.asked
        names.add(checked(seen, their_jwk.JWKSet.from_json(json.dumps(issuer.signing.jwks())))[1]["sub"])
    assert len(names) == 2


async def test_the_number_is_told_where_the_manifest_says_so_and_nobody_is_named_where_it_is_about_nobody(issuer):
    text = TOKEN + 'subject = "number"\nlife_s = 120\nheader = "X-Token"\nprefix = ""\n'
    async with peer() as served, line(text, {}, served) as opened:
        await opened.ask("ask", ABOUT, 5.0)
        await opened.ask("ask", dict(VALUES), 5.0)
    ring = their_jwk.JWKSet.from_json(json.dumps(issuer.signing.jwks()))
    about, nobody = (
        json.loads(their_jwt.JWT(jwt=seen.headers["x-token"], key=ring, algs=["ES256"]).claims) for seen in served.asked
    )
    assert about["id_number"] == {"number": NUMBER}
    assert about["exp"] - about["iat"] == 120
    assert (nobody["sub"], "act" in nobody, "id_number" in nobody) == ("onestop", False, False)


async def test_a_told_key_goes_before_the_portals(issuer):
    async with peer() as served, line(TOKEN, {"onestop_key": pem(ec_key())}, served) as opened:
        await opened.ask("ask", ABOUT, 5.0)
    [seen] = served.asked
    _, claims = checked(seen, their_jwk.JWK.from_pem(public_pem(ec_key()).encode()))
    assert claims["iss"] == "sandbox"


async def test_a_new_key_signs_once_it_was_published(issuer, monkeypatch):
    await issuer.load()
    old = issuer.signing.active.kid
    new = await issuer.signing.rotate()
    assert new != old
    assert issuer.signing.active.kid == old
    assert {key["kid"] for key in issuer.signing.jwks()["keys"]} == {old, new}
    monkeypatch.setattr(issuer.signing, "_public_s", 0.0)  # its time has come
    await issuer.load()
    assert issuer.signing.active.kid == new
    assert {key["kid"] for key in issuer.signing.jwks()["keys"]} == {old, new}
