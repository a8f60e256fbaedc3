"""The form as a page: which values are shown, which are asked, what was typed; and what was typed as answers.

It judges no value: the case room does, and its complaints are put beside the fields here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from onestop.cases.views import AnswerView, Given
from onestop.errors import FieldError
from onestop.items.models import Field, Item
from onestop.texts import Language, has, text
from onestop.web import words

Typed = Mapping[str, str | list[str]]  # a form post: the name of a field is its code
AnswerTree = Mapping[str, Mapping[str, AnswerView]]

_YES_NO: Final = {"yes": True, "no": False}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One field."""

    code: str
    id: str  # of its element on the page
    type: str
    label: str
    hint: str | None
    shown: str | None  # the value that stands, in words; None where there is none
    source: str
    as_of: str
    basis: str
    editable: bool
    required: bool
    typed: str  # what stands in the input
    error: str | None
    choices: list[tuple[str, str]]
    max_length: int


class Known(msgspec.Struct, frozen=True):
    """Values that one source vouches for as of one time."""

    source: str
    as_of: str
    basis: str
    rows: list[Row]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of one group, in the item's order: what an authority said, and what the applicant says."""

    code: str
    title: str
    known: list[Known]
    asked: list[Row]

    @property
    def rows(self) -> list[Row]:
        """Return every field of the section."""
        return [row for known in self.known for row in known.rows] + self.asked


class Slip(msgspec.Struct, frozen=True):
    """One line of the summary of what is wrong: the field's place and the sentence."""

    id: str
    says: str


def first(typed: Typed, name: str) -> str:
    """Return the first value posted under a name; an empty text where there is none."""
    found = typed.get(name, "")
    return found[0] if isinstance(found, list) else found


def sections(
    item: Item,
    answers: AnswerTree,
    lang: Language,
    *,
    typed: Typed | None = None,
    errors: Mapping[str, str] | None = None,
    only: Iterable[str] | None = None,
    held: Mapping[str, list[tuple[str, str]]] | None = None,
) -> list[Section]:
    """Return the form in groups; `typed` stands in the inputs before what is saved, `only` leaves other fields out.

    `held` are the licences that may be chosen for fields that ask for one: id and words.
    """
    wanted = None if only is None else set(only)
    rows: dict[str, list[Row]] = {}
    for field in item.fields:
        view = view_of(answers, field.code)
        left_out = wanted is not None and field.code not in wanted
        if view is None or left_out or not _is_asked(field, answers):
            continue
        row = _row(field, view, lang, typed, (errors or {}).get(field.code), (held or {}).get(field.code))
        rows.setdefault(field.code.partition(".")[0], []).append(row)
    return [_section(group, members, lang) for group, members in rows.items()]


def view_of(answers: AnswerTree, code: str) -> AnswerView | None:
    """Return one field's answer."""
    group, _, name = code.partition(".")
    return answers.get(group, {}).get(name)


def _is_asked(field: Field, answers: AnswerTree) -> bool:
    if field.when is None:
        return True
    condition = view_of(answers, field.when)
    return condition is not None and condition.value is True


def _section(group: str, members: list[Row], lang: Language) -> Section:
    key = f"web.group.{group}"
    own = text("cases.source.applicant", lang)
    vouched = [row for row in members if row.shown is not None and row.source != own]
    return Section(
        code=group,
        title=text(key, lang) if has(key) else "",
        known=_by_source(vouched),
        asked=[row for row in members if row not in vouched and (row.editable or row.shown is not None)],
    )


def _by_source(rows: Iterable[Row]) -> list[Known]:
    """Return rows under the source each comes from, so that a page names it once."""
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.source, row.as_of, row.basis), []).append(row)
    return [Known(*source, members) for source, members in found.items()]


def _row(
    field: Field,
    view: AnswerView,
    lang: Language,
    typed: Typed | None,
    error: str | None,
    held: list[tuple[str, str]] | None,
) -> Row:
    choices = held or [(choice.code, choice.say(lang)) for choice in field.choices]
    shown = None if view.value is None else in_words(field, view.value, lang)
    return Row(
        code=field.code,
        id=field.code.replace(".", "-"),
        type=field.type,
        label=view.label,
        hint=field.hint.say(lang) if field.hint else None,
        shown=shown,
        source=view.source or "",
        as_of=words.instant(view.as_of, lang),
        basis=view.basis or "",
        editable=bool(view.editable),
        required=field.required,
        typed=_saved(field, view.value) if typed is None or field.code not in typed else first(typed, field.code),
        error=error,
        choices=choices,
        max_length=field.max_length,
    )


def _saved(field: Field, value: Any) -> str:
    """Return what a saved value looks like in an input; a person number is never sent back."""
    if value is None or field.type == "id_number":
        return ""
    if field.type == "licence":
        return str(value["licence"])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def in_words(field: Field, value: Any, lang: Language) -> str:
    """Return a value of the form as a person reads it."""
    for choice in field.choices:
        if choice.code == value:
            return choice.say(lang)
    if field.type == "licence":
        return f"{value['name']} · {value['identifier']}"
    if isinstance(value, list | dict):
        return text("web.form.record", lang)
    return words.value(field.code.partition(".")[2], value, lang)


def read(item: Item, answers: AnswerTree, typed: Typed) -> dict[str, dict[str, Given]]:
    """Return what was typed as answers: only values that differ from those that stand.

    A number left empty stays as it is, because it is never shown in full; any other emptied text is taken back.
    """
    given: dict[str, dict[str, Given]] = {}
    for field in item.fields:
        view = view_of(answers, field.code)
        if view is None or not view.editable or field.code not in typed:
            continue
        said = first(typed, field.code).strip()
        if said == _saved(field, view.value) or (not said and field.type == "id_number"):
            continue
        group, _, name = field.code.partition(".")
        given.setdefault(group, {})[name] = _given(field, said)
    return given


def _given(field: Field, said: str) -> Given:
    if not said:
        return None
    if field.type == "boolean":
        return _YES_NO.get(said, said)
    if field.type == "integer" and said.lstrip("-").isdecimal() and len(said) < 16:
        return int(said)
    return said


def complaints(errors: Iterable[FieldError], lang: Language) -> dict[str, str]:
    """Return what is wrong with each field, by its code; the first complaint about a field is the one told."""
    found: dict[str, str] = {}
    for error in errors:
        code = ".".join(error.pointer.split("/")[2:4])
        found.setdefault(code, text(f"field.{error.code}", lang, **error.params))
    return found


def missing(item: Item, answers: AnswerTree, lang: Language, typed: Typed | None = None) -> dict[str, str]:
    """Return every required field without a value, as complaints; what is typed but not saved yet counts."""
    found = {}
    for field in item.fields:
        view = view_of(answers, field.code)
        if view is not None and view.value is None and view.required and not first(typed or {}, field.code).strip():
            found[field.code] = text("web.form.required", lang, label=view.label)
    return found


def slips(all_sections: Iterable[Section], lang: Language) -> list[Slip]:
    """Return the summary of what is wrong, in the order of the fields."""
    rows = [row for section in all_sections for row in section.rows]
    colon = text("web.colon", lang)
    return [Slip(row.id, f"{row.label}{colon}{row.error}") for row in rows if row.error]
