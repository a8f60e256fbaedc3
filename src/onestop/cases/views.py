"""What a case looks like from outside: structs that are encoded as they stand."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from onestop.gateway.models import Part
from onestop.identity.models import NumberType
from onestop.identity.service_unmasking import UnmaskReason
from onestop.items.models import Code

# ---- in ------------------------------------------------------------------------------------------------------------

Group = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
Given = str | int | bool | None
Answers = Annotated[dict[Group, Annotated[dict[Group, Given], Meta(max_length=64)]], Meta(max_length=32)]
Sentence = Annotated[str, Meta(max_length=1000)]
Declarations = Annotated[tuple[Literal["all_true"], ...], Meta(max_length=4)]


class OpenCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a citizen sends to open a case; with `submit`, the whole application in one call."""

    item: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{1,39}$", examples=["birth"])]
    situation: Annotated[dict[Code, bool], Meta(max_length=32)] = {}
    answers: Answers = {}
    submit: bool = False
    declarations: Declarations = ()
    # The mandate, a guardianship of yours, by which somebody else gains by what you apply for; None: you do.
    beneficiary: Annotated[str, Meta(pattern=r"^mdt_[0-9a-z]{26}$")] | None = None


class ChangeAnswers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Values of a draft's form, `group → name → value`; null takes back what was typed before."""

    answers: Answers


class Submit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the applicant declares on submitting."""

    declarations: Declarations = ()


class Withdraw(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A withdrawal needs no reason."""


class Resubmit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Corrected values for one step; none where the applicant confirms that what was sent is right."""

    answers: Answers = {}


class Unmask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why a desk wants to see the applicant's whole number."""

    reason: UnmaskReason


class AnswerTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person at the desk found out or decided; `send_again` where it certainly was not done."""

    outcome: Literal["completed", "declined", "send_again"]
    text: Sentence = ""
    reference: Annotated[str, Meta(max_length=100)] | None = None
    result: Annotated[dict[Group, Annotated[str, Meta(max_length=200)]], Meta(max_length=16)] = {}


# ---- out -----------------------------------------------------------------------------------------------------------


class AnswerView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value of the form; without one, whether it must be given."""

    value: Any
    label: str
    source: str | None = None
    as_of: str | None = None
    basis: str | None = None
    editable: bool | None = None
    required: bool | None = None
    disputed: str | None = None  # the doubt about it that its department verifies


class Fields(msgspec.Struct, frozen=True):
    """How much of the form is there."""

    prefilled: int
    to_fill: int


class Parts(msgspec.Struct, frozen=True):
    """How the departments answered when the form was prefilled."""

    complete: bool
    budget_ms: int
    parts: list[Part]


class ItemName(msgspec.Struct, frozen=True):
    """An item by code and name."""

    code: str
    name: str


class DepartmentName(msgspec.Struct, frozen=True):
    """A department by id and name."""

    id: str
    name: str


class Term(msgspec.Struct, frozen=True):
    """A term in working days."""

    value: int
    unit: Literal["working_day"] = "working_day"


class ShownValue(msgspec.Struct, frozen=True):
    """One value of a department's result; person numbers are masked."""

    label: str
    value: str


class StepView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One department's part as the applicant sees it."""

    code: str
    name: str
    department: DepartmentName
    state: str
    says: str
    due_on: date
    promised: Term
    needs: list[str] = []
    started_at: datetime | None = None
    settled_at: datetime | None = None
    reference: str | None = None
    reason: str | None = None
    result: list[ShownValue] = []


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened: what it means, what the applicant does, by when."""

    seq: int
    at: datetime
    type: str
    by: str
    mandate: str | None  # under which somebody did it for the applicant
    step: str | None
    means: str
    you_do: str
    by_when: str | None


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What waits for the applicant."""

    kind: Literal["fill", "submit", "correct"]
    says: str
    step: str | None = None
    reason: str | None = None
    by: date | None = None
    link: str


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle's own term; every step has another."""

    due_on: date
    left: int  # working days; negative when overdue
    unit: Literal["working_day"] = "working_day"
    lamp: Literal["green", "yellow", "red"]
    provisional: bool  # the holidays around the day are not announced yet


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    """A case as its applicant sees it."""

    id: str
    object: Literal["case"] = "case"
    number: str
    claim_code: str
    item: ItemName
    state: str
    outcome: str | None
    version: int
    says: str
    action: Action | None
    opened_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
    clock: Clock | None
    fields: Fields
    answers: dict[str, dict[str, AnswerView]]
    parts: Parts | UnsetType = UNSET  # only where departments were just asked
    steps: list[StepView]
    timeline: list[EventView]
    operation: str | None
    links: dict[str, str]


class CaseLine(msgspec.Struct, frozen=True, kw_only=True):
    """A case in the list of one's own."""

    id: str
    object: Literal["case"] = "case"
    number: str
    item: ItemName
    state: str
    outcome: str | None
    version: int
    says: str
    opened_at: datetime
    submitted_at: datetime | None
    due_on: date | None
    links: dict[str, str]


class CaseList(msgspec.Struct, frozen=True, kw_only=True):
    """One's own cases, newest first."""

    data: list[CaseLine]
    next_cursor: str | None
    has_more: bool


class Progress(msgspec.Struct, frozen=True):
    """How many steps have ended."""

    done: int
    total: int


class OperationStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of long work: who is waited for, until when."""

    code: str
    name: str
    department: DepartmentName
    status: str
    until: date | None


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """The long work that a submission is."""

    id: str
    object: Literal["operation"] = "operation"
    status: Literal["queued", "running", "waiting", "succeeded", "partly", "failed", "cancelled"]
    progress: Progress
    case: str
    version: int  # of the case
    steps: list[OperationStep]
    links: dict[str, str]


class FindOut(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be found out at a department: whether it did what was sent under this key."""

    key: str
    operation: str
    attempts: int
    sent_at: datetime | None
    reference: str | None
    problem: str | None  # code of the last one
    says: str | None  # the same as a sentence


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """Work at a desk."""

    id: str
    object: Literal["task"] = "task"
    case_number: str
    item: ItemName
    step: str
    step_name: str
    department: DepartmentName
    kind: str
    says: str
    state: str
    due_on: date
    opened_at: datetime
    officer: str  # the accountable post whose desk this is
    overdue: bool
    find_out: FindOut | None = None
    payload: dict[str, Any] | UnsetType = (
        UNSET  # what the step is about; only in the single task, person numbers masked
    )


class TaskList(msgspec.Struct, frozen=True, kw_only=True):
    """A desk's open tasks, oldest first."""

    data: list[TaskView]
    next_cursor: str | None
    has_more: bool


class TaskAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer at the desk did."""

    task: str
    state: Literal["answered"] = "answered"
    step_state: str
    case_state: str


class Unmasked(msgspec.Struct, frozen=True, kw_only=True):
    """An applicant's whole number, and what is on record of its being shown."""

    number_type: NumberType
    number: str
    reason: UnmaskReason
    says: str  # the reason in the reader's language
    recorded_at: datetime
    left_this_hour: int

    def __repr__(self) -> str:
        return f"Unmasked({self.number_type})"  # never the number


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bar of the timeline picture."""

    code: str
    name: str
    department: str
    state: str
    state_name: str
    start: datetime | None
    end: datetime | None  # None: still open
    due_on: date


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """What the timeline picture draws, and the table beside it shows."""

    title: str
    opened_at: datetime
    now: datetime
    due_on: date | None
    bars: list[Bar]
