"""What a person asks for at once, and what comes back."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from onestop.gateway.models import Part

Want = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,39}$", examples=["household"])]


class AskLookups(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a citizen wants to see, and how long to wait for it."""

    wants: Annotated[list[Want], Meta(min_length=1, max_length=24)]
    deadline_ms: Annotated[int, Meta(ge=50, le=10_000)] = 2_500


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts that are still pending will be."""

    id: str
    href: str
    events: str
    holds_until: datetime  # a part that has not come by then will not


class Lookups(msgspec.Struct, kw_only=True):
    """A composite answer: every want has its part, whatever the departments did."""

    complete: bool
    budget_ms: int
    completion: Completion | None
    parts: list[Part]
    trace_id: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A completion as it stands: the parts that went out, with those that came later in their place."""

    id: str
    complete: bool
    holds_until: datetime
    parts: list[Part]
