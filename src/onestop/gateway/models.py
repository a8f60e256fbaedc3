"""What the gateway says of a question asked and of an effect intended."""

from datetime import datetime
from typing import Any, Literal

import msgspec

PartState = Literal["ok", "stale", "pending", "unavailable", "denied", "maintenance", "not_applicable"]
EffectState = Literal["intended", "sent", "done", "refused", "unknown", "desk"]
AnswerState = Literal["none", "awaited", "received"]
Outcome = Literal["completed", "pending", "declined", "correction", "extended", "transferred", "desk", "sent_again"]
Channel = Literal["call", "pull", "file"]
Lane = Literal["window", "citizen", "batch"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Who gave a value."""

    adapter: str
    department: str  # in the caller's language
    system: str
    version: str


class PartProblem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a part is not there, who acts, and when to look again."""

    code: str
    title: str
    detail: str
    who_acts: str
    retry: str = "after"
    retry_after_s: float | None = None


class Part(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The outcome of one question; every question has exactly one."""

    want: str
    state: PartState
    source: Source
    found: bool | None = None  # False: the department answered that it holds no record
    as_of: str | None = None  # RFC 3339: when the department last changed what it said
    age_s: float | None = None
    took_ms: float
    data: dict[str, Any] | None = None
    problem: PartProblem | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One question to one department."""

    want: str
    adapter: str
    operation: str
    level: int = 3  # how surely whoever asks has signed in; departments among themselves have an agreement
    consumer: str = "overview"  # on whose behalf: an item's code, or the overview of one's own affairs


class NewEffect(msgspec.Struct, frozen=True, kw_only=True):
    """An effect about to be written into the ledger; nothing is sent before that is committed."""

    id: str  # eff_…
    case_id: str
    step: str
    adapter: str
    operation: str
    key: str  # what the department will know it by
    payload: dict[str, Any]
    trace_id: str | None = None
    subject: str | None = None  # for whom
    actor: str | None = None  # who brought it about; None: onestop, when another step had ended
    mandate: str | None = None  # under which the actor acted
    beneficiary: str | None = None  # who gains; None: the subject


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger, without what is sealed."""

    region: str
    id: str
    case_id: str
    step: str
    adapter: str
    operation: str
    version: str
    key: str
    state: EffectState
    answer: AnswerState
    attempt: int
    intended_at: datetime
    next_at: datetime | None = None
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    reference: str | None = None
    trace_id: str | None = None
    channel: Channel = "call"
    batch: str | None = None  # the file it went out in
    outcome: str | None = None  # the last one told to its case


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an effect, in our words."""

    outcome: Outcome
    reference: str | None = None
    reason: str | None = None  # the department's own sentence
    result: dict[str, Any] | None = None
    problem: str | None = None  # a problem code, where a person has to act


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask which operation, how often, from when until when."""

    id: str
    adapter: str
    consumer: str
    operation: str
    per_day: int | None
    per_second: float | None
    begins: datetime
    ends: datetime | None
    purpose_zh: str = ""
    purpose_en: str = ""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Why a question is not asked at all, and when it may be."""

    state: Literal["maintenance", "denied", "unavailable"]
    code: str
    retry_after_s: float | None = None
    until: datetime | None = None
