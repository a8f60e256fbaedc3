"""Pseudonyms and people: a network number is bound to a person once, by a sign-in that tells who they are.

Until then it is an account of its own, of level 0: it has a session and nothing else, since every affair here hangs on
a number (一号).
"""

from datetime import datetime

import msgspec

from onestop.audit import service as audit
from onestop.db import Connection, Pool
from onestop.identity import store_links as store
from onestop.identity.errors import AlreadyBound, LinkUnknown
from onestop.identity.models import Session
from onestop.identity.store_links import LinkRow


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's pseudonym that is bound to the caller."""

    id: str
    provider: str
    proved_by: str
    level: int  # how surely; no sign-in by the pseudonym counts for more
    bound_at: datetime


class LinkList(msgspec.Struct, frozen=True, kw_only=True):
    """What is bound to the caller, newest first; at most 50."""

    data: list[Link]


class Links:
    """All bindings of this installation."""

    def __init__(self, pool: Pool, region: str) -> None:
        self._pool, self._region = pool, region

    async def of(self, account_id: str) -> LinkRow | None:
        """Return whose an account is; None where nobody has proved it yet."""
        return await store.link(self._pool, self._region, account_id)

    async def bind(self, account_id: str, subject_id: str, *, provider: str, proved_by: str, level: int) -> None:
        """Bind an account to the person who has just proved who they are.

        Rule: R-117, a pseudonym is bound once, by a proof of the real name; a person has one of each provider.

        Raises:
            AlreadyBound: the account is somebody else's, or the person has another one of that provider.
        """
        async with self._pool.acquire() as db, db.transaction():
            bound = await store.insert_link(db, self._region, account_id, subject_id, provider, proved_by, level)
            if bound:
                await self._record(db, "subject.bound", subject_id, account_id, {"provider": provider})
        if not bound:
            known = await self.of(account_id)
            if known is None or known.subject_id != subject_id:
                raise AlreadyBound

    async def own(self, session: Session) -> LinkList:
        """Return what is bound to the caller."""
        rows = await store.own_links(self._pool, self._region, session.subject_id)
        return LinkList(
            data=[
                Link(
                    id=row.account_id,
                    provider=row.provider,
                    proved_by=row.proved_by,
                    level=row.level,
                    bound_at=row.bound_at,
                )
                for row in rows
            ]
        )

    async def unbind(self, session: Session, account_id: str) -> None:
        """End a binding and the sessions opened by it: the pseudonym is an account of its own again.

        Raises:
            LinkUnknown: the caller has none of that id.
        """
        async with self._pool.acquire() as db, db.transaction():
            if not await store.delete_own_link(db, self._region, account_id, session.subject_id):
                raise LinkUnknown
            await self._record(db, "subject.unbound", session.subject_id, account_id, {})

    async def _record(
        self, db: Connection, action: str, subject_id: str, account_id: str, detail: dict[str, str]
    ) -> None:
        await audit.record(
            db, self._region, actor=subject_id, subject=subject_id, action=action, object=account_id, detail=detail
        )
