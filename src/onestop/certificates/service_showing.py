"""Showing a licence 亮证: a signed token for a QR that lives a minute; and checking it, with onestop or without."""

import time
from datetime import UTC, datetime
from typing import Final

from onestop.audit import service as audit
from onestop.certificates import store_licences as store
from onestop.certificates.errors import SceneUnknown, ShowExpired, ShowForged
from onestop.certificates.licences import Licences
from onestop.certificates.models_licences import LicenceRow
from onestop.certificates.models_uses import CheckShow, Claims, Presentation, ShowChecked
from onestop.certificates.rules_licences import is_identifier
from onestop.certificates.service_licences import (
    check_usable,
    field_shown,
    fields_shown,
    standing,
    standing_now,
    state_shown,
    value_of,
)
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.rules import mask_number
from onestop.texts import Language, text

LIFE_S: Final = 60
SHOW_TYPE: Final = "licence-show+jws"
PAGE: Final = "/verify/licence"


async def present(licences: Licences, session: Session, context: Context, licence_id: str, scene: str) -> Presentation:
    """Return a token that shows the scene's fields of the holder's own licence for a minute; that is on record.

    Rule: R-357, what is shown is the scene's fields only, for sixty seconds at most; person numbers are masked.

    Raises:
        LicenceUnknown: none of that id, or another person's.
        LicenceNotValid: it is not valid.
        SceneUnknown: the licence's type has no such scene.
    """
    route = "POST /v1/me/licences/{id}/presentations"
    found = await standing_now(licences, session.subject_id, context, licence_id, route)
    check_usable(found)
    type_ = licences.type_of(found.row)
    occasion = type_.scenes.get(scene)
    if occasion is None:
        raise SceneUnknown(scene=scene)
    snapshot = licences.open(found.row)
    masked = {code for code, field in type_.fields.items() if field.masked}
    values = {code: value_of(snapshot, code) for code in occasion.fields}
    now = int(time.time())
    claims: Claims = {
        "iat": now,  # few members: every one makes the QR harder to scan
        "exp": now + LIFE_S,
        "licence": found.row.identifier,
        "type": found.row.type,
        "scene": scene,
        "state": found.state,
        "asked_at": int(found.row.asked_at.timestamp()),
        "fields": {code: mask_number(one) if code in masked and one else one for code, one in values.items()},
    }
    await audit.record(
        licences.pool, licences.region, actor=session.actor_id, action="licence.shown", subject=session.subject_id,
        object=found.row.identifier, trace_id=context.trace_id, detail={"scene": scene},
    )  # fmt: skip
    token = licences.issuer.token(claims, SHOW_TYPE)
    return Presentation(
        token=token,
        address=f"{licences.public_url}{PAGE}#{token}",
        scene=occasion.name.say(context.lang),
        fields=fields_shown(type_, snapshot, occasion.fields, context.lang),
        standing=state_shown(found, context.lang),
        expires_at=datetime.fromtimestamp(now + LIFE_S, UTC),
    )


async def check(licences: Licences, asked: CheckShow, lang: Language) -> ShowChecked:
    """Tell what is genuine about a token that somebody shows, and how the licence stands at this moment.

    Nothing is told but what the token itself holds; no issuer is asked, since anybody may come here.

    Raises:
        ShowForged: this installation did not sign it, or not for showing.
        ShowExpired: its minute is over.
        LicenceNotValid: the licence was ended, suspended or replaced since, or its last day is over.
    """
    claims = licences.issuer.opened(asked.presentation, SHOW_TYPE)
    if claims is None:
        raise ShowForged
    if claims["exp"] <= time.time():
        raise ShowExpired
    row = await shown_licence(licences, claims)
    found = standing(licences, row)
    check_usable(found)
    type_ = licences.type_of(row)
    scene = type_.scenes.get(claims["scene"])
    snapshot = licences.open(row)
    return ShowChecked(
        kind="presentation",
        says=text(f"licence.check.{found.state}", lang),
        licence=row.identifier,
        name=type_.spec.name.say(lang),
        issuer=snapshot.issuer.en if lang == "en" else snapshot.issuer.zh,
        standing=state_shown(found, lang),
        scene=scene.name.say(lang) if scene else claims["scene"],
        fields=[
            field_shown(type_, code, value, lang)
            for code, value in claims["fields"].items()
            if value and type_.has(code)
        ],
        made_at=datetime.fromtimestamp(claims["iat"], UTC),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


async def shown_licence(licences: Licences, claims: Claims) -> LicenceRow:
    """Return the licence that a genuine token names.

    Raises:
        ShowForged: there is none of that identifier.
    """
    name = str(claims.get("licence", ""))
    row = await store.by_identifier(licences.pool, licences.region, name) if is_identifier(name) else None
    if row is None:
        raise ShowForged
    return row
