"""Why a request went as it did: one row a request, written in batches, read as a chain of links and as a waterfall.

The chain is identity → assurance → mandate → basis → agreement → quota → schema → limit → breaker → upstream → mapping.
No row holds anything personal. Rows are an explanation, not a record of law: losing some in a crash is borne.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import structlog

from onestop.db import Db, Pool
from onestop.gateway import store_traces
from onestop.gateway.errors import NoSuchTrace
from onestop.gateway.explain_chain import CHAIN, Link, chain, name_of
from onestop.gateway.facts import Fact
from onestop.gateway.manifest import Manifest
from onestop.gateway.parts import Record
from onestop.ids import new_id
from onestop.texts import Language

__all__ = ("CHAIN", "Explanation", "Link", "TraceLog", "Viewer", "explain")

log = structlog.get_logger(__name__)

# Tells whether a case is the viewer's own: what the worker did for it is then theirs to see.
Owns = Callable[[str], Awaitable[bool]]

# Tells which adapters are a department's own.
OwnedBy = Callable[[str | None], frozenset[str]]

_EVERY_S = 0.2
_MOST_WAITING = 5_000
_BATCH = 500

_json = msgspec.json.Encoder()


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for an explanation, and so what of it there is to see."""

    principal: str | None  # their own requests; None: everybody's
    department: str | None = None  # of other people's requests: this department's parts alone
    curl: bool = False


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
        self._waiting: list[tuple[Any, ...]] = []
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    def note(
        self,
        trace_id: str,
        principal: str | None,
        route: str,
        outcome: str,
        took_ms: float,
        records: list[Record],
        **about: Fact | str | None,
    ) -> None:
        """Take one request's trace; dropped, and counted, where too many wait.

        `about` may tell the `fact` that decided, the `adapter` it concerns, and the `case` a worker's call was for.
        """
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append((trace_id, principal, route, outcome, took_ms, {"fanout": records, **about}))

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
            ids = sorted(new_id("trc") for _ in batch)  # those of one millisecond are in no order of their own
            rows = [
                (trace, id_, *rest, _json.encode(kept).decode())
                for id_, (trace, *rest, kept) in zip(ids, batch, strict=True)
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
    db: Db,
    region: str,
    trace_id: str,
    *,
    viewer: Viewer,
    lang: Language,
    manifests: Mapping[str, Manifest],
    owns: Owns | None = None,
    owned_by: OwnedBy | None = None,
) -> list[Explanation]:
    """Explain every request under a trace id that the viewer may see, the first one first.

    A department sees what concerns the adapters it owns; nothing, where nobody tells which those are.

    Raises:
        NoSuchTrace: nothing is kept under it, or it is somebody else's.
    """
    whose = None if viewer.department is not None else viewer.principal
    entries = await store_traces.under(db, region, trace_id, whose)
    own = owned_by(viewer.department) if owned_by is not None else frozenset[str]()
    found: list[Explanation] = []
    for entry in entries:
        seen = await _seen(entry, viewer, own, owns)
        if seen is not None:
            found.append(_explanation(trace_id, entry, seen, lang, manifests, curl=viewer.curl))
    if not found:
        raise NoSuchTrace(trace_id)
    return found


async def _seen(
    entry: store_traces.Entry, viewer: Viewer, adapters: frozenset[str], owns: Owns | None
) -> list[dict[str, Any]] | None:
    """Return the questions of a request that the viewer may see; None where the whole of it is not theirs."""
    bars: list[dict[str, Any]] = entry.records.get("fanout", [])
    if (viewer.principal is None and viewer.department is None) or (
        entry.principal is not None and entry.principal == viewer.principal
    ):
        return bars
    if viewer.department is not None:
        own = [bar for bar in bars if bar["adapter"] in adapters]
        return own if own or entry.records.get("adapter") in adapters else None
    case = entry.records.get("case")
    if entry.principal is None and isinstance(case, str) and owns is not None and await owns(case):
        return bars
    return None


def _explanation(
    trace_id: str,
    entry: store_traces.Entry,
    bars: list[dict[str, Any]],
    lang: Language,
    manifests: Mapping[str, Manifest],
    *,
    curl: bool,
) -> Explanation:
    names = {name: name_of(manifest, lang) for name, manifest in manifests.items()}
    return Explanation(
        trace_id=trace_id,
        at=entry.at,
        route=entry.route,
        outcome=entry.outcome,
        took_ms=round(entry.took_ms, 1),
        links=chain(entry, bars, lang, manifests, curl=curl),
        waterfall=[{**bar, "department": names.get(bar["adapter"], bar["adapter"])} for bar in bars],
    )
