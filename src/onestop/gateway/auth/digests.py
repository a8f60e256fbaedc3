"""Signatures over bytes: made with our secret or private key, checked with the other side's.

A `Sign` gives the raw signature, a `Check` tells whether one is genuine; keys are read once, when a line is opened.
"""

import hashlib
import hmac
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hmac as hmac_of_library
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from onestop.gateway.auth import sm2
from onestop.gateway.auth.keys import Secrets, accepted, private_key, public_keys, secret
from onestop.gateway.manifest_base import BadManifest

Sign = Callable[[bytes], bytes]
Check = Callable[[bytes, bytes], bool]  # (what was signed, signature)

_P256_BYTES = 32


def sm3(data: bytes) -> bytes:
    """Return SM3 of the data; not every Python's own hashlib has it."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


_PLAIN: dict[str, Sign] = {
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "sha512": lambda data: hashlib.sha512(data).digest(),
    "sha1": lambda data: hashlib.sha1(data).digest(),  # noqa: S324 - what older platforms ask for
    "md5": lambda data: hashlib.md5(data).digest(),  # noqa: S324 - likewise
    "sm3": sm3,
}


def _mac(kind: str, key: bytes) -> Sign:
    if kind != "sm3":
        return lambda data: hmac.digest(key, data, kind)

    def sign(data: bytes) -> bytes:
        mac = hmac_of_library.HMAC(key, hashes.SM3())
        mac.update(data)
        return mac.finalize()

    return sign


# What sign() and verify() of `cryptography` take after the data, by kind of key and name.
_RSA: dict[str, tuple[Any, Any]] = {
    "rsa-sha256": (PKCS1v15(), hashes.SHA256()),
    "rsa-v1_5-sha256": (PKCS1v15(), hashes.SHA256()),
    "rsa-sha1": (PKCS1v15(), hashes.SHA1()),  # noqa: S303 - what older platforms ask for
    "rsa-pss-sha256": (PSS(MGF1(hashes.SHA256()), PSS.DIGEST_LENGTH), hashes.SHA256()),
    "rsa-pss-sha512": (PSS(MGF1(hashes.SHA512()), 64), hashes.SHA512()),
}
_ECDSA = ec.ECDSA(hashes.SHA256())


def signer(digest: str, told: Secrets) -> Sign:
    """Return what signs: secret `app_secret` for hmac-…, `sign_key` for keys, none for a plain hash.

    Raises:
        BadManifest: the secret is missing or of another kind than the digest needs.
    """
    if digest in _PLAIN:
        return _PLAIN[digest]
    if digest.startswith("hmac-"):
        return _mac(digest[5:], secret(told, "app_secret").encode())
    if digest == "sm2-sm3":
        return sm2.signer(secret(told, "sign_key"), secret(told, "sign_public_key"))
    key = private_key(told, "sign_key")
    if digest in _RSA and isinstance(key, rsa.RSAPrivateKey):
        padding, kind = _RSA[digest]
        return lambda data: key.sign(data, padding, kind)
    if digest == "ecdsa-sha256" and isinstance(key, ec.EllipticCurvePrivateKey):
        return lambda data: key.sign(data, _ECDSA)
    if digest == "ecdsa-p256-sha256" and _is_p256(key, ec.EllipticCurvePrivateKey):
        return lambda data: _side_by_side(key.sign(data, _ECDSA))
    if digest == "ed25519" and isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign
    raise BadManifest(f"the secret 'sign_key' is not a key for {digest}")


def checker(digest: str, told: Secrets, shared: str, public: str) -> Check:
    """Return what checks: by a secret both sides know, named `shared`, or by their key, named `public`.

    Two values of either are good at once while one replaces the other, see `accepted`.

    Raises:
        BadManifest: the secret is missing or of another kind than the digest needs, or the digest proves nothing.
    """
    if digest.startswith("hmac-"):
        macs = [_mac(digest[5:], text.encode()) for text in accepted(told, shared)]
        return lambda data, given: any(hmac.compare_digest(mac(data), given) for mac in macs)
    if digest in _PLAIN:
        raise BadManifest(f"a plain {digest} proves nothing about who sent a callback")
    if digest == "sm2-sm3":
        checks = [sm2.checker(text, public) for text in accepted(told, public)]
    else:
        checks = [_by_key(digest, key, public) for key in public_keys(told, public)]
    return lambda data, given: any(check(data, given) for check in checks)


def _by_key(digest: str, key: Any, name: str) -> Check:
    if digest in _RSA and isinstance(key, rsa.RSAPublicKey):
        padding, kind = _RSA[digest]
        return _verifying(lambda data, given: key.verify(given, data, padding, kind))
    if digest == "ecdsa-sha256" and isinstance(key, ec.EllipticCurvePublicKey):
        return _verifying(lambda data, given: key.verify(given, data, _ECDSA))
    if digest == "ecdsa-p256-sha256" and _is_p256(key, ec.EllipticCurvePublicKey):
        return _verifying(lambda data, given: key.verify(_as_der(given), data, _ECDSA))
    if digest == "ed25519" and isinstance(key, ed25519.Ed25519PublicKey):
        return _verifying(lambda data, given: key.verify(given, data))
    raise BadManifest(f"the secret {name!r} is not a key for {digest}")


def _verifying(verify: Callable[[bytes, bytes], None]) -> Check:
    def check(data: bytes, given: bytes) -> bool:
        try:
            verify(data, given)
        except (InvalidSignature, ValueError):
            return False
        return True

    return check


def _is_p256(key: Any, kind: type) -> bool:
    return isinstance(key, kind) and isinstance(key.curve, ec.SECP256R1)  # type: ignore[attr-defined]


def _side_by_side(der: bytes) -> bytes:
    r, s = decode_dss_signature(der)
    return r.to_bytes(_P256_BYTES) + s.to_bytes(_P256_BYTES)


def _as_der(pair: bytes) -> bytes:
    if len(pair) != 2 * _P256_BYTES:
        raise ValueError
    return encode_dss_signature(int.from_bytes(pair[:_P256_BYTES]), int.from_bytes(pair[_P256_BYTES:]))


ENCODE: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "hex_upper": lambda raw: raw.hex().upper(),
    "base64": lambda raw: b64encode(raw).decode(),
    "base64url": lambda raw: urlsafe_b64encode(raw).rstrip(b"=").decode(),
}


def decoded(encoding: str, text: str) -> bytes | None:
    """Return the bytes a text stands for; None where it stands for none."""
    try:
        if encoding in ("hex", "hex_upper"):
            return bytes.fromhex(text)
        if encoding == "base64":
            return b64decode(text, validate=True)
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, NotBase64):
        return None
