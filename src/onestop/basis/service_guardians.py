"""Verbs of guardians: a clerk records one by a document, ends one; a guardian acts for a ward while they are one."""

from datetime import UTC, datetime

from onestop import clock
from onestop.audit import service as audit
from onestop.basis import rules, store
from onestop.basis.errors import GuardianUnknown, WardUnknown
from onestop.basis.models import About, Guardian
from onestop.basis.service import Basis
from onestop.basis.views import Evidence, GuardianView, Named, NewGuardian, WardList, WardView
from onestop.db import Connection
from onestop.errors import FieldError, Invalid
from onestop.identity import numbers
from onestop.identity.models import Session
from onestop.identity.rules import mask_number
from onestop.identity.service import Sessions
from onestop.ids import new_id
from onestop.settings import Profile


async def about(sessions: Sessions, subject: str) -> About:
    """Return what is decided on of a subject.

    Raises:
        PersonUnknown: there is none of that id.
    """
    person = await sessions.person(subject)
    return About(subject=subject, born_on=rules.born_on(person.number_type, person.number))


async def record(
    basis: Basis, sessions: Sessions, session: Session, told: NewGuardian, profile: Profile, trace_id: str
) -> GuardianView:
    """Record who is a child's guardian, by the document a clerk has seen.

    Raises:
        BadNumber: one of the numbers is none, or not of its kind.
        Invalid: the ward is no child, or their own guardian.
    """
    ward, guardian = (numbers.check_kind(one.number_type, one.number, profile) for one in (told.ward, told.guardian))
    born = rules.born_on(told.ward.number_type, ward)
    if ward == guardian or not rules.is_child(born, clock.today()):
        raise Invalid(errors=[FieldError(pointer="/ward/number", code="basis.no_child")])
    ends_at = None if told.ends_on is None else datetime.combine(told.ends_on, datetime.min.time(), clock.CHINA)
    async with basis.pool.acquire() as db, db.transaction():
        new = Guardian(
            id=new_id("grd"),
            ward=await _met(sessions, db, told.ward, ward),
            guardian=await _met(sessions, db, told.guardian, guardian),
            begins_at=clock.now(),
            ends_at=None if ends_at is None else ends_at.astimezone(UTC),
        )
        await store.insert_guardian(db, basis.region, new, session.actor_id, told.evidence)
        await _audit(basis, db, session, new, "guardian.recorded", trace_id, told.evidence)
    return _view(new)


async def end(basis: Basis, session: Session, id_: str, trace_id: str) -> GuardianView:
    """End a guardian from now on; consents they gave count no more.

    Raises:
        GuardianUnknown: there is none of that id, or it has ended.
    """
    async with basis.pool.acquire() as db, db.transaction():
        ended = await store.end_guardian(db, basis.region, id_, clock.now())
        if ended is None:
            raise GuardianUnknown(id_)
        await _audit(basis, db, session, ended, "guardian.ended", trace_id, None)
    return _view(ended)


async def own_wards(basis: Basis, sessions: Sessions, session: Session) -> WardList:
    """Return the children whose guardian the session's subject is, numbers masked."""
    found = []
    for one in await store.wards(basis.pool, basis.region, session.subject_id, clock.now()):
        ward = await sessions.person(one.ward)
        found.append(WardView(id=ward.id, name=ward.name, number_masked=mask_number(ward.number), ends_at=one.ends_at))
    return WardList(data=found)


async def ward(basis: Basis, sessions: Sessions, session: Session, ward_id: str) -> About:
    """Return what is decided on of a ward of the session's subject.

    Raises:
        WardUnknown: they are no ward of this subject's, or not any more, or no child any more.
    """
    guardians = await store.guardians(basis.pool, basis.region, ward_id)
    if any(one.guardian == session.subject_id for one in guardians):
        found = await about(sessions, ward_id)
        if rules.may_consent(found, session.subject_id, guardians, clock.now()):
            return found
    raise WardUnknown(ward_id)


async def _met(sessions: Sessions, db: Connection, named: Named, number: str) -> str:
    return await sessions.met(db, named.number_type, number, named.name)


async def _audit(
    basis: Basis,
    db: Connection,
    session: Session,
    one: Guardian,
    action: str,
    trace_id: str,
    evidence: Evidence | None,
) -> None:
    detail = {"guardian": one.guardian, **({"evidence": evidence} if evidence else {})}
    await audit.record(
        db, basis.region, actor=session.actor_id, action=action, subject=one.ward, object=one.id, trace_id=trace_id,
        detail=detail,
    )  # fmt: skip


def _view(one: Guardian) -> GuardianView:
    return GuardianView(id=one.id, ward=one.ward, guardian=one.guardian, begins_at=one.begins_at, ends_at=one.ends_at)
