"""A bad day on order: what a simulator does to its answers."""

import random
import time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Fault = Literal["error", "timeout", "slow", "garbage", "reset", "cut-after-effect"]


class Ordered(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a simulator is to behave from now on; what is left out is as usual."""

    fault: Fault | None = None
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0  # of the answers that the fault happens to
    for_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None  # null: until told otherwise
    latency_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0
    polls: Annotated[int, Meta(ge=0, le=100)] = 2  # askings until what is under way ends
    callback_ms: Annotated[int, Meta(ge=0, le=60_000)] = 300
    forget: bool = False  # every effect done so far


class Scenario:
    """What was ordered last."""

    def __init__(self, ordered: Ordered | None = None, seed: int = 1) -> None:
        self._dice = random.Random(seed)  # noqa: S311 - a repeatable bad day, no secret
        self.order(ordered or Ordered())

    def order(self, ordered: Ordered) -> None:
        """Behave so from now on."""
        self.ordered = ordered
        self._until = time.monotonic() + ordered.for_s if ordered.for_s is not None else None

    @property
    def polls(self) -> int:
        """How often a thing under way is asked for until it ends."""
        return self.ordered.polls

    @property
    def latency_ms(self) -> int:
        """What every answer takes besides."""
        return self.ordered.latency_ms

    def draw(self, now: float) -> Fault | None:
        """Return what goes wrong with one answer, if anything."""
        over = self._until is not None and now >= self._until
        return (
            None
            if over or self.ordered.fault is None or self._dice.random() >= self.ordered.share
            else self.ordered.fault
        )


def parse_faults(text: str) -> Ordered:
    """Read `error:0.3,latency:200,polls:1` as the command line writes it.

    Raises:
        ValueError: a name or a number cannot be read; says which.
    """
    told: dict[str, object] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = part.partition(":")
        if name == "latency":
            told["latency_ms"] = int(number)
        elif name == "polls":
            told["polls"] = int(number)
        else:
            told |= {"fault": name, "share": float(number or 1)}
    try:
        return msgspec.convert(told, Ordered)
    except msgspec.ValidationError as fault:
        raise ValueError(str(fault)) from fault
