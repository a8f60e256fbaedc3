"""How a department is told to misbehave, kept in a file so that a restart does not heal it."""

import os
import random
import time
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Mode = Literal["timeout", "error", "drop-after-effect", "garbage", "slow"]
Share = Annotated[float, Meta(ge=0, le=1)]
Milliseconds = Annotated[int, Meta(ge=0, le=600_000)]


class Fail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Misbehave in one way, for some seconds, for a share of the requests."""

    mode: Mode
    for_s: Annotated[float, Meta(gt=0, le=86_400)] = 120.0
    share: Share = 1.0


class Set(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Change a department's manners; what is left out stays."""

    delay_ms: Milliseconds | None = None
    slow_ms: Milliseconds | None = None
    extension_ms: Milliseconds | None = None
    flaky_share: Share | None = None
    rate_per_s: Annotated[float, Meta(gt=0, le=100_000)] | None = None


class Manners(msgspec.Struct, kw_only=True):
    """What is in force now.

    `delay_ms` is the department's own pace: how long renshe takes before its callback, yibao before a claim is
    decided, and the others before any answer.
    """

    mode: Mode | None = None
    until: float = 0.0  # seconds since the epoch
    share: float = 1.0
    delay_ms: int = 0
    slow_ms: int = 8_000  # of trigger person 906 and of the mode `slow`
    extension_ms: int = 3_000  # how long trigger person 910 waits after hearing of the extension
    flaky_share: float = 0.0
    rate_per_s: float = 3.0


class Faults:
    """The manners of one department and the dice that decide which requests they hit; the dice are seeded."""

    def __init__(self, path: Path, defaults: Manners, seed: int) -> None:
        self._path = path
        self.manners = msgspec.json.decode(path.read_bytes(), type=Manners) if path.exists() else defaults
        self._dice = random.Random(seed)

    def draw(self) -> Mode | None:
        """Return how to misbehave for the request at hand; None: not at all."""
        manners = self.manners
        if manners.mode is None or time.time() >= manners.until:
            return None
        return manners.mode if manners.share >= 1 or self._dice.random() < manners.share else None

    def flaky(self) -> Literal["error", "cut"] | None:
        """Return how an unreliable system spoils the request at hand; None: it does not."""
        if self.manners.flaky_share <= 0 or self._dice.random() >= self.manners.flaky_share:
            return None
        return "error" if self._dice.random() < 0.5 else "cut"

    def fail(self, order: Fail) -> None:
        """Start to misbehave."""
        self.manners.mode, self.manners.share = order.mode, order.share
        self.manners.until = time.time() + order.for_s
        self._save()

    def heal(self) -> None:
        """Behave again; the pace stays as it was set."""
        self.manners.mode, self.manners.until = None, 0.0
        self._save()

    def set(self, order: Set) -> None:
        """Take over whatever the order names."""
        for name, value in msgspec.structs.asdict(order).items():
            if value is not None:
                setattr(self.manners, name, value)
        self._save()

    def _save(self) -> None:
        new = self._path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(self.manners))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
