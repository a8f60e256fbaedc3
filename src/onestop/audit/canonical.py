"""The bytes of an entry that its leaf is made of; docs/audit.md tells them to those who check without onestop.

An entry is JSON with members in order of name, nothing between them, and numbers that are whole. Its time is not among
them: the database says it when the row is written, and it enters the leaf beside the digest of these bytes.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from onestop.suites import INTL, Suite

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_json = msgspec.json.Encoder()
_sorted = msgspec.json.Encoder(order="sorted")


class _Act(msgspec.Struct, frozen=True, kw_only=True):
    # In order of name: so it is written. What has a default came later: it is left out where it is not told.
    action: str
    actor: str
    beneficiary: str | UnsetType = UNSET
    detail: msgspec.Raw
    id: str
    mandate: str | UnsetType = UNSET
    object: str | None
    region: str
    subject: str | None
    trace_id: str | None


class _Use(msgspec.Struct, frozen=True, kw_only=True):
    # In order of name: so it is written. What has a default came later: it is left out where it is not told.
    actor: str
    beneficiary: str | UnsetType = UNSET
    id: str
    mandate: str | UnsetType = UNSET
    object: str | None
    region: str
    subject: str
    trace_id: str | None
    uses: msgspec.Raw


def sorted_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return JSON with members in order of name and nothing between them."""
    return _sorted.encode(value).decode()


def of_act(
    region: str,
    id: str,
    actor: str,
    subject: str | None,
    action: str,
    object: str | None,
    trace_id: str | None,
    detail: str,
    mandate: str | None = None,
    beneficiary: str | None = None,
) -> bytes:
    """Return the bytes of an act; `detail` is JSON as `sorted_json` writes it."""
    act = _Act(
        action=action, actor=actor, beneficiary=beneficiary or UNSET, detail=msgspec.Raw(detail), id=id,
        mandate=mandate or UNSET, object=object, region=region, subject=subject, trace_id=trace_id,
    )  # fmt: skip
    return _json.encode(act)


def of_use(
    region: str,
    id: str,
    subject: str,
    actor: str,
    object: str | None,
    trace_id: str | None,
    content: str,
    mandate: str | None = None,
    beneficiary: str | None = None,
) -> bytes:
    """Return the bytes of a use of data; `content` is JSON as it stands in the row."""
    use = _Use(
        actor=actor, beneficiary=beneficiary or UNSET, id=id, mandate=mandate or UNSET, object=object, region=region,
        subject=subject, trace_id=trace_id, uses=msgspec.Raw(content),
    )  # fmt: skip
    return _json.encode(use)


def digest(entry: bytes) -> bytes:
    """Return what the statement that writes a row takes, to make its leaf of it and of its time."""
    return hashlib.sha256(entry).digest()


def microseconds(at: datetime) -> int:
    """Return an instant as the leaf takes it: whole microseconds since 1970 in UTC."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def leaf(entry: bytes, at: datetime, suite: Suite = INTL) -> bytes:
    """Return the leaf of an entry written at `at`; that of `intl` is what the statements make.

    PostgreSQL knows no SM3, so a leaf of `sm` is made by the sealer, of a row that still fits the leaf it was written
    with.
    """
    return suite.hash(b"\x00" + suite.hash(entry) + microseconds(at).to_bytes(8, "big", signed=True))
