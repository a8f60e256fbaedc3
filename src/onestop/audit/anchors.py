"""Anchors: what the tree was at a moment, signed with a key of this installation's own (Ed25519).

The key is derived from the root key, which the database never sees: whoever owns the database can change rows and work
out hashes anew, but cannot sign.
"""

import base64
import hashlib
import json
from datetime import datetime
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from onestop.audit.canonical import sorted_json
from onestop.crypto import Keys
from onestop.errors import Internal

FIRST: Final = "0" * 64  # what the first anchor has in place of the one before
_SIGNED_AS: Final = b"onestop-anchor-1\n"


class LedgerRewritten(Internal):
    """The database's anchors are not those that were written outside of it: it was rolled back, or altered."""

    code = "audit.rewritten"


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """One anchor; in order of name, as it is signed."""

    at: str  # UTC, RFC 3339 with microseconds
    kid: str
    number: int
    previous: str  # `digest_of` the one before
    region: str
    root: str
    signature: str = ""  # base64url, over everything else
    size: int


def signed_bytes(anchor: Anchor) -> bytes:
    """Return what is signed: the anchor without its signature, with a line before it that says what it is."""
    members = msgspec.to_builtins(anchor)
    del members["signature"]
    return _SIGNED_AS + sorted_json(members).encode()


def digest_of(anchor: Anchor) -> str:
    """Return what the next anchor holds of this one."""
    return hashlib.sha256(signed_bytes(anchor)).hexdigest()


def written(anchor: Anchor) -> str:
    """Return an anchor as it is published and kept."""
    return sorted_json(msgspec.to_builtins(anchor))


class AnchorKey:
    """Signs anchors, and knows its own."""

    def __init__(self, keys: Keys) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(keys.derive("onestop/anchor/1"))
        self._public = self._key.public_key()
        x = _base64url(self._public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        # The thumbprint of RFC 7638, so that anybody can work the id out from the key.
        thumb = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
        self.kid = _base64url(hashlib.sha256(thumb.encode()).digest())
        self._jwk = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "alg": "EdDSA", "use": "sig"}

    def jwks(self) -> dict[str, Any]:
        """Return the public key as a JWK set."""
        return {"keys": [self._jwk]}

    def sign(self, region: str, before: Anchor | None, size: int, root: bytes, at: datetime) -> Anchor:
        """Return the anchor that follows `before`."""
        anchor = Anchor(
            at=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            kid=self.kid,
            number=1 if before is None else before.number + 1,
            previous=FIRST if before is None else digest_of(before),
            region=region,
            root=root.hex(),
            size=size,
        )
        return msgspec.structs.replace(anchor, signature=_base64url(self._key.sign(signed_bytes(anchor))))

    def is_own(self, anchor: Anchor) -> bool:
        """Tell whether this installation signed it."""
        try:
            self._public.verify(_bytes(anchor.signature), signed_bytes(anchor))
        except (InvalidSignature, ValueError):
            return False
        return True


def follows(anchor: Anchor, before: Anchor | None) -> bool:
    """Tell whether an anchor continues the one before, or begins where there is none."""
    if before is None:
        return anchor.number == 1 and anchor.previous == FIRST
    return anchor.number == before.number + 1 and anchor.previous == digest_of(before) and anchor.size >= before.size


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
