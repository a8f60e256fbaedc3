"""Nouns: what is held of a person by class, what was deleted, erasures."""

from datetime import date, datetime
from typing import Any, Literal

import msgspec

from onestop.basis.views import LawView

ExportState = Literal["queued", "running", "succeeded", "failed"]
ErasureState = Literal["asked", "done"]


class HeldClass(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one class of record is held of a person, and why and until when."""

    record_class: str
    name: str
    count: int
    kept_until: date | None  # None: for good, or as long as it is not ended; the newest record's day
    deletable: bool  # at the person's word, now
    law: LawView


class HeldList(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is held of a person, by class; classes of which there is nothing are left out."""

    data: list[HeldClass]


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted at a person's word, by class, and what had to stay."""

    deleted: dict[str, int]
    kept: list[HeldClass]


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """A person's wish to be erased; done once a second person has approved it."""

    id: str
    subject: str
    state: ErasureState
    asked_at: datetime
    done_at: datetime | None = None


class ErasureList(msgspec.Struct, frozen=True, kw_only=True):
    """Erasures that wait for approval, oldest first."""

    data: list[Erasure]


class ExportOperation(msgspec.Struct, frozen=True, kw_only=True):
    """How far an export is; its file is there once it has succeeded, for three days."""

    id: str
    object: Literal["operation"] = "operation"
    state: ExportState
    asked_at: datetime
    done_at: datetime | None
    links: dict[str, str]


class ExportFile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is held of a person, signed; check it with the keys at `/v1/certificate-keys`."""

    id: str
    export: Any  # the signed body, as JSON
    payload: str  # its bytes as they were signed, base64url
    signature: str  # JWS with detached payload (RFC 7515 appendix F) over `payload`
