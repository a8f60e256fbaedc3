"""The worker's calls, each with a trace under the id of the request that wanted the effect."""

import asyncio
import time
from typing import Any, Final

import asyncpg
import structlog

from onestop import clock
from onestop.db import Pool
from onestop.gateway import store
from onestop.gateway.effect_verdicts import refuses_us
from onestop.gateway.explain import TraceLog
from onestop.gateway.facts import Fact
from onestop.gateway.line import CallFailed, Line
from onestop.gateway.models import Effect
from onestop.gateway.operations import Answer, Prepared
from onestop.gateway.parts import Record, record_of
from onestop.gateway.store_registry import insert_notice

log = structlog.get_logger(__name__)

_NOTICE_S: Final = 2.0  # well within the lease under which the call was made
CALL_S: Final = 10.0  # no call takes longer, whatever its manifest says: the lease is half again as long


class Calls:
    """Asks departments on behalf of effects; without a trace log it leaves no traces."""

    def __init__(self, pool: Pool, traces: TraceLog | None) -> None:
        self._pool, self._traces = pool, traces

    async def ask(
        self,
        effect: store.Claimed,
        line: Line,
        operation: str,
        values: dict[str, Any],
        total_s: float,
        *,
        only: Prepared | None = None,
        name: str = "",
    ) -> Answer | CallFailed:
        """Ask, for at most `CALL_S`; `only` is one step, and `name` what traces call it."""
        began = time.perf_counter()
        outcome = await _ask(line, operation, values, total_s, only)
        took_ms = (time.perf_counter() - began) * 1000
        operation = f"{operation}.{name}" if name else operation
        self._trace(effect, record_of(line.manifest, operation, outcome, 0.0, took_ms, detail=outcome.fact))
        if refuses_us(outcome):
            await self._tell_refused(line, operation)
        return outcome

    async def _tell_refused(self, line: Line, operation: str) -> None:
        """Tell the adapter's owner that we are not let in, once a day; what was answered counts without it."""
        adapter, version = line.manifest.id, line.manifest.version
        id_ = f"refused:{adapter}:{version}:{operation}:{clock.real_now().date().isoformat()}"
        try:
            async with asyncio.timeout(_NOTICE_S):
                await insert_notice(self._pool, id_, adapter, version, "refused_us", {"operation": operation})
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
            log.warning("notice_not_written", adapter=adapter, fault=type(fault).__name__)

    def note(self, effect: Effect, outcome: str, why: Fact | None) -> None:
        """Leave a trace of what was decided without asking anybody."""
        self._trace(effect, Record(effect.adapter, effect.operation, effect.version, outcome, 0.0, 0.0, detail=why))

    def _trace(self, effect: Effect, record: Record) -> None:
        if self._traces is not None and effect.trace_id is not None:
            self._traces.note(
                effect.trace_id, None, f"worker {record.operation}", record.outcome, record.took_ms, [record],
                case=effect.case_id,
            )  # fmt: skip


async def _ask(
    line: Line, operation: str, values: dict[str, Any], total_s: float, only: Prepared | None
) -> Answer | CallFailed:
    # What a citizen sent goes in the citizens' lane; asking how it stands is work in bulk.
    sends = line.operations[operation].spec.kind == "submit"
    try:
        return await line.ask(operation, values, min(total_s, CALL_S), lane="citizen" if sends else "batch", only=only)
    except CallFailed as failure:
        return failure
