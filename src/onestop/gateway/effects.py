"""The effect ledger at work: intended → sent → done | refused | unknown; unknown → done | refused | desk.

An effect is in the ledger before it is sent, and marked sent before the first byte goes out. An error means "unknown",
not "not done": a department that knows our key may be sent it again, one that can be asked is asked first, and for one
that offers neither a person finds out. docs/effects.md draws it.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
import structlog

from onestop import clock
from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.gateway import store
from onestop.gateway.effect_steps import LeaseLost, Progress, StepByStep, Stopped
from onestop.gateway.explain import TraceLog
from onestop.gateway.facts import Fact, fact
from onestop.gateway.fanout import Record, record_of
from onestop.gateway.line import CallFailed, Line
from onestop.gateway.models import Effect, NewEffect, Settled
from onestop.gateway.operations import Answer, Prepared
from onestop.gateway.service import Gateway

log = structlog.get_logger(__name__)

# Called in the transaction that settles the effect; must bear being called twice with the same outcome.
Handler = Callable[[Connection, Effect, Settled], Awaitable[None]]

LEASE_S = 15.0  # half again as long as any one call: who does not come back in it is taken to be dead
_CALL_S = 10.0
_HOLD_S = 60.0  # nobody handles one effect longer: whatever hangs, the lease is not kept for ever
_IN_FLIGHT = 64
_OF_ONE = 16  # of one department: the others' effects do not wait behind a slow one's
_IDLE_S = 0.2
_STRANGERS_S = 10.0  # how often effects of adapters that are not here are looked for
GIVE_UP_S = 72 * 3600.0
_LONGEST_WAIT_S = 120.0
_LOOK_S = 60.0  # how long a department that answers by callback is given before it is asked
_LOOK_LONGEST_S = 3600.0
MOST_FAULTS = 5
_HELD_S = 15.0
_LONGEST_HELD_S = 300.0  # a window may be taken back before its end
_json = msgspec.json.Encoder()


def _context(effect_id: str, what: str) -> str:
    return f"effects.{what}.{effect_id}"


async def intend(db: Connection, keys: Keys, gateway: Gateway, region: str, effects: Sequence[NewEffect]) -> None:
    """Write effects into the ledger, in the caller's transaction; a key that is there already is left as it is."""
    if effects:
        await store.insert_effects(db, region, [row(keys, gateway, effect) for effect in effects])


def row(keys: Keys, gateway: Gateway, effect: NewEffect) -> tuple[object, ...]:
    """Return an effect as a row: id, case, step, adapter, operation, version, key, sealed payload, trace."""
    payload = keys.seal(_json.encode(effect.payload), _context(effect.id, "payload"))
    subject = effect.payload.get("subject")
    version = gateway.version_for(effect.adapter, subject.get("number") if isinstance(subject, dict) else None)
    return (
        effect.id, effect.case_id, effect.step, effect.adapter, effect.operation, version, effect.key, payload,
        effect.trace_id,
    )  # fmt: skip


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt tells of an effect."""

    state: str  # of the ledger
    answer: str = "none"
    settled: Settled | None = None  # None: nothing to tell anybody yet
    again_s: float | None = None  # when to look again; None: never
    problem: str | None = None
    cause: str | None = None  # the kind of exception that set it aside


def judge(prepared: Prepared, outcome: Answer | CallFailed, effect: store.Claimed, was_unknown: bool) -> Verdict:
    """Decide what an attempt to send, or to look up, means for the effect; touches nothing."""
    wait = max(backoff_s(effect.attempt), outcome.retry_after_s or 0)
    if isinstance(outcome, CallFailed):
        if outcome.kind in ("paused", "full"):
            # Our own line held it back: the department was not bothered, so it need not be spared for longer.
            wait = (outcome.retry_after_s or 1.0) + backoff_s(0)
        elif outcome.kind == "stopped":  # the word may be taken back before its end
            wait = min(outcome.retry_after_s or 1.0, _LONGEST_HELD_S)
        code = f"upstream.{outcome.kind}"
        if not outcome.sent and not was_unknown:
            return _not_sent(effect, code, wait)
        return _unknown(prepared, effect, code, wait)
    if outcome.kind == "ok":
        return said(prepared, outcome)
    if outcome.kind in ("declined", "correction"):
        settled = Settled(outcome=outcome.kind, reference=outcome.reference, reason=outcome.reason)
        return Verdict(state="refused", settled=settled)
    if outcome.kind in ("busy", "denied") and not was_unknown:
        return _not_sent(effect, f"upstream.{outcome.kind}", wait)
    if outcome.kind in ("invalid", "not_found") and not was_unknown:
        # A definite no to the form of our request: nothing was done, and only a person can put it right.
        settled = Settled(outcome="desk", reason=outcome.reason, problem="upstream.refused")
        return Verdict(state="refused", settled=settled, problem="upstream.refused")
    return _unknown(prepared, effect, f"upstream.{outcome.kind}", wait)


def said(prepared: Prepared, answer: Answer) -> Verdict:
    """Return what a department's own word means for the effect: done, refused, or received and answered later."""
    outcome = answer.outcome or "completed"
    settled = Settled(outcome=outcome, reference=answer.reference, reason=answer.reason, result=answer.fields)
    if outcome in ("pending", "extended"):
        return Verdict(state="done", answer="awaited", settled=settled, again_s=first_look_s(prepared, answer))
    return Verdict(state="done" if outcome in ("completed", "transferred") else "refused", settled=settled)


def judge_steps(prepared: Prepared, came: Answer | Stopped, effect: store.Claimed) -> Verdict:
    """Decide what the way through an operation's steps means for the effect; touches nothing."""
    if isinstance(came, Answer):
        return said(prepared, came) if came.kind == "ok" else to_desk(f"upstream.{came.kind}")
    if came.outcome is None:
        return to_desk("upstream.unknown_outcome")
    verdict = judge(came.step.prepared, came.outcome, effect, came.unclear)
    if not came.acted:
        return verdict
    if verdict.state == "refused":
        # A no to a later step does not undo the earlier ones: only a person can put that right.
        reason = came.outcome.reason if isinstance(came.outcome, Answer) else None
        told = Settled(outcome="desk", reason=reason, problem="upstream.half_done")
        return Verdict(state="desk", settled=told, problem="upstream.half_done", cause=", ".join(came.acted)[:200])
    return msgspec.structs.replace(verdict, state="unknown") if verdict.state == "intended" else verdict


def may_be_on_its_way(prepared: Prepared, step: str | None, state: str) -> str | None:
    """Return the step that may have arrived; None where it certainly did not.

    `sent` is how a worker leaves an effect that it was cut off from. Put back by a person it is `intended`, or
    `unknown` where its operation can be asked; of a step that cannot be, the person has vouched that it was not done.
    """
    kinds = {one.spec.id: one.spec.idempotent for one in prepared.steps}
    vouched = state == "intended" or (state == "unknown" and kinds.get(step or "") == "none")
    return None if vouched else step


def first_look_s(prepared: Prepared, answer: Answer | None = None) -> float:
    """Return after how long to look for an answer that comes later: as the department says, else as the manifest."""
    told = _later_s(answer.later) if answer is not None else None
    if told is not None:
        return min(max(told, 1.0), prepared.spec.answer_within_s)
    if prepared.spec.poll:
        return prepared.spec.poll.first_s
    # Where nobody can be asked there is nothing to look at before the answer is overdue.
    return _LOOK_S if prepared.spec.lookup else prepared.spec.answer_within_s


def _later_s(told: object) -> float | None:
    """Return the department's own word on when its answer will be there, in seconds from now; None where unreadable."""
    try:
        if isinstance(told, (int, float)) or (isinstance(told, str) and told.replace(".", "", 1).isdigit()):
            return float(told)
        when = datetime.fromisoformat(str(told))
        return (when.astimezone() - clock.real_now()).total_seconds() if told else None
    except (ValueError, OverflowError):
        return None


def _not_sent(effect: store.Claimed, code: str, wait: float) -> Verdict:
    """Nothing was done, so it may be sent again, but not for ever."""
    if effect.tried_s > GIVE_UP_S:
        return to_desk("upstream.gave_up")
    return Verdict(state="intended", again_s=wait, problem=code)


def _unknown(prepared: Prepared, effect: store.Claimed, code: str, wait: float) -> Verdict:
    if prepared.spec.idempotent == "none":
        return to_desk(code)
    if effect.tried_s > GIVE_UP_S:
        return to_desk("upstream.gave_up")
    if prepared.spec.idempotent == "lookup":
        # A request that is still on its way must have arrived or died before "not found" is believed.
        wait = max(wait, prepared.spec.total_s)
    return Verdict(state="unknown", again_s=wait, problem=code)


def to_desk(code: str, cause: str | None = None) -> Verdict:
    """Return the verdict that a person has to find out."""
    return Verdict(state="desk", settled=Settled(outcome="desk", problem=code), problem=code, cause=cause)


def backoff_s(attempt: int) -> float:
    """Return how long to wait after the nth attempt: exponential with full jitter, at most two minutes."""
    return max(random.uniform(0, min(2.0**attempt, _LONGEST_WAIT_S)), 0.2)  # noqa: S311 - no secret


class Dispatcher:
    """The worker: takes what is due from the ledger, asks the departments, writes what came of it."""

    def __init__(
        self, pool: Pool, keys: Keys, gateway: Gateway, region: str, handler: Handler, traces: TraceLog | None = None
    ) -> None:
        self._pool, self._keys, self._gateway, self._region = pool, keys, gateway, region
        self._handler = handler
        self._traces = traces
        self.worker = f"w-{secrets.token_hex(6)}"
        self._running: dict[str, asyncio.Task[None]] = {}
        self._busy: Counter[str] = Counter()  # effects under way, by adapter
        self._strangers: list[str] = []
        self._looked_for_strangers = 0.0
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`; ends after the calls under way have ended."""
        beat = asyncio.get_running_loop().create_task(self._keep_leases())
        try:
            while not self._stop.is_set():
                took = await self._take()
                if not took:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_IDLE_S):
                            await self._stop.wait()
            if self._running:
                await asyncio.wait(self._running.values(), timeout=_CALL_S)
        finally:
            beat.cancel()

    def stop(self) -> None:
        """Take nothing more."""
        self._stop.set()

    async def _take(self) -> int:
        free = _IN_FLIGHT - len(self._running)
        if free <= 0:
            await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)
            return 1
        try:
            claimed = await store.claim_due(
                self._pool, self._region, self.worker, LEASE_S, await self._room(), min(free, _OF_ONE)
            )
        except Exception as fault:
            log.warning("ledger_unreachable", fault=type(fault).__name__)
            await asyncio.sleep(1.0)
            return 0
        for effect in claimed:
            task = asyncio.get_running_loop().create_task(self._one(effect))
            self._running[effect.id] = task
            self._busy[effect.adapter] += 1
            task.add_done_callback(partial(self._ended, effect))
        return len(claimed)

    async def _room(self) -> dict[str, int]:
        """Return how many effects of each adapter may be taken now, those with the least under way first."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_for_strangers > _STRANGERS_S:
            self._looked_for_strangers = now
            self._strangers = await store.strangers(self._pool, self._region, list(self._gateway.manifests))
        names = [*self._gateway.manifests, *self._strangers]
        random.shuffle(names)
        names.sort(key=self._busy.__getitem__)
        return {name: _OF_ONE - self._busy[name] for name in names if self._busy[name] < _OF_ONE}

    def _ended(self, effect: Effect, _: asyncio.Task[None]) -> None:
        self._running.pop(effect.id, None)
        self._busy[effect.adapter] -= 1

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            with contextlib.suppress(Exception):
                await store.heartbeat(self._pool, self._region, self.worker, list(self._running), LEASE_S)

    async def _one(self, effect: store.Claimed) -> None:
        try:
            async with asyncio.timeout(_HOLD_S):
                await self._work_on(effect)
        except Exception as fault:
            log.exception("effect_failed", effect=effect.id, adapter=effect.adapter)
            with contextlib.suppress(Exception):  # the lease runs out, and it is looked at again all the same
                await self._set_back(effect, type(fault).__name__)

    async def _set_back(self, effect: store.Claimed, cause: str) -> None:
        """Put back what could not be handled; at the fifth time it is set aside for a person, and the others go on."""
        if effect.faults + 1 < MOST_FAULTS:
            told = {"code": "effect.poison", "cause": cause}
            await store.set_back(self._pool, effect, self.worker, told, backoff_s(effect.faults + 1))
            return
        verdict = to_desk("effect.poison", cause)
        try:
            await self._write(effect, verdict)
        except Exception:
            # Not even its case can be told: the sweeper finds the step without an owner and gives it one.
            await self._write(effect, verdict, tell=False)

    async def _work_on(self, effect: store.Claimed) -> None:
        held = self._gateway.held(effect.adapter, effect.operation)
        if held is not None:  # announced, or stopped: nothing is lost by waiting, and nothing is sent meanwhile
            again_s = min(held.retry_after_s or _HELD_S, _LONGEST_HELD_S) + random.uniform(0, 2)  # noqa: S311
            await store.postpone(self._pool, effect, self.worker, effect.state, {"code": held.code}, again_s)
            return
        line = self._line_for(effect)
        prepared = line.operations.get(effect.operation) if line else None
        prepared = prepared or self._gateway.operation(effect.adapter, effect.operation)
        if prepared is None:
            self._note(effect, "not_connected", 0.0, self._gateway.closed.get(effect.adapter))
            await self._write(effect, to_desk("upstream.not_connected"))
        elif prepared.spec.answer in ("pull", "file"):
            await self._wait_to_be_fetched(effect, prepared)
        elif line is None or effect.operation not in line.operations:
            self._note(effect, "not_connected", 0.0, self._gateway.closed.get(effect.adapter))
            await self._write(effect, to_desk("upstream.not_connected"))
        else:
            await self._call(effect, line, prepared)

    def _line_for(self, effect: store.Claimed) -> Line | None:
        """Return the newest line for what nobody has seen; what was sent is asked after as it was sent."""
        find = self._gateway.line_now if effect.state == "intended" else self._gateway.line_of
        line = find(effect.adapter, effect.version)
        if line is not None and effect.operation not in line.operations:
            line = self._gateway.lines.get(effect.adapter)
        return line

    async def _call(self, effect: store.Claimed, line: Line, prepared: Prepared) -> None:
        values = values_of(self._keys, effect, effect.payload)
        if effect.state == "intended" and (waits := self._not_agreed(effect, values)):
            code, again_s = waits
            await store.postpone(self._pool, effect, self.worker, effect.state, {"code": code}, again_s)
            return
        if effect.answer == "awaited":
            await self._ask_for_answer(effect, line, prepared, values)
        elif prepared.steps:
            await self._take_steps(effect, line, prepared, values)
        elif effect.state == "intended":
            await self._send(effect, line, prepared, values, was_unknown=False)
        elif prepared.spec.idempotent == "key":
            await self._send(effect, line, prepared, values, was_unknown=True)
        elif prepared.spec.idempotent == "lookup" and prepared.spec.lookup:
            await self._look_up(effect, line, prepared, values)
        else:
            await self._write(effect, to_desk("upstream.unknown_outcome"))

    async def _wait_to_be_fetched(self, effect: store.Claimed, prepared: Prepared) -> None:
        """Leave it for its department; one that was offered before and comes here again has waited too long."""
        if effect.answer == "awaited" or effect.batch is not None:
            late = effect.sent_s >= prepared.spec.answer_within_s
            code, left = "upstream.no_answer", prepared.spec.answer_within_s - effect.sent_s
        else:
            late = effect.tried_s >= GIVE_UP_S
            code, left = "upstream.not_fetched", GIVE_UP_S - effect.tried_s
        if (
            prepared.spec.idempotent == "none"
            and effect.state == "sent"
            and effect.answer == "none"
            and not effect.batch
        ):
            await self._write(effect, to_desk("upstream.unknown_outcome"))  # its one lease ran out
        elif late:
            await self._write(effect, to_desk(code))
        else:
            await store.offer(self._pool, effect, self.worker, prepared.spec.answer, left)

    def _not_agreed(self, effect: store.Claimed, values: dict[str, Any]) -> tuple[str, float] | None:
        """Count what is about to be sent for its item; or say why it waits: an application on record is never lost."""
        case = values["case"]
        item = case.get("item") if isinstance(case, dict) else None
        refused = self._gateway.quotas.take(item, effect.adapter, effect.operation) if item else None
        if refused is None:
            return None
        return refused.code, min(refused.retry_after_s or _LONGEST_HELD_S, _LONGEST_HELD_S)

    async def _send(
        self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any], *, was_unknown: bool
    ) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        if not await store.mark_sent(self._pool, effect, self.worker, LEASE_S, line.manifest.version):
            return
        if now() - began > LEASE_S / 3:
            return  # this process stood still meanwhile; another may have begun to find out by now
        sent = msgspec.structs.replace(effect, attempt=effect.attempt + 1)
        outcome = await self._asked(effect, line, effect.operation, values, prepared.spec.total_s)
        await self._write(sent, judge(prepared, outcome, sent, was_unknown))

    async def _take_steps(self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any]) -> None:
        """Go on with a submission of several calls where it stopped."""
        if not await store.mark_sent(self._pool, effect, self.worker, LEASE_S, line.manifest.version):
            return
        sent = msgspec.structs.replace(effect, attempt=effect.attempt + 1)
        context = _context(effect.id, "progress")

        async def ask(only: Prepared, name: str, reads: dict[str, Any]) -> Answer | CallFailed:
            return await self._asked(effect, line, effect.operation, reads, only.spec.total_s, only=only, name=name)

        async def keep(progress: Progress) -> bool:
            sealed = self._keys.seal(_json.encode(progress), context)
            return await store.save_progress(self._pool, effect, self.worker, sealed, LEASE_S)

        progress = Progress()
        if effect.progress is not None:
            progress = msgspec.json.decode(self._keys.unseal(effect.progress, context), type=Progress)
            progress.under_way = may_be_on_its_way(prepared, progress.under_way, effect.state)
        try:
            came = await StepByStep(prepared, values, progress, ask, keep).go_on()
        except LeaseLost:
            return
        await self._write(sent, judge_steps(prepared, came, sent))

    async def _look_up(self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any]) -> None:
        """Ask whether the effect arrived before anything is sent again."""
        name = prepared.spec.lookup or ""
        found = await self._asked(effect, line, name, values, line.operations[name].spec.total_s)
        if isinstance(found, Answer) and found.kind == "not_found":
            await self._send(effect, line, prepared, values, was_unknown=False)
        elif isinstance(found, Answer) and found.kind == "ok":
            await self._write(effect, said(prepared, found))
        else:
            counted = msgspec.structs.replace(effect, attempt=effect.attempt + 1)
            await self._write(counted, judge(prepared, found, counted, was_unknown=True))

    async def _ask_for_answer(
        self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any]
    ) -> None:
        """Ask for an answer that was promised for later: by its own status operation, or by looking the effect up."""
        poll = prepared.spec.poll
        name = poll.operation if poll else prepared.spec.lookup
        left = min(poll.for_s if poll else prepared.spec.answer_within_s, prepared.spec.answer_within_s) - effect.sent_s
        if left <= 0:
            await self._write(effect, to_desk("upstream.no_answer"))
            return
        every = poll.every_s if poll else min(max(_LOOK_S, effect.sent_s / 10), _LOOK_LONGEST_S)
        if name is None:
            await store.postpone(self._pool, effect, self.worker, effect.state, None, left)
            return
        found = await self._asked(effect, line, name, values, line.operations[name].spec.total_s)
        if isinstance(found, Answer) and found.kind == "ok" and found.outcome == "extended" != effect.outcome:
            await self._write(effect, msgspec.structs.replace(said(prepared, found), again_s=min(every, left)))
            return
        final = isinstance(found, Answer) and found.kind == "ok" and found.outcome not in ("pending", "extended")
        if not final and not (isinstance(found, Answer) and found.kind in ("declined", "correction")):
            told = _later_s(found.later) if isinstance(found, Answer) else found.retry_after_s
            wait = min(max(every, told or 0), max(left, 0.2))
            await store.postpone(self._pool, effect, self.worker, effect.state, None, wait)
            return
        verdict = judge(prepared, found, effect, was_unknown=True)
        await self._write(effect, msgspec.structs.replace(verdict, answer="received"))

    async def _asked(
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
        """Ask, and leave a trace of it under the id of the request that wanted the effect; `only` is one step."""
        began = time.perf_counter()
        outcome = await _ask(line, operation, values, total_s, only)
        operation = f"{operation}.{name}" if name else operation
        if self._traces is not None and effect.trace_id is not None:
            took_ms = (time.perf_counter() - began) * 1000
            record = record_of(line.manifest, operation, outcome, 0.0, took_ms, detail=outcome.fact)
            self._traces.note(
                effect.trace_id, None, f"worker {operation}", outcome.kind, took_ms, [record], case=effect.case_id
            )
        return outcome

    def _note(self, effect: Effect, outcome: str, took_ms: float, why: Fact | None) -> None:
        """Leave a trace of what was decided without asking anybody."""
        if self._traces is not None and effect.trace_id is not None:
            record = Record(effect.adapter, effect.operation, effect.version, outcome, 0.0, took_ms, detail=why)
            self._traces.note(
                effect.trace_id, None, f"worker {effect.operation}", outcome, took_ms, [record], case=effect.case_id
            )

    async def _write(self, effect: Effect, verdict: Verdict, *, tell: bool = True) -> None:
        """Write the verdict and tell the handler, in one transaction, if this worker still holds the effect."""
        problem = {"code": verdict.problem} if verdict.problem else None
        if problem and verdict.cause:
            problem["cause"] = verdict.cause
        if verdict.settled is None:
            await store.postpone(self._pool, effect, self.worker, verdict.state, problem, verdict.again_s or 1.0)
            log.info(
                "effect_postponed", effect=effect.id, adapter=effect.adapter, state=verdict.state, code=verdict.problem
            )
            return
        settled = verdict.settled
        if verdict.state == "desk" and verdict.problem != "upstream.not_connected":
            self._note(effect, "unknown", 0.0, fact("step_unknown"))
        async with self._pool.acquire() as db, db.transaction():
            held = await store.settle(
                db, effect, self.worker, verdict.state, verdict.answer, settled.reference,
                sealed_result(self._keys, effect.id, settled), problem, verdict.again_s, settled.outcome,
            )  # fmt: skip
            if held and tell:
                await self._handler(db, effect, settled)
        log.info("effect_settled", effect=effect.id, adapter=effect.adapter, state=verdict.state, held=held)
        if held:
            await self._gateway.changed(self._pool, effect.case_id)


def values_of(keys: Keys, effect: Effect, payload: bytes) -> dict[str, Any]:
    """Return what the expressions of an effect's request read."""
    told = msgspec.json.decode(keys.unseal(payload, _context(effect.id, "payload")))
    return {
        "payload": told,
        "subject": told.get("subject"),
        "case": told.get("case"),
        "key": effect.key,
        "reference": effect.reference or told.get("reference"),
        "now": clock.now().isoformat(),
        "traceparent": f"00-{effect.trace_id}-{secrets.token_hex(8)}-01" if effect.trace_id else None,
    }


async def _ask(
    line: Line, operation: str, values: dict[str, Any], total_s: float, only: Prepared | None = None
) -> Answer | CallFailed:
    # What a citizen sent goes in the citizens' lane; asking how it stands is work in bulk.
    sends = line.operations[operation].spec.kind == "submit"
    try:
        return await line.ask(operation, values, min(total_s, _CALL_S), lane="citizen" if sends else "batch", only=only)
    except CallFailed as failure:
        return failure


def sealed_result(keys: Keys, effect_id: str, settled: Settled) -> bytes | None:
    """Return a settled effect's result, sealed; None where it has none."""
    return None if settled.result is None else keys.seal(_json.encode(settled.result), _context(effect_id, "result"))
