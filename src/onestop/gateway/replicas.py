"""Several addresses of one department: the least busy is asked, one that keeps failing is left out for a while.

Never more than half are left out, so that a fault of ours, or of the network, does not silence the department.
"""

from collections.abc import Sequence
from typing import Final

from onestop.outbound.pool import Pool

_IN_A_ROW: Final = 5  # failures in a row, as others count them
_OUT_S: Final = 5.0  # for the first time; as long again each further time
_MOST_OUT_S: Final = 60.0


class Replica:
    """One address: its pool, and how it has been doing."""

    __slots__ = ("failed_in_row", "host", "origin", "out_until", "outs", "pool", "prefix", "starts", "under_way")

    def __init__(self, pool: Pool, origin: str, host: str, prefix: str) -> None:
        self.pool = pool
        self.origin, self.host, self.prefix = origin, host, prefix
        # By what is asked, a step being one of its own: target, and how a request for it begins.
        self.starts: dict[object, tuple[str, str]] = {}
        self.under_way = 0
        self.failed_in_row = 0
        self.outs = 0  # how often it was left out without serving well in between
        self.out_until = 0.0


class Replicas:
    """All addresses of one line, and the choice among them; instants are loop time."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.all = tuple(replicas)
        self._turn = 0

    def choose(self, now: float, but: Replica | None = None) -> Replica:
        """Return the address to ask now: of those in, and other than `but` if possible, the one with fewest calls."""
        if len(self.all) == 1:
            return self.all[0]
        self._turn += 1
        turn = self._turn
        ordered = [self.all[(turn + i) % len(self.all)] for i in range(len(self.all))]
        within = [one for one in ordered if one.out_until <= now] or ordered
        others = [one for one in within if one is not but] or within
        return min(others, key=lambda one: one.under_way)

    def heard(self, replica: Replica, good: bool, now: float) -> None:
        """Note how a call to an address ended."""
        if good:
            replica.failed_in_row = replica.outs = 0
            replica.out_until = 0.0
            return
        replica.failed_in_row += 1
        out = sum(one.out_until > now for one in self.all)
        if replica.failed_in_row >= _IN_A_ROW and replica.out_until <= now and (out + 1) * 2 <= len(self.all):
            replica.outs += 1
            replica.out_until = now + min(_OUT_S * replica.outs, _MOST_OUT_S)
