"""Nouns of the case room: rows, and the form with the source of every value."""

from datetime import date, datetime
from typing import Any, Literal

import msgspec

from onestop.mandates.models import Represented

DoubtState = Literal["open", "corrected", "confirmed", "refused"]
CaseState = Literal["draft", "submitted", "in_progress", "correcting", "decided", "withdrawn"]
CaseOutcome = Literal["granted", "partly", "denied"]
StepState = Literal[
    "waiting", "in_progress", "completed", "declined", "correcting", "at_desk", "not_started", "withdrawn"
]
TaskKind = Literal["handle", "find_out"]
Value = Any  # text, number, truth value, or a department's record

APPLICANT = "applicant"  # the origin of what was typed


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value of the form and where it comes from."""

    value: Value
    origin: str  # the want that gave it, `identity`, or `applicant`
    as_of: str | None = None  # RFC 3339
    adapter: str | None = None
    version: str | None = None  # of the adapter's manifest


class Form(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything the applicant and the departments said, as it is sealed in the case's row."""

    answers: dict[str, Answer]  # by field code
    number: str  # the applicant's, for departments that ask for it
    name: str
    acting: Represented | None = None  # who submitted it for the applicant, for departments that are told


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case's row, without what is sealed beside `answers`."""

    id: str
    number: str
    claim_code: str
    subject: str
    actor: str
    item: str
    state: CaseState
    outcome: CaseOutcome | None = None
    version: int
    answers: bytes
    opened_at: datetime
    submitted_at: datetime | None = None
    due_on: date | None = None
    decided_at: datetime | None = None
    trace_id: str | None = None
    mandate: str | None = None  # under which it was opened; None: by the subject
    beneficiary: str | None = None  # who gains by it; None: the subject


class CaseBrief(msgspec.Struct, frozen=True, kw_only=True):
    """A case in a list."""

    id: str
    number: str
    item: str
    state: CaseState
    outcome: CaseOutcome | None = None
    version: int
    opened_at: datetime
    submitted_at: datetime | None = None
    due_on: date | None = None
    decided_at: datetime | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One department's part of one case."""

    code: str
    position: int
    department: str
    adapter: str  # 'desk' where the department has no system
    operation: str
    needs: list[str]
    state: StepState
    promised_days: int
    due_on: date
    started_at: datetime | None = None
    settled_at: datetime | None = None
    round: int = 1
    effect_id: str | None = None
    heard: str | None = None
    reference: str | None = None
    result: bytes | None = None


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a department gave for a step, as it is sealed."""

    fields: dict[str, Any] = {}
    reason: str | None = None  # the department's own sentence, or the clerk's


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event about to be written."""

    type: str
    by_whom: str
    step: str | None = None
    data: dict[str, Any] = {}
    actor: str | None = None  # the person who did it; None: a department or onestop
    mandate: str | None = None  # under which they did


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a case."""

    seq: int
    at: datetime
    type: str
    by_whom: str
    step: str | None = None
    data: dict[str, Any] = {}
    actor: str | None = None
    mandate: str | None = None


class NewTask(msgspec.Struct, frozen=True, kw_only=True):
    """Work for a person, about to be written."""

    id: str
    step: str
    round: int
    department: str
    kind: TaskKind
    reason: str
    due_on: date


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Work for a person at a department's desk."""

    id: str
    case_id: str
    number: str  # of the case
    item: str
    step: str
    department: str
    kind: TaskKind
    reason: str
    state: Literal["open", "answered", "dropped"]
    due_on: date
    opened_at: datetime
    effect_key: str | None = None  # of the step's effect, where it has one: what the department knows it by
    effect_operation: str | None = None
    effect_attempt: int | None = None
    effect_sent_at: datetime | None = None
    effect_reference: str | None = None
    effect_problem: str | None = None


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """An open step that nobody owns or that has no next deadline: there must never be one."""

    case_id: str
    code: str
    state: StepState
    why: str
