"""A submission of several calls: taken step by step, each on record before it is sent, gone on with where it stopped.

What was saved and which step is on its way stand sealed in the ledger's row. A step that was on its way when something
ended is unclear: one that may be repeated is sent again under its own key, one that can be found is looked for first,
and for any other a person finds out.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from onestop.gateway.call import CallFailed
from onestop.gateway.mapping.language import MappingFailed
from onestop.gateway.operations import Answer, Prepared
from onestop.gateway.steps import PreparedStep, Saved, Walk

# (one request of the operation, its name in traces, what it reads) -> what came of it
Ask = Callable[[Prepared, str, dict[str, Any]], Awaitable[Answer | CallFailed]]


class Progress(msgspec.Struct, kw_only=True):
    """How far a submission has come."""

    saved: Saved = {}  # msgspec copies the default
    under_way: str | None = None  # the step that may be on its way


# Writes the progress, and keeps the effect in hand for the next call; False: somebody else holds it by now.
Keep = Callable[[Progress], Awaitable[bool]]
# Tells whether one request may begin: whether it will have ended while the effect is surely still in hand.
Covers = Callable[[Prepared], bool]


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """Where a submission could not go on now."""

    step: PreparedStep
    outcome: Answer | CallFailed | None  # None: unclear, and nobody can be asked; or put off
    unclear: bool  # the step may have been done
    put_off: bool = False  # whoever takes the effect next goes on with it
    acted: list[str]  # steps that have done something there before


class LeaseLost(Exception):
    """Somebody else holds the effect by now."""


class StepByStep:
    """One worker's way through the steps of one effect."""

    def __init__(
        self, operation: Prepared, values: dict[str, Any], progress: Progress, ask: Ask, keep: Keep, covers: Covers
    ) -> None:
        self._operation, self._values, self._progress = operation, values, progress
        self._ask, self._keep, self._covers = ask, keep, covers
        self._walk = Walk(operation, progress.saved)

    async def go_on(self) -> Answer | Stopped:
        """Take the steps that are left; return the whole answer, or where it stopped.

        Raises:
            LeaseLost: another worker has the effect.
            MappingFailed: a request or what is saved cannot be made as the manifest says.
        """
        while (step := self._walk.next(self._values)) is not None:
            unclear = self._progress.under_way == step.spec.id
            if unclear and step.spec.idempotent == "none":
                return self._stopped(step, None, unclear=True)
            if unclear and step.spec.idempotent == "lookup" and step.lookup is not None:
                known = await self._find(step)
                if isinstance(known, Stopped):
                    return known
                if known:
                    continue
                unclear = False
            stopped = await self._take(step, unclear=unclear)
            if stopped is not None:
                return stopped
        return self._walk.answer()

    async def _find(self, step: PreparedStep) -> Stopped | bool:
        """Look for a step that may have arrived; True: it did, and what it saves is known."""
        assert step.lookup is not None  # asked by the caller
        await self._note(step.spec.id)
        if not self._covers(step.lookup):
            return self._stopped(step, None, unclear=True, put_off=True)
        found = await self._ask(step.lookup, f"{step.spec.id}?", self._values)
        if not isinstance(found, Answer) or found.kind not in ("ok", "not_found"):
            return self._stopped(step, found, unclear=True)
        saved = step.found(found)
        if saved is None:
            return False
        self._walk.saved[step.spec.id] = saved
        await self._note(None)
        return True

    async def _take(self, step: PreparedStep, *, unclear: bool) -> Stopped | None:
        await self._note(step.spec.id)
        if not self._covers(step.prepared):
            if not unclear:
                await self._note(None)  # it never went out
            return self._stopped(step, None, unclear=unclear, put_off=True)
        outcome = await self._ask(step.prepared, step.spec.id, self._values)
        if isinstance(outcome, Answer) and outcome.kind == "ok":
            try:
                self._walk.took(step, outcome)
            except MappingFailed as fault:
                outcome = Answer("bad_reply", outcome.reply)
                outcome.reason = str(fault)
                return self._stopped(step, outcome, unclear=True)
            await self._note(None)
            return None
        sure = not outcome.sent if isinstance(outcome, CallFailed) else outcome.kind not in ("down", "bad_reply")
        if sure and not unclear:
            await self._note(None)
        return self._stopped(step, outcome, unclear=unclear)

    async def _note(self, under_way: str | None) -> None:
        self._progress = Progress(saved=self._walk.saved, under_way=under_way)
        if not await self._keep(self._progress):
            raise LeaseLost

    def _stopped(
        self, step: PreparedStep, outcome: Answer | CallFailed | None, *, unclear: bool, put_off: bool = False
    ) -> Stopped:
        return Stopped(step=step, outcome=outcome, unclear=unclear, acted=self._walk.acted(), put_off=put_off)
