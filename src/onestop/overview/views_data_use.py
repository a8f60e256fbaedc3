"""Who used my data, as the one it is about sees it."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onestop.basis.models import Kind
from onestop.basis.views import LawView
from onestop.overview.rules_challenges import MoveKind

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


class WhyRead(msgspec.Struct, frozen=True, kw_only=True):
    """By which rule one department's data was read or given: what was recorded then, and the purpose it falls under."""

    use: UseView
    purpose: str | None  # code under `/v1/me/consents`; None: no purpose of today covers it
    title: str | None
    kind: Kind | None
    law: LawView | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an entry about you is there."""

    entry: str
    why: list[WhyRead]


class DataUseView(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger that is about you."""

    id: str
    at: datetime
    by: By
    by_name: str | None  # of a representative: who acted for you
    mandate: str | None  # under which they did
    beneficiary: str | None  # who gained, where that is not you
    case: str | None
    trace_id: str | None
    uses: list[UseView]
    links: dict[str, str]


class DataUseList(msgspec.Struct, frozen=True, kw_only=True):
    """Entries about you, newest first."""

    data: list[DataUseView]
    next_cursor: str | None
    has_more: bool


# ---- challenges

ChallengeState = Literal["open", "upheld", "rejected"]
Words = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$")]


class Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person says against a use of their data."""

    reason: Words
    department: Annotated[str, Meta(max_length=64)] | None = None  # needed where several departments are in the entry


class AnswerChallenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the office says: `upheld` where the use was not rightful; either way with its reason."""

    state: Literal["upheld", "rejected"]
    text: Words


class ChallengeMove(msgspec.Struct, frozen=True, kw_only=True):
    """What was done since nobody answered: a reminder, or the next person has it."""

    kind: MoveKind
    to: str  # a post, never a person's name
    says: str
    at: datetime


class ChallengeView(msgspec.Struct, frozen=True, kw_only=True):
    """One challenge as its person sees it."""

    id: str
    entry: str
    department: Department
    officer: str  # who is accountable
    with_whom: str  # who has to see to it now: the same, or who is next
    moves: list[ChallengeMove]  # in order
    state: ChallengeState
    says: str
    reason: str
    opened_at: datetime
    due_on: date  # the office answers by then
    overdue: bool
    answered_at: datetime | None = None
    answer: str | None = None


class ChallengeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One challenge in an office's list; its words are read one by one."""

    id: str
    entry: str
    opened_at: datetime
    due_on: date
    overdue: bool
    with_whom: str  # your officer, or who is next since the term is over


class ChallengeList(msgspec.Struct, frozen=True, kw_only=True):
    """What an office has to answer, oldest first."""

    data: list[ChallengeLine]
    next_cursor: str | None
    has_more: bool


class OverdueChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """One challenge that was not answered within its term, for those who supervise; nothing of its person."""

    id: str
    department: Department
    state: ChallengeState
    opened_at: datetime
    due_on: date
    answered_at: datetime | None  # too late; None: not at all
    with_whom: str


class OverdueList(msgspec.Struct, frozen=True, kw_only=True):
    """What was not answered within its term, oldest first."""

    data: list[OverdueChallenge]
    next_cursor: str | None
    has_more: bool


class OfficeChallenge(msgspec.Struct, frozen=True, kw_only=True):
    """One challenge as the office reads it, with what is disputed."""

    id: str
    entry: str
    at: datetime  # when the data was used
    case: str | None
    use: UseView
    state: ChallengeState
    reason: str
    opened_at: datetime
    due_on: date
    overdue: bool
