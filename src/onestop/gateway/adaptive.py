"""How many calls a department bears at once, found from how long its answers take.

A department that is asked more than it can do answers slower in proportion: with `n` calls under way where it can do
`c`, an answer takes n/c of its usual time. So the calls that only wait there are n x (1 - usual/now), and the limit is
moved until about one in twenty waits. What slows answers without our doing, a slower department, a busy process of our
own, must not shrink the limit for long: see `_learn` and `lag_s`.
"""

from math import sqrt
from statistics import median
from typing import Final

FLOOR: Final = 4
_BEGIN: Final = 8  # so few that the first answers tell how long one takes when nobody waits
_EARLY_GROWTH: Final = 0.5  # of the limit in one window, until it first was too high
_WINDOW_S: Final = 0.1
_WINDOW_MOST_S: Final = 1.0
_ENOUGH: Final = 50  # answers that end a window before it has lasted that long
_FEWEST: Final = 4  # answers of one operation that say something
_BUSY: Final = 0.8  # of the limit must be under way, or the limit is not what is being tried
_WAITING_LOW: Final = 0.5  # calls that may wait at the department: below this the limit grows …
_WAITING_HIGH: Final = 1.2  # … and above this, or a sixteenth of the limit, it shrinks
_WAITING_SHARE: Final = 0.06
_SLACK_S: Final = 0.0005  # differences below this, and below a fiftieth, say nothing
_SHORTEST_S: Final = 0.0001  # a loop's clock may stand still between a question and its answer
_SLACK_SHARE: Final = 1 / 50
_CHANCE: Final = 3.7  # two standard errors of a median, from the median distance to it
_FASTER: Final = 0.5  # of the difference a usual time follows in one window
_SLOWER: Final = 0.1
_REFUSED: Final = 0.1  # refusals and time-outs for each answer that mean too much is asked; fewer happen anywhere
_OVERLOADED: Final = 0.8  # of the limit is left after a window with refusals or time-outs


class AdaptiveLimit:
    """The limit of one line; `limit` is between FLOOR, or `most` where that is lower, and `most`.

    Instants are loop time. Answers of different operations are compared with their own kind only.
    """

    __slots__ = ("_begun", "_changed", "_growth", "_peak", "_refused", "_took", "_usual", "adaptive", "limit", "most")

    def __init__(self, most: int, *, adaptive: bool = True) -> None:
        self.most = most
        self.adaptive = adaptive  # False: `limit` stays `most`
        self.limit = min(most, _BEGIN) if adaptive else most
        self._growth = _EARLY_GROWTH
        self._usual: dict[str, float] = {}  # seconds, by operation
        self._took: dict[str, list[float]] = {}  # of this window
        self._begun = 0.0
        self._changed = 0.0  # calls begun before this ran under another limit
        self._peak = 0  # most calls under way in this window
        self._refused = 0

    def allot(self, most: int) -> None:
        """Take another `most`: this process's part of what the manifest declares; 0 where it has none now."""
        grown, self.most = most > self.most, most
        if self.limit > most or not self.adaptive:
            self.limit = most
        elif grown:
            self.limit = max(self.limit, min(most, _BEGIN))

    def usual(self, operation: str) -> float:
        """Return how long an answer usually takes in seconds, 0 where that is not known yet."""
        return self._usual.get(operation, 0.0)

    def ended(self, operation: str, started: float, now: float, under_way: int, refused: bool, lag_s: float) -> None:
        """Take one call that has ended: `under_way` counts it too, `refused` means too slow or told to come later.

        `lag_s` is how far this process itself lags behind.
        """
        if started < self._changed or not self.adaptive:
            return
        if under_way > self._peak:
            self._peak = under_way
        if refused:
            self._refused += 1
        else:
            self._took.setdefault(operation, []).append(now - started)
        passed = now - self._begun
        if passed >= _WINDOW_S and (passed >= _WINDOW_MOST_S or sum(map(len, self._took.values())) >= _ENOUGH):
            self._close(now, lag_s)

    def _close(self, now: float, lag_s: float) -> None:
        operation = max(self._took, key=lambda name: len(self._took[name]), default="")
        answered = sum(map(len, self._took.values()))
        if self._refused > answered * _REFUSED:
            self._set(int(self.limit * _OVERLOADED), now)
        elif operation and len(self._took[operation]) >= _FEWEST:
            self._move(operation, self._took[operation], lag_s, now)
        self._begun, self._peak, self._refused = now, 0, 0
        self._took.clear()

    def _move(self, operation: str, all_took: list[float], lag_s: float, now: float) -> None:
        took = max(median(all_took), _SHORTEST_S)
        busy = self._peak >= self.limit * _BUSY
        usual = self._learn(operation, took, busy)
        if not busy:
            return
        waiting = self._peak * (1 - min((usual + lag_s + _slack(all_took, took)) / took, 1.0))
        if waiting < _WAITING_LOW:
            self._set(self.limit + max(int(self._growth * self.limit), int(sqrt(self.limit)), 1), now)
        elif waiting > max(_WAITING_HIGH, self.limit * _WAITING_SHARE):
            self._set(int(self._peak - waiting + 1), now)

    def _learn(self, operation: str, took: float, busy: bool) -> float:
        """Return an operation's usual time, and let it follow: down quickly, up only where we cannot be the cause."""
        usual = self._usual.get(operation, took)
        if took < usual:
            usual += (took - usual) * _FASTER
        elif not busy:
            usual += (took - usual) * _SLOWER
        elif self.limit <= FLOOR:
            usual = took  # so few calls wait for nobody: this is what it is now
        self._usual[operation] = usual
        return usual

    def _set(self, limit: int, now: float) -> None:
        limit = max(min(limit, self.most), min(FLOOR, self.most))
        if limit < self.limit:
            self._changed = now
            self._growth = 0.0
        self.limit = limit


def _slack(all_took: list[float], middle: float) -> float:
    """Return how much a median of so many so scattered times may differ by chance, and at least what says nothing."""
    scattered = median([abs(took - middle) for took in all_took])
    return max(_SLACK_S, middle * _SLACK_SHARE, _CHANCE * scattered / sqrt(len(all_took)))
