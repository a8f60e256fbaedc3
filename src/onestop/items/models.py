"""Nouns of the items room: an item, its form, its components."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from onestop.identity.models import Level

Code = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{1,39}$", examples=["birth"])]
FieldCode = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,29}\.[a-z][a-z0-9_]{0,29}$")]
FieldType = Literal["text", "boolean", "date", "integer", "choice", "id_number", "phone", "record", "licence"]
Days = Annotated[int, Meta(ge=0, le=365)]  # working days


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of an item's file; an unknown key is a mistake."""


class Words(Strict, frozen=True, kw_only=True):
    """A text in both languages."""

    zh: str
    en: str

    def say(self, lang: str) -> str:
        """Return the text in one language; Chinese unless English is asked for."""
        return self.en if lang == "en" else self.zh


class From(Strict, frozen=True, kw_only=True):
    """Where a value can be had without asking the applicant."""

    want: str  # a department's query, or `identity`: what the sign-in vouched for
    path: str  # an expression over the part's data; docs/manifest.md


class Choice(Words, frozen=True, kw_only=True):
    """One permitted value."""

    code: Code


class Field(Strict, frozen=True, kw_only=True):
    """One question of the form."""

    code: FieldCode
    # record: whatever the department says, shown and kept as it is; never typed by hand.
    # licence: one of the applicant's own licences, taken by reference.
    type: FieldType
    licence: str | None = None  # of which type; only where the field is one
    purpose: str | None = None  # what it is used for: those of its fields are given
    label: Words
    hint: Words | None = None
    required: bool = True
    editable: bool = False  # whether the applicant may change what a department said
    sources: tuple[From, ...] = ()  # the first that has a value gives it
    max_length: Annotated[int, Meta(ge=1, le=2000)] = 120
    minimum: int = 0
    maximum: int = 1_000_000
    choices: tuple[Choice, ...] = ()
    earliest_days: Annotated[int, Meta(ge=0, le=60_000)] = 44_000  # how long ago a date may lie; never in the future
    when: FieldCode | None = None  # asked only where that yes-or-no field is yes


class Question(Strict, frozen=True, kw_only=True):
    """One question about the situation, asked before the form; its answer fills a field nobody else could fill."""

    code: Code
    label: Words
    fills: FieldCode


class Component(Strict, frozen=True, kw_only=True):
    """One department's part of the item."""

    code: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
    name: Words
    adapter: str
    operation: str
    days: Days
    needs: tuple[str, ...] = ()
    when: FieldCode | None = None  # done only where that yes-or-no field is yes
    inputs: dict[str, str] = {}  # the department's word → expression over answers, results, applicant, case
    optional: tuple[str, ...] = ()  # inputs that may be absent
    results: dict[str, Words] = {}  # what the certificate shows of the result
    masked: tuple[str, ...] = ()  # of those, person numbers: shown masked


class Figures(Strict, frozen=True, kw_only=True):
    """What bundling saves, as published for the bundle."""

    days_before: int
    days_after: int
    trips_before: int
    trips_after: int
    materials_before: int
    materials_after: int
    steps_before: int
    steps_after: int


class Item(Strict, frozen=True, kw_only=True):
    """Something a person can apply for, whole."""

    code: Code
    kind: Literal["one_thing", "single"]
    name: Words
    plain: Words
    basis: Words
    lead: str
    promised_days: Days
    legal_days: Days
    visits: int = 0
    fee_fen: int = 0
    min_level: Level = 0  # how surely whoever sends it must have signed in; a draft needs less
    keywords: tuple[str, ...] = ()
    figures: Figures | None = None
    declarations: tuple[Literal["all_true"], ...] = ()
    questions: tuple[Question, ...] = ()
    fields: tuple[Field, ...]
    components: Annotated[tuple[Component, ...], Meta(min_length=1, max_length=32)]


class Term(msgspec.Struct, frozen=True):
    """A term in working days."""

    value: int
    unit: Literal["working_day"] = "working_day"


class Named(msgspec.Struct, frozen=True):
    """A department by id and name."""

    id: str
    name: str


class ItemBrief(msgspec.Struct, frozen=True, kw_only=True):
    """An item in a list of answers to a search."""

    code: str
    object: Literal["item"] = "item"
    kind: str
    name: str
    plain: str
    lead: Named
    departments: list[Named]
    visits: int
    fee_fen: int
    promised: Term
    legal: Term
    links: dict[str, str]


class ItemList(msgspec.Struct, frozen=True, kw_only=True):
    """Items, best match first."""

    data: list[ItemBrief]
    next_cursor: str | None = None
    has_more: bool = False


class FieldView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question of the form as the public guide shows it."""

    code: str
    type: FieldType
    label: str
    required: bool
    hint: str | None = None
    sources: list[Named] = []
    choices: list[dict[str, str]] = []
    when: str | None = None
    licence: str | None = None  # the type of licence that is taken by reference


class ComponentView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A component as the public guide shows it."""

    code: str
    name: str
    department: Named
    promised: Term
    needs: list[str]
    when: str | None = None


class ItemGuide(msgspec.Struct, frozen=True, kw_only=True):
    """The public guide (办事指南) of one item."""

    code: str
    object: Literal["item"] = "item"
    kind: str
    name: str
    plain: str
    basis: str
    lead: Named
    visits: int
    fee_fen: int
    promised: Term
    legal: Term
    min_level: Level
    figures: Figures | None
    questions: list[dict[str, str]]
    fields: list[FieldView]
    components: list[ComponentView]
    declarations: list[str]
    links: dict[str, str]


Tree = dict[str, Any]
