"""Nouns of the audit."""

from datetime import datetime
from typing import Any

import msgspec


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One department's data read for one request."""

    adapter: str
    operation: str
    version: str
    outcome: str
    purpose: str
    basis: str


class DataUse(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one person in one request."""

    id: str
    at: datetime
    actor: str
    object: str | None = None
    uses: list[dict[str, Any]]
