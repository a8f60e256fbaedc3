"""Onestop's own bearer tokens: made for a session, and checked before their session is asked for."""

from datetime import timedelta
from time import time
from typing import Any

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.identity import tokens
from onestop.identity.service_keys import SigningKeys
from onestop.settings import Settings


class BearerTokens:
    """Makes and checks the access tokens of this installation."""

    def __init__(self, pool: Pool, keys: Keys, settings: Settings) -> None:
        self.signing = SigningKeys(pool, keys)
        self._issuer = settings.public_url

    def make(self, session_id: str, subject_id: str, role: str, life: timedelta, actor_id: str | None = None) -> str:
        """Return a signed token for a session, good for `life` or until the session ends.

        Who acts for the subject, where that is another one, stands in `act` (RFC 8693).
        """
        now = int(time())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": tokens.AUDIENCE,
            "sub": subject_id,
            "sid": session_id,
            "role": role,
            "iat": now,
            "exp": now + int(life.total_seconds()),
        }
        if actor_id not in (None, subject_id):
            claims["act"] = {"sub": actor_id}
        return self.signing.active.sign(claims, "at+jwt")

    async def check(self, token: str) -> tokens.AccessClaims:
        """Return what a token says; a key not yet seen is looked for in the database, at most every few seconds.

        Raises:
            BadToken: it does not hold.
        """
        try:
            return self._checked(token)
        except tokens.UnknownKey:
            if not await self.signing.reload():
                raise
            return self._checked(token)

    def _checked(self, token: str) -> tokens.AccessClaims:
        return tokens.check_access_token(token, self.signing.ring, issuer=self._issuer, audience=tokens.AUDIENCE)
