"""What a department's `Retry-After` is read as."""

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop import clock
from onestop.gateway.retry_after import LONGEST_S, retry_after_s
from onestop.outbound.models import Reply

DATE = b"Wed, 25 Nov 2026 08:00:00 GMT"


def reply(told, date=DATE):
    headers = [(b"retry-after", told)] + ([(b"date", date)] if date is not None else [])
    return Reply(429, headers, b"", False, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "told",
    [b"", b"soon", b"-5", b"1.5", b"Wed, 99 Nov 2026 08:00:00 GMT", b"Wed, 25 Nov 2026", b"\xff" * 10, b"9" * 3 + b"x"],
)
def test_what_is_neither_seconds_nor_a_date_says_nothing(told):
    assert retry_after_s(reply(told)) is None


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (b"120", 120.0),
        (b"Wed, 25 Nov 2026 08:02:00 GMT", 120.0),
        (b"Wednesday, 25-Nov-26 08:02:00 GMT", 120.0),
        (b"Wed Nov 25 08:02:00 2026", 120.0),
        (b"Wed, 25 Nov 2026 07:00:00 GMT", 0.0),
        (b"Sat, 25 Nov 2028 08:00:00 GMT", LONGEST_S),
        (b"9999999", LONGEST_S),
        (b"9" * 400, LONGEST_S),
    ],
)
def test_seconds_and_dates_are_read_up_to_a_day_by_the_departments_own_clock(told, seconds):
    assert retry_after_s(reply(told)) == seconds


@pytest.mark.parametrize("date", [None, b"today"], ids=["no Date", "a Date that is none"])
def test_a_date_counts_from_our_clock_where_the_department_tells_none(date):
    told = format_datetime(clock.real_now() + timedelta(seconds=3600), usegmt=True).encode()
    assert 3500 < retry_after_s(reply(told, date)) <= 3600


@given(st.binary(max_size=80), st.none() | st.binary(max_size=80))
def test_no_word_breaks_the_reading_or_keeps_us_away_for_more_than_a_day(told, date):
    found = retry_after_s(reply(told, date))
    assert found is None or 0 <= found <= LONGEST_S
