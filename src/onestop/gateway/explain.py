"""Why a request went as it did: one row a request, written in batches, read as a chain of links and as a waterfall.

The chain is identity → assurance → mandate → basis → agreement → quota → schema → limit → breaker → upstream → mapping.
No row holds anything personal. Rows are an explanation, not a record of law: losing some in a crash is borne.
"""

import asyncio
import contextlib
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog

from onestop.db import Db, Pool
from onestop.errors import OnestopError
from onestop.gateway import store_traces
from onestop.gateway.errors import NoSuchTrace
from onestop.gateway.fanout import Record
from onestop.ids import new_id
from onestop.texts import Language, text

log = structlog.get_logger(__name__)

CHAIN: Final = (
    "identity",
    "assurance",
    "mandate",
    "basis",
    "agreement",
    "quota",
    "schema",
    "limit",
    "breaker",
    "upstream",
    "mapping",
)
# Which link of the chain a question's outcome belongs to.
_LINK = {
    "ok": None,
    "not_found": None,
    "full": "limit",
    "busy": "quota",
    "paused": "breaker",
    "denied": "agreement",
    "unmappable": "mapping",
    "bad_reply": "mapping",
    "invalid": "schema",
    "agreement.missing": "agreement",
    "quota.exhausted": "quota",
    "upstream.maintenance": "limit",
    "adapter.quarantined": "limit",
}
_EVERY_S = 0.2
_MOST_WAITING = 5_000
_BATCH = 500

_json = msgspec.json.Encoder()


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One link of the chain: passed, failed, or not reached."""

    link: str
    state: str  # passed | failed | not_reached
    department: str | None = None
    code: str | None = None
    says: str | None = None
    fix: str | None = None
    who_acts: str | None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What `/v1/explain/{trace_id}` answers for one request."""

    trace_id: str
    at: datetime
    route: str
    outcome: str
    took_ms: float
    links: list[Link]
    waterfall: list[dict[str, Any]]  # one bar a question: adapter, operation, start_ms, took_ms and its parts


class TraceLog:
    """Collects what requests leave behind and writes it in batches; bounded, and never in a request's way."""

    def __init__(self, pool: Pool, region: str) -> None:
        self._pool, self._region = pool, region
        self._waiting: list[tuple[object, ...]] = []
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    def note(
        self, trace_id: str, principal: str | None, route: str, outcome: str, took_ms: float, records: list[Record]
    ) -> None:
        """Take one request's trace; dropped, and counted, where too many wait."""
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append((trace_id, principal, route, outcome, took_ms, records))

    def start(self) -> None:
        """Begin to write what is taken."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Write what is left and stop."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        with contextlib.suppress(Exception):
            await self.flush()

    async def flush(self) -> None:
        """Write everything that waits."""
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            rows = [
                (trace, new_id("trc"), principal, route, outcome, took, _json.encode({"fanout": records}).decode())
                for trace, principal, route, outcome, took, records in batch
            ]
            await store_traces.insert_traces(self._pool, self._region, rows)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.flush()
            except Exception as fault:
                log.warning("traces_not_written", fault=type(fault).__name__)


async def explain(
    db: Db, region: str, trace_id: str, *, principal: str | None, lang: Language, names: dict[str, str]
) -> list[Explanation]:
    """Explain every request under a trace id, the first one first; `principal` None sees everybody's.

    Raises:
        NoSuchTrace: nothing is kept under it, or it is somebody else's.
    """
    entries = await store_traces.under(db, region, trace_id, principal)
    if not entries:
        raise NoSuchTrace(trace_id)
    return [_explanation(trace_id, entry, lang, names) for entry in entries]


def _explanation(trace_id: str, entry: store_traces.Entry, lang: Language, names: dict[str, str]) -> Explanation:
    bars: list[dict[str, Any]] = entry.records.get("fanout", [])
    return Explanation(
        trace_id=trace_id,
        at=entry.at,
        route=entry.route,
        outcome=entry.outcome,
        took_ms=round(entry.took_ms, 1),
        links=_links(entry, bars, lang, names),
        waterfall=[{**bar, "department": names.get(bar["adapter"], bar["adapter"])} for bar in bars],
    )


def _links(entry: store_traces.Entry, bars: list[dict[str, Any]], lang: Language, names: dict[str, str]) -> list[Link]:
    refused = _refusal(entry.outcome)
    if refused is not None:
        stage = "upstream" if refused.stage not in CHAIN else refused.stage
        at = CHAIN.index(stage)
        before = [Link(link=name, state="passed") for name in CHAIN[:at]]
        after = [Link(link=name, state="not_reached") for name in CHAIN[at + 1 :]]
        return [*before, _failed(stage, refused.code, refused.who_acts, None, lang), *after]
    failed: dict[str, list[Link]] = {}
    for bar in bars:
        link = _LINK.get(bar["outcome"], "upstream")
        if link is not None:
            said = bar["outcome"]  # with a dot it is a problem's code already
            code = said if "." in said else _CODES.get(said, f"upstream.{said}")
            failed.setdefault(link, []).append(_failed(link, code, "department", names.get(bar["adapter"]), lang))
    links: list[Link] = []
    for name in CHAIN:
        links += failed.get(name, [Link(link=name, state="passed")])
    return links


# Outcomes of a question whose problem has another name.
_CODES = {"pending": "upstream.timeout", "invalid": "upstream.refused"}


def _failed(link: str, code: str, who_acts: str, department: str | None, lang: Language) -> Link:
    return Link(
        link=link,
        state="failed",
        department=department,
        code=code,
        says=text(f"problem.{code}.cause", lang),
        fix=text(f"problem.{code}.fix", lang),
        who_acts=who_acts,
    )


def _refusal(code: str) -> type[OnestopError] | None:
    """Return the kind of failure a code names; None where the request was answered."""
    found: list[type[OnestopError]] = [OnestopError]
    while found:
        kind = found.pop()
        if kind.code == code:
            return kind
        found += kind.__subclasses__()
    return None
