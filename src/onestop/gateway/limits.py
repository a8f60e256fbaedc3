"""What keeps one department's bad day its own: a breaker, a retry budget, a pace."""

from collections import deque
from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]

_BUCKET_S = 0.25
_BUCKETS = 40  # ten seconds: enough calls to judge a department that is seldom asked
_RECENT = 5  # the last second and a bit: a busy one is judged by what it does now, not by how well it was
_MIN_CALLS = 10
_SHARE = 0.5
_MIN_UNANSWERED = 5  # calls, where no other was answered: one that has few places fails few at a time
_SILENT = 12  # three seconds without any answer say more than how well it was before
_OPEN_S = 1.0
_MAX_OPEN_S = 8.0


class Breaker:
    """Opens when half of at least ten calls of the last second, or of the last ten, failed, or five and none succeeded.

    "None succeeded" is said of three seconds. One probe closes it again.

    A share over a window, not "n in a row": a stall of this very process makes many calls late at once.
    Answers that are the caller's fault (4xx) and refusals by rule are successes here.
    """

    __slots__ = (
        "_bad",
        "_good",
        "_open_s",
        "_probing",
        "_turned",
        "failed_at",
        "failed_in_row",
        "opened_at",
        "state",
        "until",
    )

    def __init__(self) -> None:
        self.state: BreakerState = "closed"
        self.until = 0.0
        self.opened_at = 0.0
        self.failed_in_row = 0
        self.failed_at = 0.0
        self._open_s = _OPEN_S
        self._probing = False
        self._turned = 0  # the number of the newest bucket
        self._good = [0] * _BUCKETS
        self._bad = [0] * _BUCKETS

    def allows(self, now: float) -> bool:
        """Tell whether a call may go out now; in half-open exactly one at a time may."""
        if self.state == "closed":
            return True
        if self.state == "open":
            if now < self.until:
                return False
            self.state = "half_open"
            self._probing = False
        if self._probing:
            return False
        self._probing = True
        return True

    def succeeded(self, now: float) -> None:
        """Note an answer."""
        self.failed_in_row = 0
        if self.state == "half_open":
            self._close()
        self._turn(now)
        self._good[self._turned % _BUCKETS] += 1

    def failed(self, now: float) -> None:
        """Note a call without a usable answer."""
        self.failed_in_row += 1
        self.failed_at = now
        if self.state == "half_open":
            self._probing = False
            self._trip(now)
            return
        self._turn(now)
        self._bad[self._turned % _BUCKETS] += 1
        if self.state == "closed" and (self._is_bad(_RECENT) or self._is_bad(_SILENT) or self._is_bad(_BUCKETS)):
            self.opened_at = now
            self._trip(now)

    def _is_bad(self, buckets: int) -> bool:
        """Tell whether too many of the calls in the newest buckets failed."""
        newest = [i % _BUCKETS for i in range(self._turned - buckets + 1, self._turned + 1)]
        bad = sum([self._bad[i] for i in newest])
        if bad < _MIN_CALLS * _SHARE:
            return False
        good = sum([self._good[i] for i in newest])
        if not good and buckets >= _SILENT:
            return bad >= _MIN_UNANSWERED
        return bad + good >= _MIN_CALLS and bad >= good * _SHARE / (1 - _SHARE)

    def abandoned(self) -> None:
        """Note a call that ended without telling anything about the department."""
        self._probing = False

    def _trip(self, now: float) -> None:
        self.state = "open"
        self.until = now + self._open_s
        self._open_s = min(self._open_s * 2, _MAX_OPEN_S)

    def _close(self) -> None:
        self.state = "closed"
        self._probing = False
        self._open_s = _OPEN_S
        self._good = [0] * _BUCKETS
        self._bad = [0] * _BUCKETS

    def _turn(self, now: float) -> None:
        """Empty the buckets of the time that has passed since the last call."""
        newest = int(now / _BUCKET_S)
        passed = newest - self._turned
        if passed <= 0:
            return
        for i in range(self._turned + 1, self._turned + 1 + min(passed, _BUCKETS)):
            self._good[i % _BUCKETS] = self._bad[i % _BUCKETS] = 0
        self._turned = newest


class RetryBudget:
    """Lets at most one call in five be a repetition, at every moment since the line was opened.

    It begins empty: a gift to begin with would be given again by every process and every new version, just while the
    department is at its worst. What quiet days earn is kept, so a line that has answered five calls has a repetition.
    """

    __slots__ = ("_earned", "_most")
    _PRICE = 5  # first attempts; whole numbers, so that no sum of fractions ever gives one too many
    _MOST = 10 * _PRICE

    def __init__(self) -> None:
        self._earned = 0
        self._most = self._MOST

    def keep_part(self, part: float) -> None:
        """Keep at most this part of what one process alone may keep, and at least one repetition."""
        self._most = max(int(self._MOST * part), self._PRICE)
        self._earned = min(self._earned, self._most)

    def earned(self) -> None:
        """Note a first attempt."""
        if self._earned < self._most:
            self._earned += 1

    def spend(self) -> bool:
        """Take one repetition; False where the budget is used up."""
        if self._earned < self._PRICE:
            return False
        self._earned -= self._PRICE
        return True


class Pace:
    """Keeps to a department's own limit of calls per second; who would exceed it is told when to come."""

    __slots__ = ("_asked", "_passed", "_sent", "_short", "per_second")

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self._sent: deque[float] = deque(maxlen=_slots(per_second))
        self._short = False
        self._passed, self._asked = 0, 0.0  # calls that went since then

    def change(self, per_second: float, now: float) -> None:
        """Take another number of calls per second, 0 for none.

        What is more than before counts as used just now, for whoever gave it may have.
        """
        if per_second == self.per_second:
            return
        slots = _slots(per_second)
        sent = [*self._sent, *[now] * (slots - _slots(self.per_second))]
        self.per_second = per_second
        self._sent = deque(sent[max(len(sent) - slots, 0) :], maxlen=slots)

    def wait_s(self, now: float) -> float:
        """Return how long to wait before the next call, 0 where it may go now (and counts as gone)."""
        if not self.per_second:
            self._short = True
            return 1.0
        if len(self._sent) == self._sent.maxlen:
            wait = self._sent[0] + max(self._sent.maxlen, 1) / self.per_second - now
            if wait > 0:
                self._short = True
                return wait
        self._sent.append(now)
        self._passed += 1
        return 0.0

    def lately(self, now: float) -> float:
        """Return how many calls a second went since this was last asked."""
        passed, since = self._passed, now - self._asked
        self._passed, self._asked = 0, now
        return passed / max(since, 1.0)

    def was_short(self) -> bool:
        """Tell whether a call had to wait since this was last asked."""
        told, self._short = self._short, False
        return told


def _slots(per_second: float) -> int:
    """Return how many calls of the last second, or of the last longer time that has one, are remembered."""
    return max(int(per_second), 1) if per_second else 0
