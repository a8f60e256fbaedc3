"""Who used my data, as the one it is about sees it."""

from datetime import datetime
from typing import Literal

import msgspec

By = Literal["you", "office", "onestop", "representative"]


class Department(msgspec.Struct, frozen=True):
    """A department by id and name."""

    id: str
    name: str


class UseView(msgspec.Struct, frozen=True, kw_only=True):
    """What one department was asked for, or was given."""

    department: Department
    operation: str
    outcome: str  # what came of reading, `given` or `shown`
    says: str  # the same in a sentence
    purpose: str
    basis: str
    fields: list[str]  # names of what was read or given, never values
    effect: str | None = None


class DataUseView(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger that is about you."""

    id: str
    at: datetime
    by: By
    case: str | None
    trace_id: str | None
    uses: list[UseView]
    links: dict[str, str]


class DataUseList(msgspec.Struct, frozen=True, kw_only=True):
    """Entries about you, newest first."""

    data: list[DataUseView]
    next_cursor: str | None
    has_more: bool
