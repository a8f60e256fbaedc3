"""HTTP Message Signatures: genuine to the PyPI package's verifier, and the RFC's own examples."""

import base64
import hashlib
import hmac
from types import SimpleNamespace

import pytest
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature, algorithms
from jwcrypto import jwk as their_jwk

from onestop.gateway.auth.http_signature import base_text, claimed, component, content_digest
from onestop.gateway.auth.recipes import Outgoing
from onestop.gateway.manifest import BadManifest
from tests.gateway.keys import ec_key, ed_key, pem, public_pem, rsa_key
from tests.gateway.peer import asked

pytestmark = pytest.mark.anyio


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
    text = '[auth]\nkind = "http_signature"\nalgorithm = "ed25519"\n'
    text += 'components = ["@authority", "@query", "content-digest"]'
    seen = await asked(text, {"sign_key": pem(ed_key()), "key_id": "test-key"}, "look")
    assert "content-digest" not in seen.headers
    found = by_others(seen, algorithms.ED25519, public_pem(ed_key()).encode())[0]
    assert set(found.covered_components) == {'"@authority"', '"@query"', '"@signature-params"'}


@pytest.mark.parametrize("name", ["@status", "Content-Type", "x y", '"x"'])
async def test_a_component_that_cannot_be_signed_is_refused(name):
    text = f"[auth]\nkind = 'http_signature'\nalgorithm = 'ed25519'\ncomponents = ['{name}']"
    with pytest.raises(BadManifest, match=r"auth\.components"):
        await asked(text, {"sign_key": pem(ed_key()), "key_id": "k"})


# RFC 9421, appendix B: the request of B.2, and the signatures of B.2.5 and B.2.6.
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
