"""Verbs: decide on releases; show purposes and keep what was shown; take a consent and give it back."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from onestop import clock
from onestop.audit import service as audit
from onestop.basis import present, rules, store
from onestop.basis.errors import (
    BadPurposes,
    BasisMissing,
    ConsentNotAsked,
    GuardianNeeded,
    NoticeChanged,
    PurposeUnknown,
)
from onestop.basis.models import About, Consent, Decision, Guardian, Purpose, Release
from onestop.basis.purposes import Purposes, hashes
from onestop.basis.views import PurposeList, PurposeView
from onestop.db import Connection, Pool
from onestop.ids import new_id
from onestop.texts import LANGUAGES, Language


class Basis:
    """What may be released, as one process decides it. Nothing is remembered of consents: a withdrawal holds at once
    on every instance.
    """

    def __init__(self, pool: Pool, region: str, purposes: Purposes) -> None:
        self.pool, self.region, self.purposes = pool, region, purposes

    async def start(self) -> None:
        """Keep the words of today's notices.

        Raises:
            BadPurposes: a notice has other words than it had in use under this version.
        """
        rows = [
            (one.code, one.version, lang, hashes(one)[lang], one.notice.say(lang))
            for one in self.purposes.all.values()
            for lang in LANGUAGES
        ]
        await store.insert_notice_texts(self.pool, rows)
        kept = await store.notice_texts(self.pool, list(self.purposes.all))
        known = {(one.purpose, one.version, one.lang): one.hash for one in kept}
        for code, version, lang, hash_, _ in rows:
            if known[code, version, lang] != hash_:
                raise BadPurposes(f"{code}: the notice's words changed ({lang}); give it version {version + 1}")

    async def decide(self, about: About, releases: Sequence[Release]) -> list[Decision]:
        """Decide on releases of one person's data, in their order; asks the database only where a consent is needed.

        Rule: R-130.
        """
        now = clock.now()
        purposes = [self.purposes.of(release) for release in releases]
        needed = sorted({one.code for one in purposes if one is not None and one.kind == "consent"})
        consents: Sequence[Consent] = ()
        guardians: Sequence[Guardian] = ()
        if needed and about.subject is not None:
            consents = await store.live(self.pool, self.region, about.subject, needed)
            if consents and rules.is_child(about.born_on, clock.today()):
                guardians = await store.guardians(self.pool, self.region, about.subject)
        return [rules.decide(purpose, about, consents, guardians, now) for purpose in purposes]

    async def check(self, about: About, release: Release) -> Decision:
        """Return the decision on one release.

        Raises:
            BasisMissing: it may not be.
        """
        [found] = await self.decide(about, [release])
        if not found.allowed:
            raise BasisMissing(purpose=found.purpose or "-", why=found.why)
        return found

    # ---- what a person is told

    async def shown(self, subject: str, lang: Language) -> PurposeList:
        """Return every purpose with the person's consents; that its notices were shown is on record."""
        newest = {one.purpose: one for one in await store.newest(self.pool, self.region, subject)}
        inforce = [one for one in self.purposes.all.values() if _in_force(one)]
        await self._record_shown(subject, inforce, lang)
        views = [self._view(one, newest.get(one.code), subject, lang) for one in inforce]
        return PurposeList(data=sorted(views, key=lambda view: view.consent is None))

    async def shown_one(self, subject: str, code: str, lang: Language) -> PurposeView:
        """Return one purpose likewise.

        Raises:
            PurposeUnknown: there is none of that code.
        """
        purpose = self._purpose(code)
        newest = {one.purpose: one for one in await store.newest(self.pool, self.region, subject)}
        await self._record_shown(subject, [purpose], lang)
        return self._view(purpose, newest.get(code), subject, lang)

    def _view(self, purpose: Purpose, newest: Consent | None, subject: str, lang: Language) -> PurposeView:
        return present.purpose_view(self.purposes, purpose, newest, subject, clock.now(), lang)

    async def _record_shown(self, subject: str, purposes: Sequence[Purpose], lang: Language) -> None:
        rows = [(one.code, one.version, hashes(one)[lang]) for one in purposes]
        if rows:
            await store.insert_shown(self.pool, self.region, subject, lang, rows)

    def _purpose(self, code: str) -> Purpose:
        found = self.purposes.all.get(code)
        if found is None or not _in_force(found):
            raise PurposeUnknown(code)
        return found

    # ---- consents

    async def give(
        self, about: About, code: str, notice: str, *, actor: str, lang: Language, trace_id: str
    ) -> PurposeView:
        """Consent to a purpose for the person `about`; the same again changes nothing.

        `actor` is the person, or a child's guardian.

        Raises:
            PurposeUnknown: there is none of that code.
            ConsentNotAsked: it rests on a duty.
            NoticeChanged: `notice` is not the hash of what it says today, in either language.
            GuardianNeeded: the person is under 14, and `actor` is not a guardian of theirs.
        """
        purpose, subject = self._consented(code), about.subject or ""
        told = next((lang for lang, hash_ in hashes(purpose).items() if hash_ == notice), None)
        if told is None:
            raise NoticeChanged(purpose=code, version=purpose.version)
        now = clock.now()
        async with self.pool.acquire() as db, db.transaction():
            await store.lock(db, subject)
            guardians = await store.guardians(db, self.region, subject)
            if not rules.may_consent(about, actor, guardians, now):
                raise GuardianNeeded(purpose=code)
            live = await store.live(db, self.region, subject, [code])
            if not rules.decide(purpose, about, live, guardians, now).allowed or live[0].notice_hash != notice:
                await self._write(db, purpose, subject, notice, actor=actor, lang=told, now=now, trace_id=trace_id)
        return await self.shown_one(subject, code, lang)

    async def _write(
        self,
        db: Connection,
        purpose: Purpose,
        subject: str,
        notice: str,
        *,
        actor: str,
        lang: str,
        now: datetime,
        trace_id: str,
    ) -> None:
        await store.end(db, self.region, subject, purpose.code, actor, "replaced")
        consent = Consent(
            id=new_id("con"),
            subject=subject,
            purpose=purpose.code,
            version=purpose.version,
            notice_hash=notice,
            lang=lang,
            given_by=actor,
            given_at=now,
            expires_at=None if purpose.days is None else now + timedelta(days=purpose.days),
        )
        await store.insert(db, self.region, consent)
        await self._audit(db, "consent.given", actor, subject, purpose, trace_id)

    async def withdraw(self, about: About, code: str, *, actor: str, lang: Language, trace_id: str) -> PurposeView:
        """Take a consent back: nothing is released on it from this commit on; what was done stays done.

        Withdrawing what was not given changes nothing. A child may always withdraw, a guardian while they are one.

        Raises:
            PurposeUnknown: there is none of that code.
            ConsentNotAsked: it rests on a duty.
        """
        purpose, subject = self._consented(code), about.subject or ""
        async with self.pool.acquire() as db, db.transaction():
            await store.lock(db, subject)
            if await store.end(db, self.region, subject, code, actor, "withdrawn"):
                await self._audit(db, "consent.withdrawn", actor, subject, purpose, trace_id)
        return await self.shown_one(subject, code, lang)

    def _consented(self, code: str) -> Purpose:
        purpose = self._purpose(code)
        if purpose.kind != "consent":
            raise ConsentNotAsked(purpose=code)
        return purpose

    async def _audit(
        self, db: Connection, action: str, actor: str, subject: str, purpose: Purpose, trace_id: str
    ) -> None:
        detail = {"purpose": purpose.code, "version": purpose.version}
        await audit.record(
            db, self.region, actor=actor, action=action, subject=subject, object=purpose.code, trace_id=trace_id,
            detail=detail,
        )  # fmt: skip


def _in_force(purpose: Purpose) -> bool:
    today = clock.now().astimezone(clock.CHINA).date()
    return purpose.since <= today and (purpose.until is None or today < purpose.until)
