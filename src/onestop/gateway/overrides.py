"""Overrides 人工干预: an operator's word on a line, with a reason and an end; pure.

`stopped`: nothing is sent. `passing`: sent although the breaker is open. What is said of one operation goes before what
is said of the whole line, and what is over does not hold, whether or not anybody took it away.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

OverrideState = Literal["stopped", "passing"]
WHOLE: Final = ""  # the operation of an override of a whole line


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One operator's word on one line or one of its operations."""

    adapter: str
    operation: str
    state: OverrideState
    reason: str
    until: datetime
    set_by: str


class Overrides:
    """What holds in one process."""

    def __init__(self, told: Iterable[Override] = ()) -> None:
        self._by = {(one.adapter, one.operation): one for one in told}

    def __bool__(self) -> bool:
        """Tell whether there may be any: nearly always there are none."""
        return bool(self._by)

    def find(self, adapter: str, operation: str, now: datetime) -> Override | None:
        """Return what holds now for an operation of an adapter."""
        for name in (operation, WHOLE):
            found = self._by.get((adapter, name))
            if found is not None and found.until > now:
                return found
        return None

    def of(self, adapter: str, now: datetime) -> list[Override]:
        """Return everything that holds now for an adapter, the whole line first."""
        held = [one for one in self._by.values() if one.adapter == adapter and one.until > now]
        return sorted(held, key=lambda one: one.operation)
