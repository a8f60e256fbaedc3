"""Access agreements 数据使用协议 at run time: who may ask what, how often, and how much is left.

Counting costs a dictionary's look-up: calls are counted in this process and added to the database once a second, which
answers with the sum of all processes. So a day's quota may be overshot by what the other processes let through within
one such second, and the rate a second is kept by each process for itself.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Final, Literal

import msgspec

from onestop import clock
from onestop.db import Pool
from onestop.gateway import store_registry as store
from onestop.gateway.models import Agreement
from onestop.gateway.windows import CHINA
from onestop.rounds import repeat

FLUSH_S: Final = 1.0
ANY: Final = "*"
PORTAL: Final = "portal"
_DEPARTMENT: Final = "department:"


class Refused(msgspec.Struct, frozen=True):
    """Why a call may not be made, and when it may."""

    code: Literal["agreement.missing", "quota.exhausted"]
    retry_after_s: float | None = None


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of an agreement's quota today."""

    agreement: str
    consumer: str
    operation: str
    per_day: int | None
    per_second: float | None
    used: int
    remaining: int | None
    resets_in_s: int


class _Counted:
    """One agreement's calls of one day."""

    __slots__ = ("day", "fresh", "known", "second", "tokens")

    def __init__(self) -> None:
        self.day = date.min
        self.known = 0  # by all processes, when last asked
        self.fresh = 0  # by this one since
        self.tokens = math.inf
        self.second = 0.0


class Quotas:
    """The agreements of this installation, as one process sees and counts them."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, str, str], Agreement] = {}
        self._closed: frozenset[str] = frozenset()  # adapters that the portal itself needs an agreement for
        self._counts: dict[str, _Counted] = {}
        self._agreements: dict[str, Agreement] = {}
        self._today = (0.0, date.min, 0.0)  # until when (monotonic) the day holds; the day; when it ends (epoch)

    def set(self, agreements: Iterable[Agreement], closed: Iterable[str]) -> None:
        """Take the agreements that hold now, and the adapters without a default one."""
        self._agreements = {one.id: one for one in agreements}
        self._by = {(one.adapter, one.consumer, one.operation): one for one in self._agreements.values()}
        self._closed = frozenset(closed)
        self._counts = {id_: count for id_, count in self._counts.items() if id_ in self._agreements or count.fresh}

    def find(self, consumer: str, adapter: str, operation: str) -> Agreement | None:
        """Return the agreement a call falls under; one for the operation goes before one for all of them."""
        return self._by.get((adapter, consumer, operation)) or self._by.get((adapter, consumer, ANY))

    def take(self, consumer: str, adapter: str, operation: str) -> Refused | None:
        """Count one call, or say why it may not be made.

        The portal's own items and overview need no agreement of their own unless the department asks for that.
        """
        if not self._by and not self._closed and not consumer.startswith(_DEPARTMENT):
            return None
        found = self.find(consumer, adapter, operation)
        if found is None:
            if adapter in self._closed or consumer.startswith(_DEPARTMENT):
                return Refused("agreement.missing")
            return None
        count = self._count(found)
        if found.per_day is not None and count.known + count.fresh >= found.per_day:
            return Refused("quota.exhausted", self._day_left_s())
        if found.per_second is not None and (wait := _pace(count, found.per_second)) > 0:
            return Refused("quota.exhausted", wait)
        count.fresh += 1
        return None

    def left(self, agreement: Agreement) -> Left:
        """Return what is left of one agreement today, as far as this process knows."""
        count = self._count(agreement)
        used = count.known + count.fresh
        return Left(
            agreement=agreement.id,
            consumer=agreement.consumer,
            operation=agreement.operation,
            per_day=agreement.per_day,
            per_second=agreement.per_second,
            used=used,
            remaining=None if agreement.per_day is None else max(agreement.per_day - used, 0),
            resets_in_s=math.ceil(self._day_left_s()),
        )

    def of_adapter(self, adapter: str) -> list[Left]:
        """Return what is left of every agreement with one adapter that holds now."""
        return [self.left(one) for one in self._agreements.values() if one.adapter == adapter]

    def headers(self, asked: Iterable[tuple[str, str, str]]) -> dict[str, str]:
        """Return RateLimit-Policy and RateLimit for the (consumer, adapter, operation) that have a daily quota."""
        if not self._by:
            return {}
        found = {one.id: one for ask in asked if (one := self.find(*ask)) is not None and one.per_day is not None}
        if not found:
            return {}
        told = [self.left(one) for one in found.values()]
        return {
            "ratelimit-policy": ", ".join(f'"{one.agreement}";q={one.per_day};w=86400' for one in told),
            "ratelimit": ", ".join(f'"{one.agreement}";r={one.remaining};t={one.resets_in_s}' for one in told),
        }

    def _count(self, agreement: Agreement) -> _Counted:
        count = self._counts.get(agreement.id)
        if count is None:
            count = self._counts[agreement.id] = _Counted()
        day = self._day()
        if count.day != day:
            count.day, count.known, count.fresh = day, 0, 0
        return count

    def _day(self) -> date:
        now = time.monotonic()
        if now >= self._today[0]:
            local = clock.now().astimezone(CHINA)
            ends = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), CHINA)
            self._today = (now + 1.0, local.date(), ends.timestamp())
        return self._today[1]

    def _day_left_s(self) -> float:
        self._day()
        return max(self._today[2] - clock.now().timestamp(), 1.0)

    # ---- with the database

    def fresh(self) -> list[tuple[str, date, int]]:
        """Return what was counted here and not yet added: agreement, day, calls; for `added`."""
        return [(id_, count.day, count.fresh) for id_, count in self._counts.items() if count.day == self._day()]

    def added(self, sent: Iterable[tuple[str, date, int]], sums: Mapping[str, int]) -> None:
        """Take the sums of all processes after what was sent has been added to them."""
        for id_, day, calls in sent:
            count = self._counts.get(id_)
            if count is not None and count.day == day:
                count.fresh -= calls
                count.known = sums.get(id_, count.known + calls)


def _pace(count: _Counted, per_second: float) -> float:
    """Take one call from a bucket that holds one second's worth; return 0, or how long to wait."""
    now, most = time.monotonic(), max(per_second, 1.0)
    count.tokens = min(most, count.tokens + (now - count.second) * per_second)
    count.second = now
    if count.tokens >= 1.0:
        count.tokens -= 1.0
        return 0.0
    return (1.0 - count.tokens) / per_second


class Counter:
    """Adds what this process counts to the sums of all, once a second."""

    def __init__(self, pool: Pool, quotas: Quotas) -> None:
        self._pool, self._quotas = pool, quotas
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running loop."""
        self._task = asyncio.create_task(
            repeat("quota_counter", self.flush, FLUSH_S, at_once=False), name="quota counter"
        )

    async def flush(self) -> None:
        """Add what is counted now; also asks for the sums where nothing is new."""
        sent = self._quotas.fresh()
        if sent:
            self._quotas.added(sent, await store.add_counts(self._pool, sent))

    async def close(self) -> None:
        """Add the rest and end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            with contextlib.suppress(Exception):  # the database may be away; at most a second's calls go uncounted
                await self.flush()
