"""Materials that are licences (取证): taken into the form by reference, with the fields of a purpose; no upload.

What is kept is the licence's name and what the purpose lets be given. Its issuer is asked before it is taken, where its
last word is too old; on submitting it must still be valid.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.cases import rules_form
from onestop.cases.errors import FormInvalid
from onestop.cases.models import Answer, Form
from onestop.cases.office import Office
from onestop.certificates import service_licences
from onestop.certificates.errors import LicenceNotValid, LicenceUnknown
from onestop.certificates.licences import instant
from onestop.certificates.service_licences import Standing
from onestop.db import Connection
from onestop.errors import FieldError
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import is_id
from onestop.items.models import Field, Item
from onestop.items.ready import ReadyItem
from onestop.texts import Language

LICENCE: Final = "licence"  # the origin of what a licence says
_ROUTE: Final = "POST /v1/cases"


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """A licence as a case's form keeps it."""

    licence: str  # its id, with which its holder finds it
    identifier: str
    type: str
    fields: dict[str, str]  # of the purpose, whole


class Taken(msgspec.Struct, frozen=True):
    """Licences taken into a form: answers by field code, what cannot be taken, entries for the data-use ledger."""

    answers: dict[str, Answer] = {}
    faults: list[FieldError] = []
    uses: list[str] = []


async def take(
    office: Office, session: Session, context: Context, ready: ReadyItem, given: Mapping[str, Mapping[str, object]],
    *, opening: bool = False,
) -> Taken:  # fmt: skip
    """Take the licences that answers name; on opening also the newest valid one for each field nobody answered.

    No transaction may be open: issuers are asked where nothing is here, or where their last word is too old.

    Rule: R-359, what can be had by sharing is not asked for again.
    """
    taken = Taken()
    for field in ready.licences:
        group, _, name = field.code.partition(".")
        told = given.get(group, {}).get(name)
        if told is None and opening and name not in given.get(group, {}):
            told = await _newest(office, session, context, field)
        if not isinstance(told, str) or not is_id("lic", told):
            continue  # what is no licence's id is refused with the other values
        try:
            found = await service_licences.standing_now(
                office.licences, session.subject_id, context, told, _ROUTE, actor=session.actor_id
            )
            _put(office, taken, field, found)
        except LicenceUnknown:
            taken.faults.append(FieldError(pointer=rules_form.pointer(field.code), code="licence.not_here"))
        except LicenceNotValid:
            taken.faults.append(FieldError(pointer=rules_form.pointer(field.code), code="licence.ended"))
    return taken


def names_licence(given: Mapping[str, Mapping[str, object]]) -> bool:
    """Tell whether answers may name a licence, so that a form without one costs nothing."""
    return any(isinstance(value, str) and value.startswith("lic_") for one in given.values() for value in one.values())


async def _newest(office: Office, session: Session, context: Context, field: Field) -> str | None:
    """Return the newest valid licence of the type that a field asks for; where none is here its issuer is asked."""
    licences, type_ = office.licences, field.licence or ""
    held = await service_licences.held(licences, session.subject_id, type_)
    if not held and licences.types.get(type_).spec.source is not None:
        await service_licences.fetch(licences, session, context, [type_])
        held = await service_licences.held(licences, session.subject_id, type_)
    return next((one.row.id for one in held if one.last_known == "valid"), None)


def _put(office: Office, taken: Taken, field: Field, found: Standing) -> None:
    """Add a licence to what is taken, with the fields of the field's purpose.

    Raises:
        LicenceUnknown: it is of another type than the field asks for.
        LicenceNotValid: it is not valid.
    """
    if found.row.type != field.licence:
        raise LicenceUnknown(found.row.id)
    service_licences.check_usable(found)
    type_, snapshot = office.licences.type_of(found.row), office.licences.open(found.row)
    purpose = type_.purposes[field.purpose or ""]
    material = Material(
        licence=found.row.id,
        identifier=found.row.identifier,
        type=found.row.type,
        fields={code: service_licences.value_of(snapshot, code) for code in purpose.fields},
    )
    kept = msgspec.to_builtins(material)
    taken.answers[field.code] = Answer(kept, LICENCE, instant(found.row.as_of), found.row.department)
    taken.uses.append(
        audit.use_entry(
            Use(
                adapter=found.row.department,
                basis=type_.spec.basis.zh,
                fields=tuple(sorted(purpose.fields)),
                operation=f"licence.{type_.spec.code}",
                outcome="read",
                purpose=purpose.name.zh,
                version=str(found.row.version),
            )
        )
    )


async def check_still_valid(office: Office, db: Connection, subject: str, ready: ReadyItem, form: Form) -> None:
    """Check that the licences of a form are valid by what is known here; asks nobody.

    Raises:
        FormInvalid: one ended since it was taken; every one is named.
    """
    faults = []
    for field in ready.licences:
        answer = form.answers.get(field.code)
        if answer is None:
            continue
        found = await service_licences.own_standing(office.licences, db, subject, _material(answer.value).licence)
        if found is None or found.last_known != "valid":
            faults.append(FieldError(pointer=rules_form.pointer(field.code), code="licence.ended"))
    if faults:
        raise FormInvalid(errors=faults, count=len(faults))


def _material(value: Any) -> Material:
    return msgspec.convert(value, Material)


def shown(office: Office, value: Any, lang: Language) -> dict[str, str]:
    """Return a licence in a form as its holder sees it: by name, without what it says."""
    material = _material(value)
    name = office.licences.types.get(material.type).spec.name.say(lang)
    return {"licence": material.licence, "identifier": material.identifier, "name": name}


def told(office: Office, value: Any, lang: Language) -> str:
    """Return a licence in a form as a desk reads it: its name, and what the purpose lets be known, numbers masked."""
    material = _material(value)
    type_ = office.licences.types.get(material.type)
    fields = [service_licences.field_shown(type_, code, one, lang) for code, one in material.fields.items() if one]
    said = " · ".join(f"{one.label} {one.value}" for one in fields)
    return f"{type_.spec.name.say(lang)} · {said} · {material.identifier}"


async def choices(office: Office, subject: str, item: Item, lang: Language) -> dict[str, list[tuple[str, str]]]:
    """Return the holder's valid licences that may be chosen for each field that asks for one: id and words."""
    found: dict[str, list[tuple[str, str]]] = {}
    for field in item.fields:
        if field.type != "licence":
            continue
        held = await service_licences.held(office.licences, subject, field.licence or "")
        briefs = [service_licences.brief(office.licences, one, lang) for one in held if one.last_known == "valid"]
        found[field.code] = [(one.id, f"{one.name} · {one.holder} · {one.number}") for one in briefs]
    return found
