"""DPoP proofs (RFC 9449): a token bought with one is worthless to whoever does not hold the key.

Each sign-in has a key of its own, which lies sealed with the flow, so that another instance may finish what one began.
"""

import secrets
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey

_ALGORITHM: Final = "ES256"


def new_key() -> str:
    """Return a new private key as text, to be sealed at once."""
    return msgspec.json.encode(ECKey.generate_key("P-256", private=True).as_dict(private=True)).decode()


class Prover:
    """Makes the proofs of one sign-in."""

    def __init__(self, key: str) -> None:
        self._key = ECKey.import_key(msgspec.json.decode(key, type=dict[str, Any]))

    def thumbprint(self) -> str:
        """Return the key's name, which a code can be bound to (`dpop_jkt`)."""
        return self._key.thumbprint()

    def proof(self, method: str, url: str, *, nonce: str | None = None, access_token: str | None = None) -> str:
        """Return a proof for one request; `nonce` is what the server asked for, if it did."""
        header = {"typ": "dpop+jwt", "alg": _ALGORITHM, "jwk": self._key.as_dict(private=False)}
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": urlsplit(url)._replace(query="", fragment="").geturl(),
            "iat": int(time.time()),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if access_token is not None:
            claims["ath"] = urlsafe_b64encode(sha256(access_token.encode()).digest()).rstrip(b"=").decode()
        return jwt.encode(header, claims, self._key, [_ALGORITHM])
