"""Doubts about a department's record as their person and the department see them."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onestop.cases.models import DoubtState

Words = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$")]


class NewDoubt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wrong with a value that a department gave."""

    field: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", examples=["mother.address"])]
    said: Words


class AnswerDoubt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the department found: the record is corrected, it is right as it is, or it cannot say; with its reason."""

    state: Literal["corrected", "confirmed", "refused"]
    text: Words


class DoubtView(msgspec.Struct, frozen=True, kw_only=True):
    """One doubt, who verifies it by when, and what was found."""

    id: str
    case: str
    field: str
    department: str
    state: DoubtState
    says: str
    said: str
    opened_at: datetime
    due_on: date
    overdue: bool
    answered_at: datetime | None
    answer: str | None


class DoubtList(msgspec.Struct, frozen=True, kw_only=True):
    """Doubts, at most 100."""

    data: list[DoubtView]


class OverdueDoubt(msgspec.Struct, frozen=True, kw_only=True):
    """A doubt whose department has let its term pass; whose it is, and what they said, is not told."""

    id: str
    field: str
    department: str
    opened_at: datetime
    due_on: date


class OverdueList(msgspec.Struct, frozen=True, kw_only=True):
    """Doubts past their term, the longest overdue first."""

    data: list[OverdueDoubt]
