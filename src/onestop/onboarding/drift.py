"""Drift: whether departments still answer as their manifests say, found by sampling and by probes.

A sampled reply goes into a bounded queue and is looked at off the hot path. What touches the fields that are read, and
comes again and again, takes the version out of service; the version before it takes over where there is one. The line
of a version that stands in a file is stopped for a day instead, which an operator can take back.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from onestop import clock
from onestop.db import Connection, Pool
from onestop.gateway.bodies import codecs
from onestop.gateway.line import Line
from onestop.gateway.manifest import Operation
from onestop.gateway.operations import Answer
from onestop.gateway.overrides import WHOLE
from onestop.onboarding import service_moves, service_overrides, store, store_overrides, store_play
from onestop.onboarding.drift_shapes import Finding, Shape, breaking, compare, from_schema, learn, mapped_paths
from onestop.onboarding.errors import NothingToReturnTo
from onestop.onboarding.models import Actor, Moving
from onestop.onboarding.service import Life
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_paths import member_of
from onestop.outbound.errors import BadBody
from onestop.rounds import attempt, repeat

log = structlog.get_logger(__name__)

WATCH: Final = Actor(id="drift-watch", role="operator", machine=True)
_QUEUE: Final = 256
_ONE_IN: Final = 50
_AT_LEAST_S: Final = 60.0
_EAGER_S: Final = 60.0  # every reply is looked at so long after something was found
_WINDOW_S: Final = 300.0
_ENOUGH: Final = 3  # samples with the same finding
_ENOUGH_ABSENT: Final = 20  # where a member is only missing, and examples alone say that it should be there
_BY_PROBE: Final = 2
_FIRST: Final = 10  # good answers to learn from where there are neither schema nor examples
_KEEP_DAYS: Final = 90
_ABSENT: Final = frozenset(("vanished", "null_new"))


class Watched:
    """One operation of one version: what is known, and the last samples."""

    def __init__(self, line: Line, operation: Operation, known: Shape | None) -> None:
        self.adapter, self.version, self.operation = line.manifest.id, line.manifest.version, operation
        self.known = known
        self.xml = operation.response_codec in ("xml", "soap")
        self.read = codecs.reader(operation)
        self.firm = _firm(operation)
        self.mapped = mapped_paths(operation)
        self.count, self.due, self.eager_until = 0, 0.0, 0.0
        self.samples: deque[tuple[float, bool, frozenset[tuple[str, str]]]] = deque(maxlen=40)
        self.first: list[Any] = []

    def look(self, body: bytes, now: float, *, probe: bool = False) -> list[Finding]:
        """Compare one reply with what is known; remember what may make answers wrong."""
        try:
            tree = self.read(body)
        except BadBody:
            return []
        if self.known is None:
            self.first.append(tree)
            if len(self.first) >= _FIRST:
                self.known, self.first = learn(self.first, xml=self.xml), []
            return []
        found = compare(self.known, tree, xml=self.xml)
        bad = frozenset((f.kind, f.path) for f in found if breaking(self.operation, f))
        self.samples.append((now, probe, bad))
        if bad:
            self.eager_until = now + _EAGER_S
        return found

    def certain(self, now: float) -> tuple[str, str] | None:
        """Return a finding that is no chance any more: kind and path."""
        recent = [(probe, bad) for at, probe, bad in self.samples if now - at <= _WINDOW_S]
        for kind, path in {one for _, bad in recent for one in bad}:
            probes = [(kind, path) in bad for probe, bad in recent if probe]
            if sum(probes) >= _BY_PROBE and all(probes[-_BY_PROBE:]):
                return kind, path
            hits = [(kind, path) in bad for probe, bad in recent if not probe]
            absent = kind in _ABSENT and path not in self.firm and self.known is not None and not self.known.told
            needed = _ENOUGH_ABSENT if absent else _ENOUGH
            if sum(hits) >= needed and (all(hits) if absent else sum(hits) * 2 >= len(hits)):
                return kind, path
        return None


def _firm(operation: Operation) -> frozenset[str]:
    """Return the paths without which no answer can be read."""
    reply = operation.reply
    told = (reply.subject, reply.as_of, reply.key, reply.outcome.path if reply.outcome else None)
    return frozenset(place for source in told if (place := member_of(source)) is not None)


def known_shape(line: Line, operation: Operation, examples: Path | None) -> Shape | None:
    """Return what is known of an operation's answers: by its schema, else by its good examples; None: neither."""
    if operation.schema is not None:
        return from_schema(operation.schema)
    book = Simulator(line.manifest, examples=examples).books.get(operation.id)
    trees = [book.tree(e.body) for e in book.examples if e.good and not e.made] if book is not None else []
    xml = operation.response_codec in ("xml", "soap")
    return learn([tree for tree in trees if tree is not None], xml=xml) if trees else None


class DriftWatch:
    """The watch of one process over all its lines."""

    def __init__(
        self,
        life: Life,
        lines: Callable[[], Mapping[str, Line]],
        *,
        examples: Path | None = None,
        one_in: int = _ONE_IN,
    ) -> None:
        self._life, self._lines, self._folder, self._one_in = life, lines, examples, one_in
        self._watched: dict[tuple[str, str, str], Watched] = {}
        self._queue: deque[tuple[Watched, bytes]] = deque(maxlen=_QUEUE)
        self._counts: dict[tuple[str, ...], list[Any]] = {}
        self._held: dict[tuple[str, str], float] = {}  # until when it is not held back once more
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch from now on."""
        self._task = asyncio.get_running_loop().create_task(repeat("drift_round", self.round, 1.0))

    async def close(self) -> None:
        """Stop; what was counted is written."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def take(self, line: Line, operation: str, answer: Answer) -> None:
        """Hear of one answer: the hook on the hot path; most of the time it only counts."""
        watched = self._watched.get((line.manifest.id, line.manifest.version, operation))
        if watched is None or answer.reply is None or answer.kind not in ("ok", "bad_reply"):
            return
        watched.count += 1
        now = time.monotonic()
        # What could not be read is always looked at: there is no better sample.
        unread = answer.kind == "bad_reply"
        if not unread and watched.count < self._one_in and watched.due > now > watched.eager_until:
            return
        watched.count, watched.due = 0, now + _AT_LEAST_S
        self._queue.append((watched, answer.reply.body))

    def probed(self, line: Line, operation: str, body: bytes) -> None:
        """Look at the answer to a probe."""
        watched = self._watched.get((line.manifest.id, line.manifest.version, operation))
        if watched is not None:
            self._count(watched, watched.look(body, time.monotonic(), probe=True))

    def attach(self) -> None:
        """Hang the hook on every line that has none yet, and know its operations."""
        lines = self._lines()
        serving = {(line.manifest.id, line.manifest.version) for line in lines.values()}
        self._watched = {key: watched for key, watched in self._watched.items() if key[:2] in serving}
        for name, line in lines.items():
            if line.sample is not None:
                continue
            self._held.pop((line.manifest.id, line.manifest.version), None)  # it serves again
            folder = self._folder / name / "examples" if self._folder is not None else None
            line.sample = self.take
            for operation in line.manifest.operations:
                if operation.kind in ("query", "status", "lookup") and not operation.steps:
                    self._watch_one(line, operation, folder)

    def _watch_one(self, line: Line, operation: Operation, folder: Path | None) -> None:
        """Know an operation; one that nothing can be known of goes unwatched, and so does no other."""
        try:
            known = known_shape(line, operation, folder)
        except Exception:
            log.exception("drift_not_watched", adapter=line.manifest.id, operation=operation.id)
            return
        self._watched[line.manifest.id, line.manifest.version, operation.id] = Watched(line, operation, known)

    async def round(self) -> None:
        """Look at what was sampled, write down what was found, and hold back what is certain."""
        self.attach()
        while self._queue:
            watched, body = self._queue.popleft()
            await attempt("drift_look", partial(self._look, watched, body), adapter=watched.adapter)
            await asyncio.sleep(0)
        await attempt("drift_writing", self._write)
        for watched in list(self._watched.values()):
            now = time.monotonic()
            found = watched.certain(now)
            key = (watched.adapter, watched.version)
            if found is not None and self._held.get(key, 0.0) <= now:
                self._held[key] = now + _WINDOW_S
                held = partial(self.hold_back, watched, *found)
                if not await attempt("drift_holding_back", held, adapter=watched.adapter):
                    del self._held[key]  # tried again

    async def _look(self, watched: Watched, body: bytes) -> None:
        self._count(watched, watched.look(body, time.monotonic()))

    def _count(self, watched: Watched, found: list[Finding]) -> None:
        for one in found[:100]:
            bad = breaking(watched.operation, one)
            key = (watched.adapter, watched.version, watched.operation.id, one.path[:300], one.kind)
            entry = self._counts.setdefault(key, [bad, one.expected, one.got, 0])
            entry[3] += 1

    async def _write(self) -> None:
        counts, self._counts = self._counts, {}
        for key, entry in counts.items():
            await store_play.add_finding(self._life.pool, *key, *entry)

    async def hold_back(self, watched: Watched, kind: str, path: str) -> None:
        """Take a version out of service; where there is one before it, that serves again. Its owner is told.

        A version that stands in a file cannot be moved: its line is stopped.
        """
        facts = {"operation": watched.operation.id, "path": path, "change": kind, **self._words(watched, kind, path)}
        log.warning("drift", adapter=watched.adapter, version=watched.version, **facts)
        life = self._life
        async with life.pool.acquire() as db, db.transaction():
            row = await store.version(db, watched.adapter, watched.version)
            why = f"drift: {watched.operation.id} {path}: {kind}"[:500]
            if row is None:
                await self._stop_file(db, watched, why, facts)
            elif row.state == "live":
                await self._quarantine(db, watched, Moving(why=why), facts)
        life.announce()

    async def _quarantine(self, db: Connection, watched: Watched, why: Moving, facts: dict[str, str]) -> None:
        life = self._life
        await service_moves.move(life, db, WATCH, watched.adapter, watched.version, "quarantine", why)
        await life.notify(db, watched.adapter, watched.version, "drift", **facts)
        try:
            async with db.transaction():
                await service_moves.move(life, db, WATCH, watched.adapter, watched.version, "return", why)
        except NothingToReturnTo:
            log.info("drift_nothing_before", adapter=watched.adapter)

    async def _stop_file(self, db: Connection, watched: Watched, why: str, facts: dict[str, str]) -> None:
        """Stop the line of a version that stands in a file, where no operator has said something of it.

        At most once a day over all processes: an operator who lifts it has looked, and is not overruled.
        """
        life, adapter, version = self._life, watched.adapter, watched.version
        await life.hold(db, WATCH, adapter)
        if await store_play.told_of_file(db, adapter, version, service_overrides.LONGEST):
            return
        told = {one.operation for one in await store_overrides.overrides(db, adapter)}
        if told & {WHOLE, watched.operation.id}:
            await life.notify(db, adapter, version, "drift_file_left", **facts)
            return
        until = clock.real_now() + service_overrides.LONGEST
        stop = service_overrides.SetOverride(state="stopped", reason=why, until=until)
        await service_overrides.set_override(life, db, WATCH, adapter, stop)
        await life.notify(
            db, adapter, version, "drift_file", until=until.isoformat(timespec="minutes"), **facts
        )  # fmt: skip

    def _words(self, watched: Watched, kind: str, path: str) -> dict[str, str]:
        known = watched.known.paths.get(path) if watched.known is not None else None
        expected = "/".join(sorted(known.types)) if known is not None else "-"
        return {"expected": expected or "-", "got": {"vanished": "nothing", "null_new": "null"}.get(kind, "another")}


async def forget_old(pool: Pool) -> int:
    """Delete what was last found long ago; return how much."""
    return await store_play.forget_findings(pool, _KEEP_DAYS)


class DriftView(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter's owner should look at today."""

    adapter: str
    findings: list[store_play.FindingRow]
    probes: list[store_play.ProbeRow]
    expiring: list[store_play.ExpiryRow]


async def view(life: Life, actor: Actor, adapter: str, days: int = 30) -> DriftView:
    """Return what changed lately, how probes went, and what ends soon.

    Raises:
        AdapterAbsent: there is none, or it is somebody else's.
    """
    await life.find(life.pool, actor, adapter)
    return DriftView(
        adapter=adapter,
        findings=await store_play.findings(life.pool, adapter, days),
        probes=await store_play.probes(life.pool, adapter),
        expiring=await store_play.expiring(life.pool, adapter, days),
    )
