"""Purposes and consents as a person sees them."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onestop.basis.models import Confidence, ConsentState, Kind, Separate
from onestop.identity.models import NumberType, PersonName

SubjectNumber = Annotated[str, Meta(pattern=r"^[0-9A-Z]{15,18}$", examples=["990102201503140221"])]
Evidence = Literal["birth_certificate", "household_register", "court_decision", "appointment"]


class LawView(msgspec.Struct, frozen=True, kw_only=True):
    """The article, where it was read, and how far that is to be trusted."""

    article: str
    source: str
    in_force: date
    confidence: Confidence


class RetentionView(msgspec.Struct, frozen=True, kw_only=True):
    """How long what is used for a purpose is kept; `days` None: for good."""

    name: str
    days: int | None
    counted_from: str
    law: LawView


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is told, with the hash it is kept by."""

    version: int
    lang: str
    text: str
    hash: str


class ConsentView(msgspec.Struct, frozen=True, kw_only=True):
    """How a person's consent stands."""

    state: ConsentState
    says: str
    version: int | None = None  # of the notice it was given to
    given_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    by_guardian: bool = False


class PurposeView(msgspec.Struct, frozen=True, kw_only=True):
    """One purpose: what is done with a person's data, by what right, and their consent where it rests on one."""

    purpose: str
    title: str
    kind: Kind
    separate: list[Separate]
    law: LawView
    notice: NoticeView
    categories: list[str]
    recipients: list[str]
    retention: RetentionView
    consent: ConsentView | None  # None: it rests on a duty; nothing is asked


class PurposeList(msgspec.Struct, frozen=True, kw_only=True):
    """Every purpose, those that ask for consent first."""

    data: list[PurposeView]


class Give(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Consent to exactly what a notice says."""

    notice: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="`notice.hash` as it was shown")]


class Named(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person by number and name, as their document says."""

    number: SubjectNumber
    number_type: NumberType = "citizen_id"
    name: PersonName


class NewGuardian(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is whose guardian, by which document."""

    ward: Named
    guardian: Named
    evidence: Evidence
    ends_on: date | None = None  # the first day without; None: until the ward is 14, or until it is ended


class GuardianView(msgspec.Struct, frozen=True, kw_only=True):
    """A guardian on record."""

    id: str
    ward: str
    guardian: str
    begins_at: datetime
    ends_at: datetime | None


class WardView(msgspec.Struct, frozen=True, kw_only=True):
    """A child whose guardian the caller is."""

    id: str  # of the ward
    name: str
    number_masked: str
    ends_at: datetime | None


class WardList(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's wards."""

    data: list[WardView]
