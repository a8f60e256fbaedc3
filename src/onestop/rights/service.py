"""Verbs: say what is held of a person, delete what may go, erase a person by two people's word, keep nothing long."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from onestop import clock
from onestop.audit import service as audit
from onestop.basis.present import law_view
from onestop.basis.purposes import Retention
from onestop.cases.office import Office
from onestop.db import Connection
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.rights import rules, store, store_retention
from onestop.rights.errors import ErasureUnknown, LevelNeeded, MustBeKept, OwnApproval
from onestop.rights.models import Deleted, Erasure, ErasureList, HeldClass, HeldList
from onestop.rights.tombstones import Tombstones
from onestop.texts import Language

LEVEL: Final = 2
_MOST: Final = 500  # rows of a class in one round: it holds locks for a moment only
_ROUNDS: Final[dict[str, Callable[[Connection, str, int, int], Awaitable[int]]]] = {
    "draft": store_retention.delete_drafts,
    "case": store_retention.delete_cases,
    "session": store_retention.delete_sessions,
    "consent": store_retention.delete_consents,
    "export": store_retention.delete_exports,
}


class Rights:
    """What people may ask of their data, in one process."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._pool, self._region = office.pool, office.region
        self._classes: dict[str, Retention] = office.basis.purposes.classes
        self.tombstones = Tombstones(office.settings.state_dir, office.region)

    async def held(self, session: Session, lang: Language) -> HeldList:
        """Return what is held of the session's subject, by class, until when and by which law."""
        rows = await store.held(self._pool, self._region, session.subject_id)
        return HeldList(data=[self._view(row, lang) for row in rows if row.count])

    def _view(self, row: store.HeldRow, lang: Language) -> HeldClass:
        kept = self._classes[row.record_class]
        return HeldClass(
            record_class=kept.code,
            name=kept.name.say(lang),
            count=row.count,
            kept_until=rules.kept_until(kept, row.newest),
            deletable=kept.code in rules.DELETABLE,
            law=law_view(kept.law, lang),
        )

    async def delete(self, session: Session, lang: Language, trace_id: str) -> Deleted:
        """Delete the drafts, look-ups and ended consents of the session's subject; say what must stay."""
        async with self._pool.acquire() as db, db.transaction():
            deleted = await store.delete_own(db, self._region, session.subject_id)
            await self._audit(db, "data.deleted", session.actor_id, session.subject_id, None, trace_id, dict(deleted))
        return Deleted(deleted=deleted, kept=(await self.held(session, lang)).data)

    # ---- erasing

    async def ask_erasure(self, session: Session, trace_id: str) -> Erasure:
        """Ask for one's own erasure; asked again it is the same one.

        Raises:
            LevelNeeded: the session is somebody's for another, or of a lower level than 2.
            MustBeKept: the law asks for something to be kept; says what and until when.
        """
        check_own(session)
        async with self._pool.acquire() as db, db.transaction():
            await self._check_free(db, session.subject_id)
            asked = await store.ask(db, self._region, new_id("era"), session.subject_id)
            assert asked is not None
            await self._audit(db, "erasure.asked", session.actor_id, session.subject_id, asked.id, trace_id, {})
        return asked

    async def waiting(self) -> ErasureList:
        """Return what waits for approval, oldest first."""
        return ErasureList(data=await store.asked(self._pool, self._region))

    async def approve(self, session: Session, id_: str, trace_id: str) -> Erasure:
        """Approve an erasure as a second person, and do it: the tombstone first, then the key and all that is left.

        A crash in between loses nothing: who stands in the list is erased at the next start.

        Raises:
            ErasureUnknown: none of that id waits.
            OwnApproval: it is the caller's own.
            MustBeKept: something came that must be kept.
        """
        async with self._pool.acquire() as db, db.transaction():
            found = await store.waiting(db, self._region, id_)
            if found is None:
                raise ErasureUnknown(id_)
            if found.subject in (session.subject_id, session.actor_id):
                raise OwnApproval
            await self._check_free(db, found.subject)
            await asyncio.to_thread(self.tombstones.add, found.subject)
            await store.erase(db, self._region, found.subject)
            done = await store.done(db, self._region, id_, session.actor_id)
            await self._audit(db, "erasure.done", session.actor_id, found.subject, id_, trace_id, {})
        assert done is not None
        return done

    async def _check_free(self, db: Connection, subject: str) -> None:
        rows = await store.held(db, self._region, subject)
        held = [
            (row.record_class, row.count, rules.kept_until(self._classes[row.record_class], row.newest)) for row in rows
        ]
        kept = rules.hindering(held, clock.today())
        if kept:
            named = ", ".join(f"{code} {until.isoformat() if until else '-'}" for code, until in kept)
            raise MustBeKept(kept=named)

    # ---- keeping no longer than due

    async def keep_no_longer(self) -> dict[str, int]:
        """Delete of every class what is due, at most 500 records each; write and return what was done.

        Rule: R-132.
        """
        done = {}
        for code, delete in _ROUNDS.items():
            days = self._classes[code].days
            if days is None:
                continue
            async with self._pool.acquire() as db, db.transaction():
                done[code] = await delete(db, self._region, days, _MOST)
                if done[code]:
                    await store_retention.insert_run(db, self._region, new_id("ret"), code, days, done[code])
        return done

    async def _audit(
        self,
        db: Connection,
        action: str,
        actor: str,
        subject: str,
        object_: str | None,
        trace_id: str,
        detail: dict[str, int],
    ) -> None:
        await audit.record(
            db, self._region, actor=actor, action=action, subject=subject, object=object_, trace_id=trace_id,
            detail=detail,
        )  # fmt: skip


def check_own(session: Session) -> None:
    """Check that a session is the person's own and sure enough.

    Raises:
        LevelNeeded: it is not.
    """
    if session.level < LEVEL or session.actor_id != session.subject_id or session.kind == "machine":
        raise LevelNeeded(level=LEVEL, own=session.level)
