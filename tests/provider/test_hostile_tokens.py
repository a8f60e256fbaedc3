"""A corpus of hostile tokens: each is refused, and by the name of what is wrong with it.

Access tokens and proofs of possession as they may come over the wire; no network, no database. What an assertion may
not say stands in `test_callers`, what an ID token may not in `tests/identity/test_tokens.py`.
"""

import base64
import hmac
import json
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from onestop.crypto import Keys
from onestop.identity import tokens
from onestop.provider.errors import RequestRefused, TokenRefused
from onestop.provider.issuer import Issuer
from onestop.provider.proofs import Proofs
from onestop.settings import Settings

pytestmark = pytest.mark.anyio
URL = "https://portal.test"
USERINFO = URL + "/oauth/userinfo"
EC = ECKey.generate_key("P-256", parameters={"kid": "own"}, private=True)
STRANGER = ECKey.generate_key("P-256", parameters={"kid": "own"}, private=True)  # under our key's name
P384 = ECKey.generate_key("P-384", private=True)
RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa"}, private=True)
ED = OKPKey.generate_key("Ed25519", private=True)
ED448 = OKPKey.generate_key("Ed448", private=True)
FAR = 4_102_444_800  # the year 2100
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # order of P-256


class Known:
    """The keys of this onestop, that no reload makes more."""

    ring = tokens.Keyring.read({"keys": [EC.as_dict(private=False) | {"alg": "ES256", "use": "sig"}]})

    async def reload(self) -> bool:
        return False


@pytest.fixture(scope="module")
def issuer(keys: Keys) -> Issuer:
    made = Issuer(None, keys, Settings(public_url=URL))  # type: ignore[arg-type]
    made.signing = Known()  # type: ignore[assignment]
    return made


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changed: Any) -> dict[str, Any]:
    told = {
        "iss": URL,
        "aud": USERINFO,
        "sub": "s" * 43,
        "client_id": "site",
        # The corpus is made when tests are collected, and may be used minutes later.
        "iat": 1,
        "exp": FAR,
        "jti": "j",
        "grant": "grt_1",
        "scope": "openid",
    } | changed
    return {name: value for name, value in told.items() if value is not ...}


HEADER = {"alg": "ES256", "kid": "own", "typ": "at+jwt"}


def signed(header: Any, payload: Any, key: Any = EC, alg: str = "ES256") -> str:
    """Sign whatever bytes or values, as anybody with some key might."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    message = ".".join(b64(part) for part in parts)
    if isinstance(key, bytes):
        signature = hmac.digest(key, message.encode(), {"HS256": "sha256", "HS512": "sha512"}[alg])
    else:
        signature = JWSRegistry.algorithms[alg].sign(message.encode(), key)
    return f"{message}.{b64(signature)}"


def access(key: Any = EC, alg: str = "ES256", payload: Any = None, **header: Any) -> str:
    head = {name: value for name, value in {**HEADER, **header}.items() if value is not ...}
    return signed(head, payload or claims(), key, alg)


GOOD = access()
HEAD, BODY, SIGNATURE = GOOD.split(".")


def with_signature(raw: bytes) -> str:
    return f"{HEAD}.{BODY}.{b64(raw)}"


def second_spelling(at: int) -> str:
    """The same bytes of one segment, with other spare bits at its end."""
    parts = [HEAD, BODY, SIGNATURE]
    if at < 2:  # a length that leaves spare bits
        told = json.dumps(HEADER if at == 0 else claims()).encode()
        parts[at] = b64(told + b" " * (-(len(told) - 1) % 3))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    parts[at] = parts[at][:-1] + alphabet[alphabet.index(parts[at][-1]) + 1]
    return ".".join(parts)


def twice(member: str, value: str, told: dict[str, Any]) -> bytes:
    return json.dumps(told)[:-1].encode() + f', "{member}": {value}}}'.encode()


def der_signature() -> bytes:
    raw = base64.urlsafe_b64decode(SIGNATURE + "==")
    return encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))


PEM = EC.raw_value.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = EC.raw_value.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
JWK = json.dumps(EC.as_dict(private=False)).encode()
BOMB = zlib.compress(b"0" * 8_000_000)[2:-4]

HOSTILE: dict[str, tuple[str | Callable[[], str], str]] = {
    # the algorithm
    "none, no signature": (f"{b64(json.dumps({**HEADER, 'alg': 'none'}).encode())}.{BODY}.", "form"),
    "none, a signature": (access(alg="ES256").replace(HEAD, b64(b'{"alg":"none","typ":"at+jwt"}')), "algorithm"),
    "None": (f"{b64(json.dumps({**HEADER, 'alg': 'None'}).encode())}.{BODY}.{SIGNATURE}", "algorithm"),
    "nOnE": (f"{b64(json.dumps({**HEADER, 'alg': 'nOnE'}).encode())}.{BODY}.{SIGNATURE}", "algorithm"),
    "HS256 by the public key as PEM": (signed({**HEADER, "alg": "HS256"}, claims(), PEM, "HS256"), "algorithm"),
    "HS256 by the public key as DER": (signed({**HEADER, "alg": "HS256"}, claims(), DER, "HS256"), "algorithm"),
    "HS256 by the public key as JWK": (signed({**HEADER, "alg": "HS256"}, claims(), JWK, "HS256"), "algorithm"),
    "HS256 by an empty key": (signed({**HEADER, "alg": "HS256"}, claims(), b"", "HS256"), "algorithm"),
    "HS512": (signed({**HEADER, "alg": "HS512"}, claims(), PEM, "HS512"), "algorithm"),
    "ES384 by another curve": (signed({**HEADER, "alg": "ES384"}, claims(), P384, "ES384"), "algorithm"),
    "RS256 by a stranger": (signed({**HEADER, "alg": "RS256"}, claims(), RSA, "RS256"), "unknown_key"),
    "PS256 by a stranger": (signed({**HEADER, "alg": "PS256"}, claims(), RSA, "PS256"), "unknown_key"),
    "Ed25519 by a stranger": (signed({**HEADER, "alg": "Ed25519"}, claims(), ED, "Ed25519"), "unknown_key"),
    "RS512": (signed({**HEADER, "alg": "RS512"}, claims(), RSA, "RS512"), "algorithm"),
    "RS1": (f"{b64(json.dumps({**HEADER, 'alg': 'RS1'}).encode())}.{BODY}.{SIGNATURE}", "algorithm"),
    "ES256K": (f"{b64(json.dumps({**HEADER, 'alg': 'ES256K'}).encode())}.{BODY}.{SIGNATURE}", "algorithm"),
    "dir": (f"{b64(json.dumps({**HEADER, 'alg': 'dir'}).encode())}.{BODY}.{SIGNATURE}", "algorithm"),
    "RSA-OAEP": (f"{b64(json.dumps({**HEADER, 'alg': 'RSA-OAEP'}).encode())}.{BODY}.{SIGNATURE}", "algorithm"),
    "PBES2 of a million rounds": (
        f"{b64(json.dumps({**HEADER, 'alg': 'PBES2-HS256+A128KW', 'p2c': 10**6}).encode())}.{BODY}.{SIGNATURE}",
        "header",
    ),
    "small letters": (f"{b64(json.dumps({**HEADER, 'alg': 'es256'}).encode())}.{BODY}.{SIGNATURE}", "algorithm"),
    "a space after": (f"{b64(json.dumps({**HEADER, 'alg': 'ES256 '}).encode())}.{BODY}.{SIGNATURE}", "algorithm"),
    "alg missing": (f"{b64(b'{}')}.{BODY}.{SIGNATURE}", "header"),
    "alg null": (access(alg="ES256").replace(HEAD, b64(b'{"alg":null}')), "header"),
    "alg a list": (f"{b64(json.dumps({**HEADER, 'alg': ['ES256']}).encode())}.{BODY}.{SIGNATURE}", "header"),
    "alg a number": (f"{b64(json.dumps({**HEADER, 'alg': 7}).encode())}.{BODY}.{SIGNATURE}", "header"),
    # the key's name
    "kid unknown": (access(kid="other"), "unknown_key"),
    "kid a path": (access(kid="../../../../dev/null"), "unknown_key"),
    "kid a statement": (access(kid="' UNION SELECT 'x"), "unknown_key"),
    "kid an address": (access(kid="https://evil.example/key"), "unknown_key"),
    "kid a command": (access(kid="|touch /tmp/x"), "unknown_key"),
    "kid empty": (access(kid=""), "unknown_key"),
    "kid a number": (access(kid=1), "header"),
    "kid an object": (access(kid={"own": 1}), "header"),
    "kid with a NUL": (access(kid="own\0"), "header"),
    "kid very long": (access(kid="k" * 1200), "size"),
    # members that would choose how the token is checked
    "jku": (access(STRANGER, jku="https://evil.example/jwks"), "header"),
    "x5u": (access(STRANGER, x5u="https://evil.example/cert"), "header"),
    "jwk": (access(STRANGER, jwk=STRANGER.as_dict(private=False)), "header"),
    "x5c": (access(STRANGER, x5c=["MIIB"]), "header"),
    "crit": (access(crit=["exp"]), "header"),
    "crit empty": (access(crit=[]), "header"),
    "b64 false": (access(b64=False, crit=["b64"]), "header"),
    "b64 without crit": (access(b64=True), "header"),
    "zip": (access(zip="DEF"), "header"),
    "enc": (access(enc="A256GCM"), "header"),
    "epk": (access(epk=EC.as_dict(private=False)), "header"),
    "cty of a nested token": (access(cty="JWT"), "header"),
    "a member nobody knows": (access(**{"x-trust": "me"}), "header"),
    # the header's form
    "alg twice": (signed(twice("alg", '"none"', HEADER), claims()), "header"),
    "kid twice": (signed(twice("kid", '"own"', HEADER), claims()), "header"),
    "typ twice, once escaped": (signed(twice("\\u0074yp", '"at+jwt"', HEADER), claims()), "header"),
    "header a list": (signed([HEADER], claims()), "header"),
    "header a text": (signed(b'"ES256"', claims()), "header"),
    "header null": (signed(b"null", claims()), "header"),
    "header no JSON": (signed(b"alg=ES256", claims()), "header"),
    "header with a rest": (signed(json.dumps(HEADER).encode() + b"{}", claims()), "header"),
    "header no UTF-8": (signed(b'{"alg":"\xff"}', claims()), "header"),
    "header with a byte-order mark": (signed(b"\xef\xbb\xbf" + json.dumps(HEADER).encode(), claims()), "header"),
    "header deep": (signed(b'{"alg":' + b"[" * 500 + b"]" * 500 + b"}", claims()), "size"),
    # the type
    "typ missing": (access(typ=...), "typ"),
    "typ of an ID token": (access(typ="JWT"), "typ"),
    "typ of a logout token": (access(typ="logout+jwt"), "typ"),
    "typ of a proof": (access(typ="dpop+jwt"), "typ"),
    "typ with a space": (access(typ="at+jwt "), "typ"),
    "typ a number": (access(typ=1), "header"),
    # the form
    "nothing": ("", "form"),
    "one part": (HEAD, "form"),
    "two parts": (f"{HEAD}.{BODY}", "form"),
    "four parts": (GOOD + ".x", "form"),
    "five parts, as if encrypted": (f"{HEAD}.{BODY}.{BODY}.{BODY}.{SIGNATURE}", "form"),
    "a bomb, as if encrypted": (
        f"{b64(json.dumps({'alg': 'dir', 'enc': 'A256GCM', 'zip': 'DEF'}).encode())}..AAAA.{b64(BOMB)[:4000]}.AAAA",
        "form",
    ),
    "a bomb, larger than a token": (f"{HEAD}.{b64(BOMB)}.{SIGNATURE}", "size"),
    "JSON serialization": (json.dumps({"protected": HEAD, "payload": BODY, "signature": SIGNATURE}), "form"),
    "JSON without a signature": (json.dumps({"payload": BODY, "signatures": []}), "form"),
    "padded": (f"{HEAD}.{BODY}.{SIGNATURE}==", "form"),
    "a line end after": (GOOD + "\n", "form"),
    "a space before": (" " + GOOD, "form"),
    "a space within": (GOOD[:50] + " " + GOOD[50:], "form"),
    "a NUL within": (GOOD[:50] + "\0" + GOOD[50:], "form"),
    "ordinary base64": (f"{HEAD}.{BODY[:-2]}+/.{SIGNATURE}", "form"),
    "a letter that looks like another": (GOOD.replace("e", "е", 1), "size"),
    "full width": (GOOD[:-1] + "Ａ", "size"),
    "a dot that is none": (GOOD.replace(".", "․"), "size"),
    "header spelt otherwise": (second_spelling(0), "form"),
    "payload spelt otherwise": (second_spelling(1), "form"),
    "signature spelt otherwise": (second_spelling(2), "form"),
    "huge": (GOOD + "A" * 9000, "size"),
    "huge payload": (access(payload=claims(scope="x" * 9000)), "size"),
    "a huge header": (f"{b64(json.dumps({**HEADER, 'kid': 'k' * 900}).encode())}.{BODY}.{SIGNATURE}", "size"),
    # the signature
    "stripped": (f"{HEAD}.{BODY}.", "form"),
    "cut": (with_signature(base64.urlsafe_b64decode(SIGNATURE + "==")[:-1]), "signature"),
    "longer": (with_signature(base64.urlsafe_b64decode(SIGNATURE + "==") + b"\0"), "signature"),
    "all zero": (with_signature(b"\0" * 64), "signature"),
    "r zero": (with_signature(b"\0" * 32 + b"\1" * 32), "signature"),
    "r and s the order": (with_signature(N.to_bytes(32) * 2), "signature"),
    "as DER": (with_signature(der_signature()), "signature"),
    "of another token": (f"{HEAD}.{BODY}." + access(payload=claims(sub="other")).split(".")[2], "signature"),
    "of a changed payload": (f"{HEAD}.{b64(json.dumps(claims(sub='other')).encode())}.{SIGNATURE}", "signature"),
    "of a changed header": (f"{b64(json.dumps({**HEADER, 'typ': 'AT+JWT'}).encode())}.{BODY}.{SIGNATURE}", "signature"),
    "by a stranger under our key's name": (access(STRANGER), "signature"),
    # what it says
    "iss another": (access(payload=claims(iss="https://evil.example")), "iss"),
    "iss with a slash": (access(payload=claims(iss=URL + "/")), "iss"),
    "iss a list": (access(payload=claims(iss=[URL])), "claims"),
    "iss missing": (access(payload=claims(iss=...)), "claims"),
    "iss twice": (signed(HEADER, twice("iss", f'"{URL}"', claims())), "claims"),
    "aud another": (access(payload=claims(aud="https://evil.example")), "aud"),
    "aud of a client": (access(payload=claims(aud="site")), "aud"),
    "aud a list": (access(payload=claims(aud=[USERINFO])), "claims"),
    "aud missing": (access(payload=claims(aud=...)), "claims"),
    "expired": (access(payload=claims(exp=2)), "expired"),
    "exp missing": (access(payload=claims(exp=...)), "claims"),
    "exp a text": (access(payload=claims(exp="4102444800")), "claims"),
    "exp not a number": (signed(HEADER, json.dumps(claims(exp=float("nan"))).encode()), "claims"),
    "exp without an end": (signed(HEADER, twice("x", "1e999", claims())), "claims"),
    "exp before iat": (lambda: access(payload=claims(exp=int(time.time()) + 5, iat=int(time.time()) + 10)), "iat"),
    "exp twice": (signed(HEADER, twice("exp", "4102444800", claims())), "claims"),
    "made in the future": (access(payload=claims(iat=FAR - 1)), "iat"),
    "not yet": (access(payload=claims(nbf=FAR - 1)), "nbf"),
    "iat missing": (access(payload=claims(iat=...)), "claims"),
    "sub missing": (access(payload=claims(sub=...)), "claims"),
    "sub empty": (access(payload=claims(sub="")), "claims"),
    "sub a number": (access(payload=claims(sub=1)), "claims"),
    "sub too long": (access(payload=claims(sub="s" * 256)), "claims"),
    "client missing": (access(payload=claims(client_id=...)), "claims"),
    "grant missing": (access(payload=claims(grant=...)), "claims"),
    "grant a list": (access(payload=claims(grant=["grt_1"])), "claims"),
    "jti missing": (access(payload=claims(jti=...)), "claims"),
    "cnf a text": (access(payload=claims(cnf="x")), "claims"),
    "payload a list": (access(payload=[claims()]), "claims"),
    "payload another token": (signed(HEADER, GOOD.encode()), "claims"),
    "payload no UTF-8": (signed(HEADER, b'{"sub":"\xff"}'), "claims"),
    "payload with half a character": (signed(HEADER, b'{"sub":"\\ud800"}'), "claims"),
    "payload with a NUL": (signed(HEADER, b'{"sub":"\\u0000"}'), "claims"),
    "payload deep": (signed(HEADER, b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}"), "claims"),
    "a number of many digits": (signed(HEADER, b'{"exp":' + b"9" * 4000 + b"}"), "claims"),
}  # fmt: skip


async def test_a_good_token_is_taken(issuer: Issuer) -> None:
    assert (await issuer.read(GOOD, USERINFO)).grant == "grt_1"


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_access_token_is_refused_by_name(issuer: Issuer, name: str) -> None:
    made, reason = HOSTILE[name]
    token = made if isinstance(made, str) else made()
    with pytest.raises(TokenRefused) as refused:
        await issuer.read(token, USERINFO)
    assert refused.value.reason == reason


# ---- proofs of possession


def jwk_of(key: Any) -> dict[str, Any]:
    return {name: value for name, value in key.as_dict(private=False).items() if name != "kid"}


def proof(key: Any = EC, alg: str = "ES256", payload: Any = None, **header: Any) -> str:
    head = {"alg": alg, "typ": "dpop+jwt", "jwk": jwk_of(key) if not isinstance(key, bytes) else None, **header}
    told = {"jti": "j", "htm": "POST", "htu": URL + "/oauth/token", "iat": int(time.time())}
    made = {name: value for name, value in head.items() if value is not ...}
    return signed(made, payload or told, key, alg)


ZERO = b64(b"\0" * 32)
HOSTILE_PROOFS: dict[str, tuple[Callable[[], str], str]] = {
    "no key": (lambda: proof(jwk=...), "header"),
    "key a text": (lambda: proof(jwk="x"), "header"),
    "key a list": (lambda: proof(jwk=[jwk_of(EC)]), "header"),
    "key twice": (
        lambda: signed(twice("jwk", "{}", {"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk_of(EC)}), {}),
        "header",
    ),
    "key by name as well": (lambda: proof(kid="own"), "header"),
    "key by address as well": (lambda: proof(jku="https://evil.example"), "header"),
    "key by certificate as well": (lambda: proof(x5c=["MIIB"]), "header"),
    "a private key": (lambda: proof(jwk=EC.as_dict(private=True)), "private_key"),
    "a private RSA key": (lambda: proof(RSA, "RS256", jwk=jwk_of(RSA) | {"d": "AQAB"}), "private_key"),
    "a shared key": (lambda: proof(jwk={"kty": "oct", "k": b64(b"secret")}), "private_key"),
    "HS256": (lambda: proof(b"secret", "HS256", jwk={"kty": "oct"}), "algorithm"),
    "none": (lambda: b64(b'{"alg":"none","typ":"dpop+jwt","jwk":{}}') + proof()[proof().index(".") :], "algorithm"),
    "a short RSA key": (lambda: proof(RSA, "RS256", jwk=jwk_of(RSA) | {"n": b64(b"\xff" * 128)}), "key"),
    "a key of another curve": (lambda: proof(P384, "ES384"), "algorithm"),
    "a key of another curve under ES256": (lambda: proof(jwk=jwk_of(P384)), "key"),
    "a key of another kind": (lambda: proof(jwk=jwk_of(RSA)), "key"),
    "an Edwards key under ES256": (lambda: proof(jwk=jwk_of(ED)), "key"),
    "Ed448": (lambda: proof(jwk=jwk_of(ED448)), "key"),
    "a point off the curve": (lambda: proof(jwk=jwk_of(EC) | {"y": b64(b"\1" * 32)}), "key"),
    "the point at zero": (lambda: proof(jwk=jwk_of(EC) | {"x": ZERO, "y": ZERO}), "key"),
    "half a point": (lambda: proof(jwk={n: v for n, v in jwk_of(EC).items() if n != "y"}), "key"),
    "no kind": (lambda: proof(jwk={n: v for n, v in jwk_of(EC).items() if n != "kty"}), "key"),
    "a key to encrypt with": (lambda: proof(jwk=jwk_of(EC) | {"use": "enc"}), "key"),
    "a key for another algorithm": (lambda: proof(jwk=jwk_of(EC) | {"alg": "RS256"}), "key"),
    "an exponent of nothing": (lambda: proof(RSA, "RS256", jwk=jwk_of(RSA) | {"e": ""}), "key"),
    "a long key that did not sign": (
        lambda: proof(RSA, "RS256", jwk=jwk_of(RSA) | {"n": b64(b"\xff" * 512)}),
        "signature",
    ),
    "somebody else's key": (lambda: proof(STRANGER, jwk=jwk_of(EC)), "signature"),
    "typ missing": (lambda: proof(typ=...), "header"),
    "typ of any token": (lambda: proof(typ="JWT"), "typ"),
    "typ of an access token": (lambda: proof(typ="at+jwt"), "typ"),
    "typ in capitals": (lambda: proof(typ="DPOP+JWT"), "typ"),
    "jti twice": (lambda: proof(payload=twice("jti", '"k"', {"jti": "j", "htm": "POST", "iat": 1})), "claims"),
    "no claims": (lambda: proof(payload={"a": 1}), "claims"),
    "iat a text": (lambda: proof(payload={"jti": "j", "htm": "POST", "htu": URL, "iat": "now"}), "claims"),
    "huge": (lambda: proof(payload={"jti": "j" * 9000}), "size"),
    "cut": (lambda: proof()[:-6], "signature"),
    "as if encrypted": (lambda: proof() + "..", "form"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_PROOFS)
async def test_a_hostile_proof_is_refused_by_name(name: str, keys: Keys) -> None:
    made, reason = HOSTILE_PROOFS[name]
    proofs = Proofs(None, keys, "990100")  # type: ignore[arg-type]
    with pytest.raises(RequestRefused) as refused:
        await proofs.check(made(), method="POST", url=URL + "/oauth/token")
    assert (refused.value.error, refused.value.reason) == ("invalid_dpop_proof", reason)


def test_a_signature_turned_round_is_the_same_proof_by_its_name() -> None:
    """(r, n-s) holds wherever (r, s) does; so what was used is known by key and `jti`, not by its bytes."""
    made = proof()
    head, body, signature = made.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    turned = f"{head}.{body}.{b64(raw[:32] + (N - int.from_bytes(raw[32:])).to_bytes(32))}"
    assert turned != made
    assert tokens.open_proof(turned) == tokens.open_proof(made)


def test_the_corpus_is_large() -> None:
    assert len(HOSTILE) + len(HOSTILE_PROOFS) >= 160
