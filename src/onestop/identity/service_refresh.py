"""Sessions of apps: an access token of minutes, and a refresh token that is used once and gives the next pair."""

from functools import partial
from typing import Final

from onestop.audit import service as audit
from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.identity import refresh_tokens, rules, store, store_refresh
from onestop.identity.errors import BadToken
from onestop.identity.models import Identified, Token
from onestop.identity.refresh_tokens import Verdict
from onestop.identity.service import Sessions
from onestop.identity.throttles import Throttles
from onestop.settings import Settings

_NOBODY: Final = "ses_00000000000000000000000000"


class AppSessions:
    """Opens and refreshes the sessions of apps."""

    def __init__(self, pool: Pool, keys: Keys, settings: Settings, sessions: Sessions, throttles: Throttles) -> None:
        self._throttles = throttles
        self._pool, self._keys, self._region, self._sessions = pool, keys, settings.region, sessions
        # What an unknown session is compared with, so that it takes as long as a known one.
        self._decoy = keys.seal(refresh_tokens.new_secret(), _context(_NOBODY))
        sessions.cleaning["old_refresh_families"] = partial(store_refresh.delete_old_families, pool, self._region)

    async def open(self, who: Identified, *, provider: str, device: str = "") -> Token:
        """Open an app's session of a week and return its first pair of tokens."""
        session = await self._sessions.open_app(who, provider=provider, device=device, life=rules.APP_LIFE)
        secret = refresh_tokens.new_secret()
        sealed = self._keys.seal(secret, _context(session.id))
        await store_refresh.insert_family(self._pool, self._region, session.id, sealed)
        access = self._sessions.bearers.make(session.id, session.subject_id, session.role, rules.ACCESS_LIFE)
        return _pair(access, refresh_tokens.make(secret, session.id, 1), rules.ACCESS_LIFE.total_seconds())

    async def refresh(self, token: str) -> Token:
        """Return the next pair of tokens for a refresh token.

        Shown again within 30 seconds, before its successor was, the same successor is returned: the reply was lost.

        Rule: R-116, a refresh token is used once; one that was used before ends its session.

        Raises:
            TooManyAttempts: the session was refreshed too often.
            BadToken: forged, of a session that has ended or lay idle, or used before: then the session has ended now.
        """
        shown = refresh_tokens.read(token)
        if shown is None:
            raise BadToken("refresh")
        async with self._pool.acquire() as db, db.transaction():
            row = await store_refresh.family_for_update(db, self._region, shown.session_id, rules.APP_IDLE)
            secret = self._secret(shown.session_id, row)
            verdict: Verdict = "forged"
            if row is not None:
                verdict = refresh_tokens.judge(shown, secret, row.generation, row.rotated_s)
            else:
                refresh_tokens.judge(shown, secret, 1, 0.0)
            if verdict == "rotate":
                await store_refresh.rotate(db, self._region, shown.session_id)
            elif verdict == "reused":
                await self._end(db, shown.session_id)
        if row is None or verdict in ("forged", "reused"):
            if verdict == "reused":
                self._sessions.forget([shown.session_id])
            raise BadToken("refresh")
        await self._throttles.count("refreshes_of_one", shown.session_id)
        life_s = min(rules.ACCESS_LIFE.total_seconds(), row.remaining_s)
        access = self._sessions.bearers.make(shown.session_id, row.subject_id, row.role, rules.ACCESS_LIFE)
        return _pair(access, refresh_tokens.make(secret, shown.session_id, shown.generation + 1), life_s)

    def _secret(self, session_id: str, row: store_refresh.FamilyRow | None) -> bytes:
        if row is None:
            return self._keys.unseal(self._decoy, _context(_NOBODY))
        return self._keys.unseal(row.secret, _context(session_id))

    async def _end(self, db: Connection, session_id: str) -> None:
        """End the session whose token was shown twice: one of the two who have it is a thief."""
        ended = await store.revoke_session(db, self._region, session_id)
        if ended is not None:
            subject = ended.subject_id
            await audit.record(
                db, self._region, actor=subject, subject=subject, action="session.reused", object=session_id
            )


def _pair(access: str, refresh: str, life_s: float) -> Token:
    return Token(access_token=access, expires_in=int(life_s), refresh_token=refresh)


# Bound to table, column and row: one session's key moved to another does not open.
def _context(session_id: str) -> str:
    return f"refresh_families.secret:{session_id}"
