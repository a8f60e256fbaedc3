"""Mandates on pages: what one covers in words, and what was typed to give one."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import msgspec

from onestop import clock
from onestop.cases.office import Office
from onestop.errors import FieldError
from onestop.mandates.models import MandateView, Offer, Receiver, Scope
from onestop.texts import Language, text
from onestop.web.form import first

_NUMBER: Final = re.compile(r"[0-9A-Z]{15,18}")
_EXCLUDABLE: Final = ("submit", "withdraw", "pay")
# Where on the page what is wrong with a part of an offer stands.
_PLACES: Final = {"to": "number", "scope": "items", "ends_at": "ends_on", "begins_at": "ends_on", "hand_on": "number"}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One mandate in a list."""

    view: MandateView
    matters: str
    excluded: str
    source: str | None


def row(office: Office, view: MandateView, lang: Language) -> Row:
    """Return a mandate with its matters and exclusions in words."""
    joint = text("web.comma", lang)
    scope = view.scope
    named = [_item(office, code, lang) for code in scope.items]
    named += [office.directory.name(code, lang) for code in scope.departments]
    return Row(
        view=view,
        matters=text("web.mandates.everything", lang) if scope.everything else joint.join(named),
        excluded=joint.join(text(f"mandate.deed.{deed}", lang) for deed in scope.excluded),
        source=None if view.source is None else office.directory.name(view.source, lang),
    )


def _item(office: Office, code: str, lang: Language) -> str:
    ready = office.catalogue.items.get(code)
    return code if ready is None else ready.spec.name.say(lang)


def read(typed: Mapping[str, Any], lang: Language, now: datetime) -> tuple[Offer | None, dict[str, str]]:
    """Return the offer that was typed, or what is wrong with it by the name of the field."""
    number = first(typed, "number").strip().upper()
    name = first(typed, "name").strip()
    ends_on = _day(first(typed, "ends_on"))
    errors: dict[str, str] = {}
    if not _NUMBER.fullmatch(number):
        errors["number"] = text("field.identity.bad_shape", lang)
    if not 0 < len(name) <= 120:
        errors["name"] = text("field.form.required", lang)
    if ends_on is None:
        errors["ends_on"] = text("field.form.required", lang)
    if errors or ends_on is None:
        return None, errors
    most = first(typed, "most_cases").strip()
    if most and not (most.isdecimal() and 1 <= int(most) <= 1000):
        return None, {"most_cases": text("web.mandates.most_wrong", lang)}
    scope = Scope(
        items=tuple(ticked(typed, "items")),
        excluded=tuple(deed for deed in _EXCLUDABLE if deed in ticked(typed, "excluded")),
        most_cases=int(most) if most else None,
    )
    # The day named is the last one: it ends with that day in China.
    ends_at = datetime.combine(ends_on + timedelta(days=1), time(), clock.CHINA).astimezone(UTC)
    return Offer(to=Receiver(number=number, name=name), scope=scope, ends_at=ends_at), {}


def ticked(typed: Mapping[str, Any], name: str) -> list[str]:
    """Return the values of the boxes of one name that were ticked."""
    told = typed.get(name, [])
    return [str(one) for one in told] if isinstance(told, list) else [str(told)]


def complaints(faults: Sequence[FieldError], lang: Language) -> dict[str, str]:
    """Return what the room finds wrong with an offer, by the name of the page's field."""
    places = ((_PLACES.get(fault.pointer.split("/")[1], "number"), fault) for fault in faults)
    return {place: text(f"field.{fault.code}", lang, **fault.params) for place, fault in places}


def _day(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed.strip())
    except ValueError:
        return None
