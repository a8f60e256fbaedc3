"""What an issuer does with its own licences: suspend, restore, revoke, put another version in their place."""

from datetime import date

from onestop import clock
from onestop.audit import service as audit
from onestop.certificates import rules_licences as rules
from onestop.certificates import store_licences as store
from onestop.certificates.errors import ChangeNotAllowed, ChangeUnfounded, LicenceUnknown
from onestop.certificates.licences import Licences
from onestop.certificates.models_licences import Changed, ChangeLicence, LicenceRow, Told
from onestop.certificates.service_intake import next_version
from onestop.db import Connection
from onestop.errors import FieldError
from onestop.http.models import Context
from onestop.identity.models import Session


async def change(
    licences: Licences, db: Connection, session: Session, context: Context, wish: ChangeLicence
) -> Changed:
    """Change licences that the session's department issued, in the caller's transaction; all of them or none.

    Raises:
        LicenceUnknown: none such, or another department's.
        ChangeNotAllowed: one of them is in a state from which this cannot be done.
        ChangeUnfounded: not for this reason, without saying which licence, or with fields the type does not have.
    """
    _check(licences, wish)
    indices = [] if wish.identifier else licences.number_indices(wish.type or "", wish.number or "")
    rows = await store.issued_for_update(db, licences.region, _own(licences, session), wish.identifier, indices)
    if not rows:
        raise LicenceUnknown
    made = [await _one(licences, db, session, context, row, wish) for row in rows]
    return Changed(data=made)


def _own(licences: Licences, session: Session) -> list[str]:
    department = session.department
    return [] if department is None else sorted({department, *licences.gateway.owned_by(department)})


def _check(licences: Licences, wish: ChangeLicence) -> None:
    if (wish.identifier is None) == (wish.type is None or wish.number is None):
        raise ChangeUnfounded(errors=[FieldError(pointer="/identifier", code="licence.which")])
    if not rules.may_give(wish.change, wish.reason):
        raise ChangeUnfounded(errors=[FieldError(pointer="/reason", code="licence.reason")])
    if wish.change != "supersede" and (wish.fields or wish.valid_to):
        raise ChangeUnfounded(errors=[FieldError(pointer="/fields", code="licence.no_new_version")])


async def _one(
    licences: Licences, db: Connection, session: Session, context: Context, row: LicenceRow, wish: ChangeLicence
) -> dict[str, str]:
    target = rules.after(wish.change, row.state)
    if target is None:
        raise ChangeNotAllowed(change=wish.change, state=row.state)
    by_whom, name, state = row.department, row.identifier, target
    if wish.change == "supersede":
        name, state = await _superseded(licences, db, row, wish, by_whom), "valid"
    else:
        reason = None if target == "valid" else wish.reason
        await store.set_state(db, licences.region, row.id, target, reason)
        await store.insert_event(db, licences.region, row.id, rules.EVENTS[wish.change], by_whom, wish.reason)
    await audit.record(
        db, licences.region, actor=session.actor_id, action=f"licence.{rules.EVENTS[wish.change]}",
        subject=row.subject, object=row.identifier, trace_id=context.trace_id, detail={"reason": wish.reason},
    )  # fmt: skip
    return {"identifier": name, "state": state}


async def _superseded(licences: Licences, db: Connection, row: LicenceRow, wish: ChangeLicence, by_whom: str) -> str:
    """Write the next version: the old one's words with the new ones in their places; return its identifier."""
    type_, before = licences.type_of(row), licences.open(row)
    unknown = sorted(set(wish.fields) - set(type_.fields))
    if unknown:
        raise ChangeUnfounded(errors=[FieldError(pointer=f"/fields/{unknown[0]}", code="form.unknown")])
    told = Told(
        number=before.number,
        holder=before.holder,
        fields=before.fields | wish.fields,
        as_of=clock.now(),
        valid_from=date.fromisoformat(before.valid_from),
        valid_to=wish.valid_to or row.valid_to,
    )
    licence_id = await next_version(licences, db, type_, row, told, wish.reason, by_whom)
    made = await store.by_id(db, licences.region, licence_id)
    assert made is not None
    return made.identifier
