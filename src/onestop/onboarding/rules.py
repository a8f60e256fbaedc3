"""Which move is allowed, to whom, and what it needs; pure.

```
draft ⇄ testing → approved → trial → live ⇄ quarantined
                                      ⇅
                                  deprecated → retired
```
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from onestop.gateway.windows import CHINA
from onestop.onboarding.errors import MoveNotNow, MoveNotYours, ReasonMissing, SecondPersonNeeded
from onestop.onboarding.models import Actor, Move, Version, VersionState

RETURN_WITHIN: Final = timedelta(days=30)
WARN_DAYS: Final = (1, 7, 30)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One move: from where, to where, by whom."""

    start: frozenset[VersionState]
    end: VersionState
    roles: frozenset[str]  # `department` means the owner
    why: bool = False  # a reason must be told
    person: bool = False  # a machine's key does not do this


def _rule(start: str, end: VersionState, roles: str, *, why: bool = False, person: bool = False) -> Rule:
    states: frozenset[VersionState] = frozenset(start.split())  # type: ignore[arg-type]  # words of this file
    return Rule(start=states, end=end, roles=frozenset(roles.split()), why=why, person=person)


MOVES: Final[dict[Move, Rule]] = {
    "submit": _rule("draft", "testing", "department operator"),
    "withdraw": _rule("testing approved", "draft", "department operator"),
    "reject": _rule("testing approved", "draft", "governance operator", why=True, person=True),
    "approve": _rule("testing", "approved", "governance operator", person=True),
    "trial": _rule("approved", "trial", "department operator", person=True),
    "publish": _rule("trial", "live", "department operator governance", person=True),
    "quarantine": _rule("live", "quarantined", "department operator governance", why=True),
    "release": _rule("quarantined", "live", "operator governance", why=True, person=True),
    "return": _rule("live quarantined", "deprecated", "department operator governance", why=True),
    "deprecate": _rule("live", "deprecated", "department operator", why=True, person=True),
    "retire": _rule("draft testing approved trial deprecated quarantined", "retired", "department operator"),
}
# Where a version is kept for good: its owner is told what to do instead.
FINAL: Final[frozenset[VersionState]] = frozenset({"retired"})


def owns(actor: Actor, owner: str) -> bool:
    """Tell whether the actor may touch an adapter at all; to everybody else it is absent."""
    return actor.role in ("operator", "governance") or (actor.role == "department" and actor.department == owner)


def may(actor: Actor, owner: str, move: Move) -> bool:
    """Tell whether the move is this actor's to make."""
    rule = MOVES[move]
    return owns(actor, owner) and actor.role in rule.roles and not (rule.person and actor.machine)


def open_moves(actor: Actor, owner: str, version: Version, makers: Sequence[str] = ()) -> list[str]:
    """Return the moves the actor may make from where the version stands."""
    own = actor.id == version.made_by or actor.id in makers
    return [
        move
        for move, rule in MOVES.items()
        if version.state in rule.start and may(actor, owner, move) and not (move == "approve" and own)
    ]


def check_move(actor: Actor, owner: str, move: Move, version: Version, makers: Sequence[str], why: str) -> None:
    """Check that the actor may make the move now; `makers` are those who made or submitted the version.

    Raises:
        MoveNotYours: another role's, or a person's where a machine asks.
        MoveNotNow: the version's state does not allow it; names the state and the moves that it does.
        SecondPersonNeeded: who made or submitted it would approve it.
        ReasonMissing: the move needs a reason.
    """
    rule = MOVES[move]
    if not may(actor, owner, move):
        raise MoveNotYours(move=move, roles=", ".join(sorted(rule.roles)))
    if version.state not in rule.start:
        can = [name for name, other in MOVES.items() if version.state in other.start]
        raise MoveNotNow(move=move, state=version.state, can=", ".join(can) or "-")
    if move == "approve" and (actor.id == version.made_by or actor.id in makers):
        raise SecondPersonNeeded(who=actor.id)
    if rule.why and not why.strip():
        raise ReasonMissing(move=move)


def end_of(move: Move, state: VersionState) -> VersionState:
    """Return where a move leads; what was quarantined stays so when the one before it comes back."""
    return "quarantined" if move == "return" and state == "quarantined" else MOVES[move].end


def previous(versions: Sequence[Version], now: datetime) -> Version | None:
    """Return the version that a return leads to: the one that was live last, within thirty days."""
    past = [v for v in versions if v.state == "deprecated" and v.live_until and now - v.live_until <= RETURN_WITHIN]
    return max(past, key=lambda v: v.live_until or now, default=None)


def instant(told: datetime) -> datetime | None:
    """Return a moment in UTC, one without a zone being China Standard Time; None where no calendar holds it."""
    try:
        return (told if told.tzinfo is not None else told.replace(tzinfo=CHINA)).astimezone(UTC)
    except OverflowError:
        return None


def warning_days(not_after: datetime, now: datetime) -> int | None:
    """Return which warning is due for what ends then: 1, 7 or 30 days before, 0 once it is over; None: none yet."""
    if not_after <= now:
        return 0
    left = (not_after - now) / timedelta(days=1)
    return next((days for days in WARN_DAYS if left <= days), None)
