"""Proofs of possession (RFC 9449): made with the right key, for this request, with our nonce, and once.

Nonces are not stored: each is a time and an HMAC of it under the installation's key, so that every instance knows those
of every other.
"""

import base64
import hmac
import time
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.identity import tokens
from onestop.identity.errors import BadToken
from onestop.provider import store
from onestop.provider.errors import NonceNeeded, RequestRefused

NONCE_LIFE_S: Final = 120
WINDOW_S: Final = 60  # how old a proof may be
AHEAD_S: Final = 10  # how far a client's clock may be before ours (FAPI 2.0, 5.3.2.1)
_KEPT: Final = timedelta(seconds=2 * (WINDOW_S + AHEAD_S))  # longer than any proof can be shown again


class _Claims(msgspec.Struct, frozen=True):
    jti: str
    htm: str
    htu: str
    iat: int | float
    ath: str | None = None
    nonce: str | None = None


class Proofs:
    """What was proven, once, on all instances."""

    def __init__(self, pool: Pool, keys: Keys, region: str) -> None:
        self._pool, self._keys, self._region = pool, keys, region

    def nonce(self) -> str:
        """Return a nonce that every instance takes for two minutes."""
        made = int(time.time()).to_bytes(6)
        return _b64(made + self._mac(made))

    def _mac(self, made: bytes) -> bytes:
        return self._keys.mac(b"dpop nonce\0" + made)[:16]

    def _holds(self, nonce: str) -> bool:
        try:
            raw = base64.urlsafe_b64decode(nonce + "=" * (-len(nonce) % 4))
        except ValueError:
            return False
        if len(raw) != 22 or _b64(raw) != nonce or not hmac.compare_digest(raw[6:], self._mac(raw[:6])):
            return False
        return -AHEAD_S <= time.time() - int.from_bytes(raw[:6]) <= NONCE_LIFE_S

    async def check(self, proof: str, *, method: str, url: str, access_token: str | None = None) -> str:
        """Return the thumbprint of the key a proof was made with.

        `url` is without query; `access_token` is the one the request shows, None at the token endpoint.

        Raises:
            NonceNeeded: it is good but for the nonce.
            RequestRefused: `invalid_dpop_proof`; `reason` says why.
        """
        try:
            jkt, members = tokens.open_proof(proof)
        except BadToken as refused:
            raise RequestRefused("invalid_dpop_proof", refused.reason) from refused
        told = _read(members)
        if told.htm != method:
            raise RequestRefused("invalid_dpop_proof", "htm")
        if _plain(told.htu) != url:
            raise RequestRefused("invalid_dpop_proof", "htu")
        if not -AHEAD_S <= time.time() - told.iat <= WINDOW_S:
            raise RequestRefused("invalid_dpop_proof", "iat")
        if told.ath != (None if access_token is None else _b64(sha256(access_token.encode()).digest())):
            raise RequestRefused("invalid_dpop_proof", "ath")
        if told.nonce is None or not self._holds(told.nonce):
            raise NonceNeeded(self.nonce())
        await self.once("dpop", jkt, told.jti, _KEPT, "invalid_dpop_proof")
        return jkt

    async def once(self, kind: str, by: str, jti: str, kept: timedelta, error: str) -> None:
        """Note that `by` used the name `jti`; the next time it is refused, on any instance.

        Raises:
            RequestRefused: with `error`; it was used before.
        """
        name = sha256("\0".join((kind, by, jti)).encode()).digest()
        if not await store.use_proof(self._pool, self._region, name, kept):
            raise RequestRefused(error, "replay")


def _read(members: dict[str, Any]) -> _Claims:
    try:
        told = msgspec.convert(members, _Claims)
    except msgspec.ValidationError as cause:
        raise RequestRefused("invalid_dpop_proof", "claims") from cause
    if not 0 < len(told.jti) <= 256:
        raise RequestRefused("invalid_dpop_proof", "jti")
    return told


def _plain(url: str) -> str:
    """Return an address without query and fragment, scheme and host in lower case (RFC 9449, 4.3, 9)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower(), query="", fragment="").geturl()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
