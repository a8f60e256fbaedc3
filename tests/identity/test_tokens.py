import base64
import hashlib
import hmac
import json
import time
import tracemalloc
from pathlib import Path

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from onestop.identity import tokens
from onestop.identity.errors import BadToken
from onestop.identity.signing import SigningKey

ISSUER, CLIENT, NONCE, ACCESS = "https://idp.test", "onestop", "n-123", "access-token"
EC = ECKey.generate_key("P-256", parameters={"kid": "ec"}, private=True)
EC384 = ECKey.generate_key("P-384", parameters={"kid": "ec384"}, private=True)
RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa"}, private=True)
ED = OKPKey.generate_key("Ed25519", parameters={"kid": "ed"}, private=True)
OTHER = ECKey.generate_key("P-256", parameters={"kid": "other"}, private=True)
SECRET = {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(b"s" * 33).decode()}
RING = tokens.Keyring.read({"keys": [key.as_dict(private=False) for key in (EC, RSA, ED, EC384)] + [SECRET]})


def claims(**changed):
    now = int(time.time())
    told = {"iss": ISSUER, "sub": "1", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": NONCE} | changed
    return {name: value for name, value in told.items() if value is not ...}


def signed(told=None, key=EC, alg="ES256", kid="ec", **header):
    """Sign as anybody might, whatever the header then says; `...` leaves a member out."""
    head = {name: value for name, value in {"alg": alg, "kid": kid, **header}.items() if value is not ...}
    message = _b64(json.dumps(head).encode()) + "." + _b64(json.dumps(told or claims()).encode())
    if isinstance(key, bytes):
        signature = hmac.digest(key, message.encode(), "sha256")
    else:
        signature = JWSRegistry.algorithms[alg].sign(message.encode(), key)
    return message + "." + _b64(signature)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(header, payload=None, signature=b"x" * 64):
    parts = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, payload or claims())]
    return ".".join(map(_b64, [*parts, signature]))


def check(token, **changed):
    wanted = {"issuer": ISSUER, "client_id": CLIENT, "nonce": NONCE, "access_token": ACCESS} | changed
    return tokens.check_id_token(token, RING, **wanted)


@pytest.mark.parametrize(
    ("key", "alg", "kid"),
    [(EC, "ES256", "ec"), (RSA, "RS256", "rsa"), (RSA, "PS256", "rsa"), (ED, "Ed25519", "ed"), (ED, "EdDSA", "ed")],
)
def test_a_good_token_of_every_listed_algorithm_is_taken(key, alg, kid):
    told = claims(at_hash=tokens.half_hash(ACCESS, alg))
    assert check(signed(told, key, alg, kid))["sub"] == "1"


def test_an_audience_may_be_a_list_of_us_alone_and_azp_us():
    assert check(signed(claims(aud=[CLIENT], azp=CLIENT)))


def _swapped_signature():
    head, _, signature = signed().split(".")
    return ".".join([head, _b64(json.dumps(claims(sub="2")).encode()), signature])


def _public_key_as_secret(form: bytes):
    return signed(key=form, alg="HS256", kid="ec")


def _second_spelling():
    token = signed()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes leave four spare bits in the last of 86 characters: another character, the same signature.
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


NOW = int(time.time())
DEEP = b'{"alg":' + b"[" * 5000
HOSTILE = {
    "nothing": (lambda: "", "form"),
    "no dots": (lambda: "abc", "form"),
    "two parts": (lambda: "a.b", "form"),
    "four parts": (lambda: signed() + ".x", "form"),
    "five parts, encrypted": (lambda: "a.b.c.d.e", "form"),
    "unsigned: alg none, empty signature": (lambda: raw({"alg": "none"}, signature=b""), "form"),
    "alg none with a signature": (lambda: raw({"alg": "none", "kid": "ec"}), "algorithm"),
    "alg NONE": (lambda: raw({"alg": "NONE", "kid": "ec"}), "algorithm"),
    "alg missing": (lambda: raw({"kid": "ec"}), "header"),
    "alg null": (lambda: raw({"alg": None, "kid": "ec"}), "header"),
    "alg a list": (lambda: raw({"alg": ["ES256"], "kid": "ec"}), "header"),
    "HS256 with the public key as PEM": (lambda: _public_key_as_secret(EC.as_pem(private=False)), "algorithm"),
    "HS256 with the public key as DER": (lambda: _public_key_as_secret(EC.as_der(private=False)), "algorithm"),
    "HS256 with the published secret": (lambda: signed(key=b"s" * 33, alg="HS256", kid="oct"), "algorithm"),
    "ES384, a listed key but no listed algorithm": (lambda: signed(key=EC384, alg="ES384", kid="ec384"), "algorithm"),
    "ES256 naming a P-384 key": (lambda: signed(kid="ec384"), "unknown_key"),
    "RS256 named over an ES256 key": (lambda: signed(key=RSA, alg="RS256", kid="ec"), "unknown_key"),
    "signed by another key under a known id": (lambda: signed(key=OTHER, kid="ec"), "signature"),
    "another key's id": (lambda: signed(kid="other"), "unknown_key"),
    "a path as key id": (lambda: signed(kid="../../../../dev/null"), "unknown_key"),
    "an SQL statement as key id": (lambda: signed(kid="' OR 1=1 --"), "unknown_key"),
    "empty key id": (lambda: signed(kid=""), "unknown_key"),
    "key id a number": (lambda: raw({"alg": "ES256", "kid": 1}), "header"),
    "payload swapped": (_swapped_signature, "signature"),
    "signature of zeros": (lambda: raw({"alg": "ES256", "kid": "ec"}, signature=b"\0" * 64), "signature"),
    "signature too short": (lambda: raw({"alg": "ES256", "kid": "ec"}, signature=b"\0" * 8), "signature"),
    "signature too long": (lambda: raw({"alg": "ES256", "kid": "ec"}, signature=b"\1" * 2000), "signature"),
    "a second spelling of a good signature": (_second_spelling, "form"),
    "padding": (lambda: signed() + "==", "form"),
    "line end": (lambda: signed() + "\n", "form"),
    "not ASCII": (lambda: signed() + "é", "size"),
    "standard base64 alphabet": (lambda: "e+/=.e30.AAAA", "form"),
    "crit unknown": (lambda: signed(crit=["exp"], exp=1), "header"),
    "crit empty": (lambda: signed(crit=[]), "header"),
    "b64 false": (lambda: signed(b64=False, crit=["b64"]), "header"),
    "embedded jwk": (lambda: signed(key=OTHER, jwk=OTHER.as_dict(private=False)), "header"),
    "jku": (lambda: signed(jku="https://evil.test/jwks"), "header"),
    "x5u": (lambda: signed(x5u="https://evil.test/c"), "header"),
    "x5c": (lambda: signed(x5c=["AAAA"]), "header"),
    "zip": (lambda: signed(zip="DEF"), "header"),
    "unknown header member": (lambda: signed(hello="world"), "header"),
    "header not JSON": (lambda: raw(b"{"), "header"),
    "header a list": (lambda: raw(b"[]"), "header"),
    "header deep": (lambda: raw(DEEP), "size"),
    "header huge": (lambda: signed(hello="w" * 2000), "size"),
    "token huge": (lambda: signed(claims(pad="p" * 9000)), "size"),
    "typ of an access token": (lambda: signed(typ="at+jwt"), "typ"),
    "typ of a logout token": (lambda: signed(typ="logout+jwt"), "typ"),
    "payload not JSON": (lambda: _bytes_signed(b"{"), "claims"),
    "payload a list": (lambda: _bytes_signed(b"[]"), "claims"),
    "payload deep": (lambda: _bytes_signed(b'{"a":' + b"[" * 5000), "claims"),
    "payload not UTF-8": (lambda: _bytes_signed(b'{"iss":"\xff"}'), "claims"),
    "nested token": (lambda: _bytes_signed(signed().encode()), "claims"),
    "iss missing": (lambda: signed(claims(iss=...)), "claims"),
    "iss another": (lambda: signed(claims(iss="https://evil.test")), "iss"),
    "iss with a slash more": (lambda: signed(claims(iss=ISSUER + "/")), "iss"),
    "iss a list": (lambda: signed(claims(iss=[ISSUER])), "claims"),
    "sub missing": (lambda: signed(claims(sub=...)), "claims"),
    "sub empty": (lambda: signed(claims(sub="")), "claims"),
    "sub too long": (lambda: signed(claims(sub="s" * 256)), "claims"),
    "aud missing": (lambda: signed(claims(aud=...)), "claims"),
    "aud another": (lambda: signed(claims(aud="other")), "aud"),
    "aud others": (lambda: signed(claims(aud=["other", "third"])), "aud"),
    "aud empty list": (lambda: signed(claims(aud=[])), "aud"),
    "aud part of the name": (lambda: signed(claims(aud="onestop-evil")), "aud"),
    "a second audience": (lambda: signed(claims(aud=[CLIENT, "other"])), "aud"),
    "a second audience with azp us": (lambda: signed(claims(aud=[CLIENT, "other"], azp=CLIENT)), "aud"),
    "azp another": (lambda: signed(claims(azp="other")), "azp"),
    "azp a list": (lambda: signed(claims(azp=[CLIENT])), "claims"),
    "exp missing": (lambda: signed(claims(exp=...)), "claims"),
    "exp past": (lambda: signed(claims(iat=NOW - 400, exp=NOW - 60)), "expired"),
    "exp text": (lambda: signed(claims(exp="9999999999")), "claims"),
    "exp true": (lambda: signed(claims(exp=True)), "claims"),
    "exp before iat": (lambda: signed(claims(iat=int(time.time()) + 20, exp=int(time.time()) + 10)), "iat"),
    "iat missing": (lambda: signed(claims(iat=...)), "claims"),
    "iat in the future": (lambda: signed(claims(iat=NOW + 600, exp=NOW + 900)), "iat"),
    "iat long ago": (lambda: signed(claims(iat=NOW - 3600, exp=NOW + 900)), "iat"),
    "nbf in the future": (lambda: signed(claims(nbf=NOW + 600)), "nbf"),
    "nonce missing": (lambda: signed(claims(nonce=...)), "nonce"),
    "nonce another": (lambda: signed(claims(nonce="n-124")), "nonce"),
    "nonce null": (lambda: signed(claims(nonce=None)), "nonce"),
    "nonce a list": (lambda: signed(claims(nonce=[NONCE])), "claims"),
    "at_hash of another token": (lambda: signed(claims(at_hash=tokens.half_hash("other", "ES256"))), "at_hash"),
    "at_hash whole": (lambda: signed(claims(at_hash=_b64(hashlib.sha256(ACCESS.encode()).digest()))), "at_hash"),
    "c_hash of another code": (lambda: signed(claims(c_hash=tokens.half_hash("other", "ES256"))), "c_hash"),
    "c_hash empty": (lambda: signed(claims(c_hash="")), "c_hash"),
    "auth_time in the future": (lambda: signed(claims(auth_time=NOW + 600)), "auth_time"),
    "auth_time text": (lambda: signed(claims(auth_time="now")), "claims"),
    "a header member twice": (lambda: raw(b'{"alg":"none","alg":"ES256","kid":"ec"}'), "header"),
    "a key id twice": (lambda: raw(b'{"alg":"ES256","kid":"ec","kid":"other"}'), "header"),
    "a claim twice": (lambda: _bytes_signed(_twice("sub", "2")), "claims"),
    "the audience twice": (lambda: _bytes_signed(_twice("aud", "other")), "claims"),
    "a claim twice, once escaped": (lambda: _bytes_signed(_twice("\\u0073ub", "2")), "claims"),
}

# The OpenID Foundation's conformance suite → what stands here for it. Clients: oidcc-client-test-…, FAPI 2.0:
# fapi2-security-profile-final-client-test-…; where both have a module the shorter name stands.
MODULES = {
    "invalid-iss": "iss another",
    "invalid-missing-iss": "iss missing",
    "missing-sub": "sub missing",
    "invalid-aud": "aud another",
    "missing-aud": "aud missing",
    "invalid-missing-aud": "aud missing",
    "invalid-secondary-aud": "a second audience",
    "missing-iat": "iat missing",
    "invalid-expired-exp": "exp past",
    "invalid-missing-exp": "exp missing",
    "invalid-nonce": "nonce another",
    "nonce-invalid": "nonce another",
    "invalid-missing-nonce": "nonce missing",
    "invalid-null-alg": "alg none with a signature",
    "idtoken-sig-none": "unsigned: alg none, empty signature",
    "invalid-alternate-alg": "RS256 named over an ES256 key",
    "invalid-sig-hs256": "HS256 with the public key as PEM",
    "invalid-sig-es256": "signed by another key under a known id",
    "invalid-sig-rs256": "payload swapped",
    "invalid-chash": "c_hash of another code",
}
# … and those of whole sign-ins, by the test that plays them.
PLAYED = {
    "userinfo-invalid-sub": "test_userinfo_adds_but_never_overrides_and_speaks_of_the_same_subject",
    "discovery-issuer-mismatch": "test_metadata_that_do_not_hold_stop_a_sign_in",
    "signing-key-rotation": "test_a_key_made_since_is_fetched_once_and_invented_ids_do_not_make_us_ask",
    "kid-absent-single-jwks": "test_without_a_key_id_there_must_be_only_one_key_that_fits",
    "kid-absent-multiple-jwks": "test_without_a_key_id_there_must_be_only_one_key_that_fits",
    "invalid-authorization-response-iss": "test_an_answer_of_another_issuer_is_refused_before_its_code_is_sent",
    "remove-authorization-response-iss": "test_an_answer_of_another_issuer_is_refused_before_its_code_is_sent",
    "happy-path": "test_everything_at_once_at_somebody_elses_provider",
}


def _twice(member: str, value: str) -> bytes:
    told = json.dumps(claims())
    return (told[:-1] + f', "{member}": "{value}"}}').encode()


def _bytes_signed(payload: bytes) -> str:
    return jws.serialize_compact({"alg": "ES256", "kid": "ec"}, payload, EC, ["ES256"])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_refused_for_the_right_reason(name):
    make, reason = HOSTILE[name]
    with pytest.raises(BadToken) as refusal:
        check(make())
    assert refusal.value.reason == reason


def test_every_module_of_the_conformance_suites_named_here_has_its_test():
    assert set(MODULES.values()) <= set(HOSTILE)
    told = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert not {name for name in PLAYED.values() if f"def {name}(" not in told}


def test_hashes_that_fit_are_taken():
    told = claims(at_hash=tokens.half_hash(ACCESS, "ES256"), c_hash=tokens.half_hash("the-code", "ES256"))
    assert check(signed(told), code="the-code")
    with pytest.raises(BadToken):
        check(signed(told))  # a hash of a code that nobody brought


@pytest.mark.parametrize(("ago_s", "taken"), [(0, True), (300, True), (400, False), (None, False)])
def test_a_proof_older_than_was_asked_for_is_refused(ago_s, taken):
    told = claims() if ago_s is None else claims(auth_time=int(time.time()) - ago_s)
    if taken:
        assert check(signed(told), max_age_s=300)
    else:
        with pytest.raises(BadToken) as refusal:
            check(signed(told), max_age_s=300)
        assert refusal.value.reason == "auth_time"


def test_json_serialisation_is_no_token():
    parts = signed().split(".")
    for form in (
        {"payload": parts[1], "protected": parts[0], "signature": parts[2]},
        {"payload": parts[1], "signatures": []},
    ):
        with pytest.raises(BadToken):
            check(json.dumps(form))


def test_a_megabyte_is_refused_without_being_read():
    huge = "a" * 1_000_000 + ".e30.AAAA"
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(BadToken):
        check(huge)
    assert time.process_time() - began < 0.1
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_without_a_key_id_there_must_be_only_one_key_that_fits():
    assert check(signed(kid=...))
    two = tokens.Keyring.read({"keys": [EC.as_dict(private=False), OTHER.as_dict(private=False)]})
    with pytest.raises(tokens.UnknownKey):
        tokens.check_id_token(signed(kid=...), two, issuer=ISSUER, client_id=CLIENT, nonce=NONCE)


def test_a_weak_or_secret_key_is_left_out_of_a_ring():
    weak = {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": _b64((2**1023 + 2**7 + 1).to_bytes(128, "big"))}
    encryption = {**EC.as_dict(private=False), "use": "enc"}
    ring = tokens.Keyring.read({"keys": [weak, SECRET, encryption, {}, 1]})
    assert not ring._keys


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":' + b"[" * 9000, {"keys": [{}] * 33}]
)
def test_what_is_no_key_set_is_refused(document):
    with pytest.raises(ValueError, match=r"JSON|JWK"):
        tokens.Keyring.read(document)


def test_a_published_private_key_is_read_as_public_only():
    ring = tokens.Keyring.read({"keys": [EC.as_dict(private=True)]})
    assert not ring._keys[0][2].is_private


class TestOwnTokens:
    key = SigningKey.generate()
    ring = tokens.Keyring.read({"keys": [key.public_jwk()]})

    def told(self, **changed):
        now = int(time.time())
        return {"iss": ISSUER, "aud": "onestop", "sub": "sub_1", "sid": "ses_1", "role": "citizen", "iat": now} | {
            "exp": now + 60,
            **changed,
        }

    def check(self, token):
        return tokens.check_access_token(token, self.ring, issuer=ISSUER, audience="onestop")

    def test_what_is_signed_is_read_back(self):
        told = self.told()
        found = self.check(self.key.sign(told, "at+jwt"))
        assert found == tokens.AccessClaims("sub_1", "ses_1", "citizen", told["exp"])

    @pytest.mark.parametrize(
        ("changed", "typ", "reason"),
        [
            ({}, "JWT", "typ"),
            ({"iss": "https://elsewhere.test"}, "at+jwt", "iss"),
            ({"aud": "elsewhere"}, "at+jwt", "aud"),
            ({"aud": ["onestop", "elsewhere"]}, "at+jwt", "aud"),
            ({"sid": None}, "at+jwt", "claims"),
            ({"exp": 1}, "at+jwt", "expired"),
        ],
    )
    def test_what_does_not_hold_is_refused(self, changed, typ, reason):
        with pytest.raises(BadToken) as refusal:
            self.check(self.key.sign(self.told(**changed), typ))
        assert refusal.value.reason == reason

    def test_an_id_token_is_no_bearer_token(self):
        with pytest.raises(BadToken):
            self.check(jwt.encode({"alg": "ES256"}, self.told(), EC, ["ES256"]))

    def test_a_key_outlives_being_written_and_read(self):
        again = SigningKey.load(self.key.kid, self.key.private_bytes())
        assert self.check(again.sign(self.told(), "at+jwt"))
        assert "d" not in self.key.public_jwk()
