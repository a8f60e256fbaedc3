"""One call to one department, from asking for a place to its one outcome."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import structlog

from onestop.gateway import facts
from onestop.gateway.course import Course
from onestop.gateway.facts import Fact
from onestop.gateway.models import Lane
from onestop.gateway.operations import Answer, Prepared
from onestop.outbound.errors import (
    Abandoned,
    BadMessage,
    ConnectionLost,
    DeadlinePassed,
    NotSent,
    OutboundError,
    TooManyWaiting,
    Withdrawn,
)
from onestop.outbound.models import Reply

if TYPE_CHECKING:
    from onestop.gateway.line import Line
    from onestop.gateway.replicas import Replica
    from onestop.outbound.connection import Sending

log = structlog.get_logger(__name__)

FailureKind = Literal[
    "paused", "stopped", "full", "unreachable", "timeout", "cut", "bad_reply", "no_token", "unmappable",
]  # fmt: skip
_SHARED_S = 1.0  # a question that is older is asked anew: its answer may never come
# Answers that tell how long the department takes; `busy` tells that it is asked too much, `down` neither.
_FAIR_S: Final = 0.25
_TIMES_USUAL: Final = 4
_ROUNDING_S: Final = 0.005
_TIMED = frozenset(("ok", "not_found", "denied", "invalid", "declined", "correction"))


class CallFailed(Exception):
    """A call that brought no answer; `sent` says whether the department may have seen it."""

    def __init__(
        self,
        kind: FailureKind,
        sent: bool,
        detail: str = "",
        retry_after_s: float | None = None,
        fact: Fact | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind: FailureKind = kind
        self.sent = sent
        self.retry_after_s = retry_after_s
        self.fact = fact  # what decided, for whoever asks why


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of one call: a step, a page, an attempt that was repeated."""

    kind: str
    name: str
    start_ms: float  # since the call began
    took_ms: float
    outcome: str


Done = Callable[["Call", Answer | CallFailed], None]


class Call:
    """One call under way; everybody in `listeners` hears its outcome exactly once."""

    __slots__ = (
        "admitted", "attempts", "breaker", "course", "deadline", "ended_at", "judged", "lane", "line", "listeners",
        "mark", "may_pass", "number", "operation", "pieces", "prepared", "renewed", "replica", "sending", "shared_as",
        "started", "timed", "timer", "values", "waits", "written",
    )  # fmt: skip

    def __init__(
        self, line: "Line", prepared: Prepared, values: dict[str, Any], deadline: float, done: Done, lane: Lane
    ) -> None:
        self.line = line
        self.prepared = prepared
        self.operation = prepared.spec.id
        self.values = values
        self.course: Course | None = None  # of a call that takes several requests
        if prepared.turner is not None or prepared.steps:
            self.values = {**values}
            self.course = Course(prepared, self.values)
        self.number: str | None = None
        self.deadline = deadline  # loop time
        self.listeners = [done]
        self.lane: Lane = lane
        self.breaker = line.breakers[self.operation, lane]
        self.shared_as: tuple[str, ...] | None = None  # what others may find it by
        self.may_pass = False  # a breaker that is not closed: it is its probe, or an operator says so
        self.waits = False  # for a place
        self.admitted = False  # has a place
        self.timer: asyncio.TimerHandle | None = None  # ends the waiting for a place
        self.attempts = 0
        self.pieces: list[Piece] | None = None  # steps, pages and repetitions, where there were any
        self.judged = False  # the breaker has heard of this call
        self.mark = 0  # of the credentials the latest attempt was sent with
        self.renewed = False  # sent again with fresh ones
        self.replica: Replica | None = None  # that the latest attempt went to
        self.sending: Sending | None = None
        self.timed = True  # False: whoever started it keeps its deadline
        self.started = line.loop.time()
        self.written = 0.0
        self.ended_at = 0.0

    @property
    def took_ms(self) -> float:
        """Milliseconds from start to end, or until now."""
        return ((self.ended_at or self.line.loop.time()) - self.started) * 1000

    def piece(self, kind: str, name: str, began: float, outcome: str) -> None:
        """Note a part of the call that has ended: a step, a page, a repeated attempt; `began` is loop time."""
        told = Piece(
            kind=kind,
            name=name,
            start_ms=round((began - self.started) * 1000, 2),
            took_ms=round((self.line.loop.time() - began) * 1000, 2),
            outcome=outcome,
        )
        self.pieces = [*(self.pieces or []), told]

    def why_late(self) -> Fact:
        """Return what a call that has not ended waits for."""
        waited_s = round(self.took_ms / 1000, 2)
        if self.waits:
            return self.line.why_full()
        spec = self.prepared.spec
        if self.sending is not None and self.sending.connection is None and self.replica is not None:
            host, port = self.replica.pool.host, self.replica.pool.port
            return facts.fact("connect_timeout", host=host, port=port, limit_s=min(waited_s, spec.connect_s))
        return facts.fact("answer_timeout", waited_s=waited_s, limit_s=spec.total_s)

    # --- a place ----------------------------------------------------------------------------------------------------

    def admit(self) -> None:
        """Go ahead: a place is free."""
        self.admitted = True
        waited, self.timer = self.timer, None
        if waited is not None:
            waited.cancel()
            if self._too_late():
                self._gave_up(self.line.full())
                return
        if self.breaker.state == "closed" or self.may_pass:
            self.line.go(self)
        else:  # it opened while this call waited
            self._gave_up(self.line.paused(self))

    def _too_late(self) -> bool:
        """Tell whether less time is left than half an answer usually takes: sent, it would be work for nobody."""
        left_s = self.deadline - self.line.loop.time()
        return left_s <= self.line.admission.limit.usual(self.operation) / 2

    def turn_away(self) -> None:
        """End: somebody of a higher lane took the place in the waiting line."""
        self._gave_up(self.line.full())

    def wait(self) -> None:
        """Keep the deadline while waiting for a place, unless whoever started the call does."""
        if self.timed and self.waits:
            self.timer = self.line.loop.call_at(self.deadline, self._waited_in_vain)

    def _waited_in_vain(self) -> None:
        if self.waits:
            self.line.admission.withdraw(self)
            self._gave_up(self.line.full())

    def _gave_up(self, failure: CallFailed) -> None:
        """End without having been sent: no word about the department's health."""
        self._stop_timer()
        self._say_nothing()
        self.line.loop.call_soon(self.end, failure)

    def _stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    # --- whoever started it -----------------------------------------------------------------------------------------

    def overdue(self) -> None:
        """Tell the breaker that the caller has stopped waiting; the answer may still come."""
        if self.waits:
            self.breaker.abandoned()
            self.line.admission.let_others_first(self)
        elif self._had_its_time(now := self.line.loop.time()):
            self._judge(False, now)
            self.line.last_failure[self.operation] = "upstream.timeout"

    def _had_its_time(self, now: float) -> bool:
        """Tell whether the department had so long that silence says something about it.

        A caller in a hurry, or a long wait for a place, says nothing.
        """
        if not self.written:
            return self.attempts == 0  # not even a token was had
        usual = self.line.admission.limit.usual(self.operation)
        return now - self.written >= max(_FAIR_S, min(_TIMES_USUAL * usual, self.prepared.spec.total_s)) - _ROUNDING_S

    def keep_time(self) -> None:
        """Keep the deadline from now on: whoever started the call no longer does."""
        self.timed = True
        if self.sending is not None:
            self.sending.timed = True
            self.sending.end_by(self.deadline)
        else:
            self.wait()

    def may_be_shared(self) -> bool:
        """Tell whether somebody with the same question may wait for this answer: not where others gave up waiting."""
        return not self.waits and not self.judged and self.line.loop.time() - self.started <= _SHARED_S

    def extend(self, deadline: float) -> None:
        """Go on until `deadline`, if that is later: somebody else listens now."""
        if deadline > self.deadline:
            self.deadline = deadline
            if self.sending is not None:
                self.sending.deadline = deadline
                self.sending.end_by(deadline)

    def leave(self, done: Done) -> None:
        """Let a listener go; the call is given up when it was the last."""
        if done in self.listeners:
            self.listeners.remove(done)
            if not self.listeners:
                self.cancel()

    def cancel(self) -> None:
        """Give the call up; who still listens hears of it."""
        if self.waits:
            self.line.admission.withdraw(self)
            self._gave_up(self.line.full())
        elif self.sending is not None:
            self.sending.cancel()

    def end(self, outcome: Answer | CallFailed) -> None:
        """Give the place back and hand the outcome to everybody who asked."""
        if self.ended_at:
            return
        now = self.ended_at = self.line.loop.time()
        if self.shared_as is not None:
            if self.line.asked.get(self.shared_as) is self:
                del self.line.asked[self.shared_as]
            if isinstance(outcome, Answer):
                self.line.kept.put(self.shared_as, self.prepared.spec, outcome, now)
        if self.admitted:
            self._measure(outcome, now)
            self.line.admission.left(self, now)
        listeners, self.listeners = self.listeners, []
        for done in listeners:
            done(self, outcome)

    def _measure(self, outcome: Answer | CallFailed, now: float) -> None:
        """Tell the limit how long the department took, where this call says anything about that."""
        line = self.line
        if line.manifest.limits.adaptive and self.written:
            refused = outcome.kind in ("busy", "timeout")
            if refused or outcome.kind in _TIMED:
                busy = line.admission.busy
                line.admission.limit.ended(self.operation, self.written, now, busy, refused, line.lag.now(now))

    # --- the wire ---------------------------------------------------------------------------------------------------

    def heard(self, outcome: Reply | OutboundError) -> None:
        """Take what the wire brought."""
        now = self.line.loop.time()
        # Not by `Reply`: asking whether something is a msgspec struct goes through Python's abstract classes.
        if not isinstance(outcome, OutboundError):
            answer = self._read(outcome, now)
            if answer is None:
                return
            good = answer.kind not in ("down", "bad_reply")
            self._left_replica(good, now)
            if answer.kind == "denied" and self._renews(outcome.status, now):
                return
            self._judge(good, now)
            if not good:
                self.line.last_failure[self.operation] = f"upstream.{answer.kind}"
            if self.line.sample is not None:
                self.line.sample(self.line, self.operation, answer)
            self.end(answer)
            return
        self._left_replica(isinstance(outcome, (TooManyWaiting, BadMessage)), now)
        if self._again(outcome, now):
            return
        if isinstance(outcome, TooManyWaiting) or not self._blames(outcome, now):
            self._say_nothing()  # our own bound, not the department's fault; its other callers speak for it
        else:
            self._judge(False, now)
        failed = _failure(outcome, self)
        self.line.last_failure[self.operation] = f"upstream.{failed.kind}"
        self.end(failed)

    def _read(self, reply: Reply, now: float) -> Answer | None:
        """Read a reply; None: another page or step is on its way.

        A defect of ours ends this call, which else would keep its place for ever.
        """
        try:
            answer = self.course.heard(self, reply) if self.course else self.prepared.answer(reply, self.number)
        except Exception as fault:
            log.exception("reply_not_read", adapter=self.line.manifest.id, operation=self.operation)
            answer = Answer("bad_reply", reply)
            answer.reason = type(fault).__name__
        if answer is None:
            self._left_replica(True, now)
            self.attempts, self.sending = 0, None
            self.line.go(self)
        return answer

    def _blames(self, outcome: OutboundError, now: float) -> bool:
        """Tell whether an end on the wire says something about the department: leaving it early does not."""
        left = isinstance(outcome, (DeadlinePassed, Abandoned, Withdrawn))
        return not left or self._had_its_time(now)

    def _left_replica(self, good: bool, now: float) -> None:
        if self.replica is not None:
            self.replica.under_way -= 1
            if len(self.line.replicas.all) > 1:
                self.line.replicas.heard(self.replica, good, now)

    def _judge(self, good: bool, now: float) -> None:
        if not self.judged:
            self.judged = True
            if good:
                self.breaker.succeeded(now)
            else:
                self.breaker.failed(now)

    def _say_nothing(self) -> None:
        if not self.judged:
            self.judged = True
            self.breaker.abandoned()

    def _renews(self, status: int, now: float) -> bool:
        """Repeat once with a fresh token where the old one was refused and nothing can have been done."""
        spec = self.prepared.spec
        if not spec.authenticate or not self.line.credentials.spoiled(self.mark):
            return False
        if self.renewed or now >= self.deadline or not (status == 401 or spec.idempotent == "safe"):
            return False
        self.renewed = True
        self.sending = None
        self.line.write_when_ready(self)
        return True

    def _again(self, error: OutboundError, now: float) -> bool:
        """Repeat where that is safe: nothing was sent, or the operation may be repeated and the wire broke."""
        if self.attempts > self.prepared.spec.retries or now >= self.deadline or not self.listeners:
            return False
        if isinstance(error, NotSent):
            repeatable = not isinstance(error, (TooManyWaiting, BadMessage))
        else:
            repeatable = self.prepared.spec.idempotent == "safe" and isinstance(error, ConnectionLost)
        # What was never written is no attempt at another address: it adds nothing to what that one bears.
        elsewhere = isinstance(error, NotSent) and len(self.line.replicas.all) > 1
        if not repeatable or not (elsewhere or self.line.retries.spend()):
            return False
        self.piece("retry", str(self.attempts), self.started, error.reason)
        self.line.write(self)
        return True


def _failure(error: OutboundError, call: Call) -> CallFailed:
    """Return what an error of the wire means for a call, with the fact that decided."""
    pool = call.replica.pool if call.replica is not None else call.line.replicas.all[0].pool
    why = facts.of_error(error, call.prepared.spec, pool.host, pool.port, call.took_ms / 1000)
    if isinstance(error, TooManyWaiting):
        return CallFailed("full", False, retry_after_s=1.0, fact=why)
    if isinstance(error, BadMessage):
        return CallFailed("unmappable", False, error.reason, fact=why)
    if isinstance(error, NotSent):
        return CallFailed("unreachable", False, error.reason, fact=why)
    if isinstance(error, DeadlinePassed):
        return CallFailed("timeout", True, error.reason, fact=why)
    return CallFailed("cut" if isinstance(error, ConnectionLost) else "bad_reply", True, error.reason, fact=why)
