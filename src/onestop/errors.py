"""The tree of failures. Every refusal onestop utters is a leaf of it; none of it knows HTTP.

OnestopError
├── Malformed              the bytes are not what was declared
├── Unauthenticated        nobody is signed in
│   └── StepUpRequired     somebody is, but not surely enough
├── Forbidden              signed in, but may not
├── NotFound               absent, or somebody else's: the same to the caller
├── Conflict               true of the thing now, may change
├── Stale                  the caller edits a version that is no longer the newest
├── TooLarge               more bytes than the route takes
├── UnsupportedType        another media type than the route takes
├── Invalid                well-formed, but breaks a rule
├── PreconditionRequired   the caller must say which version is meant
├── TooMany                more often than allowed
├── UpstreamFailed         a department refused or answered nonsense
├── UpstreamTimeout        a department did not answer in time
├── Unavailable            onestop itself cannot at the moment
└── Internal               a defect of onestop

A leaf has a `code` that is never reused; its words stand in `texts/<language>/`.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec

Stage = Literal[
    "identity", "assurance", "mandate", "basis", "agreement", "quota", "schema", "upstream", "conflict", "internal"
]
Actor = Literal["caller", "applicant", "clerk", "department", "operator", "peer"]
Retry = Literal["never", "after", "same_key"]


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with one value of the input."""

    pointer: str  # RFC 6901, into the request body
    code: str  # a key below `field.` in the texts
    params: dict[str, str] = {}
    source: str | None = None  # who says otherwise, where a record differs
    as_of: str | None = None


class UpstreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the department's side of a failure."""

    department: str
    operation: str
    outcome: str
    waited_ms: int | None = None


class OnestopError(Exception):
    """Anything onestop refuses or cannot do, in a form that can be told to the person it concerns."""

    code: ClassVar[str] = "internal"
    stage: ClassVar[Stage] = "internal"
    who_acts: ClassVar[Actor] = "operator"
    retry: ClassVar[Retry] = "never"

    def __init__(
        self,
        sentence: str = "",
        *,
        errors: Sequence[FieldError] = (),
        retry_after_s: float | None = None,
        upstream: UpstreamFacts | None = None,
        **params: str | int | float,
    ) -> None:
        super().__init__(sentence or self.code)
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
        self.upstream = upstream
        self.params = params


class Malformed(OnestopError):
    code = "request.malformed"
    stage: ClassVar[Stage] = "schema"
    who_acts: ClassVar[Actor] = "caller"


class Unauthenticated(OnestopError):
    code = "auth.required"
    stage: ClassVar[Stage] = "identity"
    who_acts: ClassVar[Actor] = "caller"


class StepUpRequired(Unauthenticated):
    """Signed in, but less surely than this asks for: signing in again at `level` helps (RFC 9470).

    `back` is the page of onestop that the person was at, and comes back to.
    """

    code = "auth.level_too_low"
    stage: ClassVar[Stage] = "assurance"
    who_acts: ClassVar[Actor] = "applicant"

    def __init__(self, level: int, back: str = "/") -> None:
        super().__init__(f"level {level} is asked for", level=level)
        self.level, self.back = level, back


class Forbidden(OnestopError):
    code = "auth.forbidden"
    stage: ClassVar[Stage] = "mandate"
    who_acts: ClassVar[Actor] = "caller"


class NotFound(OnestopError):
    code = "not_found"
    stage: ClassVar[Stage] = "schema"
    who_acts: ClassVar[Actor] = "caller"


class Conflict(OnestopError):
    code = "conflict"
    stage: ClassVar[Stage] = "conflict"
    who_acts: ClassVar[Actor] = "caller"


class Stale(OnestopError):
    code = "version.stale"
    stage: ClassVar[Stage] = "conflict"
    who_acts: ClassVar[Actor] = "caller"


class TooLarge(OnestopError):
    code = "request.too_large"
    stage: ClassVar[Stage] = "schema"
    who_acts: ClassVar[Actor] = "caller"


class UnsupportedType(OnestopError):
    code = "request.unsupported_type"
    stage: ClassVar[Stage] = "schema"
    who_acts: ClassVar[Actor] = "caller"


class Invalid(OnestopError):
    code = "form.invalid"
    stage: ClassVar[Stage] = "schema"
    who_acts: ClassVar[Actor] = "caller"


class PreconditionRequired(OnestopError):
    code = "version.required"
    stage: ClassVar[Stage] = "conflict"
    who_acts: ClassVar[Actor] = "caller"


class TooMany(OnestopError):
    code = "rate.limited"
    stage: ClassVar[Stage] = "quota"
    who_acts: ClassVar[Actor] = "caller"
    retry: ClassVar[Retry] = "after"


class UpstreamFailed(OnestopError):
    code = "upstream.bad_reply"
    stage: ClassVar[Stage] = "upstream"
    who_acts: ClassVar[Actor] = "department"
    retry: ClassVar[Retry] = "after"


class UpstreamTimeout(OnestopError):
    code = "upstream.timeout"
    stage: ClassVar[Stage] = "upstream"
    who_acts: ClassVar[Actor] = "department"
    retry: ClassVar[Retry] = "after"


class Unavailable(OnestopError):
    code = "overload.shed"
    stage: ClassVar[Stage] = "internal"
    who_acts: ClassVar[Actor] = "operator"
    retry: ClassVar[Retry] = "after"


class Internal(OnestopError):
    code = "internal"
