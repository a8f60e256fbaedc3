"""ID tokens that come encrypted: opened by our key alone, by two algorithms, and checked inside like any other."""

import base64
import json

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from identity.test_tokens import check, claims, signed
from onestop.identity import client_keys
from onestop.identity.encrypted_tokens import MAX_TOKEN, open_encrypted
from onestop.identity.errors import BadToken

KEY = ECKey.generate_key("P-521", parameters={"kid": "ours"}, private=True)
OTHER = ECKey.generate_key("P-521", private=True)
NAMES = [name for kind in ("alg", "enc") for name in jwe.JWERegistry.algorithms[kind]]
EVERYTHING = jwe.JWERegistry(algorithms=NAMES)


def sealed(plaintext: str | bytes | None = None, key=KEY, *, alg="ECDH-ES", enc="A256GCM", **header) -> str:
    told = {"alg": alg, "enc": enc, "kid": "ours", "cty": "JWT"} | header
    told = {name: value for name, value in told.items() if value is not None}
    return jwe.encrypt_compact(told, plaintext if plaintext is not None else signed(), key, registry=EVERYTHING)


def with_header(token: str, **changed) -> str:
    head, *rest = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))) | changed
    return ".".join([base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=").decode(), *rest])


def flipped(token: str, part: int) -> str:
    parts = token.split(".")
    first = parts[part][0]
    parts[part] = ("A" if first != "A" else "B") + parts[part][1:]
    return ".".join(parts)


@pytest.mark.parametrize("alg", ["ECDH-ES", "ECDH-ES+A256KW"])
@pytest.mark.parametrize("kid", ["ours", None])
def test_what_is_encrypted_to_us_is_opened_and_then_checked(alg, kid):
    assert check(open_encrypted(sealed(alg=alg, kid=kid), KEY))["sub"] == "1"


def test_claims_repeated_in_the_header_open_nothing_and_hinder_nothing():
    loose = jwe.JWERegistry(algorithms=NAMES, strict_check_header=False)
    told = {"alg": "ECDH-ES", "enc": "A256GCM", "iss": "https://evil.test", "aud": "other", "sub": "2"}
    token = jwe.encrypt_compact(told, signed(), KEY, registry=loose)
    found = check(open_encrypted(token, KEY))
    assert (found["iss"], found["aud"], found["sub"]) == ("https://idp.test", "onestop", "1")


REFUSED = {
    "in the clear": (lambda: signed(), "not_encrypted"),
    "nothing": (lambda: "", "form"),
    "to another key": (lambda: sealed(key=OTHER), "decryption"),
    "another key's id": (lambda: sealed(kid="theirs"), "unknown_key"),
    "to a key of another curve": (lambda: sealed(key=ECKey.generate_key("P-256", private=True)), "decryption"),
    "content changed": (lambda: flipped(sealed(), 3), "decryption"),
    "tag changed": (lambda: flipped(sealed(), 4), "decryption"),
    "header changed": (lambda: with_header(sealed(), typ="JWT"), "decryption"),
    "RSA-OAEP": (lambda: sealed(key=RSAKey.generate_key(2048, private=True), alg="RSA-OAEP"), "header"),
    "dir": (lambda: sealed(key=OctKey.generate_key(256), alg="dir"), "header"),
    "A128GCM": (lambda: sealed(enc="A128GCM"), "algorithm"),
    "A256CBC-HS512": (lambda: sealed(enc="A256CBC-HS512"), "algorithm"),
    "compressed": (lambda: with_header(sealed(), zip="DEF"), "header"),
    "crit": (lambda: with_header(sealed(), crit=["exp"], exp=1), "header"),
    "their key's address": (lambda: with_header(sealed(), jku="https://evil.test"), "header"),
    "something else inside": (lambda: sealed(cty="json"), "header"),
    "a wrapped key where none is": (lambda: sealed().replace("..", ".AAAA.", 1), "decryption"),
    "no wrapped key where one is": (lambda: with_header(sealed(), alg="ECDH-ES+A256KW"), "decryption"),
    "the ephemeral key off the curve": (
        lambda: with_header(sealed(), epk={"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
        "decryption",
    ),
    "huge": (lambda: sealed("a" * MAX_TOKEN), "size"),
    "not ASCII inside": (lambda: sealed("é".encode()), "nested"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_for_its_own_reason(name):
    make, reason = REFUSED[name]
    with pytest.raises(BadToken) as refused:
        open_encrypted(make(), KEY)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        (lambda: json.dumps(claims()), "form"),  # claims, but signed by nobody
        (sealed, "form"),  # encrypted twice
        (lambda: signed(claims(aud="other")), "aud"),
        (lambda: signed(key=b"s" * 33, alg="HS256", kid="oct"), "algorithm"),
    ],
    ids=["unsigned", "twice", "for another", "by a secret"],
)
def test_what_is_inside_is_held_to_everything_a_signed_token_is(inside, reason):
    with pytest.raises(BadToken) as refused:
        check(open_encrypted(sealed(inside()), KEY))
    assert refused.value.reason == reason


class TestOwnKeys:
    def test_a_pem_and_a_jwk_are_the_same_key(self):
        pem = KEY.as_pem(private=True).decode()
        jwk = json.dumps(KEY.as_dict(private=True))
        assert client_keys.read_decrypting(pem).thumbprint() == client_keys.read_decrypting(jwk).thumbprint()

    @pytest.mark.parametrize(
        ("key", "algorithm"),
        [
            (ECKey.generate_key("P-256", private=True), "ES256"),
            (RSAKey.generate_key(2048, private=True), "PS256"),
        ],
        ids=["ec", "rsa"],
    )
    def test_a_signing_key_chooses_its_algorithm(self, key, algorithm):
        read = client_keys.read_signing(json.dumps(key.as_dict(private=True)))
        assert client_keys.algorithm(read) == algorithm
        told = client_keys.public(read, "sig")
        assert (told["alg"], told["use"], told["kid"]) == (algorithm, "sig", key.thumbprint())
        assert not {"d", "p", "q"} & set(told)

    @pytest.mark.parametrize(
        "text",
        ["", "{}", "secret", "{", '{"kty":"oct","k":"c2VjcmV0"}', json.dumps(KEY.as_dict(private=False))],
        ids=range(6),
    )
    def test_what_is_no_private_key_is_refused_without_being_repeated(self, text):
        for read in (client_keys.read_signing, client_keys.read_decrypting):
            with pytest.raises(ValueError, match="key") as refused:
                read(text)
            assert not text or text not in str(refused.value)
