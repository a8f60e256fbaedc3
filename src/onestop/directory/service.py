"""Verbs of the directory: read the published calendar, list departments."""

from collections.abc import Iterable
from datetime import date
from functools import cache

from chinese_calendar import constants

from onestop.directory.models import Calendar, Department, Directory


@cache
def calendar() -> Calendar:
    """Return the national calendar as announced by the State Council, 2004 to the last year published."""
    days = constants.holidays.keys() | constants.workdays.keys()
    return Calendar(
        holidays=frozenset(constants.holidays),
        make_up_days=frozenset(constants.workdays),
        published_from=date(min(days).year, 1, 1),
        published_until=date(max(days).year, 12, 31),
    )


def directory(departments: Iterable[Department]) -> Directory:
    """Return the directory of these departments."""
    return Directory(departments={department.id: department for department in departments})
