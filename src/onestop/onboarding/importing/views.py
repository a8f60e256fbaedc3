"""What is sent to `POST /v1/adapter-imports`, and how it reaches the reading process and comes back."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from onestop.onboarding.importing.models import Imported

_FileName = Annotated[str, Meta(min_length=1, max_length=300)]


class ImportDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A document as text, or as base64 where it is an archive or not UTF-8; with answers as far as there are any."""

    name: Annotated[str, Meta(min_length=1, max_length=200)] = "document"
    document: Annotated[str, Meta(min_length=1)] | None = None
    document_base64: Annotated[str, Meta(min_length=1)] | None = None
    companions: dict[_FileName, str] = {}  # files beside it, by path: imported schemas, referenced documents
    answers: dict[str, Any] = {}  # by the question's id


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the reading process is told."""

    name: str
    data: bytes
    companions: dict[str, bytes]
    answers: dict[str, Any]
    region: str | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What it says."""

    kind: Literal["imported", "unusable", "too_large"]
    imported: Imported | None = None
    reason: str = ""
    file: str = ""
    line: int | None = None
    told: dict[str, str] = {}
