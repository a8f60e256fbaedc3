"""What is deletable at a person's word, what must be kept until when; pure."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from onestop.basis.purposes import Retention
from onestop.clock import CHINA

# Classes that go at the person's own word: nothing rests on them any more.
DELETABLE: Final = frozenset({"draft", "lookup", "consent"})
# Classes that hinder an erasure; the ledger holds names of fields and an id that says nothing by then.
_HINDERING: Final = frozenset({"case", "certificate"})


def kept_until(kept: Retention, newest: datetime | None) -> date | None:
    """Return the last day a class is kept for its newest record; None: for good, or its time has not begun."""
    if kept.days is None or newest is None:
        return None
    return newest.astimezone(CHINA).date() + timedelta(days=kept.days)


def hindering(held: Sequence[tuple[str, int, date | None]], today: date) -> list[tuple[str, date | None]]:
    """Return the classes (code, count, kept until) for whose sake a person is not erased yet, each with its day.

    Rule: R-132, what the law asks to be kept is kept, and the person is told what and until when.
    """
    return [
        (code, until)
        for code, count, until in held
        if code in _HINDERING and count and (until is None or until >= today)
    ]
