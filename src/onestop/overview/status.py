"""The public status: whether anything is left lying, and how every department is; measured, dated, nobody's data."""

import asyncio
from datetime import datetime

import msgspec

from onestop import clock
from onestop.cases import service as cases
from onestop.cases.office import Office
from onestop.gateway.condition import Condition, Conditions
from onestop.texts import Language

STATEMENT = "cases.store_owners.SELECT_ORPHANS"
_FRESH_S = 3.0
_SHARE = 20.0  # looking costs at most a twentieth of the time


class Unowned(msgspec.Struct, frozen=True, kw_only=True):
    """The silent-failure invariant as a number: open steps without an owner and a next deadline."""

    count: int
    as_of: datetime
    statement: str = STATEMENT  # where its SQL stands in the source


class DepartmentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One department and its name."""

    name: str
    condition: Condition


class PublicStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What anybody may know of this installation at this moment."""

    as_of: datetime
    orphans: Unowned
    unknown: int
    oldest_unknown_s: float | None
    overdue_tasks: int
    departments: list[DepartmentStatus]


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    until: float  # loop time
    as_of: datetime
    orphans: int
    overdue: int
    conditions: list[Condition]


class StatusBoard:
    """Looks at most every three seconds, however many ask; one for a process."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._conditions = Conditions(office.gateway)
        self._looking = asyncio.Lock()
        self._seen: _Seen | None = None

    async def show(self, lang: Language) -> PublicStatus:
        """Return the status, at most some seconds old."""
        async with self._looking:
            seen = self._seen
            if seen is None or asyncio.get_running_loop().time() >= seen.until:
                seen = self._seen = await self._look()
        oldest = [one.oldest_unknown_s for one in seen.conditions if one.oldest_unknown_s is not None]
        return PublicStatus(
            as_of=seen.as_of,
            orphans=Unowned(count=seen.orphans, as_of=seen.as_of),
            unknown=sum(one.unknown for one in seen.conditions),
            oldest_unknown_s=round(max(oldest), 1) if oldest else None,
            overdue_tasks=seen.overdue,
            departments=[
                DepartmentStatus(name=self._office.directory.name(one.id, lang), condition=one)
                for one in seen.conditions
            ],
        )

    async def _look(self) -> _Seen:
        loop = asyncio.get_running_loop()
        began, as_of = loop.time(), clock.real_now()
        orphans = await cases.orphans(self._office)
        overdue = await cases.overdue_tasks(self._office)
        conditions = await self._conditions.look(self._office.pool, self._office.region)
        took = loop.time() - began
        until = loop.time() + max(_FRESH_S, took * _SHARE)
        return _Seen(until=until, as_of=as_of, orphans=len(orphans), overdue=overdue, conditions=conditions)
