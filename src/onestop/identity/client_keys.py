"""Onestop's own keys as a client of providers: what it signs its requests with, and what is encrypted to it."""

from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

ClientKey = ECKey | RSAKey | OKPKey

# Key type and curve → the algorithm a request is signed with.
_SIGNS: Final = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA", ("RSA", None): "PS256"}
_CURVES: Final = frozenset({"P-256", "P-384", "P-521"})


def read_signing(text: str) -> ClientKey:
    """Read a private key (PEM or JWK) that signs: P-256, Ed25519, or RSA of 2048 bits and more.

    Raises:
        ValueError: no private key, or of another kind; the text is not repeated.
    """
    key = _read(text, ECKey, OKPKey, RSAKey)
    if algorithm(key) is None:
        raise ValueError("a signing key is of P-256, Ed25519 or RSA")
    return key


def read_decrypting(text: str) -> ECKey:
    """Read a private key (PEM or JWK) that opens ID tokens: of P-256, P-384 or P-521.

    Raises:
        ValueError: no private key, or of another kind; the text is not repeated.
    """
    key = _read(text, ECKey)
    if not isinstance(key, ECKey) or key.curve_name not in _CURVES:
        raise ValueError("a decrypting key is of P-256, P-384 or P-521")
    return key


def algorithm(key: ClientKey) -> str | None:
    """Return what a key signs with, None where it signs nothing here."""
    if isinstance(key, RSAKey):
        return _SIGNS[("RSA", None)] if key.raw_value.key_size >= 2048 else None
    return _SIGNS.get((key.key_type, key.curve_name))


def kid(key: ClientKey) -> str:
    """Return a key's own id, or its RFC 7638 thumbprint where it has none."""
    return key.kid or key.thumbprint()


def public(key: ClientKey, use: str) -> dict[str, Any]:
    """Return the public half as a JWK set shows it; `use` is `sig` or `enc`."""
    alg = algorithm(key) if use == "sig" else "ECDH-ES"
    return {**key.as_dict(private=False), "kid": kid(key), "use": use, "alg": alg}


def _read(text: str, *kinds: type[ClientKey]) -> ClientKey:
    told: Any = text
    try:
        if text.lstrip().startswith("{"):
            told = msgspec.json.decode(text, type=dict[str, Any])
        for kind in kinds:
            try:
                key = kind.import_key(told)
            except (JoseError, ValueError, TypeError, KeyError):
                continue
            if key.is_private:
                return key
    except msgspec.DecodeError:
        pass
    raise ValueError("no private key of the kind asked for")
