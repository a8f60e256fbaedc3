"""The keys onestop signs with: made, written down as JWK, read again; `tokens` checks what they signed."""

from typing import Any, ClassVar, Self

import msgspec
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey
from joserfc.registry import Header

from onestop.identity.tokens import Claims


class SigningKey:
    """An ES256 key that signs onestop's own statements."""

    algorithm: ClassVar[str] = "ES256"
    _kind: ClassVar[type[ECKey | OKPKey]] = ECKey
    _curve: ClassVar[str] = "P-256"

    def __init__(self, kid: str, key: ECKey | OKPKey) -> None:
        self.kid = kid
        self._key = key

    @classmethod
    def generate(cls) -> Self:
        """Make a new key; its id is its RFC 7638 thumbprint."""
        key = cls._kind.generate_key(cls._curve, private=True)  # type: ignore[arg-type]  # each class names a curve of its own kind
        return cls(key.thumbprint(), key)

    @classmethod
    def load(cls, kid: str, private: bytes) -> Self:
        """Read a key that `private_bytes` wrote."""
        return cls(kid, cls._kind.import_key(msgspec.json.decode(private)))

    def private_bytes(self) -> bytes:
        """Return the private key as a JWK, to be sealed at once."""
        return msgspec.json.encode(self._key.as_dict(private=True))

    def public_jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK set shows it."""
        return {**self._key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def sign(self, claims: Claims, typ: str) -> str:
        """Return the claims as a signed compact token of the given type."""
        header: Header = {"alg": self.algorithm, "kid": self.kid, "typ": typ}
        return jws.serialize_compact(header, msgspec.json.encode(claims), self._key, [self.algorithm])


class Ed25519SigningKey(SigningKey):
    """The same with Ed25519 (RFC 8037, named as in RFC 9864)."""

    algorithm: ClassVar[str] = "Ed25519"
    _kind: ClassVar[type[ECKey | OKPKey]] = OKPKey
    _curve: ClassVar[str] = "Ed25519"
