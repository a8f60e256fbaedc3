"""When a department says it may be asked again: `Retry-After`, as seconds or as an HTTP date."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from onestop import clock
from onestop.outbound.models import Reply

LONGEST_S = 86_400.0  # no word of a department keeps us away for longer than a day


def retry_after_s(reply: Reply) -> float | None:
    """Return how long a reply asks us to stay away, from 0 to a day; None where it says nothing that can be read.

    A date counts from the department's own `Date`, where it tells one: its clock need not be ours.
    """
    told = reply.header(b"retry-after")
    if told is None:
        return None
    if told.isdigit():
        return min(float(told[:20]), LONGEST_S)
    until = http_date(told)
    if until is None:
        return None
    since = http_date(reply.header(b"date")) or clock.real_now()
    return min(max((until - since).total_seconds(), 0.0), LONGEST_S)


def http_date(told: bytes | None) -> datetime | None:
    """Return the instant of an HTTP date in any of its three forms; None where it is none."""
    try:
        found = parsedate_to_datetime(told.decode("ascii")) if told is not None and len(told) <= 64 else None
        return found and found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
