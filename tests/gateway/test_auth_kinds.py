"""Keys, Basic, JWTs, message signatures and WS-Security, as a department that is not ours sees them."""

import base64
import hashlib
import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature, algorithms
from jwcrypto import jwk as their_jwk
from jwcrypto import jws as their_jws
from jwcrypto import jwt as their_jwt
from lxml import etree

from onestop.gateway.auth_http_signature import base_text, claimed, component, content_digest
from onestop.gateway.auth_recipes import Outgoing
from onestop.gateway.line import Where, environment
from onestop.gateway.manifest import BadManifest
from tests.gateway.keys import ec_key, ed_key, pem, public_pem, rsa_key
from tests.gateway.peer import VALUES, asked, line, manifest, peer

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
    from tests.gateway.peer import OPERATIONS

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
    with pytest.raises(their_jws.InvalidJWSSignature):
        other = {"ES256": ec_key, "RS256": rsa_key, "PS256": rsa_key, "EdDSA": ed_key}[algorithm]("b")
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
claims = { iss = "{secret.client_id}", client_id = "{secret.client_id}", user_id = "{config.user}", nbf = "{timestamp}" }
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


# HTTP Message Signatures: checked by the PyPI package, and against the RFC's own examples.


class Resolver(HTTPSignatureKeyResolver):
    def __init__(self, key):
        self.key = key

    def resolve_public_key(self, key_id):
        assert key_id == "test-key"
        return self.key


MESSAGE_KEYS = [
    ("ed25519", algorithms.ED25519, {"sign_key": pem(ed_key())}, public_pem(ed_key()).encode()),
    ("ecdsa-p256-sha256", algorithms.ECDSA_P256_SHA256, {"sign_key": pem(ec_key())}, public_pem(ec_key()).encode()),
    ("rsa-pss-sha512", algorithms.RSA_PSS_SHA512, {"sign_key": pem(rsa_key())}, public_pem(rsa_key()).encode()),
    ("rsa-v1_5-sha256", algorithms.RSA_V1_5_SHA256, {"sign_key": pem(rsa_key())}, public_pem(rsa_key()).encode()),
    ("hmac-sha256", algorithms.HMAC_SHA256, {"app_secret": "s" * 32}, b"s" * 32),
]


def by_others(seen, algorithm, key):
    message = SimpleNamespace(method=seen.method, url=seen.url, headers=dict(seen.headers))
    verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=Resolver(key))
    return verifier.verify(message)


@pytest.mark.parametrize(("name", "algorithm", "told", "key"), MESSAGE_KEYS)
async def test_a_message_signature_is_genuine_to_others(name, algorithm, told, key):
    text = f'[auth]\nkind = "http_signature"\nalgorithm = "{name}"\ntag = "onestop"\n'
    seen = await asked(text, {**told, "key_id": "test-key"})
    found = by_others(seen, algorithm, key)[0]
    assert set(found.covered_components) == {
        '"@method"', '"@target-uri"', '"content-digest"', '"content-type"', '"@signature-params"',
    }  # fmt: skip
    assert found.parameters["tag"] == "onestop"
    digest = base64.b64encode(hashlib.sha256(seen.body).digest()).decode()
    assert seen.headers["content-digest"] == f"sha-256=:{digest}:"
    seen.method = "PUT"
    with pytest.raises(InvalidSignature):
        by_others(seen, algorithm, key)


async def test_what_a_request_lacks_is_not_covered():
    text = '[auth]\nkind = "http_signature"\nalgorithm = "ed25519"\ncomponents = ["@authority", "@query", "content-digest"]'
    seen = await asked(text, {"sign_key": pem(ed_key()), "key_id": "test-key"}, "look")
    assert "content-digest" not in seen.headers
    found = by_others(seen, algorithms.ED25519, public_pem(ed_key()).encode())[0]
    assert set(found.covered_components) == {'"@authority"', '"@query"', '"@signature-params"'}


@pytest.mark.parametrize("name", ["@status", "Content-Type", "x y", '"x"'])
async def test_a_component_that_cannot_be_signed_is_refused(name):
    text = f"[auth]\nkind = 'http_signature'\nalgorithm = 'ed25519'\ncomponents = ['{name}']"
    with pytest.raises(BadManifest, match=r"auth\.components"):
        await asked(text, {"sign_key": pem(ed_key()), "key_id": "k"})


# RFC 9421, appendix B: the request of B.2, and the base texts and signatures of B.2.2 (parts), B.2.5 and B.2.6.
RFC = Outgoing(
    "POST",
    "https://example.com",
    "/foo",
    "param=Value&Pet=dog",
    [
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        (
            "Content-Digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        ),
        ("Content-Length", "18"),
    ],
    b'{"hello": "world"}',
)


def rfc_base(names, parameters):
    return base_text([(name, component(RFC, name)) for name in names], parameters)


def test_the_rfcs_ed25519_signature_is_ours():
    names = ["date", "@method", "@path", "@authority", "content-type", "content-length"]
    listed = " ".join(f'"{name}"' for name in names)
    base = rfc_base(names, f'({listed});created=1618884473;keyid="test-key-ed25519"')
    assert base.decode().splitlines()[2] == '"@path": /foo'
    private = their_jwk.JWK(
        kty="OKP", crv="Ed25519", d="n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU",
        x="JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
    )  # fmt: skip
    signature = private.get_op_key("sign").sign(base)
    assert base64.b64encode(signature).decode() == (
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    )


def test_the_rfcs_hmac_signature_is_ours():
    import hmac

    names = ["date", "@authority", "content-type"]
    base = rfc_base(names, '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"')
    secret = base64.b64decode(
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    )
    assert base64.b64encode(hmac.digest(secret, base, "sha256")).decode() == (
        "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("@target-uri", "https://example.com/foo?param=Value&Pet=dog"),
        ("@request-target", "/foo?param=Value&Pet=dog"),
        ("@query", "?param=Value&Pet=dog"),
        ("@scheme", "https"),
        ("content-length", "18"),
        ("x-not-there", None),
    ],
)
def test_components_are_derived_as_the_rfc_says(name, value):
    assert component(RFC, name) == value


def test_a_usual_port_is_no_part_of_the_authority():
    def authority(origin):
        return component(Outgoing("GET", origin, "/", "", [], b""), "@authority")

    assert authority("https://Example.com:443") == "example.com"
    assert authority("http://example.com:80") == "example.com"
    assert authority("https://example.com:80") == "example.com:80"


def test_the_digest_is_rfc_9530s():
    assert content_digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


@pytest.mark.parametrize(
    ("told", "signature"),
    [
        ("", ""),
        ('sig1=("@method");created=1', "sig2=:YQ==:"),
        ('sig1=("@method";req);created=1', "sig1=:YQ==:"),
        ('sig1=("@method" "@method");created=1', "sig1=:YQ==:"),
        ('sig1=("@method");created=1;created=2', "sig1=:YQ==:"),
        ('sig1=("@method");created=1, sig2=("@path");created=1', "sig1=:YQ==:, sig2=:YQ==:"),
        ('sig1=("@method");created=1', "sig1=:Y!==:"),
        ('sig1=("@method");created=1' + " " * 5000, "sig1=:YQ==:"),
    ],
)
def test_a_claimed_signature_in_any_other_writing_is_none(told, signature):
    assert claimed(told, signature) is None


# WS-Security.
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-"
NS = {
    "s": "http://schemas.xmlsoap.org/soap/envelope/",
    "e": _OASIS + "secext-1.0.xsd",
    "u": _OASIS + "utility-1.0.xsd",
}


def security(seen):
    envelope = etree.fromstring(seen.body)
    assert [etree.QName(part).localname for part in envelope] == ["Header", "Body"]
    assert envelope.find("s:Body/{urn:test}Ask", NS).text == "林晓舟"
    return envelope.find("s:Header/e:Security", NS)


async def test_a_username_token_with_its_password():
    seen = await asked('[auth]\nkind = "ws_security"', {"username": "a<b", "password": "p&q"}, "soap")
    found = security(seen)
    assert found.get("{%s}mustUnderstand" % NS["s"]) == "1"
    assert found.findtext("e:UsernameToken/e:Username", namespaces=NS) == "a<b"
    assert found.findtext("e:UsernameToken/e:Password", namespaces=NS) == "p&q"
    created = datetime.fromisoformat(found.findtext("u:Timestamp/u:Created", namespaces=NS))
    expires = datetime.fromisoformat(found.findtext("u:Timestamp/u:Expires", namespaces=NS))
    assert (expires - created).total_seconds() == 300
    assert abs((datetime.now(UTC) - created).total_seconds()) < 5


async def test_a_username_token_with_a_digest_is_good_once():
    text = '[auth]\nkind = "ws_security"\npassword = "digest"\ntimestamp = false'
    nonces = set()
    async with peer() as served, line(text, {"username": "u", "password": "口令"}, served) as opened:
        for _ in range(2):
            await opened.ask("soap", dict(VALUES), 5.0)
    for seen in served.asked:
        token = security(seen).find("e:UsernameToken", NS)
        nonce = base64.b64decode(token.findtext("e:Nonce", namespaces=NS))
        created = token.findtext("u:Created", namespaces=NS)
        expected = hashlib.sha1(nonce + created.encode() + "口令".encode()).digest()
        assert base64.b64decode(token.findtext("e:Password", namespaces=NS)) == expected
        assert security(seen).find("u:Timestamp", NS) is None
        nonces.add(nonce)
    assert len(nonces) == 2


@pytest.mark.parametrize(
    "header", [b"<e:Header>", b'<e:Header xmlns:x="http://x/y">', b"<e:Header><x/>"]
)  # fmt: skip
def test_a_header_that_is_there_already_is_kept(header):
    from onestop.gateway.auth_recipes import Kitchen
    from onestop.gateway.auth_ws_security import UsernameToken

    token = UsernameToken(
        manifest('[auth]\nkind = "ws_security"').auth, Kitchen({"username": "u", "password": "p"}, {})
    )
    body = b'<?xml version="1.0"?><e:Envelope xmlns:e="%s">%s</e:Header><e:Body/></e:Envelope>'
    out = Outgoing("POST", "http://x", "/", "", [], body % (NS["s"].encode(), header))
    token.apply(out)
    envelope = etree.fromstring(out.body)
    assert len(envelope.findall("s:Header", NS)) == 1
    assert envelope.find("s:Header/e:Security/e:UsernameToken", NS) is not None


def test_where_is_a_plain_word():
    assert repr(Where("http://x", {"a": "b"})) == "Where('http://x', 1 secrets)"
