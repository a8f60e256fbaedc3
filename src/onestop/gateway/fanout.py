"""Fan-out: all questions at once, none cancels another, one budget, an outcome for every part.

`gather` never raises and never waits longer than its deadline. A part that is not there yet may still come: whoever
asked with `on_late` hears of it once.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

import msgspec
import structlog

from onestop.gateway.call import Call, CallFailed, Done
from onestop.gateway.facts import Fact, fact
from onestop.gateway.line import Line
from onestop.gateway.manifest import Manifest, Operation
from onestop.gateway.models import Ask, Held, Lane, Part, PartState
from onestop.gateway.operations import Answer
from onestop.gateway.parts import ANSWERED, FAILURES, Record, failed, not_asked, old_reply, part_of, record_of, unknown
from onestop.identity.models import Subject
from onestop.texts import Language

log = structlog.get_logger(__name__)

OnLate = Callable[[Part], None]
# Counts a question that may be asked, or says why it is not asked, and who is not.
Admit = Callable[[Ask], tuple[Held, Manifest] | None]


class Person(msgspec.Struct, frozen=True):
    """The person asked about, in the clear, for the time of one call."""

    number: str
    name: str | None = None
    ids: Mapping[str, str] = {}  # what departments themselves call this person, by adapter
    acting: Mapping[str, Any] = {}  # `actor` and `mandate` of whoever asks for this person, where that is another one
    subject: str | None = None  # who that is here; None: nobody known, or it was not looked for
    number_type: str = "citizen_id"

    @classmethod
    def of(cls, subject: Subject, acting: Mapping[str, Any]) -> Self:
        """Return a subject as departments are asked about; `acting` is empty where they ask for themselves."""
        return cls(subject.number, subject.name, subject.ids, acting, subject.id, subject.number_type)


class Gathered:
    """What came of a fan-out by its deadline."""

    __slots__ = ("own_ids", "parts", "records")

    def __init__(self, parts: list[Part], records: list[Record], own_ids: Mapping[str, str] | None = None) -> None:
        self.parts = parts
        self.records = records
        self.own_ids = own_ids or {}  # what departments called the person in these answers, by adapter

    @property
    def complete(self) -> bool:
        """Tell whether every question was answered."""
        return all(part.state in ANSWERED for part in self.parts)


class _Fan:
    """One fan-out under way."""

    __slots__ = (
        "asks", "begun", "calls", "future", "hears", "lang", "late", "left", "loop", "own_ids", "parts", "person",
        "records", "timer",
    )  # fmt: skip

    def __init__(self, asks: Sequence[Ask], person: Person, lang: Language, late: OnLate | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.asks = asks
        self.person = person
        self.lang: Language = lang
        self.late = late
        self.begun = self.loop.time()
        self.left = len(asks)
        self.parts: list[Part | None] = [None] * len(asks)
        self.calls: list[Call | None] = [None] * len(asks)
        self.hears: list[Done | None] = [None] * len(asks)  # how each call under way tells us
        self.records: list[Record] = []
        self.own_ids: dict[str, str] = {}
        self.future: asyncio.Future[None] = self.loop.create_future()
        self.timer: asyncio.TimerHandle | None = None

    def put(self, i: int, part: Part) -> None:
        """Take one part; the last one ends the fan-out."""
        self.parts[i] = part
        self.left -= 1
        if not self.left and not self.future.done():
            self.future.set_result(None)

    def heard(self, i: int, call: Call, outcome: Answer | CallFailed) -> None:
        """Take the outcome of one call, in time or late."""
        # They know us: with all gone at once nothing is left for the garbage collector to find.
        self.calls[i] = self.hears[i] = None
        manifest, operation = call.line.manifest, call.prepared.spec
        took_ms = (self.loop.time() - self.begun) * 1000
        try:
            part = part_of(self.asks[i].want, manifest, operation, outcome, took_ms, self.lang)
            if isinstance(outcome, Answer) and outcome.own_id is not None:
                self.own_ids[manifest.id] = outcome.own_id
            if part.state == "unavailable" and operation.stale_s:
                part = self.kept(i, call.line, operation, operation.stale_s) or part
            if self.late is not None or not self.future.done():  # a call that was cut has its record
                self.records.append(_record(self, call, outcome, part))
        except Exception:
            # The one broad except of the house: a defect in one adapter is one part, not everybody's answer.
            log.exception("part_failed", adapter=manifest.id, operation=operation.id)
            part = failed(self.asks[i].want, manifest, "upstream.unmappable", "unavailable", took_ms, self.lang)
        if not self.future.done():
            self.put(i, part)
        elif self.late is not None:
            self.late(part)

    def asker(self, line: Line, operation: str) -> str:
        """Return what an answer may depend on beside the number: the name, and who asks where the department is told.

        Two representatives share no answer of a department that hears which of them asks.
        """
        name = self.person.name or ""
        acting = self.person.acting
        if not acting or not line.operations[operation].parties:
            return name
        return "\x1f".join((name, str(acting["actor"]["number"]), str((acting.get("mandate") or {}).get("id"))))

    def time_is_up(self) -> None:
        """End the fan-out: what is not there becomes `pending` where it may still come, else `unavailable`."""
        # A timer that fires late because this process stalled lets the sockets be read once more before it counts.
        self.loop.call_soon(self._close)

    def _close(self) -> None:
        if self.future.done():
            return
        missing = [(i, call) for i, call in enumerate(self.calls) if self.parts[i] is None and call is not None]
        for i, call in missing:
            waited, why = call.waits, call.why_late()
            call.overdue()
            self.parts[i] = self._not_yet(i, call)
            spec = call.prepared.spec
            self.records.append(
                Record(
                    call.line.manifest.id,
                    spec.id,
                    call.line.manifest.version,
                    "full" if waited else "pending" if self.late else "timeout",
                    round(max(call.started - self.begun, 0.0) * 1000, 2),
                    round(call.took_ms, 2),
                    attempts=call.attempts,
                    detail=why,
                    pieces=call.pieces,
                )
            )
        self.future.set_result(None)
        for i, call in missing:
            self._let_go(i, call)

    def _let_go(self, i: int, call: Call) -> None:
        """Let a call go on that may still bring a late part; take leave of any other."""
        part, done = self.parts[i], self.hears[i]
        if part is not None and part.state == "pending":
            call.keep_time()
        elif done is not None:
            self.calls[i] = self.hears[i] = None
            call.leave(done)

    def _not_yet(self, i: int, call: Call) -> Part:
        """Return the part of a question that has no answer by the deadline."""
        line, spec = call.line, call.prepared.spec
        kept = self.kept(i, line, spec, spec.stale_s) if spec.stale_s else None
        if kept is not None:
            return kept
        state: PartState = "pending" if self.late is not None else "unavailable"
        took_ms = (self.loop.time() - self.begun) * 1000
        code, after = ("upstream.busy", line.admission.drains_in_s()) if call.waits else ("upstream.timeout", None)
        return failed(
            self.asks[i].want, line.manifest, code, state, took_ms, self.lang,
            retry_after_s=after, waited_ms=round(took_ms),
        )  # fmt: skip

    def kept(self, i: int, line: Line, operation: Operation, within_s: float) -> Part | None:
        """Return a kept answer as a part: `stale`, with its age, unless it may be given again."""
        person = self.person
        found = line.kept.get((operation.id, person.number, self.asker(line, operation.id)), within_s, self.loop.time())
        if found is None:
            return None
        age_s, answer = found
        took_ms = (self.loop.time() - self.begun) * 1000
        part = part_of(self.asks[i].want, line.manifest, operation, answer, took_ms, self.lang)
        part.age_s = max(round(age_s), part.age_s or 0)
        if age_s > operation.cache_s:
            part.state = "stale"
        self.records.append(
            Record(line.manifest.id, operation.id, line.manifest.version, "kept", 0.0, round(took_ms, 2), attempts=0)
        )
        return part


async def gather(
    lines: Mapping[str, Line],
    asks: Sequence[Ask],
    person: Person,
    *,
    deadline: float,
    lang: Language = "zh",
    traceparent: str | None = None,
    on_late: OnLate | None = None,
    lane: Lane = "citizen",
    closed: Mapping[str, Fact] | None = None,
    admit: Admit | None = None,
) -> Gathered:
    """Ask every question at once and return one part for each, in the order of `asks`, at the latest at `deadline`.

    `deadline` is loop time. With `on_late`, calls go on to their operation's `late_s` and each late part is handed to
    it once; without, they are cut at the deadline. The same question about the same person that is under way already is
    not asked again. `closed` tells why there is no line to a department. Never raises for anything a department does.
    """
    fan = _Fan(asks, person, lang, on_late)
    subject = {"number": person.number, "name": person.name}
    values: dict[str, Any] = {"subject": subject, "traceparent": traceparent, "actor": subject, **person.acting}
    for i, ask in enumerate(asks):
        held = admit(ask) if admit is not None else None
        if held is not None:
            fan.records.append(Record(ask.adapter, ask.operation, held[1].version, held[0].code, 0.0, 0.0, attempts=0))
            fan.put(i, not_asked(ask, held[0], held[1], lang))
            continue
        line = lines.get(ask.adapter)
        if line is None or ask.operation not in line.operations:  # not here, or gone with an older version
            why = (closed or {}).get(ask.adapter) or fact("no_environment", id=ask.adapter)
            fan.records.append(
                Record(ask.adapter, ask.operation, "-", "not_connected", 0.0, 0.0, attempts=0, detail=why)
            )
            fan.put(i, unknown(ask, lang))
        else:
            _ask(fan, i, line, values, deadline, lane)
    if fan.left:
        fan.timer = fan.loop.call_at(deadline, fan.time_is_up)
        try:
            await fan.future
        finally:
            fan.timer.cancel()
            if not fan.future.done():  # our own caller went away
                fan._close()
    return Gathered([part for part in fan.parts if part is not None], fan.records, fan.own_ids)


def _ask(fan: _Fan, i: int, line: Line, values: dict[str, Any], deadline: float, lane: Lane) -> None:
    """Ask one question of a fan-out, or take what is known at once."""
    ask, person = fan.asks[i], fan.person
    spec = line.operations[ask.operation].spec
    kept = fan.kept(i, line, spec, spec.cache_s) if spec.cache_s else None
    if kept is not None:
        fan.put(i, kept)
        return
    if line.operations[ask.operation].needs_own_id or person.ids:
        own_id = person.ids.get(ask.adapter)
        if own_id is None and line.operations[ask.operation].needs_own_id:
            _put_unnamed(fan, i, line)
            return
        values = {**values, "subject": {**values["subject"], "ids": {} if own_id is None else {ask.adapter: own_id}}}
    until = deadline if fan.late is None else max(deadline, fan.begun + spec.late_s)
    done = fan.hears[i] = partial(fan.heard, i)
    started = line.question(ask.operation, values, until, done, person.number, fan.asker(line, ask.operation), lane)
    if isinstance(started, Call):
        fan.calls[i] = started
        return
    fan.hears[i] = None
    state, code = FAILURES[started.kind]
    part = fan.kept(i, line, spec, spec.stale_s) if spec.stale_s else None
    fan.records.append(
        Record(
            ask.adapter, ask.operation, line.manifest.version, started.kind, 0.0, 0.0, attempts=0, detail=started.fact
        )
    )
    after = started.retry_after_s
    fan.put(i, part or failed(ask.want, line.manifest, code, state, 0.0, fan.lang, retry_after_s=after))


def _put_unnamed(fan: _Fan, i: int, line: Line) -> None:
    """Say that a question can only be asked once the department has told what it calls the person."""
    ask, why = fan.asks[i], fact("own_id_unknown", operation=fan.asks[i].operation)
    fan.records.append(
        Record(ask.adapter, ask.operation, line.manifest.version, "unmappable", 0.0, 0.0, attempts=0, detail=why)
    )
    fan.put(i, failed(ask.want, line.manifest, "upstream.own_id_unknown", "unavailable", 0.0, fan.lang))


def _record(fan: _Fan, call: Call, outcome: Answer | CallFailed, part: Part) -> Record:
    start = max(call.started - fan.begun, 0.0) * 1000  # a shared question may have begun before
    spec = call.prepared.spec
    detail = outcome.fact if part.state != "stale" else old_reply(spec, part)
    return record_of(call.line.manifest, spec.id, outcome, start, call.took_ms, call.attempts, detail, call.pieces)
