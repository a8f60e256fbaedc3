"""What a holder does with licences: see them, fetch them from their issuers, see one with its history.

A licence refers to its issuer's current record. Before it is used, an issuer whose word is older than the type lets it
be is asked again; where it cannot be asked, the state is unknown and said to be.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.certificates import rules_licences as rules
from onestop.certificates import store_licences as store
from onestop.certificates.errors import (
    LicenceExpired,
    LicenceNotValid,
    LicenceRevoked,
    LicenceSuperseded,
    LicenceSuspended,
    LicenceUnknown,
)
from onestop.certificates.licences import Licences
from onestop.certificates.models_licences import (
    Fetched,
    FetchedPart,
    FieldShown,
    LicenceBrief,
    LicenceEvent,
    LicenceList,
    LicenceRow,
    LicenceView,
    Snapshot,
    StateShown,
)
from onestop.certificates.models_types import COMMON
from onestop.certificates.service_intake import as_of, take_in
from onestop.certificates.service_types import ReadyType
from onestop.db import Connection
from onestop.gateway.models import Part
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.rules import mask_number
from onestop.texts import Language, text

_MOST = 200
_REFUSALS: Final[dict[rules.LicenceState, type[LicenceNotValid]]] = {
    "suspended": LicenceSuspended,
    "expired": LicenceExpired,
    "revoked": LicenceRevoked,
    "superseded": LicenceSuperseded,
}


class Standing(msgspec.Struct, frozen=True):
    """A licence's row with what is known of its state at this moment."""

    row: LicenceRow
    state: rules.LicenceState  # unknown: the issuer's last word is too old, and it could not be asked
    last_known: rules.LicenceState


async def own_licences(
    licences: Licences, session: Session, lang: Language, *, before: str | None = None, limit: int = 50
) -> LicenceList:
    """Return the session's own licences in their present versions, newest first; asks nobody."""
    limit = max(1, min(limit, _MOST))
    rows = await store.own(licences.pool, licences.region, session.subject_id, before, limit + 1)
    shown = [brief(licences, standing(licences, row), lang) for row in rows[:limit]]
    more = len(rows) > limit
    return LicenceList(data=shown, next_cursor=shown[-1].id if more else None, has_more=more)


async def own_licence(licences: Licences, session: Session, context: Context, licence_id: str) -> LicenceView:
    """Return one of the session's own licences, of whichever version; its issuer is asked where its word is old.

    Raises:
        LicenceUnknown: none of that id, or another person's.
    """
    found = await standing_now(licences, session.subject_id, context, licence_id, "GET /v1/me/licences/{id}")
    return await _whole(licences, found, context.lang)


async def fetch(licences: Licences, session: Session, context: Context, types: Sequence[str]) -> Fetched:
    """Ask the issuers of these types, or of all, for the subject's records, and take in what they say.

    Raises:
        LicenceTypeUnknown: none of a code is known.
    """
    chosen = licences.types.sourced(types)
    parts = await _refresh(
        licences, session.subject_id, session.actor_id, context, chosen, "POST /v1/me/licence-fetches"
    )
    listed = await own_licences(licences, session, context.lang, limit=_MOST)
    told = [_told(type_, part) for type_, part in zip(chosen, parts, strict=True)]
    return Fetched(complete=all(one.state in ("ok", "stale") for one in told), parts=told, data=listed.data)


def _told(type_: ReadyType, part: Part) -> FetchedPart:
    found = 0
    if part.data is not None:
        found = len(type_.listed(part.data, as_of(part.as_of), clock.today()))
    problem = part.problem.code if part.problem is not None else None
    return FetchedPart(type=type_.spec.code, state=part.state, found=found, problem=problem)


async def _refresh(
    licences: Licences, subject_id: str, actor: str, context: Context, types: Sequence[ReadyType], route: str
) -> list[Part]:
    """Ask issuers and write what came, each type by itself; what was read stands in the data-use ledger with it."""
    subject = await licences.people(subject_id)
    gathered = await licences.ask(types, subject, context, route)
    for type_, part in zip(types, gathered.parts, strict=True):
        if part.state != "ok" or (part.data is None and part.found is not False):
            continue
        listed = [] if part.data is None else type_.listed(part.data, as_of(part.as_of), clock.today())
        use = licences.gateway.uses.read(part.want, part.source.adapter, part.source.version, part.state)
        async with licences.pool.acquire() as db, db.transaction():
            await audit.data_used(
                db, licences.region, [use], subject=subject_id, actor=actor, object=f"licences:{type_.spec.code}",
                trace_id=context.trace_id,
            )  # fmt: skip
            await take_in(licences, db, type_, listed, subject_id)
    return gathered.parts


async def standing_now(
    licences: Licences, subject: str, context: Context, licence_id: str, route: str, *, actor: str | None = None
) -> Standing:
    """Return how a subject's licence stands, after its issuer was asked where its last word is too old.

    Raises:
        LicenceUnknown: none of that id, or another person's.
    """
    row = await _own(licences, subject, licence_id)
    type_ = licences.type_of(row)
    if type_.spec.source is not None and row.state != "superseded" and _is_stale(type_, row):
        await _refresh(licences, subject, actor or subject, context, [type_], route)
        row = await _own(licences, subject, licence_id)
    return standing(licences, row)


async def _own(licences: Licences, subject: str, licence_id: str) -> LicenceRow:
    row = await store.own_one(licences.pool, licences.region, licence_id, subject)
    if row is None:
        raise LicenceUnknown(licence_id)
    return row


async def held(licences: Licences, subject: str, type_: str) -> list[Standing]:
    """Return a subject's licences of one type, newest first, as they stand by what is known here; asks nobody."""
    rows = await store.own_of_type(licences.pool, licences.region, subject, type_)
    return [standing(licences, row) for row in rows]


async def own_standing(licences: Licences, db: Connection, subject: str, licence_id: str) -> Standing | None:
    """Return how a subject's own licence stands, in the caller's transaction; None where there is none."""
    row = await store.own_one(db, licences.region, licence_id, subject)
    return None if row is None else standing(licences, row)


def _is_stale(type_: ReadyType, row: LicenceRow) -> bool:
    # Times of the database and of this process, both of the real clock: a sandbox that moves legal time ages no answer.
    return rules.is_stale(row.asked_at, clock.real_now(), type_.spec.max_age_s)


def standing(licences: Licences, row: LicenceRow) -> Standing:
    """Return how a licence stands by what is known here.

    Rule: R-355, a state is passed on no longer than its type lets the issuer's word be taken; after that it is unknown.
    """
    type_ = licences.type_of(row)
    known = rules.state_at(row.state, row.valid_to, clock.today())
    old = known in ("valid", "suspended") and type_.spec.source is not None and _is_stale(type_, row)
    return Standing(row, "unknown" if old else known, known)


def check_usable(found: Standing) -> None:
    """Let a licence be used that is valid, or whose state is unknown and said to be.

    Raises:
        LicenceSuspended, LicenceExpired, LicenceRevoked, LicenceSuperseded: by name how it is not.
    """
    refusal = _REFUSALS.get(found.last_known)
    if refusal is not None:
        raise refusal


# ---- as it is shown


def value_of(snapshot: Snapshot, code: str) -> str:
    """Return one value of a licence, of its type's fields or of those that all have; empty where it has none."""
    if code in COMMON:
        return getattr(snapshot, code) or ""
    return snapshot.fields.get(code, "")


def field_shown(type_: ReadyType, code: str, value: str, lang: Language) -> FieldShown:
    """Return one value with its label: numbers of people masked, codes in words, no end as such."""
    if code in COMMON:
        said = value or (text("licence.for_good", lang) if code == "valid_to" else "")
        return FieldShown(code=code, label=type_.label(code, lang), value=said)
    field = type_.fields[code]
    meant = field.words.get(value)
    said = mask_number(value) if field.masked and value else meant.say(lang) if meant else value
    return FieldShown(code=code, label=type_.label(code, lang), value=said)


def fields_shown(type_: ReadyType, snapshot: Snapshot, codes: Sequence[str], lang: Language) -> list[FieldShown]:
    """Return values with their labels; those a licence does not have are left out."""
    found = [(code, value_of(snapshot, code)) for code in codes]
    return [field_shown(type_, code, value, lang) for code, value in found if value or code == "valid_to"]


def state_shown(found: Standing, lang: Language) -> StateShown:
    """Return the state in words, with the reason and when the issuer last said so."""
    return StateShown(
        state=found.state,
        says=text(f"licence.state.{found.state}", lang),
        last_known=found.last_known,
        reason=found.row.reason,
        asked_at=found.row.asked_at,
    )


def brief(licences: Licences, found: Standing, lang: Language) -> LicenceBrief:
    """Return a licence as a list shows it."""
    return LicenceBrief(**_common(licences, found, licences.open(found.row), lang))


def _common(licences: Licences, found: Standing, snapshot: Snapshot, lang: Language) -> dict[str, Any]:
    row = found.row
    own = f"/v1/me/licences/{row.id}"
    return {
        "id": row.id,
        "identifier": row.identifier,
        "type": row.type,
        "name": snapshot.name.en if lang == "en" else snapshot.name.zh,
        "number": snapshot.number,
        "holder": snapshot.holder,
        "issuer": {"id": row.department, "name": snapshot.issuer.en if lang == "en" else snapshot.issuer.zh},
        "version": row.version,
        "standing": state_shown(found, lang),
        "valid_from": row.valid_from,
        "valid_to": row.valid_to,
        "links": {"self": own, "type": f"/v1/licence-types/{row.type}"},
    }


async def _whole(licences: Licences, found: Standing, lang: Language) -> LicenceView:
    row, type_, snapshot = found.row, licences.type_of(found.row), licences.open(found.row)
    events = await store.history(licences.pool, licences.region, row.serial, row.subject)
    directory = licences.directory()
    return LicenceView(
        **_common(licences, found, snapshot, lang),
        fields=fields_shown(type_, snapshot, list(type_.fields), lang),
        scenes=[{"code": one.code, "name": one.name.say(lang)} for one in type_.spec.scenes],
        purposes=[{"code": one.code, "name": one.name.say(lang)} for one in type_.spec.purposes],
        as_of=row.as_of,
        signature=row.signature,
        digest=row.digest.hex(),
        history=[
            LicenceEvent(
                at=one.at,
                kind=one.kind,
                says=text(f"licence.event.{one.kind}", lang),
                by_whom=text("licence.here", lang) if one.by_whom == "onestop" else directory.name(one.by_whom, lang),
                reason=one.reason,
                version=one.version,
            )
            for one in events
        ],
    )
