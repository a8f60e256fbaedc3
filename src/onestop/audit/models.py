"""Nouns of the audit."""

from datetime import datetime

import msgspec


class Use(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One department's data read, or data given to it, in one request; in order of name: so it is written."""

    adapter: str
    basis: str
    effect: str | None = None  # the effect that gives it; None where data was read
    fields: tuple[str, ...] = ()  # names of what was read or given, never values
    operation: str
    outcome: str  # what came of reading, or `given`
    purpose: str
    version: str


class DataUse(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one person, or given away, in one request."""

    id: str
    at: datetime
    subject: str
    actor: str
    object: str | None = None
    trace_id: str | None = None
    mandate: str | None = None  # under which the actor acted; None: for themselves, or an office
    beneficiary: str | None = None  # who gains; None: the subject
    uses: list[Use]
