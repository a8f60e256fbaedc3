"""The working-day calendar: worked examples, checked by hand against the announced holidays."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.directory.rules import due_on, is_provisional, is_working_day, working_days_between
from onestop.directory.service import calendar

CALENDAR = calendar()


@pytest.mark.parametrize(
    ("accepted", "days", "due"),
    [
        # An ordinary week: Monday plus five is the next Monday.
        ("2026-03-02", 5, "2026-03-09"),
        ("2026-03-02", 1, "2026-03-03"),
        ("2026-03-06", 1, "2026-03-09"),
        ("2026-03-02", 0, "2026-03-02"),
        # Accepted on a day of rest: that day is day zero all the same.
        ("2026-03-07", 1, "2026-03-09"),
        ("2026-03-07", 0, "2026-03-09"),
        # National Day 2026: 1-7 October are free, Sunday 20 September and Saturday 10 October are worked.
        ("2026-09-30", 1, "2026-10-08"),
        ("2026-09-30", 3, "2026-10-10"),
        ("2026-09-30", 5, "2026-10-13"),
        ("2026-09-18", 1, "2026-09-20"),
        ("2026-09-18", 5, "2026-09-24"),
        # Mid-autumn 2026: Friday 25 to Sunday 27 September.
        ("2026-09-24", 1, "2026-09-28"),
        # Spring Festival 2026: 15-23 February free, Saturdays 14 and 28 February worked.
        ("2026-02-13", 1, "2026-02-14"),
        ("2026-02-13", 2, "2026-02-24"),
        ("2026-02-24", 4, "2026-02-28"),
        ("2026-02-10", 10, "2026-03-02"),
        # Labour Day 2026: 1-5 May free, Saturday 9 May worked.
        ("2026-04-30", 4, "2026-05-09"),
        ("2026-04-30", 19, "2026-05-29"),
        ("2026-04-30", 20, "2026-06-01"),
        # New Year 2026: 1-3 January free, Sunday 4 January worked.
        ("2025-12-31", 1, "2026-01-04"),
        ("2025-12-31", 2, "2026-01-05"),
        # National Day 2025: 1-8 October free, Sunday 28 September and Saturday 11 October worked.
        ("2025-09-30", 1, "2025-10-09"),
        ("2025-09-30", 3, "2025-10-11"),
        ("2025-09-26", 1, "2025-09-28"),
    ],
)
def test_a_term_ends_on_the_day_counted_by_hand(accepted: str, days: int, due: str) -> None:
    assert due_on(date.fromisoformat(accepted), days, CALENDAR) == date.fromisoformat(due)


def test_a_make_up_saturday_is_worked_and_the_holiday_it_pays_for_is_not() -> None:
    assert is_working_day(date(2026, 10, 10), CALENDAR)
    assert not is_working_day(date(2026, 10, 5), CALENDAR)


def test_beyond_the_published_year_the_term_is_provisional_and_counts_weekends_only() -> None:
    assert not is_provisional(date(2026, 12, 31), CALENDAR)
    assert is_provisional(date(2027, 1, 4), CALENDAR)
    # 1 January 2027 is a Friday and surely a holiday, but not announced: it is counted, and said to be provisional.
    assert due_on(date(2026, 12, 31), 1, CALENDAR) == date(2027, 1, 1)


@given(st.dates(date(2010, 1, 1), date(2028, 1, 1)), st.integers(0, 60))
def test_the_due_day_is_a_working_day_and_exactly_that_many_lie_between(accepted: date, days: int) -> None:
    due = due_on(accepted, days, CALENDAR)
    assert is_working_day(due, CALENDAR)
    if days:
        assert working_days_between(accepted, due, CALENDAR) == days
    assert working_days_between(due, accepted, CALENDAR) == -working_days_between(accepted, due, CALENDAR)
