"""When a challenge is called to mind, and when it goes to the next person: pure, over terms that are data."""

import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from importlib import resources
from typing import Literal

import msgspec

Post = Literal["officer", "head", "supervisor"]
MoveKind = Literal["reminder", "escalation"]


class Next(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose a challenge becomes, and how many working days after its term."""

    post: Post
    after_days: int


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `challenge_terms.toml` says; days are working days."""

    answer_days: int
    source: str
    as_of: date
    confidence: Literal["high", "medium", "low"]
    remind_after_days: tuple[int, ...]
    next: tuple[Next, ...]

    def post(self, level: int) -> Post:
        """Return with whom a challenge of a level is."""
        return self.next[level - 1].post if level else "officer"


class Move(msgspec.Struct, frozen=True):
    """One thing that happens to a challenge which nobody answers."""

    kind: MoveKind
    level: int  # with whom it is from then on
    on: date  # the first day of it


@cache
def terms() -> Terms:
    """Return the terms that onestop comes with."""
    told = resources.files(__package__).joinpath("challenge_terms.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(told), Terms)


def plan(opened_on: date, due: date, told: Terms, due_on: Callable[[date, int], date]) -> list[Move]:
    """Return what happens until somebody answers, in order.

    `due` is the last day of the term, `due_on` counts working days. Rule: R-042, reminders within the term, the next
    person when it is over.
    """
    reminders = [Move("reminder", 0, due_on(opened_on, days)) for days in told.remind_after_days]
    # A day that is still the term's last is nobody's delay: the next person has it from the day after.
    ends = [due if one.after_days == 0 else due_on(due, one.after_days) for one in told.next]
    escalations = [Move("escalation", level, end + timedelta(days=1)) for level, end in enumerate(ends, 1)]
    return sorted((*reminders, *escalations), key=lambda one: one.on)
