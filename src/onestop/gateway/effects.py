"""The effect ledger at work: intended → sent → done | refused | unknown; unknown → done | refused | desk.

An effect is in the ledger before it is sent, and marked sent before the first byte goes out. An error means "unknown",
not "not done": a department that knows our key may be sent it again, one that can be asked is asked first, and for one
that offers neither a person finds out. docs/effects.md draws it.
"""

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import structlog

from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.gateway import effect_verdicts as verdicts
from onestop.gateway import store
from onestop.gateway.effect_calls import CALL_S, Calls
from onestop.gateway.effect_hold import Holds
from onestop.gateway.effect_rows import context, sealed_result, values_of
from onestop.gateway.effect_steps import LeaseLost, Progress, StepByStep
from onestop.gateway.effect_verdicts import Verdict, judge, judge_steps, later_s, may_be_on_its_way, said, to_desk
from onestop.gateway.explain import TraceLog
from onestop.gateway.facts import fact
from onestop.gateway.line import CallFailed, Line
from onestop.gateway.models import Effect, NewEffect, Settled
from onestop.gateway.operations import Answer, Prepared
from onestop.gateway.service import Gateway
from onestop.rounds import failed, went_well

log = structlog.get_logger(__name__)

# Called in the transaction that settles the effect; must bear being called twice with the same outcome.
Handler = Callable[[Connection, Effect, Settled], Awaitable[None]]

LEASE_S = 15.0  # half again as long as any one call: who does not come back in it is taken to be dead
_HOLD_S = 60.0  # nobody handles one call of an effect longer: whatever hangs, the lease is not kept for ever
_IN_FLIGHT = 64
_OF_ONE = 16  # of one department: the others' effects do not wait behind a slow one's
_IDLE_S = 0.2
_STRANGERS_S = 10.0  # how often effects of adapters that are not here are looked for
_LOOK_LONGEST_S = 3600.0
MOST_FAULTS = 5
_HELD_S = 15.0
_json = msgspec.json.Encoder()


async def intend(db: Connection, keys: Keys, gateway: Gateway, region: str, effects: Sequence[NewEffect]) -> list[str]:
    """Write effects into the ledger, in the caller's transaction; a key that is there already is left as it is.

    Return what they give away, as entries for the ledger of data uses: the caller writes them in the same transaction.
    """
    if not effects:
        return []
    rows = [row(keys, gateway, effect) for effect in effects]
    whose = [(one.subject, one.actor, one.mandate, one.beneficiary) for one in effects]
    new = await store.insert_effects(db, region, [a + b for a, b in zip(rows, whose, strict=True)])
    pairs = zip(effects, rows, strict=True)
    return [given(gateway, effect, one) for effect, one in pairs if effect.id in new]


def given(gateway: Gateway, effect: NewEffect, row: tuple[object, ...]) -> str:
    """Return what an effect gives to its department as an entry of the ledger of data uses; names, never values."""
    return gateway.uses.given(effect.adapter, effect.operation, str(row[5]), tuple(effect.payload), effect.id)


def row(keys: Keys, gateway: Gateway, effect: NewEffect) -> tuple[object, ...]:
    """Return an effect as a row: id, case, step, adapter, operation, version, key, sealed payload, trace."""
    payload = keys.seal(_json.encode(effect.payload), context(effect.id, "payload"))
    subject = effect.payload.get("subject")
    version = gateway.version_for(effect.adapter, subject.get("number") if isinstance(subject, dict) else None)
    return (
        effect.id, effect.case_id, effect.step, effect.adapter, effect.operation, version, effect.key, payload,
        effect.trace_id,
    )  # fmt: skip


class Dispatcher:
    """The worker: takes what is due from the ledger, asks the departments, writes what came of it."""

    def __init__(
        self, pool: Pool, keys: Keys, gateway: Gateway, region: str, handler: Handler, traces: TraceLog | None = None
    ) -> None:
        self._pool, self._keys, self._gateway, self._region = pool, keys, gateway, region
        self._handler = handler
        self._calls = Calls(pool, traces)
        self.worker = f"w-{secrets.token_hex(6)}"
        self._running: dict[str, asyncio.Task[None]] = {}
        self._holds = Holds()
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
                await asyncio.wait(self._running.values(), timeout=CALL_S)
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
            failed("ledger")
            await asyncio.sleep(1.0)
            return 0
        went_well("ledger")
        for effect in claimed:
            if await self._was_ours(effect):
                continue
            task = asyncio.get_running_loop().create_task(self._one(effect))
            self._running[effect.id] = task
            self._busy[effect.adapter] += 1
            task.add_done_callback(partial(self._ended, effect))
        return len(claimed)

    async def _was_ours(self, effect: store.Claimed) -> bool:
        """Give up what is still under way here and was taken again: this process stood still, and its lease ran out.

        Somebody else may have gone on with it since. It is looked at when the call that was under way must have ended.
        """
        stale = self._running.get(effect.id)
        if stale is None:
            return False
        stale.cancel()
        log.warning("lease_ran_out", effect=effect.id, adapter=effect.adapter)
        with contextlib.suppress(Exception):  # the new lease runs out too
            await store.postpone(self._pool, effect, self.worker, effect.state, None, LEASE_S)
        return True

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
            async with self._holds.hold(effect.id, _HOLD_S):
                await self._work_on(effect)
        except Exception as fault:
            log.exception("effect_failed", effect=effect.id, adapter=effect.adapter)
            # A call that was cut off must have arrived or died before anybody looks for what it did.
            least_s = LEASE_S if isinstance(fault, TimeoutError) else 0.0
            with contextlib.suppress(Exception):  # the lease runs out, and it is looked at again all the same
                await self._set_back(effect, type(fault).__name__, least_s)

    async def _set_back(self, effect: store.Claimed, cause: str, least_s: float) -> None:
        """Put back what could not be handled; at the fifth time it is set aside for a person, and the others go on."""
        if effect.faults + 1 < MOST_FAULTS:
            told = {"code": "effect.poison", "cause": cause}
            wait_s = max(verdicts.backoff_s(effect.faults + 1), least_s)
            await store.set_back(self._pool, effect, self.worker, told, wait_s)
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
            again_s = min(held.retry_after_s or _HELD_S, verdicts.LONGEST_HELD_S) + random.uniform(0, 2)  # noqa: S311
            await store.postpone(self._pool, effect, self.worker, effect.state, {"code": held.code}, again_s)
            return
        line = self._line_for(effect)
        prepared = line.operations.get(effect.operation) if line else None
        prepared = prepared or self._gateway.operation(effect.adapter, effect.operation)
        if prepared is None:
            self._calls.note(effect, "not_connected", self._gateway.closed.get(effect.adapter))
            await self._write(effect, to_desk("upstream.not_connected"))
        elif prepared.spec.answer in ("pull", "file"):
            await self._wait_to_be_fetched(effect, prepared)
        elif line is None or effect.operation not in line.operations:
            self._calls.note(effect, "not_connected", self._gateway.closed.get(effect.adapter))
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
            if await self._unsettled(effect, prepared):
                return
            await self._look_up(effect, line, prepared, values)
        else:
            await self._write(effect, to_desk("upstream.unknown_outcome"))

    async def _unsettled(self, effect: store.Claimed, asked: Prepared) -> bool:
        """Put off the look-up of what a worker left that was cut off: its call may still take effect there."""
        left_s = verdicts.settles_s(asked) - LEASE_S  # the lease has run out since
        if effect.state != "sent" or left_s <= 0:
            return False
        await store.postpone(self._pool, effect, self.worker, "unknown", None, left_s)
        return True

    async def _wait_to_be_fetched(self, effect: store.Claimed, prepared: Prepared) -> None:
        """Leave it for its department; one that was offered before and comes here again has waited too long."""
        if effect.answer == "awaited" or effect.batch is not None:
            late = effect.sent_s >= prepared.spec.answer_within_s
            code, left = "upstream.no_answer", prepared.spec.answer_within_s - effect.sent_s
        else:
            late = effect.tried_s >= verdicts.GIVE_UP_S
            code, left = "upstream.not_fetched", verdicts.GIVE_UP_S - effect.tried_s
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
        return refused.code, min(refused.retry_after_s or verdicts.LONGEST_HELD_S, verdicts.LONGEST_HELD_S)

    async def _send(
        self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any], *, was_unknown: bool
    ) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        if not await store.mark_sent(self._pool, effect, self.worker, LEASE_S, line.manifest.version):
            return
        if now() - began > LEASE_S / 3:
            return  # this process stood still meanwhile; another may have begun to find out by now
        self._holds.extend(effect.id, began, LEASE_S, _HOLD_S)
        sent = msgspec.structs.replace(effect, attempt=effect.attempt + 1)
        outcome = await self._calls.ask(effect, line, effect.operation, values, prepared.spec.total_s)
        await self._write(sent, judge(prepared, outcome, sent, was_unknown))

    async def _take_steps(self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any]) -> None:
        """Go on with a submission of several calls where it stopped."""
        about = context(effect.id, "progress")
        progress = Progress()
        if effect.progress is not None:
            progress = msgspec.json.decode(self._keys.unseal(effect.progress, about), type=Progress)
            progress.under_way = may_be_on_its_way(prepared, progress.under_way, effect.state)
            left = next((one for one in prepared.steps if one.spec.id == progress.under_way), None)
            if left is not None and left.spec.idempotent == "lookup" and await self._unsettled(effect, left.prepared):
                return
        if not await store.mark_sent(self._pool, effect, self.worker, LEASE_S, line.manifest.version):
            return
        sent = msgspec.structs.replace(effect, attempt=effect.attempt + 1)

        async def ask(only: Prepared, name: str, reads: dict[str, Any]) -> Answer | CallFailed:
            return await self._calls.ask(effect, line, effect.operation, reads, only.spec.total_s, only=only, name=name)

        async def keep(progress: Progress) -> bool:
            asked = asyncio.get_running_loop().time()
            sealed = self._keys.seal(_json.encode(progress), about)
            held = await store.save_progress(self._pool, effect, self.worker, sealed, LEASE_S)
            if held:
                self._holds.extend(effect.id, asked, LEASE_S, _HOLD_S)
            return held

        def covers(only: Prepared) -> bool:
            return not self._stop.is_set() and self._holds.covers(effect.id, min(only.spec.total_s, CALL_S))

        try:
            came = await StepByStep(prepared, values, progress, ask, keep, covers).go_on()
        except LeaseLost:
            return
        await self._write(sent, judge_steps(prepared, came, sent))

    async def _look_up(self, effect: store.Claimed, line: Line, prepared: Prepared, values: dict[str, Any]) -> None:
        """Ask whether the effect arrived before anything is sent again."""
        name = prepared.spec.lookup or ""
        found = await self._calls.ask(effect, line, name, values, line.operations[name].spec.total_s)
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
        every = poll.every_s if poll else min(max(verdicts.LOOK_S, effect.sent_s / 10), _LOOK_LONGEST_S)
        if name is None:
            await store.postpone(self._pool, effect, self.worker, effect.state, None, left)
            return
        found = await self._calls.ask(effect, line, name, values, line.operations[name].spec.total_s)
        if isinstance(found, Answer) and found.kind == "ok" and found.outcome == "extended" != effect.outcome:
            await self._write(effect, msgspec.structs.replace(said(prepared, found), again_s=min(every, left)))
            return
        final = isinstance(found, Answer) and found.kind == "ok" and found.outcome not in ("pending", "extended")
        if not final and not (isinstance(found, Answer) and found.kind in ("declined", "correction")):
            told = later_s(found.later) if isinstance(found, Answer) else found.retry_after_s
            if verdicts.refuses_us(found):
                every = max(every, verdicts.DENIED_S)
            wait = min(max(every, told or 0), max(left, 0.2))
            await store.postpone(self._pool, effect, self.worker, effect.state, None, wait)
            return
        verdict = judge(prepared, found, effect, was_unknown=True)
        await self._write(effect, msgspec.structs.replace(verdict, answer="received"))

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
            self._calls.note(effect, "unknown", fact("step_unknown"))
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
