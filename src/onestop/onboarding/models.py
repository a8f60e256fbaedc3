"""Nouns of an adapter's life: a version and its states, who acts, what was found, what is told."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

VersionState = Literal["draft", "testing", "approved", "trial", "live", "deprecated", "quarantined", "retired"]
AgreementState = Literal["proposed", "active", "refused", "ended"]
Move = Literal[
    "submit", "withdraw", "reject", "approve", "trial", "publish", "quarantine", "release", "return", "deprecate",
    "retire",
]  # fmt: skip
Environment = Literal["sandbox", "live"]
RunState = Literal["running", "ended", "interrupted"]
RunTarget = Literal["simulator", "sandbox", "live"]  # simulator: whatever onestop itself plays, wherever it stands

ManifestText = Annotated[str, Meta(min_length=1, max_length=262_144, description="manifest.toml as text")]
Why = Annotated[str, Meta(max_length=500)]
Note = Annotated[str, Meta(max_length=200)]
SecretName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$", examples=["app_secret"])]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts on an adapter: a person or a machine, in a role, for a department."""

    id: str
    role: str
    department: str | None = None
    machine: bool = False


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter as the database holds it."""

    id: str
    owner: str
    department_code: str
    portal: Literal["open", "agreed"] = "open"
    approves: Literal["owner", "automatic"] = "owner"
    automatic_per_day: int | None = None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of an adapter: immutable once it has left `draft`."""

    adapter: str
    version: str
    state: VersionState
    manifest: bytes
    digest: bytes
    made_by: str
    made_at: datetime
    state_at: datetime
    revision: int
    signature: str | None = None
    approved_by: str | None = None
    live_until: datetime | None = None
    template: str | None = None
    template_version: int | None = None
    no_test_system: str | None = None  # why there is none, in the words of who submitted it


class VersionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One version in a list."""

    version: str
    state: VersionState
    digest: str
    made_by: str
    made_at: datetime
    state_at: datetime
    template: str | None = None


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a version's history."""

    move: str
    from_state: VersionState | None
    to_state: VersionState
    by_whom: str
    by_role: str
    why: str
    at: datetime


class Lint(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the linter found in a manifest."""

    rule: str
    severity: Literal["error", "warning", "info"]
    where: str
    sentence: str
    fix: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference between two versions, in words."""

    kind: str
    where: str
    breaking: bool
    sentence: str


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two versions; the approver sends back `digest`: what was shown is what is approved."""

    adapter: str
    against: str | None  # the older version; null: there is none
    version: str
    digest: str
    breaking: bool
    changes: list[Change]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a move needs, and whether it is there."""

    name: Literal["lint", "conformance", "diff_seen", "second_person", "signature", "certificates", "place"]
    passed: bool
    sentence: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One conformance run over one manifest's bytes."""

    id: str
    adapter: str
    version: str
    digest: bytes
    against: RunTarget  # what answered; while it is under way, what was to be asked
    passed: bool
    report: dict[str, Any]
    at: datetime
    state: RunState = "ended"
    by_whom: str = "-"
    done: int = 0  # operations looked at
    of: int = 0
    operation: str | None = None  # looked at now
    ended_at: datetime | None = None
    fault: str | None = None  # why it was interrupted: restart, time, error


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A version, whole: what it is, where it stands, what it may do next and what that needs."""

    adapter: str
    version: str
    state: VersionState
    digest: str
    made_by: str
    made_at: datetime
    state_at: datetime
    revision: int
    moves: list[str]  # that the one who asks may make now
    checks: list[Check]  # of approval
    history: list[Made]
    manifest: str
    signature: str | None = None
    approved_by: str | None = None
    template: str | None = None
    no_test_system: str | None = None  # why the department has none, as whoever submitted it says
    next: str  # a sentence: who does what now


class VersionList(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of one adapter, newest first."""

    data: list[VersionLine]
    next_cursor: str | None
    has_more: bool


class Findings(msgspec.Struct, frozen=True):
    """What the linter says; empty: nothing."""

    data: list[Lint]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something the owner of an adapter has to know."""

    id: str
    adapter: str
    version: str | None
    kind: str
    sentence: str
    at: datetime


class NoticeList(msgspec.Struct, frozen=True, kw_only=True):
    """Notices, newest first."""

    data: list[Notice]
    next_cursor: str | None
    has_more: bool


class AdapterView(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter: whose it is, what is live here, and its newest versions."""

    id: str
    owner: str
    department_code: str
    portal: Literal["open", "agreed"]
    approves: Literal["owner", "automatic"]
    automatic_per_day: int | None
    live: str | None  # the version that serves, from the database or from a file
    from_file: bool
    connected: bool
    fault: str | None
    maintenance_until: datetime | None
    versions: list[VersionLine]


class Push(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A manifest handed in."""

    manifest: ManifestText
    signature: Annotated[str, Meta(max_length=4096, description="detached JWS over the manifest's bytes")] | None = None


class Moving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes with a move."""

    why: Why = ""
    diff_digest: Digest | None = None  # approve: the `digest` of the difference that was read


class Submitting(Moving, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes with handing a draft over."""

    no_test_system: (
        Annotated[
            str,
            Meta(
                min_length=10,
                max_length=500,
                description="why the department has no test system to run the version against; who approves reads it",
            ),
        ]
        | None
    ) = None


class TrialPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the department's own people who tries the version."""

    number: Annotated[str, Meta(min_length=6, max_length=40, pattern=r"^[0-9A-Za-z]+$")]


class StartTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a trial serves; everybody else is served by the live version."""

    subjects: Annotated[list[TrialPerson], Meta(min_length=1, max_length=100)]
    why: Why = ""
