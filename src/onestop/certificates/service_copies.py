"""Documents of licences: the holder's own, and copies 加注件 that say for what and for whom they are, sealed as PDF."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.certificates import store_licences, store_uses
from onestop.certificates.document import Page, lacking, render
from onestop.certificates.errors import CopyUnknown, LicenceUnknown, ShowExpired, ShowForged, Unprintable
from onestop.certificates.licences import Licences, copy_context
from onestop.certificates.models_licences import LicenceRow, Snapshot
from onestop.certificates.models_uses import (
    CheckShow,
    Claims,
    Copy,
    CopyAbout,
    CopyList,
    CopyRow,
    MakeCopy,
    ShowChecked,
)
from onestop.certificates.press import deadline_of
from onestop.certificates.service_licences import (
    Standing,
    check_usable,
    fields_shown,
    standing,
    standing_now,
    state_shown,
)
from onestop.certificates.service_showing import PAGE, check, shown_licence
from onestop.clock import CHINA
from onestop.db import Connection
from onestop.http.models import Context
from onestop.http.problems import LANGUAGE_TAGS
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.texts import Language, text

COPY_TYPE: Final = "licence-copy+jws"
_about = msgspec.json.Decoder(CopyAbout)


def check_words(wish: MakeCopy) -> None:
    """Let a copy be made whose words can be printed.

    Raises:
        Unprintable: the font lacks a character of purpose or taker.
    """
    missing = lacking(wish.purpose + wish.taker)
    if missing:
        raise Unprintable(characters=missing)


async def make_copy(
    licences: Licences, db: Connection, session: Session, context: Context, found: Standing, wish: MakeCopy
) -> Copy:
    """Note a copy of the holder's own licence for a purpose and a taker, in the caller's transaction.

    Rule: R-358, a copy says for what and for whom it was made, by whom, when, and until when it is good.

    Raises:
        LicenceNotValid: it is not valid.
    """
    check_usable(found)
    copy_id = new_id("lcp")
    about = msgspec.json.encode(CopyAbout(purpose=wish.purpose.strip(), taker=wish.taker.strip()))
    ends = clock.today() + timedelta(days=wish.days)
    sealed = licences.keys.seal(about, copy_context(copy_id))
    made_at = await store_uses.insert_copy(
        db, licences.region, copy_id, found.row.id, session.subject_id, sealed, ends
    )  # fmt: skip
    await audit.record(
        db, licences.region, actor=session.actor_id, action="licence.copied", subject=session.subject_id,
        object=found.row.identifier, trace_id=context.trace_id, detail={"copy": copy_id},
    )  # fmt: skip
    row = CopyRow(id=copy_id, licence_id=found.row.id, about=sealed, made_at=made_at, expires_on=ends)
    return _shown(licences, row)


async def own_copies(licences: Licences, session: Session, licence_id: str) -> CopyList:
    """Return the copies of one of the session's own licences, newest first.

    Raises:
        LicenceUnknown: none of that id, or another person's.
    """
    row = await store_licences.own_one(licences.pool, licences.region, licence_id, session.subject_id)
    if row is None:
        raise LicenceUnknown(licence_id)
    rows = await store_uses.own_copies(licences.pool, licences.region, licence_id, session.subject_id)
    return CopyList(data=[_shown(licences, one) for one in rows])


def _shown(licences: Licences, row: CopyRow) -> Copy:
    about = _open(licences, row)
    return Copy(
        id=row.id, licence=row.licence_id, purpose=about.purpose, taker=about.taker, made_at=row.made_at,
        expires_on=row.expires_on, links={"document": f"/v1/me/licence-copies/{row.id}/document"},
    )  # fmt: skip


def _open(licences: Licences, row: CopyRow) -> CopyAbout:
    return _about.decode(licences.keys.unseal(row.about, copy_context(row.id)))


# ---- the files


async def own_document(licences: Licences, session: Session, context: Context, licence_id: str) -> bytes:
    """Return the holder's own document of a licence, whole and sealed; of one that ended it says so.

    Raises:
        LicenceUnknown: none of that id, or another person's.
        Unprintable, Unavailable, BudgetSpent: it cannot be made, not now, or not in time.
    """
    found = await standing_now(
        licences, session.subject_id, context, licence_id, "GET /v1/me/licences/{id}/document"
    )  # fmt: skip
    page = _page(licences, found, context.lang)
    if found.last_known != "valid":
        page = msgspec.structs.replace(page, mark=text(f"licence.state.{found.last_known}", context.lang))
    return await _made(licences, page, text("licence.document.own", context.lang), deadline_of(context))


async def copy_document(licences: Licences, session: Session, context: Context, copy_id: str) -> bytes:
    """Return a copy's document, sealed, with its purpose over the page and a QR by which it is checked.

    Raises:
        CopyUnknown: none of that id, or another person's.
        LicenceNotValid: the licence ended since the copy was asked for.
        Unprintable, Unavailable, BudgetSpent: it cannot be made, not now, or not in time.
    """
    row = await store_uses.own_copy(licences.pool, licences.region, copy_id, session.subject_id)
    if row is None:
        raise CopyUnknown(copy_id)
    route = "GET /v1/me/licence-copies/{id}/document"
    found = await standing_now(licences, session.subject_id, context, row.licence_id, route)
    check_usable(found)
    about = _open(licences, row)
    only = text("licence.document.only", context.lang, purpose=about.purpose, taker=about.taker)
    page = _page(licences, found, context.lang)
    made_on = row.made_at.astimezone(CHINA).date().isoformat()
    page = msgspec.structs.replace(
        page,
        rows=[*page.rows, *_copy_rows(about, row, made_on, context.lang)],
        mark=f"{only} · {made_on}",
        address=f"{licences.public_url}{PAGE}#{_token(licences, row, found.row)}",
        notes=[*page.notes, text("licence.document.check", context.lang, page=licences.public_url + PAGE)],
    )
    return await _made(licences, page, only, deadline_of(context))


def _copy_rows(about: CopyAbout, row: CopyRow, made_on: str, lang: Language) -> list[tuple[str, str]]:
    values = {"purpose": about.purpose, "taker": about.taker, "made_on": made_on, "until": row.expires_on.isoformat()}
    return [(text(f"licence.document.{name}", lang), value) for name, value in values.items()]


def _token(licences: Licences, row: CopyRow, licence: LicenceRow) -> str:
    claims: Claims = {
        "iss": licences.public_url,
        "jti": row.id,
        "iat": int(row.made_at.timestamp()),
        "licence": licence.identifier,
    }
    return licences.issuer.token(claims, COPY_TYPE)


async def _made(licences: Licences, page: Page, reason: str, deadline: float) -> bytes:
    return await licences.press.make(lambda: licences.seal.seal(render(page), reason), deadline)


def _page(licences: Licences, found: Standing, lang: Language) -> Page:
    row, type_, snapshot = found.row, licences.type_of(found.row), licences.open(found.row)
    codes = ["holder", "number", *type_.fields, "valid_from", "valid_to"]
    rows = [(one.label, one.value) for one in fields_shown(type_, snapshot, codes, lang)]
    shown = state_shown(found, lang)
    said_at = row.asked_at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
    return Page(
        lang=LANGUAGE_TAGS[lang],
        title=type_.spec.name.say(lang),
        issuer=_issuer(snapshot, lang),
        rows=rows,
        notes=[
            text("licence.document.identifier", lang, identifier=row.identifier),
            text("licence.document.state", lang, state=shown.says, at=said_at),
        ],
        made_at=datetime.fromtimestamp(int(time.time()), UTC),
    )


def _issuer(snapshot: Snapshot, lang: Language) -> str:
    return snapshot.issuer.en if lang == "en" else snapshot.issuer.zh


# ---- checked


async def check_shown(licences: Licences, asked: CheckShow, lang: Language) -> ShowChecked:
    """Check what somebody shows or hands in: a copy's QR, or else a presentation's as `service_showing.check`.

    Raises:
        ShowForged, ShowExpired, LicenceNotValid: as there; a copy is too old when its last day is over.
    """
    claims = licences.issuer.opened(asked.presentation, COPY_TYPE)
    if claims is None:
        return await check(licences, asked, lang)
    row = await store_uses.copy(licences.pool, licences.region, str(claims.get("jti", "")))
    if row is None:
        raise ShowForged
    if row.expires_on < clock.today():
        raise ShowExpired
    licence = await shown_licence(licences, claims)
    found = standing(licences, licence)
    check_usable(found)
    about = _open(licences, row)
    return ShowChecked(
        kind="copy",
        says=text(f"licence.check.{found.state}", lang),
        licence=licence.identifier,
        name=licences.type_of(licence).spec.name.say(lang),
        issuer=_issuer(licences.open(licence), lang),
        standing=state_shown(found, lang),
        purpose=about.purpose,
        taker=about.taker,
        made_at=row.made_at,
        expires_on=row.expires_on,
    )
