"""Sessions in which somebody acts for somebody else: opened from their own, ended with it or with the mandate."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from onestop.db import Connection, Pool
from onestop.identity import rules, store
from onestop.identity.models import Session
from onestop.identity.service_bearer import BearerTokens
from onestop.ids import new_id
from onestop.settings import Settings


class ActingSessions:
    """Opens and ends them; whether the mandate holds is its caller's to check."""

    def __init__(self, pool: Pool, settings: Settings, bearers: BearerTokens) -> None:
        self._pool, self._region, self._bearers = pool, settings.region, bearers

    async def open(
        self, db: Connection, own: Session, subject_id: str, mandate_id: str, life: timedelta
    ) -> tuple[str, Session]:
        """Open a session for a subject from the actor's own, in the caller's transaction; return its cookie or token.

        It is of the same kind as the own one; its level is the actor's.
        """
        secret = None if own.kind == "bearer" else secrets.token_urlsafe(32)
        new = store.NewSession(
            region=self._region,
            id=new_id("ses"),
            token_hash=None if secret is None else sha256(secret.encode()).digest(),
            subject_id=subject_id,
            actor_id=own.actor_id,
            role="citizen",
            department=None,
            level=own.level,
            provider="mandate",
            kind="bearer" if secret is None else "cookie",
            id_token=None,
            life=life,
            mandate_id=mandate_id,
            opened_from=own.id,
        )
        session = session_of(new, await store.insert_session(db, new))
        return secret or self.token(session, life), session

    async def end_under(self, db: Connection, mandate_ids: Sequence[str]) -> list[str]:
        """End, in the caller's transaction, every session under these mandates, and return the ids.

        After its commit the caller has this process `Sessions.forget` them.
        """
        return await store.revoke_under(db, self._region, list(mandate_ids))

    async def own_of(self, session: Session) -> str | None:
        """Return the session of their own that somebody acts for somebody else from; None where there is none."""
        return await store.opened_from(self._pool, self._region, session.id)

    async def renew(self, session_id: str) -> str | None:
        """Give a browser's own session a new cookie and return it; None where the session has ended.

        The browser lost the one before when the acting session's took its place.
        """
        secret = secrets.token_urlsafe(32)
        renewed = await store.renew_cookie(self._pool, self._region, session_id, sha256(secret.encode()).digest())
        return secret if renewed else None

    def token(self, session: Session, life: timedelta) -> str:
        """Return the signed bearer token of a session."""
        return self._bearers.make(session.id, session.subject_id, session.role, life, session.actor_id)


def session_of(row: store.SessionRow | store.NewSession, ends: datetime) -> Session:
    """Return a session from its row, and when it ends."""
    return Session(
        id=row.id,
        subject_id=row.subject_id,
        actor_id=row.actor_id,
        role=row.role,
        department=row.department,
        level=row.level,
        kind=row.kind,
        expires_at=ends,
        principal=rules.principal(row.subject_id, row.role, row.department, row.actor_id),
        mandate_id=row.mandate_id,
    )
