"""Keys, Basic, JWTs, message signatures and WS-Security, as a department that is not ours sees them."""

import base64
import hashlib
import json
import time

import pytest
from jwcrypto import jwk as their_jwk
from jwcrypto import jws as their_jws
from jwcrypto import jwt as their_jwt

from onestop.gateway.line import Where, environment
from onestop.gateway.manifest import BadManifest
from tests.gateway.keys import ec_key, ed_key, pem, public_pem, rsa_key
from tests.gateway.peer import OPERATIONS, VALUES, asked, line, peer

pytestmark = pytest.mark.anyio


def key(place, name="key", more=""):
    return f'[auth]\nkind = "api_key"\nplace = "{place}"\nname = "{name}"\n{more}'


# Refusals first.


@pytest.mark.parametrize(
    ("text", "told", "lacks"),
    [
        (key("header"), {}, "api_key"),
        ('[auth]\nkind = "basic"', {"username": "u"}, "password"),
        ('[auth]\nkind = "oauth2_client_credentials"', {"client_id": "c"}, "client_secret"),
        ('[auth]\nkind = "self_signed_jwt"\nalgorithm = "ES256"', {}, "jwt_key"),
        ('[auth]\nkind = "http_signature"\nalgorithm = "ed25519"', {"key_id": "k"}, "sign_key"),
        ('[auth]\nkind = "http_signature"\nalgorithm = "hmac-sha256"', {"app_secret": "k"}, "key_id"),
        ('[auth]\nkind = "ws_security"', {"username": "u"}, "password"),
        ('[always]\nheaders = { X-App = "{secret.app}" }', {}, "app"),
    ],
)
async def test_a_missing_secret_is_named_when_the_line_opens(text, told, lacks):
    with pytest.raises(BadManifest) as refused:
        await asked(text, told)
    assert f"lacks the secret '{lacks}'" in str(refused.value)


@pytest.mark.parametrize(
    ("algorithm", "secret"),
    [("ES256", pem(rsa_key())), ("RS256", pem(ec_key())), ("ES384", pem(ec_key())), ("EdDSA", pem(ec_key()))],
)
async def test_a_key_of_another_kind_is_refused(algorithm, secret):
    with pytest.raises(BadManifest, match="'jwt_key' is not a key for"):
        await asked(f'[auth]\nkind = "self_signed_jwt"\nalgorithm = "{algorithm}"', {"jwt_key": secret})


def test_no_secret_is_shown_by_anything_that_is_printed():
    where = environment({"adapters": {"a": {"url": "http://x", "api_key": "hunter2", "config": {"n": 1}}}})["a"]
    assert "hunter2" not in repr(where) + str(where) + f"{[where]}"
    assert where.config == {"n": "1"}
    assert where.secrets == {"api_key": "hunter2"}


@pytest.mark.parametrize("entry", [{"api_key": {"a": 1}}, {"config": "x"}, {"config": {"a": {"b": 1}}}])
def test_a_table_where_a_text_should_be_is_refused(entry):
    with pytest.raises(BadManifest, match=r"\[adapters.a\]"):
        environment({"adapters": {"a": entry}})


async def test_two_departments_never_get_each_others_credentials():
    async with (
        peer() as one,
        peer() as other,
        line(key("header"), {"api_key": "for-one"}, one, id="one") as first,
        line('[auth]\nkind = "basic"', {"username": "u", "password": "for-other"}, other, id="other") as second,
    ):
        for _ in range(3):
            await first.ask("ask", dict(VALUES), 5.0)
            await second.ask("ask", dict(VALUES), 5.0)
    assert {seen.headers.get("key") for seen in one.asked} == {"for-one"}
    assert all("authorization" not in seen.headers for seen in one.asked)
    assert all("key" not in seen.headers for seen in other.asked)
    assert {seen.headers["authorization"] for seen in other.asked} == {
        "Basic " + base64.b64encode(b"u:for-other").decode()
    }


# Keys and Basic.


async def test_a_key_in_a_header_with_its_prefix():
    assert (await asked(key("header", "X-Key", 'prefix = "Token "'), {"api_key": "k"})).headers["x-key"] == "Token k"


async def test_a_key_in_the_query_beside_what_is_there():
    assert (await asked(key("query"), {"api_key": "a&b"}, "look")).query == {
        "number": "k-1", "name": "林晓舟", "key": "a&b",
    }  # fmt: skip


@pytest.mark.parametrize(("place", "operation"), [("json", "ask"), ("form", "form")])
async def test_a_key_as_a_member_of_the_body(place, operation):
    seen = await asked(key(place), {"api_key": "k"}, operation)
    body = seen.json if operation == "ask" else seen.form
    assert body == {"number": "k-1", "name": "林晓舟", "empty": "", "key": "k"}
    assert int(seen.headers["content-length"]) == len(seen.body)


async def test_a_subscription_key_beside_basic():
    text = '[auth]\nkind = "basic"\n[always]\nheaders = { Ocp-Apim-Subscription-Key = "{secret.subscription}" }'
    seen = await asked(
        text + '\nquery = { api-version = "{config.version}" }',
        {"username": "u", "password": "p:q", "subscription": "sub"},
        config={"version": "2"},
    )
    assert seen.headers["ocp-apim-subscription-key"] == "sub"
    assert base64.b64decode(seen.headers["authorization"].removeprefix("Basic ")) == b"u:p:q"
    assert seen.query == {"api-version": "2"}


async def test_an_open_operation_gets_no_credentials_but_what_is_always_sent():
    text = key("header", "X-Key") + '[always]\nheaders = { X-App = "{secret.app}" }'
    seen = await asked(text, {"api_key": "k", "app": "a"}, "open")
    assert seen.headers["x-app"] == "a"
    assert "x-key" not in seen.headers


async def test_constants_of_the_environment_reach_mappings():
    operations = manifest_with("config.office")
    seen = await asked("", {}, "ask", config={"office": "7"}, operations=operations)
    assert seen.json["number"] == "7"


def manifest_with(expression):
    return OPERATIONS.replace('number = "key"', f'number = "{expression}"')


# JWTs of our own.


def checked(seen, key, algorithm):
    """Return the claims of a bearer token, checked by somebody else's library."""
    token = seen.headers["authorization"].removeprefix("Bearer ")
    read = their_jwt.JWT(jwt=token, key=key, algs=[algorithm], check_claims={"exp": None} if key else None)
    return json.loads(read.header), json.loads(read.claims)


@pytest.mark.parametrize(
    ("algorithm", "secret", "public"),
    [
        ("ES256", pem(ec_key()), public_pem(ec_key())),
        ("RS256", pem(rsa_key()), public_pem(rsa_key())),
        ("PS256", pem(rsa_key()), public_pem(rsa_key())),
        ("EdDSA", pem(ed_key()), public_pem(ed_key())),
    ],
)
async def test_a_jwt_by_a_key_pair_is_genuine_and_short(algorithm, secret, public):
    text = f'[auth]\nkind = "self_signed_jwt"\nalgorithm = "{algorithm}"\nlife_s = 30\nheaders.kid = "{{config.kid}}"'
    seen = await asked(
        text + '\nclaims = { iss = "us", digest = "{body_sha256}" }', {"jwt_key": secret}, config={"kid": "k1"}
    )
    header, claims = checked(seen, their_jwk.JWK.from_pem(public.encode()), algorithm)
    assert header == {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    assert claims["exp"] - claims["iat"] == 30
    assert abs(claims["iat"] - time.time()) < 5
    assert claims["digest"] == hashlib.sha256(seen.body).hexdigest()
    other = {"ES256": ec_key, "RS256": rsa_key, "PS256": rsa_key, "EdDSA": ed_key}[algorithm]("b")
    with pytest.raises(their_jws.InvalidJWSSignature):
        checked(seen, their_jwk.JWK.from_pem(public_pem(other).encode()), algorithm)


async def test_a_notification_services_token_names_the_service_and_the_moment():
    text = '[auth]\nkind = "self_signed_jwt"\nalgorithm = "HS256"\nclaims = { iss = "{secret.service_id}" }'
    secret = "0d1bcf4e-79b5-4bc5-b15f-0b0a9d1e4a55"
    seen = await asked(text, {"jwt_key": secret, "service_id": "svc"})
    key = their_jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="))
    assert checked(seen, key, "HS256")[1]["iss"] == "svc"


async def test_case_handling_apis_want_the_client_and_the_user_in_the_claims():
    text = """
[auth]
kind = "self_signed_jwt"
algorithm = "HS256"
claims.iss = "{secret.client_id}"
claims.client_id = "{secret.client_id}"
claims.user_id = "{config.user}"
claims.nbf = "{timestamp}"
"""
    seen = await asked(text, {"jwt_key": "s" * 32, "client_id": "open-forms"}, config={"user": "portal"})
    key = their_jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("="))
    claims = checked(seen, key, "HS256")[1]
    assert {name: claims[name] for name in ("iss", "client_id", "user_id")} == {
        "iss": "open-forms", "client_id": "open-forms", "user_id": "portal",
    }  # fmt: skip
    assert isinstance(claims["nbf"], int)


async def test_every_request_has_a_jwt_of_its_own():
    text = '[auth]\nkind = "self_signed_jwt"\nalgorithm = "EdDSA"'
    async with peer() as served, line(text, {"jwt_key": pem(ed_key())}, served) as opened:
        for _ in range(2):
            await opened.ask("ask", dict(VALUES), 5.0)
    key = their_jwk.JWK.from_pem(public_pem(ed_key()).encode())
    assert len({checked(seen, key, "EdDSA")[1]["jti"] for seen in served.asked}) == 2


def test_a_place_prints_its_address_alone():
    assert repr(Where("http://x", {"a": "b"})) == "Where('http://x', 1 secrets)"
