"""JWS in compact form signed with SM2: what `tokens.py` does with ES256, for readers of the suite `sm`.

JOSE has no registered names for it. The algorithm is called as GM/T 0006 numbers it, SGD_SM3_SM2, the curve "SM2"; both
are from memory of GM/T 0125 and stand here alone.
"""

import base64
from typing import Any, Final

import msgspec

from onestop import sm2
from onestop.suites import SM

_KTY, _CURVE = "EC", "SM2"
_HALF = 32
_json = msgspec.json.Encoder(order="deterministic")


class Sm2SigningKey:
    """An SM2 key that signs onestop's own statements."""

    algorithm: Final = "SGD_SM3_SM2"

    def __init__(self, kid: str, private: bytes, public: bytes) -> None:
        self.kid = kid
        self._private, self._public = private, public

    @classmethod
    def generate(cls) -> "Sm2SigningKey":
        """Make a new key; its id is its thumbprint as in RFC 7638, by SM3.

        Raises:
            Sm2Missing: the package is not installed.
        """
        private, public = sm2.generate()
        return cls(_base64url(SM.hash(_json.encode(_members(public)))), private, public)

    @classmethod
    def load(cls, kid: str, private: bytes) -> "Sm2SigningKey":
        """Read a key that `private_bytes` wrote.

        Raises:
            Sm2Missing: the package is not installed.
        """
        sm2.library()
        told = msgspec.json.decode(private, type=dict[str, str])
        return cls(kid, _bytes(told["d"]), _bytes(told["x"]) + _bytes(told["y"]))

    def private_bytes(self) -> bytes:
        """Return the private key as a JWK, to be sealed at once."""
        return msgspec.json.encode({**_members(self._public), "d": _base64url(self._private)})

    def public_jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK set shows it."""
        return {**_members(self._public), "kid": self.kid, "use": "sig", "alg": self.algorithm}

    def sign(self, claims: dict[str, Any], typ: str) -> str:
        """Return the claims as a signed compact JWS of the given type."""
        header = {"alg": self.algorithm, "kid": self.kid, "typ": typ}
        signed = f"{_base64url(msgspec.json.encode(header))}.{_base64url(msgspec.json.encode(claims))}"
        return f"{signed}.{_base64url(sm2.sign(self._private, self._public, signed.encode()))}"


def sm2_verifies(token: str, public_jwk: dict[str, Any]) -> bool:
    """Tell whether a compact JWS was signed by that key, and says so itself.

    Raises:
        Sm2Missing: the package is not installed.
    """
    signed, _, signature = token.rpartition(".")
    try:
        header = msgspec.json.decode(_bytes(signed.partition(".")[0]), type=dict[str, Any])
        public = _bytes(public_jwk["x"]) + _bytes(public_jwk["y"])
        raw = _bytes(signature)
    except (ValueError, KeyError, msgspec.DecodeError):
        return False
    if header.get("alg") != Sm2SigningKey.algorithm or "crit" in header:
        return False
    return sm2.verify(public, signed.encode(), raw)


def _members(public: bytes) -> dict[str, str]:
    return {"crv": _CURVE, "kty": _KTY, "x": _base64url(public[:_HALF]), "y": _base64url(public[_HALF:])}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
