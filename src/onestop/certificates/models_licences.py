"""Nouns of e-licences (电子证照): the signed snapshot, the rows, what holders and issuers see and send."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onestop.certificates.models import Words
from onestop.certificates.models_types import FieldCode, TypeCode
from onestop.certificates.rules_licences import Change, KeptState, LicenceState, Reason

Identifier = Annotated[str, Meta(pattern=r"^1\.2\.156\.3005\.2(\.[0-9A-Z]{1,32}){5}$")]
Value = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What the issuer said of a licence when it was written here; these bytes are signed."""

    identifier: str
    type: str
    name: Words
    number: str
    issuer: Words
    issuer_code: str  # credit code
    holder: str
    fields: dict[str, str]
    valid_from: str  # ISO date
    valid_to: str | None  # None: for good
    as_of: str  # RFC 3339: when the issuer last changed what it says
    issued_at: str  # RFC 3339: when this snapshot was written
    region: str


class LicenceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A licence's row."""

    id: str
    identifier: str
    type: str
    serial: str
    version: int
    department: str
    subject: str
    case_id: str | None
    state: KeptState
    reason: Reason | None
    body: bytes  # sealed
    digest: bytes
    signature: str
    as_of: datetime
    asked_at: datetime
    valid_from: date
    valid_to: date | None
    issued_at: datetime
    changed_at: datetime


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a licence."""

    at: datetime
    kind: str
    by_whom: str
    reason: Reason | None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the issuer, in our words, about to become a licence."""

    number: str
    holder: str
    fields: dict[str, str]
    state: Literal["valid", "suspended", "revoked"] = "valid"
    as_of: datetime
    valid_from: date
    valid_to: date | None = None


# ---- what is shown


class FieldShown(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a licence with its label; person numbers are masked."""

    code: str
    label: str
    value: str


class StateShown(msgspec.Struct, frozen=True, kw_only=True):
    """How a licence stands, and since when that is known."""

    state: LicenceState  # unknown: the issuer's last word is older than the type lets it be
    says: str
    last_known: LicenceState
    reason: Reason | None
    asked_at: datetime


class LicenceBrief(msgspec.Struct, frozen=True, kw_only=True):
    """A licence in its holder's list."""

    id: str
    object: Literal["licence"] = "licence"
    identifier: str
    type: str
    name: str
    number: str
    holder: str
    issuer: dict[str, str]  # id and name
    version: int
    standing: StateShown
    valid_from: date
    valid_to: date | None
    links: dict[str, str]


class LicenceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a licence's history."""

    at: datetime
    kind: str
    says: str
    by_whom: str  # a department's name, or onestop
    reason: Reason | None
    version: int


class LicenceView(LicenceBrief, frozen=True, kw_only=True):
    """One licence with what it says, the proof of it, and its history."""

    fields: list[FieldShown]
    scenes: list[dict[str, str]]  # code and name
    purposes: list[dict[str, str]]
    as_of: datetime
    signature: str  # JWS with detached payload over the snapshot
    digest: str  # of the snapshot, hex
    history: list[LicenceEvent]  # of all its versions, newest first


class LicenceList(msgspec.Struct, frozen=True, kw_only=True):
    """A person's licences, newest first."""

    data: list[LicenceBrief]
    next_cursor: str | None = None
    has_more: bool = False


class FetchLicences(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which types to ask their issuers for; none named: all."""

    types: Annotated[tuple[TypeCode, ...], Meta(max_length=32)] = ()


class FetchedPart(msgspec.Struct, frozen=True, kw_only=True):
    """What came of asking for one type."""

    type: str
    state: str  # a part's state: ok, unavailable, …
    found: int  # how many licences the issuer listed
    problem: str | None = None


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """The list after the issuers were asked, and how each answered."""

    complete: bool
    parts: list[FetchedPart]
    data: list[LicenceBrief]


# ---- what an issuer sends


class ChangeLicence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An issuer's change of licences: by `identifier` of one, or by `type` and its own `number` of every holder's."""

    change: Change
    reason: Reason
    identifier: Identifier | None = None
    type: TypeCode | None = None
    number: Annotated[str, Meta(min_length=1, max_length=120)] | None = None
    fields: Annotated[dict[FieldCode, Value], Meta(max_length=32)] = {}  # of the next version, with `supersede`
    valid_to: date | None = None  # likewise; None: as before


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The licences that an issuer's change reached, as they now stand."""

    data: list[dict[str, str]]  # identifier and state
