"""JWE and JWS as departments wrap their messages in them, over joserfc."""

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import msgspec
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from onestop.gateway.auth.jwt import OneAlgorithm, fits
from onestop.gateway.auth.keys import Secrets, jose_keys
from onestop.gateway.manifest_auth import Jose
from onestop.gateway.manifest_base import BadManifest

MAX_TEXT = 8_388_608  # as large as a reply may be declared; the reply's own bound is checked before
MAX_HEADER = 4096

_SEGMENT = re.compile(rb"[A-Za-z0-9_-]*")
_KNOWN_KEYS = frozenset(("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW", "RSA-OAEP", "RSA-OAEP-256"))
_KNOWN_CONTENT = frozenset(("A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"))
_FAILURES = (JoseError, ValueError, TypeError, KeyError, binascii.Error)
_NO = "the text cannot be opened with our keys, or is not signed with theirs"


class _JwsHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    kid: str | None = None
    typ: str | None = None
    cty: str | None = None
    iat: int | None = None
    x5t: str | None = None
    x5t_s256: str | None = msgspec.field(default=None, name="x5t#S256")


class _JweHeader(_JwsHeader, frozen=True, forbid_unknown_fields=True, kw_only=True):
    enc: str
    epk: dict[str, str] | None = None
    apu: str | None = None
    apv: str | None = None


class _Signatures(OneAlgorithm):
    max_header_length = MAX_HEADER
    max_payload_length = MAX_TEXT
    max_signature_length = 2048


class _Encryption(jwe.JWERegistry):
    max_protected_header_length = MAX_HEADER
    max_encrypted_key_length = 2048
    max_ciphertext_length = MAX_TEXT

    def get_alg(self, name: str) -> Any:
        if name not in (self.allowed or ()):
            raise ValueError(_NO)
        return self.algorithms["alg"][name]


def opener(spec: Jose, told: Secrets) -> Callable[[bytes], bytes]:
    """Return what takes the layers off, from outside to inside; it raises ValueError in our words.

    Raises:
        BadManifest: see `protection.opener`.
    """
    steps = [_decrypting(spec, told) if layer == "jwe" else _verifying(spec, told) for layer in _layers(spec)]

    def opened(text: bytes) -> bytes:
        for step in steps:
            if len(text) > MAX_TEXT:
                raise ValueError("the protected text is too large")
            try:
                text = step(text)
            except _FAILURES:
                raise ValueError(_NO) from None
        return text

    return opened


def sealer(spec: Jose, told: Secrets) -> Callable[[bytes], bytes]:
    """Return what puts the layers on, from inside to outside.

    Raises:
        BadManifest: see `protection.opener`.
    """
    steps = [
        _encrypting(spec, told) if layer == "jwe" else _signing(spec, told)
        for layer in reversed(_layers(spec))
    ]  # fmt: skip

    def sealed(body: bytes) -> bytes:
        for step in steps:
            body = step(body)
        return body

    return sealed


def _layers(spec: Jose) -> tuple[str, ...]:
    if not spec.layers or len(set(spec.layers)) != len(spec.layers):
        raise BadManifest("protection.layers names jwe, jws or both, each once")
    for named, known, where in (
        (spec.key_management, _KNOWN_KEYS, "key_management"),
        (spec.content_encryption, _KNOWN_CONTENT, "content_encryption"),
    ):
        unknown = set(named) - known
        if unknown or not named:
            raise BadManifest(f"protection.{where}: {min(unknown, default='nothing')} is not taken here")
    # With both kinds in one list, a public key could be used as the shared secret of an HS… signature.
    if len({algorithm.startswith("HS") for algorithm in spec.algorithms}) != 1:
        raise BadManifest("protection.algorithms mixes shared secrets (HS…) with key pairs, or is empty")
    return spec.layers


def _header(text: bytes, parts: int) -> bytes:
    """Return the header's JSON of a compact text of so many parts."""
    pieces = text.split(b".", parts)
    if (
        len(pieces) != parts
        or len(pieces[0]) > MAX_HEADER
        or any(_SEGMENT.fullmatch(piece) is None for piece in pieces)
    ):
        raise ValueError
    return urlsafe_b64decode(pieces[0] + b"=" * (-len(pieces[0]) % 4))


def _chosen(keys: list[Key], kid: str | None, fitting: Callable[[Key], bool]) -> list[Key]:
    """Return the keys to try, most two or three: those that the id names, or those that have none."""
    able = [key for key in keys if fitting(key)]
    named = [key for key in able if kid is not None and key.kid == kid]
    found = named or [key for key in able if key.kid is None or kid is None]
    if not found or len(found) > 4:
        raise ValueError
    return found


def _verifying(spec: Jose, told: Secrets) -> Callable[[bytes], bytes]:
    keys = jose_keys(told, "verify_key", private=False)
    shared = spec.algorithms[0].startswith("HS")
    if any(isinstance(key, OctKey) != shared for key in keys):
        raise BadManifest("the secret 'verify_key' is no key for protection.algorithms")

    def verify(text: bytes) -> bytes:
        header = msgspec.json.decode(_header(text, 3), type=_JwsHeader)
        if header.alg not in spec.algorithms:
            raise ValueError
        registry = _Signatures(algorithms=[header.alg])
        return _first(
            _chosen(keys, header.kid, lambda key: fits(key, header.alg)),
            lambda key: jws.deserialize_compact(text, key, registry=registry).payload,
        )

    return verify


def _decrypting(spec: Jose, told: Secrets) -> Callable[[bytes], bytes]:
    keys = jose_keys(told, "decrypt_key", private=True)
    if not any(_can_agree(key, alg) for key in keys for alg in spec.key_management):
        raise BadManifest("the secret 'decrypt_key' is no key for protection.key_management")

    def decrypt(text: bytes) -> bytes:
        header = msgspec.json.decode(_header(text, 5), type=_JweHeader)
        if header.alg not in spec.key_management or header.enc not in spec.content_encryption:
            raise ValueError
        registry = _Encryption(algorithms=[header.alg, header.enc])
        return _first(
            _chosen(keys, header.kid, lambda key: _can_agree(key, header.alg)),
            lambda key: jwe.decrypt_compact(text, key, registry=registry).plaintext or b"",
        )

    return decrypt


def _first(keys: list[Key], take: Callable[[Key], bytes]) -> bytes:
    for key in keys:
        try:
            return take(key)
        except _FAILURES:
            continue
    raise ValueError


def _can_agree(key: Key, algorithm: str) -> bool:
    if algorithm.startswith("RSA"):
        return isinstance(key, RSAKey)
    return isinstance(key, ECKey | OKPKey) and getattr(key, "curve_name", "") != "Ed25519"


def _signing(spec: Jose, told: Secrets) -> Callable[[bytes], bytes]:
    key = jose_keys({"sign_key": told.get("sign_key", "")}, "sign_key", private=True)[0]
    algorithm = next((name for name in spec.algorithms if fits(key, name)), None)
    if algorithm is None:
        raise BadManifest("the secret 'sign_key' is no key for protection.algorithms")
    header = {"alg": algorithm, **({"kid": key.kid} if key.kid else {})}
    registry = _Signatures(algorithms=[algorithm])
    return lambda body: jws.serialize_compact(header, body, key, registry=registry).encode()


def _encrypting(spec: Jose, told: Secrets) -> Callable[[bytes], bytes]:
    key = jose_keys({"encrypt_key": told.get("encrypt_key", "")}, "encrypt_key", private=False)[0]
    algorithm = next((name for name in spec.key_management if _can_agree(key, name)), None)
    if algorithm is None:
        raise BadManifest("the secret 'encrypt_key' is no key for protection.key_management")
    header = {"alg": algorithm, "enc": spec.content_encryption[0], **({"kid": key.kid} if key.kid else {})}
    if "jws" in spec.layers:
        header["cty"] = "JWT"
    registry = _Encryption(algorithms=[algorithm, spec.content_encryption[0]])
    return lambda body: jwe.encrypt_compact(header, body, key, registry=registry).encode()
