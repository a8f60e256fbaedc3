"""Nouns of certificates: the body that is signed, the row, the public check."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

CertificateNumber = Annotated[str, Meta(pattern=r"^[0-9A-Z]{25}$", examples=["9901002026030200000017010"])]
CheckCode = Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{4}-?[0-9A-Za-z]{4}$", examples=["K7M4-2Q9P"])]


class Words(msgspec.Struct, frozen=True):
    """A text in both languages, as the certificate carries it."""

    zh: str
    en: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a department's result; person numbers are masked."""

    label: Words
    value: str


class ComponentResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one department decided."""

    code: str
    name: Words
    department: Words
    state: str  # completed, declined, not_started, withdrawn
    reference: str | None = None
    shown: list[Shown] = []
    settled_at: str | None = None  # RFC 3339


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What a completion certificate (办结凭证) says; this is what is signed."""

    number: str
    kind: Literal["completion"] = "completion"
    case_number: str
    item: Words
    outcome: str  # granted, partly, denied
    holder: str  # the applicant's name, masked
    issued_at: str  # RFC 3339
    region: str
    components: list[ComponentResult]


class CertificateRow(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate's row."""

    id: str
    number: str
    kind: str
    case_id: str
    subject: str
    body: bytes  # sealed
    digest: bytes
    code_index: bytes
    signature: str
    issued_at: datetime
    revoked_at: datetime | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed in the row: the signed bytes and the code that lets others check it."""

    body: bytes
    code: str


class CertificateView(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate as its holder sees it."""

    object: Literal["certificate"] = "certificate"
    number: str
    code: str  # give number and code to whoever should check it
    certificate: Any  # the signed body, as JSON
    signature: str  # JWS with detached payload (RFC 7515 appendix F) over the bytes of `certificate`
    payload: str  # those bytes, base64url
    issued_at: datetime
    revoked_at: datetime | None
    links: dict[str, str]


class CheckCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Number and code of a certificate somebody shows."""

    number: CertificateNumber
    code: CheckCode


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether a certificate is genuine; nothing personal, and nothing at all where it is not."""

    valid: bool
    says: str
    kind: str | None = None
    item: str | None = None
    outcome: str | None = None
    issued_on: str | None = None
    revoked: bool | None = None
