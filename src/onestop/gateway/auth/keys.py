"""Keys as environments tell them: PEM, JWK, a JWK set, a certificate, or the bare base64 of DER.

What is wrong with a key is told by the secret's name, never by its content; so no parser's message is chained.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OctKey, OKPKey, RSAKey, import_key

from onestop.gateway.manifest_base import BadManifest

Secrets = Mapping[str, str]

_MOST_KEYS = 32
_UNUSABLE = (JoseError, ValueError, TypeError, KeyError, AttributeError, msgspec.DecodeError)


@contextmanager
def naming(adapter: str) -> Iterator[None]:
    """Say of which adapter it is that something cannot be used."""
    try:
        yield
    except BadManifest as fault:
        raise BadManifest(f"adapter {adapter}: {fault}", rule=fault.rule) from None


def secret(told: Secrets, name: str) -> str:
    """Return a secret.

    Raises:
        BadManifest: the environment does not tell it; says which and where it belongs.
    """
    value = told.get(name)
    if not value:
        raise BadManifest(f"the environment file lacks the secret {name!r} in this adapter's table")
    return value


def accepted(told: Secrets, name: str) -> list[str]:
    """Return the values of a secret that others prove themselves by: the present one, and `next_<name>` where told.

    Raises:
        BadManifest: the environment tells neither.
    """
    values = [told[key] for key in (name, f"next_{name}") if told.get(key)]
    return values or [secret(told, name)]


def private_key(told: Secrets, name: str) -> Any:
    """Return a private key of `cryptography`.

    Raises:
        BadManifest: the secret is missing or no private key.
    """
    text = secret(told, name).strip()
    try:
        if text.startswith("{"):
            found = import_key(msgspec.json.decode(text))
            if not found.is_private or isinstance(found, OctKey):
                raise ValueError
            return found.private_key
        if text.startswith("-----"):
            return load_pem_private_key(text.encode(), None)
        return load_der_private_key(base64.b64decode(text, validate=True), None)
    except (*_UNUSABLE, binascii.Error):
        raise BadManifest(f"the secret {name!r} is no private key (PEM, JWK or base64 of DER)") from None


def public_keys(told: Secrets, name: str) -> list[Any]:
    """Return the public keys of `cryptography` that a secret, and its `next_` value, name.

    Raises:
        BadManifest: the secret is missing or holds something else.
    """
    found: list[Any] = []
    for text in accepted(told, name):
        try:
            found += _public(text.strip())
        except (*_UNUSABLE, binascii.Error):
            raise BadManifest(f"the secret {name!r} is no public key (PEM, certificate, JWK or JWKS)") from None
    return found


def _public(text: str) -> list[Any]:
    if text.startswith("{"):
        return [key.public_key for key in _set(text).keys if not isinstance(key, OctKey)]
    if text.startswith("-----BEGIN CERTIFICATE"):
        return [x509.load_pem_x509_certificate(text.encode()).public_key()]
    if text.startswith("-----"):
        return [load_pem_public_key(text.encode())]
    return [load_der_public_key(base64.b64decode(text, validate=True))]


def _set(text: str) -> KeySet:
    tree = msgspec.json.decode(text)
    entries = tree.get("keys", [tree])
    if not 0 < len(entries) <= _MOST_KEYS:
        raise ValueError
    return KeySet([import_key(entry) for entry in entries])


def jose_keys(told: Secrets, name: str, *, private: bool) -> list[Key]:
    """Return the keys a secret, and its `next_` value, hold for JOSE; a text that is no key is a shared secret.

    Raises:
        BadManifest: the secret is missing, no key, or public where a private one is needed.
    """
    found: list[Key] = []
    for text in accepted(told, name):
        try:
            found += _jose(text.strip())
        except _UNUSABLE:
            raise BadManifest(f"the secret {name!r} is no key (PEM, certificate, JWK or JWKS)") from None
    if private and not all(isinstance(key, OctKey) or key.is_private for key in found):
        raise BadManifest(f"the secret {name!r} holds a public key where a private one is needed")
    return found


def _jose(text: str) -> list[Key]:
    if text.startswith("{"):
        return list(_set(text).keys)
    if not text.startswith("-----"):
        return [OctKey(text.encode(), text.encode())]
    if text.startswith("-----BEGIN CERTIFICATE"):
        return [_of_raw(x509.load_pem_x509_certificate(text.encode()).public_key())]
    if "PRIVATE KEY-----" in text.partition("\n")[0]:
        return [_of_raw(load_pem_private_key(text.encode(), None))]
    return [_of_raw(load_pem_public_key(text.encode()))]


def _of_raw(raw: Any) -> Key:
    if isinstance(raw, (rsa.RSAPrivateKey, rsa.RSAPublicKey)):
        return RSAKey(raw, raw)
    if isinstance(raw, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        return ECKey(raw, raw)
    if isinstance(raw, (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)):
        return OKPKey(raw, raw)
    raise ValueError
