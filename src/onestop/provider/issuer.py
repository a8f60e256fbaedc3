"""The tokens onestop gives to clients: what stands in them, and how one is checked when it comes back.

Access tokens are JWT of RFC 9068. They live five minutes, and wherever one is shown to onestop its grant is looked up:
what was ended holds nowhere any more. Nobody is named by the same word at two sectors.
"""

import base64
import hmac
import secrets
import time
from typing import Annotated, Any, Final

import msgspec

from onestop import clock
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.identity import tokens
from onestop.identity.errors import BadToken
from onestop.identity.service_keys import SigningKeys
from onestop.identity.signing import SigningKey
from onestop.provider import rules
from onestop.provider.errors import TokenRefused
from onestop.provider.models import Client
from onestop.provider.store import GrantRow
from onestop.settings import Settings

PUBLIC_S: Final = 15.0  # a new key is published this long before it signs: longer than any instance's last look
_ACCESS: Final = frozenset(("at+jwt", "application/at+jwt"))
_ID_TOKEN: Final = frozenset(("jwt", None))
_SHORT = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """What an access token says, once its signature and times hold."""

    iss: str
    sub: _SHORT
    aud: str
    client_id: _SHORT
    exp: int
    iat: int
    jti: _SHORT
    grant: _SHORT
    scope: str = ""
    acr: str = ""
    cnf: dict[str, str] = {}
    act: dict[str, str] = {}


class Issuer:
    """Signs for clients, and reads what it signed."""

    def __init__(self, pool: Pool, keys: Keys, settings: Settings) -> None:
        self.name = settings.public_url.rstrip("/")
        self.audience = self.name + "/oauth/userinfo"
        self.signing = SigningKeys(pool, keys, "provider", public_s=PUBLIC_S)
        self._pairwise = keys.derive("onestop/pairwise/1")
        self._sid = keys.derive("onestop/sid/1")

    def pairwise(self, subject_id: str, sector: str) -> str:
        """Return what a sector's clients know a subject by (OpenID Connect Core, 8.1); it tells nothing and stays."""
        return _b64(hmac.digest(self._pairwise, f"{sector}\0{subject_id}".encode(), "sha256"))

    @property
    def fresh(self) -> bool:
        """Whether the keys were looked at within the time a new one is published before it signs."""
        return clock.monotonic() - self.signing.loaded_at < PUBLIC_S

    async def load(self) -> None:
        """Look at the keys: another process may have made a new one."""
        await self.signing.load()

    def for_department(self, number: str, adapter: str) -> str:
        """Return what a department knows a person by in tokens for it, however they came to be made."""
        return self.pairwise(f"number {number}", f"department:{adapter}")

    def sid(self, session_id: str, client_id: str) -> str:
        """Return what a client knows a session by; two clients cannot compare."""
        return _b64(hmac.digest(self._sid, f"{client_id}\0{session_id}".encode(), "sha256")[:16])

    def access_token(self, client: Client, grant: GrantRow) -> str:
        """Return an access token for the claims of a grant."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.name,
            "aud": self.audience,
            "sub": self.pairwise(grant.subject_id, client.sector),
            "client_id": client.id,
            "iat": now,
            "exp": now + rules.ACCESS_LIFE_S,
            "jti": secrets.token_urlsafe(16),
            "grant": grant.id,
            "scope": " ".join(grant.scope),
            "acr": f"{rules.ACR}{grant.level}",
            "auth_time": int(grant.auth_time.timestamp()),
        }
        return self.sign(claims | confirmation(grant.bound_to), "at+jwt")

    def id_token(self, client: Client, grant: GrantRow, access_token: str, nonce: str | None) -> str:
        """Return an ID token (OpenID Connect Core, 2): who signed in, when, at what level; no name."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.name,
            "aud": client.id,
            "sub": self.pairwise(grant.subject_id, client.sector),
            "iat": now,
            "exp": now + rules.ID_TOKEN_LIFE_S,
            "auth_time": int(grant.auth_time.timestamp()),
            "acr": f"{rules.ACR}{grant.level}",
            "sid": self.sid(grant.session_id, client.id),
            "at_hash": tokens.half_hash(access_token, SigningKey.algorithm),
        }
        return self.sign(claims | ({"nonce": nonce} if nonce is not None else {}), "JWT")

    def sign(self, claims: dict[str, Any], typ: str) -> str:
        """Return claims signed by the key that is in use now."""
        return self.signing.active.sign(claims, typ)

    async def read(self, token: str, audience: str | None = None) -> AccessToken:
        """Return what an access token of ours says; whether its grant holds is for the caller to look up.

        `audience` None: whichever it is for.

        Raises:
            TokenRefused: it is none of ours, is over, or is for somebody else.
        """
        try:
            claims = await self._open(token, _ACCESS)
            tokens.check_lifetime(claims)
            told = msgspec.convert(claims, AccessToken)
        except BadToken as refused:
            raise TokenRefused(refused.reason) from refused
        except msgspec.ValidationError as refused:
            raise TokenRefused("claims") from refused
        if told.iss != self.name:
            raise TokenRefused("iss")
        if audience is not None and told.aud != audience:
            raise TokenRefused("aud")
        return told

    async def read_hint(self, token: str) -> dict[str, Any] | None:
        """Return the claims of an ID token of ours, over or not (RP-Initiated Logout, 2); None where it is none."""
        try:
            claims = await self._open(token, _ID_TOKEN)
        except BadToken:
            return None
        return claims if claims.get("iss") == self.name and "sid" in claims else None

    async def _open(self, token: str, types: frozenset[str | None]) -> tokens.Claims:
        try:
            return tokens.open_signed(token, self.signing.ring, types)
        except tokens.UnknownKey:
            if not await self.signing.reload():
                raise
            return tokens.open_signed(token, self.signing.ring, types)


def confirmation(bound_to: str | None) -> dict[str, Any]:
    """Return the `cnf` of a token that is bound to a key (RFC 9449, 6; RFC 8705, 3.1); empty where it is not."""
    if bound_to is None:
        return {}
    kind, _, thumb = bound_to.partition(":")
    return {"cnf": {"jkt" if kind == "jkt" else "x5t#S256": thumb}}


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
