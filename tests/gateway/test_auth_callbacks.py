"""Callbacks are believed only where their proof is the declared one, whole, new and in time."""

import base64
import hashlib
import hmac
import time
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from gmssl_pyx import sm2_key_generate, sm2_sign, sm3_hmac
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from hypothesis import given
from hypothesis import strategies as st
from jwcrypto import jwk as their_jwk

from onestop.gateway.auth.callbacks import callback_check
from onestop.gateway.auth.http_signature import base_text, component, content_digest
from onestop.gateway.auth.recipes import Outgoing
from onestop.gateway.manifest import BadManifest
from tests.gateway.keys import cert_pem, certificate, ec_key, ed_key, pem, public_pem, rsa_key
from tests.gateway.peer import manifest

BODY = '{"key": "k-1", "名": "林"}'.encode()
NOW = 1_800_000_000.0
STAMP = str(int(NOW))
SM2_PUBLIC, SM2_PRIVATE = sm2_key_generate()


def check(text, told, config=None):
    return callback_check(manifest(f'[callback]\noperation = "send"\n{text}'), told, config)


def message(headers, body=BODY, path="/v1/callbacks/peer"):
    return Outgoing("POST", "http://portal.example", path, "", list(headers.items()), body)


def signed(sign, body=BODY, stamp=STAMP, nonce="n0nce-0001"):
    base = f"{stamp}\n{nonce}\n".encode() + body
    return message({"X-Timestamp": stamp, "X-Nonce": nonce, "X-Signature": sign(base)}, body)


def mac(key, kind="sha256"):
    return lambda base: hmac.new(key, base, kind).hexdigest()


def b64(raw):
    return base64.b64encode(raw).decode()


FAMILIES = [
    ("hmac-sha256", "hex", {"callback_secret": "s"}, mac(b"s")),
    ("hmac-sha256", "hex", {"callback_secret": "s"}, lambda base: mac(b"s")(base).upper()),
    ("hmac-sha1", "base64", {"callback_secret": "s"}, lambda base: b64(hmac.digest(b"s", base, "sha1"))),
    ("hmac-sm3", "hex", {"callback_secret": "s" * 32}, lambda base: sm3_hmac(b"s" * 32, base).hex()),
    (
        "rsa-sha256", "base64", {"callback_key": public_pem(rsa_key())},
        lambda base: b64(rsa_key().sign(base, padding.PKCS1v15(), hashes.SHA256())),
    ),
    (
        "ecdsa-sha256", "base64url", {"callback_key": cert_pem(certificate(ec_key(), "them"))},
        lambda base: base64.urlsafe_b64encode(ec_key().sign(base, ec.ECDSA(hashes.SHA256()))).decode().rstrip("="),
    ),
    (
        "ed25519", "base64",
        {"callback_key": their_jwk.JWK.from_pem(public_pem(ed_key()).encode()).export_public()},
        lambda base: b64(ed_key().sign(base)),
    ),
    (
        "sm2-sm3", "hex", {"callback_key": SM2_PUBLIC.hex()},
        lambda base: sm2_sign(SM2_PRIVATE, SM2_PUBLIC, base).hex(),
    ),
]  # fmt: skip


# Refusals first.


@pytest.mark.parametrize(
    ("text", "told", "says"),
    [
        ("", {}, "secret 'callback_secret'"),
        ('digest = "sha256"', {"callback_secret": "s"}, "a plain sha256 proves nothing"),
        ('digest = "ed25519"', {}, "secret 'callback_key'"),
        ('digest = "ed25519"', {"callback_key": public_pem(ec_key())}, "not a key for ed25519"),
        ('digest = "rsa-sha256"', {"callback_key": "hunter2"}, "'callback_key' is no public key"),
        ('base = "{nonse}"', {"callback_secret": "s"}, "no place {nonse}"),
        ('base = "constant"', {"callback_secret": "s"}, "names what is signed"),
        ('kind = "standard_webhooks"', {"callback_secret": "whsec_!"}, "no webhook secret"),
        (
            'kind = "http_signature"\ncomponents = ["@method"]',
            {"callback_key": public_pem(ec_key())},
            "anybody could change the body",
        ),
    ],
)
def test_a_declaration_that_proves_nothing_is_refused(text, told, says):
    with pytest.raises(BadManifest) as refused:
        check(text, told)
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_no_callback_is_awaited_where_none_is_declared():
    assert callback_check(manifest(""), {}) is None


@pytest.mark.parametrize(("digest", "encoding", "told", "sign"), FAMILIES)
def test_every_family_is_believed_and_nothing_near_it(digest, encoding, told, sign):
    genuine = check(f'digest = "{digest}"\nencoding = "{encoding}"', told)
    good = signed(sign)
    assert genuine(good, NOW) == "n0nce-0001"
    assert genuine(good, NOW + 299) == "n0nce-0001"
    assert genuine(good, NOW + 301) is None
    assert genuine(good, NOW - 301) is None
    good.body += b" "
    assert genuine(good, NOW) is None


@pytest.mark.parametrize("name", ["X-Timestamp", "X-Nonce", "X-Signature"])
@pytest.mark.parametrize("value", ["", "x", "0" * 20, "١٢٣٤٥٦٧٨", "9" * 5000, "-1", "n0nce-0002"])
def test_a_header_that_is_another_is_not_believed(name, value):
    genuine = check("", {"callback_secret": "s"})
    good = signed(mac(b"s"))
    good.headers = [(told, value if told == name else was) for told, was in good.headers]
    assert genuine(good, NOW) is None


@given(st.binary(max_size=40), st.text(max_size=40))
def test_no_body_and_no_signature_breaks_the_check(body, signature):
    genuine = check("", {"callback_secret": "s"})
    got = message({"X-Timestamp": STAMP, "X-Nonce": "n0nce-0001", "X-Signature": signature}, body)
    assert genuine(got, NOW) is None


def test_another_secret_is_not_believed_but_the_next_one_is():
    for name, believed in (("callback_secret", True), ("next_callback_secret", True), ("other", False)):
        told = {"callback_secret": "old", name: "new"}
        assert (check("", told)(signed(mac(b"new")), NOW) is not None) is believed
    both = check("", {"callback_secret": "old", "next_callback_secret": "new"})
    assert both(signed(mac(b"old")), NOW)


def test_two_public_keys_are_good_while_one_replaces_the_other():
    told = {"callback_key": public_pem(ed_key()), "next_callback_key": public_pem(ed_key("next"))}
    genuine = check('digest = "ed25519"\nencoding = "base64"', told)
    for key in (ed_key(), ed_key("next")):
        assert genuine(signed(lambda base, key=key: b64(key.sign(base))), NOW)
    assert genuine(signed(lambda base: b64(ed_key("third").sign(base))), NOW) is None


def test_milliseconds_are_a_moment_too():
    genuine = check("", {"callback_secret": "s"})
    assert genuine(signed(mac(b"s"), stamp=f"{STAMP}123"), NOW)
    assert genuine(signed(mac(b"s"), stamp=f"{int(NOW) - 400}123"), NOW) is None


def test_a_base_may_name_the_path_and_the_bodys_hash():
    genuine = check(
        'base = "{method}|{path}|{timestamp}|{body_sha256}|{config.app}"', {"callback_secret": "s"}, {"app": "a"}
    )
    base = f"POST|/v1/callbacks/peer|{STAMP}|{hashlib.sha256(BODY).hexdigest()}|a".encode()
    told = {"X-Timestamp": STAMP, "X-Nonce": "n0nce-0001", "X-Signature": hmac.new(b"s", base, "sha256").hexdigest()}
    assert genuine(message(told), NOW)
    assert genuine(message(told, path="/v1/callbacks/other"), NOW) is None


# Standard Webhooks: the specification's own example, then the ways to be wrong.
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


WEBHOOK_KEY = base64.b64decode(WEBHOOK_SECRET[6:])


def webhook(key=WEBHOOK_KEY, body=BODY, stamp=STAMP, form="v1,{}", name="msg_p5jXN8AQM9LWM0D4loKWxJek"):
    signature = b64(hmac.digest(key, f"{name}.{stamp}.".encode() + body, "sha256"))
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": form.format(signature)}


def test_the_webhook_specifications_example_is_genuine():
    body = b'{"test": 2432232314}'
    told = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    genuine = check('kind = "standard_webhooks"', {"callback_secret": WEBHOOK_SECRET})
    assert genuine(message(told, body), 1614265330) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


@pytest.mark.parametrize("form", ["v1,{}", "v1,AAAA v1,{}", "v1a,xyz v1,{}"])
def test_one_of_several_webhook_signatures_is_enough(form):
    genuine = check('kind = "standard_webhooks"', {"callback_secret": WEBHOOK_SECRET})
    assert genuine(message(webhook(form=form)), NOW)


@pytest.mark.parametrize(
    ("told", "body"),
    [
        (webhook(key=b"other"), BODY),
        (webhook(), BODY + b" "),
        (webhook(form="v2,{}"), BODY),
        (webhook(form="{}"), BODY),
        (webhook(form="v1," + "A" * 44 + " " * 9 + "v1,{}"), BODY),
        (webhook(stamp=str(int(NOW) - 301)), BODY),
        (webhook() | {"webhook-id": "msg_another_one_0000"}, BODY),
        ({}, BODY),
    ],
)
def test_a_webhook_that_is_not_whole_is_not_believed(told, body):
    assert check('kind = "standard_webhooks"', {"callback_secret": WEBHOOK_SECRET})(message(told, body), NOW) is None


# RFC 9421, signed by the PyPI package.
class Resolver(HTTPSignatureKeyResolver):
    def __init__(self, key):
        self.key = key

    def resolve_private_key(self, key_id):
        return self.key


PATH = "/v1/callbacks/peer"


def message_signed(
    algorithm=algorithms.ECDSA_P256_SHA256, key=None, components=None, scheme="https", path=PATH, body=BODY, **more
):
    digest = "sha-256=:" + b64(hashlib.sha256(body).digest()) + ":"
    url = f"{scheme}://portal.example{path}"
    request = SimpleNamespace(method="POST", url=url, headers={"Content-Digest": digest, "Host": "portal.example"})
    resolver = Resolver(key or pem(ec_key()).encode())
    signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=resolver)
    covered = components or ("@method", "@path", "content-digest")
    signer.sign(request, key_id="them", covered_component_ids=covered, use_existing_digest=True, **more)
    return request.headers


MESSAGE = 'kind = "http_signature"\n'
THEIRS = {"callback_key": public_pem(ec_key())}


@pytest.mark.parametrize(
    ("name", "algorithm", "key", "told"),
    [
        ("ecdsa-p256-sha256", algorithms.ECDSA_P256_SHA256, pem(ec_key()).encode(), THEIRS),
        ("ed25519", algorithms.ED25519, pem(ed_key()).encode(), {"callback_key": public_pem(ed_key())}),
        ("rsa-pss-sha512", algorithms.RSA_PSS_SHA512, pem(rsa_key()).encode(), {"callback_key": public_pem(rsa_key())}),
        ("hmac-sha256", algorithms.HMAC_SHA256, b"s" * 32, {"callback_secret": "s" * 32}),
    ],
)
def test_a_message_that_others_signed_is_believed(name, algorithm, key, told):
    genuine = check(MESSAGE + f'algorithm = "{name}"', told)
    headers = message_signed(algorithm, key, nonce="n0nce-0001")
    now = time.time()
    assert genuine(message(headers), now) == "n0nce-0001"
    assert genuine(message(headers, BODY + b" "), now) is None
    assert genuine(message(headers, path="/v1/callbacks/other"), now) is None
    assert genuine(message(headers), now + 301) is None


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_scheme_is_the_one_they_saw(scheme):
    headers = message_signed(components=("@target-uri", "@method", "@path", "content-digest"), scheme=scheme)
    assert check(MESSAGE, THEIRS)(message(headers), time.time())


def test_a_signature_without_a_nonce_is_its_own():
    headers = message_signed()
    first = check(MESSAGE, THEIRS)(message(headers), time.time())
    assert len(first) == 64
    assert check(MESSAGE, THEIRS)(message(headers), time.time()) == first
    assert check(MESSAGE, THEIRS)(message(message_signed()), time.time()) != first


@pytest.mark.parametrize(
    "headers",
    [
        message_signed(key=pem(ec_key("b")).encode()),
        message_signed(components=("@method", "@path")),
        message_signed(components=("@method", "content-digest")),
        message_signed(algorithms.ED25519, pem(ed_key()).encode()),
        message_signed() | {"Content-Digest": "sha-256=:" + "A" * 43 + "=:"},
        message_signed() | {"Content-Digest": ""},
        {name: value for name, value in message_signed().items() if name != "Signature"},
        {},
    ],
)
def test_a_message_signature_that_is_not_the_declared_one_is_not_believed(headers):
    assert check(MESSAGE, THEIRS)(message(headers), time.time()) is None


@pytest.mark.parametrize(("named", "believed"), [("ecdsa-p256-sha256", True), ("ed25519", False), ("none", False)])
def test_a_signature_that_names_another_algorithm_is_not_believed(named, believed):
    headers = {"content-digest": content_digest(BODY)}
    parameters = f'("@method" "@path" "content-digest");created={STAMP};alg="{named}"'
    names = ("@method", "@path", "content-digest")
    base = base_text([(name, component(message(headers), name)) for name in names], parameters)
    r, s = decode_dss_signature(ec_key().sign(base, ec.ECDSA(hashes.SHA256())))
    headers |= {"signature-input": f"sig1={parameters}", "signature": f"sig1=:{b64(r.to_bytes(32) + s.to_bytes(32))}:"}
    assert (check(MESSAGE, THEIRS)(message(headers), NOW) is not None) is believed


def test_a_public_key_is_never_taken_for_a_shared_secret():
    headers = message_signed(algorithms.HMAC_SHA256, public_pem(ec_key()).encode())
    assert check(MESSAGE, THEIRS)(message(headers), time.time()) is None


# A fixed token: the weak kind.


def test_a_fixed_token_must_be_the_very_one():
    genuine = check(
        'kind = "token"\nsignature_header = "X-Token"', {"callback_secret": "t0ken", "next_callback_secret": "n"}
    )
    assert genuine(message({"X-Token": "t0ken", "X-Nonce": "n0nce-0001"}), NOW) == "n0nce-0001"
    assert genuine(message({"X-Token": "n"}), NOW) == hashlib.sha256(BODY).hexdigest()
    for wrong in ("", "t0ke", "t0kenn", "T0KEN", "口"):
        assert genuine(message({"X-Token": wrong}), NOW) is None
    assert genuine(message({}), NOW) is None
