"""How licences come in: issued with a case's decision, or fetched from their issuer; one record, one licence.

What an issuer says is compared with what stands: the same again only moves the time it was said; other words make the
next version; another state changes the state; a record that is no longer listed ends the licence.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.certificates import store_licences as store
from onestop.certificates.licences import Licences, instant, snapshot_context
from onestop.certificates.models import Words
from onestop.certificates.models_licences import LicenceRow, Snapshot, Told
from onestop.certificates.rules_licences import Reason, identifier
from onestop.certificates.service_types import ReadyType
from onestop.db import Connection
from onestop.ids import new_id

ONESTOP: Final = "onestop"
NOT_LISTED: Final[Reason] = "not_listed"
SNAPSHOT_TYPE: Final = "licence+jws"


async def issue_decided(
    licences: Licences, db: Connection, types: Sequence[ReadyType], *, values: dict[str, Any], subject: str,
    case_id: str, trace_id: str | None,
) -> list[str]:  # fmt: skip
    """Issue licences of these types by what a case decided, in its transaction; return their identifiers.

    What is decided again issues none again.

    Rule: R-353, paper and e-licence are issued at the same time: the decision itself issues the e-licence.
    """
    made = []
    for type_ in types:
        told = type_.decided(values, clock.today())
        if told is not None and await _standing(licences, db, type_, told, subject) is None:
            made.append(await _write(licences, db, type_, told, subject, case_id=case_id))
    for one in made:
        await audit.record(
            db, licences.region, actor=ONESTOP, action="licence.issued", subject=subject, object=one,
            trace_id=trace_id, detail={"case": case_id},
        )  # fmt: skip
    return made


async def take_in(licences: Licences, db: Connection, type_: ReadyType, listed: Sequence[Told], subject: str) -> None:
    """Write what an issuer lists of one type for a subject; what stood here and is listed no longer has ended."""
    kept = set()
    for told in listed:
        kept.add(await _take_one(licences, db, type_, told, subject))
    for row in await store.own_of_type(db, licences.region, subject, type_.spec.code):
        if row.id not in kept and row.case_id is None and row.state != "revoked":
            await store.set_state(db, licences.region, row.id, "revoked", NOT_LISTED)
            await store.insert_event(db, licences.region, row.id, "revoked", type_.spec.issuer, NOT_LISTED)


async def _standing(
    licences: Licences, db: Connection, type_: ReadyType, told: Told, subject: str
) -> LicenceRow | None:
    indices = licences.number_indices(type_.spec.code, told.number)
    return await store.own_by_number(db, licences.region, subject, indices)


async def _take_one(licences: Licences, db: Connection, type_: ReadyType, told: Told, subject: str) -> str:
    """Write one record and return the id of the licence it is."""
    row = await _standing(licences, db, type_, told, subject)
    if row is None:
        await _write(licences, db, type_, told, subject)
        row = await _standing(licences, db, type_, told, subject)
        assert row is not None
        return row.id
    if _differs(licences.open(row), told, dated=_says_when(type_)):
        return await next_version(licences, db, type_, row, told, "details_changed", type_.spec.issuer)
    await store.set_asked(db, licences.region, row.id, told.as_of)
    # An issuer's own word at our door holds until it takes it back there, or its register says worse.
    ended_here = row.state == "revoked" and row.reason != NOT_LISTED
    if told.state != row.state and not ended_here and (told.state != "valid" or row.reason in (None, NOT_LISTED)):
        reason: Reason | None = None if told.state == "valid" else "cancelled"
        await store.set_state(db, licences.region, row.id, told.state, reason)
        kind = "restored" if told.state == "valid" else told.state
        await store.insert_event(db, licences.region, row.id, kind, type_.spec.issuer, reason)
    return row.id


def _says_when(type_: ReadyType) -> bool:
    """Tell whether the issuer itself says from when a licence is valid, so that another day is another word."""
    return type_.spec.source is not None and type_.spec.source.valid_from is not None


def _differs(before: Snapshot, told: Told, *, dated: bool) -> bool:
    same = (before.holder, before.fields) == (told.holder, told.fields)
    return not same or (dated and before.valid_from != told.valid_from.isoformat())


async def next_version(
    licences: Licences, db: Connection, type_: ReadyType, row: LicenceRow, told: Told, reason: Reason, by_whom: str
) -> str:
    """Put the next version of a licence in the place of the one that stands; return its id. The row is held.

    Rule: R-354, a re-issue keeps type, issuer and serial and counts the version up by one.
    """
    await store.set_state(db, licences.region, row.id, "superseded", reason)
    await store.insert_event(db, licences.region, row.id, "superseded", by_whom, reason)
    return await _write(
        licences, db, type_, told, row.subject, serial=row.serial, version=row.version + 1, case_id=row.case_id,
        by_whom=by_whom, by_id=True,
    )  # fmt: skip


async def _write(
    licences: Licences, db: Connection, type_: ReadyType, told: Told, subject: str, *, serial: str | None = None,
    version: int = 1, case_id: str | None = None, by_whom: str = ONESTOP, by_id: bool = False,
) -> str:  # fmt: skip
    """Write one version; return its identifier, or with `by_id` the row's id."""
    spec = type_.spec
    serial = serial or os.urandom(16).hex().upper()  # not the licence's number: identifiers are shown to strangers
    code = licences.issuer_code(spec.issuer) or spec.definer
    licence_id = new_id("lic")
    name = identifier(spec.type_code, code, serial, version)
    directory = licences.directory()
    now = clock.now()
    snapshot = Snapshot(
        identifier=name,
        type=spec.code,
        name=Words(spec.name.zh, spec.name.en),
        number=told.number,
        issuer=Words(directory.name(spec.issuer, "zh"), directory.name(spec.issuer, "en")),
        issuer_code=code,
        holder=told.holder,
        fields=told.fields,
        valid_from=told.valid_from.isoformat(),
        valid_to=told.valid_to.isoformat() if told.valid_to else None,
        as_of=instant(told.as_of),
        issued_at=instant(now),
        region=licences.region,
    )
    body, signature = licences.issuer.sign(msgspec.to_builtins(snapshot), SNAPSHOT_TYPE)
    new = await store.insert(
        db, licences.region, licence_id, name, spec.code, serial, version,
        licences.number_index(spec.code, told.number), spec.issuer, subject, case_id, told.state,
        licences.keys.seal(body, snapshot_context(licence_id)), licences.keys.hash(body), signature, told.as_of,
        told.valid_from, told.valid_to,
    )  # fmt: skip
    if new:
        kind = "issued" if case_id is not None or version > 1 else "fetched"
        await store.insert_event(db, licences.region, licence_id, kind, by_whom)
    return licence_id if by_id else name


def as_of(told: str | None) -> datetime:
    """Return when an issuer last changed what it said; this moment where it does not say."""
    return datetime.fromisoformat(told) if told else clock.now()
