"""What stands behind a version before a second person may approve it; pure.

A run against what onestop itself plays shows that a manifest agrees with itself. Only the department's own test system
shows that the manifest agrees with the department.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Literal

from onestop.onboarding.errors import ReasonMissing
from onestop.onboarding.models import Run, RunTarget

RUN_HOLDS: Final = timedelta(days=14)  # a test system that was asked longer ago may answer otherwise by now

Proof = Literal["proved", "stated", "desk", "none", "simulated", "old", "failed", "unplayed"]
_SHORTEST = 10  # characters: "none" tells the second person nothing
_ENOUGH: Final[frozenset[Proof]] = frozenset({"proved", "stated", "desk"})


def proof(runs: Mapping[RunTarget, Run], reason: str | None, desk: bool, now: datetime) -> Proof:
    """Return what the last runs over exactly a version's bytes amount to.

    `reason` is why there is no test system. It stands in for a run against one, never for a run that failed, and asks
    for a run that is green against the simulator all the same.
    """
    if desk:  # people answer: there is nothing to run against
        return "desk"
    run, played = runs.get("sandbox"), runs.get("simulator")
    if run is not None and not run.passed:
        return "failed"
    if run is not None and fresh(run, now):
        return "proved"
    if reason:
        return "stated" if played is not None and played.passed and fresh(played, now) else "unplayed"
    if run is not None:
        return "old"
    return "simulated" if played is not None and played.passed else "none"


def stated(told: str | None) -> str | None:
    """Return a reason why there is no test system, tidied; None where none was given.

    Raises:
        ReasonMissing: it says next to nothing.
    """
    if told is None:
        return None
    reason = " ".join(told.split())
    if len(reason) < _SHORTEST:
        raise ReasonMissing(move="submit (no_test_system)")
    return reason


def fresh(run: Run, now: datetime) -> bool:
    """Tell whether a run is recent enough to be believed."""
    return now - run.at <= RUN_HOLDS


def enough(found: Proof) -> bool:
    """Tell whether a version may be approved on the strength of it."""
    return found in _ENOUGH
