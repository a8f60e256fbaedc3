"""The effect ledger at work: intended → sent → done | refused | unknown; unknown → done | refused | desk.

An effect is in the ledger before it is sent, and marked sent before the first byte goes out. An error means "unknown",
not "not done": a department that knows our key may be sent it again, one that can be asked is asked first, and for one
that offers neither a person finds out.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import structlog

from onestop import clock
from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.gateway import store
from onestop.gateway.line import CallFailed, Line
from onestop.gateway.models import Effect, NewEffect, Settled
from onestop.gateway.operations import Answer, Prepared
from onestop.gateway.service import Gateway

log = structlog.get_logger(__name__)

# Called in the transaction that settles the effect; must bear being called twice with the same outcome.
Handler = Callable[[Connection, Effect, Settled], Awaitable[None]]

LEASE_S = 15.0  # longer than any one call: who does not come back in it is taken to be dead
_CALL_S = 10.0
_IN_FLIGHT = 32
_IDLE_S = 0.2
_GIVE_UP_AFTER = timedelta(hours=72)
_LONGEST_WAIT_S = 120.0
_CALLBACK_PATIENCE_S = 60.0
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


def judge(prepared: Prepared, outcome: Answer | CallFailed, effect: Effect, was_unknown: bool) -> Verdict:
    """Decide what an attempt to send, or to look up, means for the effect; touches nothing."""
    wait = backoff_s(effect.attempt)
    if isinstance(outcome, CallFailed):
        code = f"upstream.{outcome.kind}"
        if not outcome.sent and not was_unknown:
            return Verdict(state="intended", again_s=max(wait, outcome.retry_after_s or 0), problem=code)
        return _unknown(prepared, effect, code, max(wait, outcome.retry_after_s or 0))
    if outcome.kind == "ok":
        return _said(prepared, outcome)
    if outcome.kind in ("declined", "correction"):
        settled = Settled(outcome=outcome.kind, reference=outcome.reference, reason=outcome.reason)
        return Verdict(state="refused", settled=settled)
    if outcome.kind in ("busy", "denied") and not was_unknown:
        return Verdict(
            state="intended", again_s=max(wait, outcome.retry_after_s or 0), problem=f"upstream.{outcome.kind}"
        )
    if outcome.kind in ("invalid", "not_found") and not was_unknown:
        # A definite no to the form of our request: nothing was done, and only a person can put it right.
        settled = Settled(outcome="desk", reason=outcome.reason, problem="upstream.refused")
        return Verdict(state="refused", settled=settled, problem="upstream.refused")
    return _unknown(prepared, effect, f"upstream.{outcome.kind}", wait)


def _said(prepared: Prepared, answer: Answer) -> Verdict:
    outcome = answer.outcome or "completed"
    settled = Settled(outcome=outcome, reference=answer.reference, reason=answer.reason, result=answer.fields)
    if outcome in ("pending", "extended"):
        poll = prepared.spec.poll
        return Verdict(
            state="done", answer="awaited", settled=settled, again_s=poll.first_s if poll else _CALLBACK_PATIENCE_S
        )
    return Verdict(state="done" if outcome in ("completed", "transferred") else "refused", settled=settled)


def _unknown(prepared: Prepared, effect: Effect, code: str, wait: float) -> Verdict:
    if prepared.spec.idempotent == "none":
        return to_desk(code)
    if clock.now() - effect.intended_at > _GIVE_UP_AFTER:
        return to_desk("upstream.gave_up")
    if prepared.spec.idempotent == "lookup":
        # A request that is still on its way must have arrived or died before "not found" is believed.
        wait = max(wait, prepared.spec.total_s)
    return Verdict(state="unknown", again_s=wait, problem=code)


def to_desk(code: str) -> Verdict:
    """Return the verdict that a person has to find out."""
    return Verdict(state="desk", settled=Settled(outcome="desk", problem=code), problem=code)


def backoff_s(attempt: int) -> float:
    """Return how long to wait after the nth attempt: exponential with full jitter, at most two minutes."""
    return max(random.uniform(0, min(2.0**attempt, _LONGEST_WAIT_S)), 0.2)  # noqa: S311 - no secret


class Dispatcher:
    """The worker: takes what is due from the ledger, asks the departments, writes what came of it."""

    def __init__(self, pool: Pool, keys: Keys, gateway: Gateway, region: str, handler: Handler) -> None:
        self._pool, self._keys, self._gateway, self._region = pool, keys, gateway, region
        self._handler = handler
        self.worker = f"w-{secrets.token_hex(6)}"
        self._running: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`; ends after the calls under way have ended."""
        beat = asyncio.get_running_loop().create_task(self._keep_leases())
        try:
            while not self._stop.is_set():
                took = await self._take()
                if not took:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stop.wait(), _IDLE_S)
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
            claimed = await store.claim_due(self._pool, self._region, self.worker, LEASE_S, free)
        except Exception as fault:
            log.warning("ledger_unreachable", fault=type(fault).__name__)
            await asyncio.sleep(1.0)
            return 0
        for effect in claimed:
            task = asyncio.get_running_loop().create_task(self._one(effect))
            self._running[effect.id] = task
            task.add_done_callback(partial(self._ended, effect.id))
        return len(claimed)

    def _ended(self, effect_id: str, _: asyncio.Task[None]) -> None:
        self._running.pop(effect_id, None)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            with contextlib.suppress(Exception):
                await store.heartbeat(self._pool, self._region, self.worker, list(self._running), LEASE_S)

    async def _one(self, effect: store.Claimed) -> None:
        try:
            await self._work_on(effect)
        except Exception:
            # The lease runs out and the effect is looked at again, as one whose outcome is unknown.
            log.exception("effect_failed", effect=effect.id, adapter=effect.adapter)

    async def _work_on(self, effect: store.Claimed) -> None:
        held = self._gateway.held(effect.adapter)
        if held is not None:  # announced, or stopped: nothing is lost by waiting, and nothing is sent meanwhile
            again_s = min(held.retry_after_s or _HELD_S, _LONGEST_HELD_S) + random.uniform(0, 2)  # noqa: S311
            await store.postpone(self._pool, effect, self.worker, effect.state, {"code": held.code}, again_s)
            return
        # What nobody has seen goes out as the newest version says; what was sent is asked after as it was sent.
        find = self._gateway.line_now if effect.state == "intended" else self._gateway.line_of
        line = find(effect.adapter, effect.version)
        if line is not None and effect.operation not in line.operations:
            line = self._gateway.lines.get(effect.adapter)
        prepared = line.operations.get(effect.operation) if line else None
        if line is None or prepared is None:
            await self._write(effect, to_desk("upstream.not_connected"))
            return
        values = self._values(effect)
        if effect.state == "intended" and (waits := self._not_agreed(effect, values)):
            code, again_s = waits
            await store.postpone(self._pool, effect, self.worker, effect.state, {"code": code}, again_s)
            return
        if effect.answer == "awaited":
            await self._ask_for_answer(effect, line, prepared, values)
        elif effect.state == "intended":
            await self._send(effect, line, prepared, values, was_unknown=False)
        elif prepared.spec.idempotent == "key":
            await self._send(effect, line, prepared, values, was_unknown=True)
        elif prepared.spec.idempotent == "lookup" and prepared.spec.lookup:
            await self._look_up(effect, line, prepared, values)
        else:
            await self._write(effect, to_desk("upstream.unknown_outcome"))

    def _not_agreed(self, effect: store.Claimed, values: dict[str, Any]) -> tuple[str, float] | None:
        """Count what is about to be sent for its item; or say why it waits: an application on record is never lost."""
        case = values["case"]
        item = case.get("item") if isinstance(case, dict) else None
        refused = self._gateway.quotas.take(item, effect.adapter, effect.operation) if item else None
        if refused is None:
            return None
        return refused.code, min(refused.retry_after_s or _LONGEST_HELD_S, _LONGEST_HELD_S)

    def _values(self, effect: store.Claimed) -> dict[str, Any]:
        payload = msgspec.json.decode(self._keys.unseal(effect.payload, _context(effect.id, "payload")))
        return {
            "payload": payload,
            "subject": payload.get("subject"),
            "case": payload.get("case"),
            "key": effect.key,
            "reference": effect.reference,
            "now": clock.now().isoformat(),
            "traceparent": f"00-{effect.trace_id}-{secrets.token_hex(8)}-01" if effect.trace_id else None,
        }

    async def _send(
        self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any], *, was_unknown: bool
    ) -> None:
        if not await store.mark_sent(self._pool, effect, self.worker, line.manifest.version):
            return
        sent = msgspec.structs.replace(effect, attempt=effect.attempt + 1)
        outcome = await _ask(line, effect.operation, values, prepared.spec.total_s)
        await self._write(sent, judge(prepared, outcome, sent, was_unknown))

    async def _look_up(self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any]) -> None:
        """Ask whether the effect arrived before anything is sent again."""
        name = prepared.spec.lookup or ""
        found = await _ask(line, name, values, line.operations[name].spec.total_s)
        if isinstance(found, Answer) and found.kind == "not_found":
            await self._send(effect, line, prepared, values, was_unknown=False)
        elif isinstance(found, Answer) and found.kind == "ok":
            await self._write(effect, _said(prepared, found))
        else:
            counted = msgspec.structs.replace(effect, attempt=effect.attempt + 1)
            await self._write(counted, judge(prepared, found, counted, was_unknown=True))

    async def _ask_for_answer(
        self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any]
    ) -> None:
        """Ask for an answer that was promised for later: by its own status operation, or by looking the effect up."""
        poll = prepared.spec.poll
        name = poll.operation if poll else prepared.spec.lookup
        every = poll.every_s if poll else _CALLBACK_PATIENCE_S
        if effect.sent_at is not None and poll and (clock.now() - effect.sent_at).total_seconds() > poll.for_s:
            await self._write(effect, to_desk("upstream.no_answer"))
            return
        if name is None:
            await store.postpone(self._pool, effect, self.worker, effect.state, None, every)
            return
        found = await _ask(line, name, values, line.operations[name].spec.total_s)
        final = isinstance(found, Answer) and found.kind == "ok" and found.outcome not in ("pending", "extended")
        if not final and not (isinstance(found, Answer) and found.kind in ("declined", "correction")):
            await store.postpone(self._pool, effect, self.worker, effect.state, None, every)
            return
        verdict = judge(prepared, found, effect, was_unknown=True)
        await self._write(effect, msgspec.structs.replace(verdict, answer="received"))

    async def _write(self, effect: Effect, verdict: Verdict) -> None:
        """Write the verdict and tell the handler, in one transaction, if this worker still holds the effect."""
        problem = {"code": verdict.problem} if verdict.problem else None
        if verdict.settled is None:
            await store.postpone(self._pool, effect, self.worker, verdict.state, problem, verdict.again_s or 1.0)
            log.info(
                "effect_postponed", effect=effect.id, adapter=effect.adapter, state=verdict.state, code=verdict.problem
            )
            return
        settled = verdict.settled
        next_at = clock.real_now() + timedelta(seconds=verdict.again_s) if verdict.again_s is not None else None
        async with self._pool.acquire() as db, db.transaction():
            held = await store.settle(
                db, effect, self.worker, verdict.state, verdict.answer, settled.reference,
                sealed_result(self._keys, effect.id, settled), problem, next_at,
            )  # fmt: skip
            if held:
                await self._handler(db, effect, settled)
        log.info("effect_settled", effect=effect.id, adapter=effect.adapter, state=verdict.state, held=held)
        if held:
            await self._gateway.changed(self._pool, effect.case_id)


async def _ask(line: Line, operation: str, values: dict[str, Any], total_s: float) -> Answer | CallFailed:
    try:
        return await line.ask(operation, values, min(total_s, _CALL_S))
    except CallFailed as failure:
        return failure


def sealed_result(keys: Keys, effect_id: str, settled: Settled) -> bytes | None:
    """Return a settled effect's result, sealed; None where it has none."""
    return None if settled.result is None else keys.seal(_json.encode(settled.result), _context(effect_id, "result"))
