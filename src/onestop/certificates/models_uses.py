"""Nouns of using and showing licences: use codes 用证码, what a department is given, what a QR holds 亮证, checks."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from onestop.certificates.models_licences import FieldShown, StateShown
from onestop.certificates.models_types import FieldCode

Code = Annotated[str, Meta(pattern=r"^[A-Z2-7]{24}$", examples=["JBSWY3DPEHPK3PXPJBSWY3DP"])]
ItemCode = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{1,39}$", examples=["birth"])]
CaseId = Annotated[str, Meta(pattern=r"^case_[0-9a-z]{26}$")]
Department = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
CopyWords = Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")]
ShowToken = Annotated[str, Meta(min_length=1, max_length=4000)]


class MakeUseCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who may use the licence once, for which of its type's purposes, in which case of yours."""

    purpose: FieldCode
    item: ItemCode
    case: CaseId
    taker: Department


class UseCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code that one department redeems once; it is told this one time."""

    object: Literal["licence_use_code"] = "licence_use_code"
    id: str
    code: str
    licence: str  # its identifier
    purpose: str
    item: str
    case: str
    taker: str
    expires_at: datetime


class UseCodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A use code's row, without the hash it is found by."""

    id: str
    licence_id: str
    subject: str
    item: str
    case_id: str
    purpose: str
    taker: str
    expired: bool
    redeemed_at: datetime | None


class RedeemUseCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a department sends to use a licence: the code, and the matter it uses it for."""

    code: Code
    item: ItemCode
    case: CaseId


class UsedLicence(msgspec.Struct, frozen=True, kw_only=True):
    """What a department is given of a licence: the fields of the purpose, person numbers whole, and nothing else."""

    object: Literal["licence_use"] = "licence_use"
    licence: str  # its identifier
    type: str
    name: str
    issuer: str
    purpose: str
    standing: StateShown
    as_of: datetime  # when the issuer last changed what it says
    fields: list[FieldShown]
    signed: str  # JWS over the same, for the department's file
    trace_id: str


class ShowLicence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """On which of the type's occasions the licence is shown."""

    scene: FieldCode


class Presentation(msgspec.Struct, frozen=True, kw_only=True):
    """What a holder shows: a signed token that lives a minute, as an address for a QR."""

    object: Literal["licence_presentation"] = "licence_presentation"
    token: str
    address: str  # of the page that checks it; the token stands behind #, which no server is sent
    scene: str
    fields: list[FieldShown]
    standing: StateShown
    expires_at: datetime


class CheckShow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The token of a QR that somebody shows, or of a copy."""

    presentation: ShowToken


class ShowChecked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is genuine about what was shown, and how the licence stands now; nothing but what the QR itself holds."""

    object: Literal["licence_check"] = "licence_check"
    kind: Literal["presentation", "copy"]
    says: str
    licence: str  # its identifier
    name: str
    issuer: str
    standing: StateShown
    scene: str | None = None  # of a presentation
    fields: list[FieldShown] = []
    purpose: str | None = None  # of a copy: as it must stand on the paper
    taker: str | None = None
    made_at: datetime
    expires_at: datetime | None = None  # of a presentation
    expires_on: date | None = None  # of a copy: its last day


class MakeCopy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a copy is for, in the holder's words; it is burned into the document."""

    purpose: CopyWords
    taker: CopyWords
    days: Annotated[int, Meta(ge=1, le=90)] = 30  # for how long the copy is good


class CopyAbout(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a copy."""

    purpose: str
    taker: str


class CopyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A copy's row."""

    id: str
    licence_id: str
    about: bytes  # sealed
    made_at: datetime
    expires_on: date


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A copy 加注件 of a licence for one purpose and one taker."""

    object: Literal["licence_copy"] = "licence_copy"
    id: str
    licence: str  # the licence's id
    purpose: str
    taker: str
    made_at: datetime
    expires_on: date
    links: dict[str, str]


class CopyList(msgspec.Struct, frozen=True, kw_only=True):
    """The copies made of one licence, newest first; at most 200."""

    data: list[Copy]


Claims = dict[str, Any]
