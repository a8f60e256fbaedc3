"""Nouns of mandates: the mandate itself, what it covers, what is asked of it, and how people see it."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onestop.gateway.models import Part
from onestop.identity.models import Level, PersonName, SubjectKind

MandateKind = Literal["guardian", "officer", "handler", "agent"]
MandateState = Literal["offered", "accepted", "live", "refused", "ended"]
Move = Literal["accept", "confirm", "refuse", "end"]
# What an actor does; `pay` is submitting what costs a fee, `hand_on` is giving the mandate to somebody else.
Deed = Literal["look_up", "read", "fill", "submit", "correct", "withdraw", "pay", "hand_on"]
Direction = Literal["given", "received"]
EndedBy = Literal["principal", "actor", "department", "above"]  # above: the mandate it was handed on from ended

Code = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{1,39}$", examples=["birth"])]
Codes = Annotated[tuple[Code, ...], Meta(max_length=50)]


class Scope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a mandate covers, and what it leaves out."""

    everything: bool = False  # every matter; only what the law itself gives
    items: Codes = ()  # items and bundles
    departments: Codes = ()  # whatever these departments do, by their adapters' ids
    excluded: Annotated[tuple[Deed, ...], Meta(max_length=8)] = ()  # deeds that are not covered
    most_cases: Annotated[int, Meta(ge=1, le=1000)] | None = None  # submitted under it in all; None: no limit
    most_fen: Annotated[int, Meta(ge=0, le=100_000_000_000)] | None = None  # fees in all, in fen; None: no limit


class Matter(msgspec.Struct, frozen=True, kw_only=True):
    """What an act is about: an item with the departments that handle it, or a department that is asked."""

    item: str | None = None
    departments: frozenset[str] = frozenset()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """An act that somebody wants to do for somebody else."""

    deed: Deed
    matter: Matter = Matter()
    fee_fen: int = 0


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What was done under a mandate so far."""

    cases: int = 0
    fen: int = 0


class Mandate(msgspec.Struct, frozen=True, kw_only=True):
    """One mandate as it is kept; scope and period never change, a narrower one is a new mandate."""

    id: str
    kind: MandateKind
    principal: str  # subject for whom is acted
    actor: str  # subject who acts
    parent_id: str | None = None  # handed on from
    state: MandateState
    version: int = 1
    scope: Scope
    hand_on: int = 0  # how many further times it may be handed on
    level: int  # real-name level 实名等级 needed to confirm it and to act under it
    begins_at: datetime
    ends_at: datetime | None = None  # None: as long as the department says so
    offered_at: datetime
    accepted_at: datetime | None = None
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: EndedBy | None = None
    told: bytes | None = None  # sealed: the actor as the giver named them
    adapter: str | None = None  # the department that says so; None: given by somebody
    operation: str | None = None
    source_version: str | None = None
    as_of: datetime | None = None  # when the department's data stood so
    valid_until: datetime | None = None  # until then its answer is believed
    cases: int = 0
    fen: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The actor as the giver named them, as it is sealed."""

    name: str
    number_masked: str


class KindRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for every mandate of one kind; a row of `data/kinds.toml`."""

    kind: MandateKind
    from_department: bool
    principals: tuple[SubjectKind, ...]
    level: Level
    hand_on: Annotated[int, Meta(ge=0, le=3)]  # at most
    longest_days: int | None = None  # of a given one
    validity_s: float | None = None  # of a department's answer
    handed_as: MandateKind | None = None  # the kind of what is handed on
    basis_zh: str
    basis_en: str
    source: str
    date: date
    confidence: str


class AgeRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody younger than an age does not do alone; a row of `data/ages.toml`."""

    below: int  # years
    never: tuple[Deed, ...]
    basis_zh: str
    basis_en: str
    source: str
    date: date
    confidence: str


class Represented(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who acts for a subject under which mandate, as a form keeps it and departments are told it."""

    number: str  # the actor's
    name: str
    mandate: str
    kind: MandateKind
    begins_at: datetime
    ends_at: datetime | None = None
    source: str | None = None  # the department that vouches

    def parties(self) -> dict[str, dict[str, str | None]]:
        """Return `actor` and `mandate` as expressions of a request read them."""
        ends = None if self.ends_at is None else self.ends_at.isoformat()
        mandate = {"id": self.mandate, "kind": self.kind, "begins_at": self.begins_at.isoformat(), "ends_at": ends}
        return {"actor": {"number": self.number, "name": self.name}, "mandate": mandate | {"source": self.source}}


# ---- what comes in


class Receiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who shall act, as the giver names them."""

    number: Annotated[str, Meta(pattern=r"^[0-9A-Z]{15,18}$", examples=["990102199008210351"])]
    name: PersonName


class Offer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody sends to give a mandate."""

    to: Receiver
    scope: Scope
    ends_at: datetime
    begins_at: datetime | None = None  # None: now
    hand_on: Annotated[int, Meta(ge=0, le=3)] = 0


class TakeMove(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a party does with a mandate."""

    move: Move


class StartActing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody sends to act under a mandate."""

    mandate: Annotated[str, Meta(pattern=r"^mdt_[0-9a-z]{26}$")]


# ---- what goes out


class MandateView(msgspec.Struct, frozen=True, kw_only=True):
    """A mandate as one of its two parties sees it."""

    id: str
    object: Literal["mandate"] = "mandate"
    kind: MandateKind
    kind_name: str
    direction: Direction
    principal_name: str
    actor_name: str
    actor_number: str | None  # masked
    state: MandateState
    says: str  # what the state means, and who acts next
    version: int
    scope: Scope
    hand_on: int
    level: int
    begins_at: datetime
    ends_at: datetime | None
    basis: str
    source: str | None  # the department that says so
    as_of: datetime | None
    valid_until: datetime | None
    spent_cases: int
    spent_fen: int
    moves: list[Move]  # what you can do with it now
    usable: bool  # whether it can be acted under at this moment
    links: dict[str, str]


class MoveView(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that became of a mandate."""

    version: int
    at: datetime
    move: Literal["offer", "accept", "confirm", "refuse", "end"]
    by: Literal["giver", "receiver", "department", "above"]  # above: with the mandate it was handed on from
    level: int | None  # real-name level of who did it; None: a department


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a mandate, oldest first; at most 50."""

    data: list[MoveView]


class MandateList(msgspec.Struct, frozen=True, kw_only=True):
    """Mandates given and received, newest first; at most 200 of each."""

    given: list[MandateView]
    received: list[MandateView]


class LegalMandates(msgspec.Struct, frozen=True, kw_only=True):
    """What the departments said of whom somebody may act for by law.

    A part that is not `ok` leaves what was known before as it was, until that is too old.
    """

    complete: bool
    parts: list[Part]
    received: list[MandateView]


class Acting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The session in which somebody acts for somebody else; apps get it as a bearer token, browsers as a cookie."""

    mandate: str
    principal: str  # subject for whom is acted
    principal_name: str
    expires_in: int  # seconds
    access_token: str | None = None
    token_type: Literal["Bearer"] | None = None
