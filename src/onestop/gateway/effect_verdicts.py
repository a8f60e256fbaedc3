"""What an attempt tells of an effect: rules from an answer, or its absence, to the ledger's next state and time."""

import random
from datetime import datetime

import msgspec

from onestop import clock
from onestop.gateway import store
from onestop.gateway.call import CallFailed
from onestop.gateway.effect_steps import Stopped
from onestop.gateway.models import Settled
from onestop.gateway.operations import Answer, Prepared

GIVE_UP_S = 72 * 3600.0
LOOK_S = 60.0  # how long a department that answers by callback is given before it is asked
LONGEST_HELD_S = 300.0  # a window may be taken back before its end
_LONGEST_WAIT_S = 120.0
# Refused credentials do not come right by asking: who must put them right is told, and few calls are made until then.
DENIED_S = 300.0
_DENIED_LONGEST_S = 3600.0


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
    pause = denied_s(effect.attempt) if refuses_us(outcome) else backoff_s(effect.attempt)
    wait = max(pause, outcome.retry_after_s or 0)
    if isinstance(outcome, CallFailed):
        if outcome.kind in ("paused", "full"):
            # Our own line held it back: the department was not bothered, so it need not be spared for longer.
            wait = (outcome.retry_after_s or 1.0) + backoff_s(0)
        elif outcome.kind == "stopped":  # the word may be taken back before its end
            wait = min(outcome.retry_after_s or 1.0, LONGEST_HELD_S)
        code = f"upstream.{outcome.kind}"
        if not outcome.sent and not was_unknown:
            return _not_sent(effect, code, wait)
        return _unknown(prepared, effect, code, wait, was_unknown)
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
    return _unknown(prepared, effect, f"upstream.{outcome.kind}", wait, was_unknown)


def refuses_us(outcome: Answer | CallFailed) -> bool:
    """Tell whether the department does not let us in: by its answer, or where it gives tokens out."""
    if isinstance(outcome, Answer):
        return outcome.kind == "denied"
    why = outcome.fact if outcome.kind == "no_token" else None
    return why is not None and why.code == "token_status" and why.params["status"] in (400, 401, 403)


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
    if came.put_off:
        state = "unknown" if came.unclear or came.acted else "intended"
        return Verdict(state=state, again_s=backoff_s(0))
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
    told = later_s(answer.later) if answer is not None else None
    if told is not None:
        return min(max(told, 1.0), prepared.spec.answer_within_s)
    if prepared.spec.poll:
        return prepared.spec.poll.first_s
    # Where nobody can be asked there is nothing to look at before the answer is overdue.
    return LOOK_S if prepared.spec.lookup else prepared.spec.answer_within_s


def later_s(told: object) -> float | None:
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


def settles_s(prepared: Prepared) -> float:
    """Return how long a call that brought no answer may still take effect there."""
    return max(prepared.spec.settles_s or 0.0, prepared.spec.total_s)


def _unknown(prepared: Prepared, effect: store.Claimed, code: str, wait: float, looked_up: bool) -> Verdict:
    if prepared.spec.idempotent == "none":
        return to_desk(code)
    if effect.tried_s > GIVE_UP_S:
        return to_desk("upstream.gave_up")
    if prepared.spec.idempotent == "lookup":
        # A request that is still on its way must have arrived or died before "not found" is believed.
        wait = max(wait, prepared.spec.total_s if looked_up else settles_s(prepared))
    return Verdict(state="unknown", again_s=wait, problem=code)


def to_desk(code: str, cause: str | None = None) -> Verdict:
    """Return the verdict that a person has to find out."""
    return Verdict(state="desk", settled=Settled(outcome="desk", problem=code), problem=code, cause=cause)


def backoff_s(attempt: int) -> float:
    """Return how long to wait after the nth attempt: exponential with full jitter, at most two minutes."""
    doubled = min(attempt, 16)  # of two to the thousandth, which three days of attempts reach, no float knows
    return max(random.uniform(0, min(2.0**doubled, _LONGEST_WAIT_S)), 0.2)  # noqa: S311 - no secret


def denied_s(attempt: int) -> float:
    """Return how long to wait after the nth attempt was refused: five minutes to an hour, less a random quarter."""
    step = min(DENIED_S * 2.0 ** min(max(attempt - 1, 0), 16), _DENIED_LONGEST_S)
    return step * random.uniform(0.75, 1.0)  # noqa: S311 - no secret
