"""Counting working days: pure, over a calendar that is data."""

from datetime import date, timedelta

from onestop.directory.models import Calendar

_DAY = timedelta(days=1)


def is_working_day(day: date, calendar: Calendar) -> bool:
    """Tell whether departments work on `day`.

    Rule: R-001, Saturdays, Sundays and published holidays do not count; make-up days do.
    """
    if day in calendar.make_up_days:
        return True
    return day.weekday() < 5 and day not in calendar.holidays


def due_on(accepted: date, working_days: int, calendar: Calendar) -> date:
    """Return the last day a department may take; `accepted` itself is day zero.

    With no days at all it is the same day, or the next working day where `accepted` is none.
    Rule: R-002, the first day is not counted, and a last day that is no working day moves to the next one.
    """
    day, left = accepted, working_days
    while left > 0:
        day += _DAY
        left -= is_working_day(day, calendar)
    while not is_working_day(day, calendar):
        day += _DAY
    return day


def working_days_between(start: date, end: date, calendar: Calendar) -> int:
    """Return how many working days lie after `start` up to and including `end`; negative where `end` is earlier."""
    if end < start:
        return -working_days_between(end, start, calendar)
    return sum(is_working_day(start + timedelta(days=n), calendar) for n in range(1, (end - start).days + 1))


def is_provisional(day: date, calendar: Calendar) -> bool:
    """Tell whether the holidays around `day` are not announced yet, so that a term ending there may still move.

    Rule: R-003, a term beyond the published calendar counts weekends only and says so.
    """
    return not calendar.published_from <= day <= calendar.published_until
