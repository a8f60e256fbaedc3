"""Decisions about the form: which values are taken, what is still to fill, which components are done."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from onestop.cases.models import APPLICANT, Answer
from onestop.errors import FieldError
from onestop.identity.numbers import normalise_number, number_fault
from onestop.ids import is_id
from onestop.items.models import Component, Field
from onestop.items.ready import ReadyItem
from onestop.settings import Profile

_PHONE = re.compile(r"1[3-9]\d{9}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")


class Refused(Exception):
    """A value cannot be taken; `code` is a key below `field.` in the texts."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


def pointer(code: str, root: str = "/answers") -> str:
    """Return the JSON pointer of a field in a request's body."""
    return f"{root}/{code.replace('.', '/')}"


def clean(field: Field, value: object, today: date, profile: Profile) -> Any:
    """Return a typed value in its kept form.

    Raises:
        Refused: the value is of another kind, out of bounds, or not permitted.
    """
    match field.type:
        case "boolean":
            if not isinstance(value, bool):
                raise Refused("form.not_yes_or_no")
            return value
        case "integer":
            return _integer(field, value)
        case "record":
            raise Refused("form.not_editable")
    if not isinstance(value, str):
        raise Refused("form.not_text")
    if _CONTROL.search(value):
        raise Refused("form.control_character")
    text = unicodedata.normalize("NFC", value).strip()
    if not text:
        raise Refused("form.required")
    match field.type:
        case "date":
            return _date(field, text, today)
        case "choice":
            if text not in {choice.code for choice in field.choices}:
                raise Refused("form.not_a_choice", choices=", ".join(choice.code for choice in field.choices))
        case "id_number":
            fault = number_fault(text, profile)
            if fault is not None:
                raise Refused(fault)
            return normalise_number(text)
        case "licence":
            if not is_id("lic", text):
                raise Refused("licence.not_here")
        case "phone":
            text = text.replace(" ", "").replace("-", "")
            if not _PHONE.fullmatch(text):
                raise Refused("form.bad_phone")
    if len(text) > field.max_length:
        raise Refused("form.too_long", limit=str(field.max_length))
    return text


def _integer(field: Field, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused("form.not_a_number")
    if not field.minimum <= value <= field.maximum:
        raise Refused("form.out_of_range", minimum=str(field.minimum), maximum=str(field.maximum))
    return value


def _date(field: Field, text: str, today: date) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Refused("form.bad_date") from None
    if len(text) != 10:
        raise Refused("form.bad_date")
    if day > today:
        raise Refused("form.future_date")
    if day < today - timedelta(days=field.earliest_days):
        raise Refused("form.too_long_ago")
    return text


def is_asked(field: Field, answers: Mapping[str, Answer]) -> bool:
    """Tell whether the form asks a field in this situation."""
    return field.when is None or _is_yes(field.when, answers)


def _is_yes(code: str, answers: Mapping[str, Answer]) -> bool:
    answer = answers.get(code)
    return answer is not None and answer.value is True


def selected(item: ReadyItem, answers: Mapping[str, Answer]) -> list[Component]:
    """Return the components this situation needs, in order.

    Rule: R-021, components are chosen by guided questions; one that does not apply is no step at all.
    """
    return [part for part in item.spec.components if part.when is None or _is_yes(part.when, answers)]


def is_editable(field: Field, answer: Answer | None) -> bool:
    """Tell whether the applicant may give or change a value.

    Rule: R-027, what an authority vouches for is not typed over; the applicant disputes it at its source.
    """
    if field.type == "licence":
        return True  # another of one's own may be taken instead
    return field.type != "record" and (field.editable or answer is None or answer.origin == APPLICANT)


def missing(item: ReadyItem, answers: Mapping[str, Answer]) -> list[Field]:
    """Return the required fields without a value that this situation asks for, in order."""
    return [
        field for field, _ in item.fields if field.required and field.code not in answers and is_asked(field, answers)
    ]


def change(
    item: ReadyItem,
    answers: Mapping[str, Answer],
    given: Mapping[str, Mapping[str, object]],
    *,
    today: date,
    now: str,
    profile: Profile,
) -> tuple[dict[str, Answer], list[FieldError]]:
    """Return the answers with what the applicant gave, and every value that cannot be taken.

    A null takes back what the applicant gave before.
    """
    result = dict(answers)
    faults: list[FieldError] = []
    for group, values in given.items():
        for name, value in values.items():
            code = f"{group}.{name}"
            field = item.by_code.get(code)
            at = f"/answers/{_escaped(group)}/{_escaped(name)}"
            if field is None:
                faults.append(FieldError(pointer=at, code="form.unknown"))
                continue
            before = answers.get(code)
            if not is_editable(field, before):
                faults.append(
                    FieldError(
                        pointer=at,
                        code="form.not_editable",
                        source=before.adapter if before else None,
                        as_of=before.as_of if before else None,
                    )
                )
                continue
            try:
                if value is None:
                    result.pop(code, None)
                else:
                    result[code] = Answer(clean(field, value, today, profile), APPLICANT, now)
            except Refused as refused:
                faults.append(FieldError(pointer=at, code=refused.code, params=refused.params))
    return result, faults


def _escaped(text: str) -> str:
    return text[:64].replace("~", "~0").replace("/", "~1")


def values(answers: Mapping[str, Answer]) -> dict[str, dict[str, Any]]:
    """Return the bare values as `group → name → value`, as the inputs of components read them."""
    tree: dict[str, dict[str, Any]] = {}
    for code, answer in answers.items():
        group, _, name = code.partition(".")
        tree.setdefault(group, {})[name] = answer.value
    return tree
