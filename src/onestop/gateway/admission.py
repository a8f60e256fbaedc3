"""Who may call a department now, who waits, who is turned away: the counter before the citizen before bulk work.

A line has as many places as its limit says. Whoever waited past the moment their answer was wanted for lets those go
first whose answer still is: else, with a department that hangs, everybody would be sent when it is too late for them.
A lane uses what the lanes before it leave; a share is kept for the counter
while somebody at a counter has asked lately, and bulk work never takes more than half. When the waiting line is full,
the newest of the lowest lane makes room for a higher one.
"""

from collections import deque
from collections.abc import Iterator
from math import ceil
from typing import Final, Protocol

from onestop.gateway.adaptive import AdaptiveLimit
from onestop.gateway.models import Lane

LANES: Final[tuple[Lane, ...]] = ("window", "citizen", "batch")
_KEPT_S: Final = 30.0  # how long after the counter's last call places are kept for it
_RATE_S: Final = 5.0  # over which the department's pace is measured


class Caller(Protocol):
    """What admission needs of a call."""

    lane: Lane
    operation: str
    waits: bool  # in the waiting line

    def admit(self) -> None:
        """Go ahead: a place is free."""

    def turn_away(self) -> None:
        """End: somebody of a higher lane took the place in the waiting line."""


class Admission:
    """The places of one line; instants are loop time."""

    def __init__(self, limit: AdaptiveLimit, waiting: int, window_share: float, own: dict[str, int]) -> None:
        self.limit = limit
        self._most_waiting = waiting
        self._share = window_share
        self._own = own  # operations with a limit of their own
        self._of: dict[str, int] = dict.fromkeys(own, 0)
        self._lines: dict[Lane, deque[Caller]] = {lane: deque() for lane in LANES}
        self._late: deque[Caller] = deque()  # of all lanes: wanted for a late part only
        self.under_way: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self.waiting = 0
        self._short: set[str] = set()  # where somebody had to wait though all given places were used; "" for the line
        self._turns: dict[str, float] = {}  # seconds until a place comes, by operation, "" for the line
        self._counter_until = 0.0
        self._ended = 0  # since `_since`
        self._since = 0.0
        self._per_s = 0.0

    @property
    def busy(self) -> int:
        """Calls under way in all lanes."""
        under_way = self.under_way
        return under_way["window"] + under_way["citizen"] + under_way["batch"]

    def allot(self, places: int, own: dict[str, int], turns: dict[str, float], now: float) -> None:
        """Take this process's part of the declared places, and of each operation's own.

        `turns`: in how many seconds a part comes where there is none, by operation, "" for the line.
        """
        self.limit.allot(places)
        self._own.update(own)
        self._turns = turns
        if self.waiting:
            self._admit_waiting(now)

    def calls(self) -> dict[str, int]:
        """Return how many calls are under way: in all under "", of each operation with a limit of its own."""
        return {"": self.busy, **self._of}

    def shortages(self) -> set[str]:
        """Return where there were too few places since this was last asked: operations, "" for the line."""
        told, self._short = self._short, set()
        return told

    def enter(self, caller: Caller, now: float) -> bool:
        """Take a call in: admit it at once or let it wait; False: the waiting line is full."""
        if caller.lane == "window":
            self._counter_until = now + _KEPT_S
        if self.waiting == len(self._late) and self._free(caller, now):
            self._take(caller)
            caller.admit()
            return True
        self._note_shortage(caller.operation)
        if not self.limit.limit or self._own.get(caller.operation) == 0:
            return False  # other processes have all the places; who waited here might wait in vain
        # A limit found below the declared one turns nobody away: they wait here instead of there.
        if self.waiting >= self._most_waiting + self.limit.most - self.limit.limit and not self._make_room(caller.lane):
            return False
        caller.waits = True
        self.waiting += 1
        self._lines[caller.lane].append(caller)
        # Another operation's own limit, or a lower lane, may be all that those before wait for.
        self._admit_waiting(now)
        return True

    def left(self, caller: Caller, now: float) -> None:
        """Take a call's place back and give it to whoever is next."""
        self.under_way[caller.lane] -= 1
        if caller.operation in self._of:
            self._of[caller.operation] -= 1
        self._count(now)
        if self.waiting:
            self._admit_waiting(now)

    def withdraw(self, caller: Caller) -> None:
        """Take a waiting call out of the line."""
        if caller.waits:
            caller.waits = False
            self.waiting -= 1
            self._line_of(caller).remove(caller)

    def let_others_first(self, caller: Caller) -> None:
        """Put a waiting call behind all whose answer is still waited for."""
        self._lines[caller.lane].remove(caller)
        self._late.append(caller)

    def _line_of(self, caller: Caller) -> deque[Caller]:
        return self._late if caller in self._late else self._lines[caller.lane]

    def drains_in_s(self, operation: str = "") -> float:
        """Return after how long, at the department's present pace, those who wait now will have been served.

        Where other processes have all the places: when the next one comes here.
        """
        turn_s = self._turns.get("") or self._turns.get(operation)
        if turn_s:
            return round(turn_s, 1)
        if not self._per_s:
            return 1.0
        return round(min(max((self.waiting + self.busy) / self._per_s, 0.1), 60.0), 1)

    def _note_shortage(self, operation: str) -> None:
        """Note that a call must wait for want of given places; a limit found below them is the department's word."""
        if self._of.get(operation, -1) >= self._own.get(operation, 0):
            self._short.add(operation)
        elif self.busy >= self.limit.limit == self.limit.most:
            self._short.add("")

    def _free(self, caller: Caller, now: float) -> bool:
        own = self._own.get(caller.operation)
        if own is not None and self._of[caller.operation] >= own:
            return False
        limit, busy = self.limit.limit, self.busy
        if busy >= limit or caller.lane == "window":
            return busy < limit
        if now < self._counter_until:
            counter = self.under_way["window"]
            if busy - counter >= max(limit - max(ceil(limit * self._share), 1), 1):
                return False
        return caller.lane == "citizen" or self.under_way["batch"] < max(limit // 2, 1)

    def _take(self, caller: Caller) -> None:
        self.under_way[caller.lane] += 1
        if caller.operation in self._of:
            self._of[caller.operation] += 1

    def _make_room(self, lane: Lane) -> bool:
        lower = [self._lines[name] for name in reversed(LANES[LANES.index(lane) + 1 :])]
        for line in (self._late, *lower):
            if line:
                out = line.pop()
                out.waits = False
                self.waiting -= 1
                out.turn_away()
                return True
        return False

    def _admit_waiting(self, now: float) -> None:
        for caller in list(self._next(now)):
            caller.waits = False
            self.waiting -= 1
            self._line_of(caller).remove(caller)
            caller.admit()

    def _next(self, now: float) -> Iterator[Caller]:
        """Give those who have a place now, in order; each is counted as it is given."""
        for lane in LANES:
            for caller in self._lines[lane]:
                if self.busy >= self.limit.limit:
                    return
                if self._free(caller, now):
                    self._take(caller)
                    yield caller
                elif caller.operation not in self._of:
                    break  # the lane has no place; behind it only operations with a limit of their own were passed
        for caller in self._late:
            if self._free(caller, now):
                self._take(caller)
                yield caller

    def _count(self, now: float) -> None:
        self._ended += 1
        passed = now - self._since
        if passed >= _RATE_S:
            self._per_s = self._ended / passed if passed < 4 * _RATE_S else 0.0
            self._ended, self._since = 0, now
