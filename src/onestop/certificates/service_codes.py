"""Use codes 用证码: made by the holder for one department, one purpose, one case; redeemed once, within minutes."""

import base64
import os
import time
from typing import Final

from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.certificates import store_uses as store
from onestop.certificates.errors import (
    MatterUnknown,
    PurposeUnknown,
    UseCodeExpired,
    UseCodeOfAnother,
    UseCodeOtherMatter,
    UseCodeUnknown,
    UseCodeUsed,
)
from onestop.certificates.licences import Licences
from onestop.certificates.models_licences import FieldShown, Snapshot
from onestop.certificates.models_types import Purpose
from onestop.certificates.models_uses import MakeUseCode, RedeemUseCode, UseCode, UseCodeRow, UsedLicence
from onestop.certificates.service_licences import (
    Standing,
    check_usable,
    standing_now,
    state_shown,
    value_of,
)
from onestop.certificates.service_types import ReadyType
from onestop.crypto import digest
from onestop.db import Connection
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.texts import Language

LIFE_S: Final = 600
_USE_TYPE: Final = "licence-use+jws"


async def check_wish(licences: Licences, session: Session, found: Standing, wish: MakeUseCode) -> None:
    """Let a use code be made for the holder's own licence, before any transaction is open.

    Rule: R-356, no use without an item and a case: the code holds for that matter, that purpose, that department only.

    Raises:
        LicenceNotValid: it is not valid.
        PurposeUnknown: the licence's type has no such purpose.
        MatterUnknown: not a case of the holder's of that item, or the department has no part in the item.
    """
    check_usable(found)
    if wish.purpose not in licences.type_of(found.row).purposes:
        raise PurposeUnknown(purpose=wish.purpose)
    if not await licences.matters(session.subject_id, wish.item, wish.case, wish.taker):
        raise MatterUnknown(item=wish.item, taker=wish.taker)


async def make_code(
    licences: Licences, db: Connection, session: Session, context: Context, found: Standing, wish: MakeUseCode
) -> UseCode:
    """Make a code that `check_wish` let be made, in the caller's transaction; it lives ten minutes."""
    code = base64.b32encode(os.urandom(15)).decode()
    code_id = new_id("luc")
    ends = await store.insert_code(
        db, licences.region, code_id, digest(code.encode()), found.row.id, session.subject_id, wish.item, wish.case,
        wish.purpose, wish.taker, LIFE_S,
    )  # fmt: skip
    await audit.record(
        db, licences.region, actor=session.actor_id, action="licence.code_made", subject=session.subject_id,
        object=found.row.identifier, trace_id=context.trace_id,
        detail={"case": wish.case, "purpose": wish.purpose, "taker": wish.taker},
    )  # fmt: skip
    return UseCode(
        id=code_id, code=code, licence=found.row.identifier, purpose=wish.purpose, item=wish.item, case=wish.case,
        taker=wish.taker, expires_at=ends,
    )  # fmt: skip


async def redeem(licences: Licences, session: Session, context: Context, wish: RedeemUseCode) -> UsedLicence:
    """Use a licence by its code: once, by the department it was made for, in the matter it was made for.

    That it was used stands in the holder's data-use ledger by the transaction that uses the code up, before anything is
    handed over. Nothing handed over is kept: who loses the answer asks the holder for another code.

    Raises:
        UseCodeUnknown: there is no such code.
        UseCodeOfAnother: it was made for another department.
        UseCodeUsed, UseCodeExpired: it was redeemed before, or its minutes are over.
        UseCodeOtherMatter: it was made for another item or case.
        LicenceNotValid: the licence is no longer valid; the code is not used up.
    """
    row = await _code(licences, wish)
    _check(row, session.department, wish)
    route = "POST /v1/licence-uses"
    found = await standing_now(licences, row.subject, context, row.licence_id, route, actor=session.actor_id)
    check_usable(found)
    type_ = licences.type_of(found.row)
    purpose = type_.purposes.get(row.purpose)
    if purpose is None:
        raise PurposeUnknown(purpose=row.purpose)
    async with licences.pool.acquire() as db, db.transaction():
        first = await store.redeem(db, licences.region, row.id, row.taker, session.actor_id)
        if first:
            await _record(licences, db, session, context, found, type_, purpose, row)
    if not first:
        _check(await _code(licences, wish), session.department, wish)
        raise UseCodeUsed
    return _given(licences, context, found, type_, purpose, row)


async def _code(licences: Licences, wish: RedeemUseCode) -> UseCodeRow:
    row = await store.code(licences.pool, licences.region, digest(wish.code.encode()))
    if row is None:
        raise UseCodeUnknown
    return row


def _check(row: UseCodeRow, department: str | None, wish: RedeemUseCode) -> None:
    if row.taker != department:
        raise UseCodeOfAnother
    if row.redeemed_at is not None:
        raise UseCodeUsed
    if row.expired:
        raise UseCodeExpired
    if (row.item, row.case_id) != (wish.item, wish.case):
        raise UseCodeOtherMatter


async def _record(
    licences: Licences, db: Connection, session: Session, context: Context, found: Standing, type_: ReadyType,
    purpose: Purpose, row: UseCodeRow,
) -> None:  # fmt: skip
    use = Use(
        adapter=row.taker,
        basis=type_.spec.basis.zh,
        fields=tuple(sorted(purpose.fields)),
        operation=f"licence.{type_.spec.code}",
        outcome="told",
        purpose=purpose.name.zh,
        version=str(found.row.version),
    )
    await audit.data_used(
        db, licences.region, [audit.use_entry(use)], subject=row.subject, actor=f"department:{row.taker}",
        object=row.case_id, trace_id=context.trace_id,
    )  # fmt: skip
    await audit.record(
        db, licences.region, actor=session.actor_id, action="licence.used", subject=row.subject,
        object=found.row.identifier, trace_id=context.trace_id,
        detail={"case": row.case_id, "code": row.id, "purpose": row.purpose, "taker": row.taker},
    )  # fmt: skip


def _given(
    licences: Licences, context: Context, found: Standing, type_: ReadyType, purpose: Purpose, row: UseCodeRow
) -> UsedLicence:
    snapshot = licences.open(found.row)
    fields = _whole(type_, snapshot, purpose, context.lang)
    signed = licences.issuer.token(
        {
            "iss": licences.public_url,
            "iat": int(time.time()),
            "licence": found.row.identifier,
            "state": found.state,
            "purpose": row.purpose,
            "item": row.item,
            "case": row.case_id,
            "taker": row.taker,
            "fields": {one.code: one.value for one in fields},
        },
        _USE_TYPE,
    )
    return UsedLicence(
        licence=found.row.identifier,
        type=found.row.type,
        name=type_.spec.name.say(context.lang),
        issuer=snapshot.issuer.en if context.lang == "en" else snapshot.issuer.zh,
        purpose=row.purpose,
        standing=state_shown(found, context.lang),
        as_of=found.row.as_of,
        fields=fields,
        signed=signed,
        trace_id=context.trace_id,
    )


def _whole(type_: ReadyType, snapshot: Snapshot, purpose: Purpose, lang: Language) -> list[FieldShown]:
    """Return the purpose's fields as they are: numbers whole and codes as codes, since a machine matches them."""
    return [
        FieldShown(code=code, label=type_.label(code, lang), value=value_of(snapshot, code)) for code in purpose.fields
    ]
