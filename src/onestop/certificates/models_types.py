"""Nouns of the catalogue of licence types (电子证照目录): who issues a type, what it says, what is shown to whom."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onestop.gateway.manifest_base import Expression, Sensitivity

TypeCode = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,39}$", examples=["marriage_certificate"])]
FieldCode = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
LicenceKind = Literal[
    "certificate", "proof", "approval", "report", "result"
]  # 证件执照 证明文件 批文批复 鉴定报告 办事结果
HolderKind = Literal["person", "organisation"]
# What every licence has, beside the fields of its type.
COMMON = ("holder", "number", "valid_from", "valid_to")


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a type's file; an unknown key is a mistake."""


class Text(Strict, frozen=True, kw_only=True):
    """A text in both languages."""

    zh: str
    en: str

    def say(self, lang: str) -> str:
        """Return the text in one language; Chinese unless English is asked for."""
        return self.en if lang == "en" else self.zh


class LicenceField(Strict, frozen=True, kw_only=True):
    """One thing a licence of this type says."""

    code: FieldCode
    label: Text
    sensitivity: Sensitivity
    masked: bool = False  # a person's number: shown masked, given whole only to who redeems a use code
    words: dict[str, Text] = {}  # where the value is a code: what it means


class Scene(Strict, frozen=True, kw_only=True):
    """An occasion to show a licence, and what is seen of it then."""

    code: FieldCode
    name: Text
    fields: Annotated[tuple[FieldCode, ...], Meta(min_length=1)]


class Purpose(Scene, frozen=True, kw_only=True):
    """What a department may use a licence for, and what it is given then."""


class Source(Strict, frozen=True, kw_only=True):
    """The declared operation by which the issuer tells its current record, and how that becomes a licence."""

    want: str  # a query of the issuer's manifest
    number: Expression
    holder: Expression
    fields: dict[FieldCode, Expression]
    each: Expression | None = None  # where one answer holds several records
    held: Expression | None = None  # yes or no: whether the record is a licence that holds
    state: Expression | None = None  # None: what is listed is valid
    states: dict[str, Literal["valid", "suspended", "revoked"]] = {}
    valid_from: Expression | None = None  # None: the day it was fetched
    valid_to: Expression | None = None


class Decision(Strict, frozen=True, kw_only=True):
    """The part of a case whose completion issues the licence; expressions over answers, results, applicant, case."""

    item: str
    component: str
    number: Expression
    holder: Expression
    fields: dict[FieldCode, Expression]


class LicenceType(Strict, frozen=True, kw_only=True):
    """One type of licence."""

    code: TypeCode
    definer: Annotated[str, Meta(pattern=r"^[0-9A-Z]{18}$")]  # credit code of the body that defines the type
    serial: Annotated[str, Meta(pattern=r"^\d{3}$")]  # the definer's own number of it
    kind: LicenceKind
    name: Text
    basis: Text
    issuer: str  # the adapter of the department that issues
    holder: HolderKind
    validity_days: Annotated[int, Meta(ge=1, le=36_500)] | None = None  # None: for good, unless the issuer says
    max_age_s: Annotated[int, Meta(ge=60, le=31_536_000)] = 86_400  # how long the issuer's word on the state is taken
    fields: Annotated[tuple[LicenceField, ...], Meta(min_length=1, max_length=32)]
    scenes: Annotated[tuple[Scene, ...], Meta(max_length=16)] = ()
    purposes: Annotated[tuple[Purpose, ...], Meta(max_length=16)] = ()
    layout: Literal["certificate", "sheet"] = "certificate"  # how the document is set
    source: Source | None = None
    decision: Decision | None = None

    @property
    def type_code(self) -> str:
        """Return the 21 characters by which the published form of the identifier names the type."""
        return self.definer + self.serial


# ---- as it is shown


class NamedFields(msgspec.Struct, frozen=True, kw_only=True):
    """A scene or a purpose, with the labels of what it lets see."""

    code: str
    name: str
    fields: list[str]


class TypeView(msgspec.Struct, frozen=True, kw_only=True):
    """A type as everybody may read it."""

    code: str
    object: Literal["licence_type"] = "licence_type"
    type_code: str
    kind: LicenceKind
    name: str
    basis: str
    issuer: dict[str, str]  # id and name
    holder: HolderKind
    validity_days: int | None
    max_age_s: int
    fields: list[dict[str, str | bool]]  # code, label, sensitivity, masked
    scenes: list[NamedFields]
    purposes: list[NamedFields]
    comes_from: list[Literal["department", "decision"]]


class TypeList(msgspec.Struct, frozen=True, kw_only=True):
    """All types, in order of code."""

    data: list[TypeView]
