"""A department's signature over its manifest: a detached JWS (RFC 7515, appendix F) by a key it registered."""

import base64
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey

from onestop.onboarding.errors import SignatureWrong

ALGORITHMS: Final = ["ES256", "EdDSA", "Ed25519"]


def read_key(jwk: Mapping[str, Any]) -> ECKey | OKPKey:
    """Return a public key; P-256 or Ed25519.

    Raises:
        SignatureWrong: another kind of key, a private one, or none at all.
    """
    told = dict(jwk)
    if "d" in told:
        raise SignatureWrong(reason="private")
    try:
        if told.get("kty") == "EC" and told.get("crv") == "P-256":
            return ECKey.import_key(told)
        if told.get("kty") == "OKP" and told.get("crv") == "Ed25519":
            return OKPKey.import_key(told)
    except (JoseError, ValueError, TypeError, KeyError) as fault:
        raise SignatureWrong(reason="key") from fault
    raise SignatureWrong(reason="key")


def check(data: bytes, signature: str | None, keys: Sequence[Mapping[str, Any]]) -> None:
    """Check a detached signature over `data` by one of the keys.

    Raises:
        SignatureWrong: it is missing, not a detached JWS, or by none of them; `reason` is one word.
    """
    if not signature:
        raise SignatureWrong(reason="missing")
    if not keys:
        raise SignatureWrong(reason="unregistered")
    head, dots, tail = signature.partition("..")
    if not dots or not head or not tail:
        raise SignatureWrong(reason="form")
    whole = f"{head}.{base64.urlsafe_b64encode(data).rstrip(b'=').decode()}.{tail}"
    for jwk in keys:
        try:
            with warnings.catch_warnings():
                # RFC 9864 renames EdDSA to Ed25519; departments' tools still write the older name for the same thing.
                warnings.simplefilter("ignore", SecurityWarning)
                jws.deserialize_compact(whole, read_key(jwk), algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, SignatureWrong):
            continue
        return
    raise SignatureWrong(reason="wrong")
