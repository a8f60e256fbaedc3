from hypothesis import given
from hypothesis import strategies as st

from onestop.gateway.limits import Breaker, Pace, RetryBudget


def test_a_breaker_stays_closed_under_ten_calls_one_of_which_was_answered():
    breaker = Breaker()
    breaker.succeeded(100.0)
    for _ in range(8):
        breaker.failed(100.0)
    assert breaker.allows(100.0)


def test_five_failures_open_it_where_nothing_has_been_answered_for_ten_seconds():
    breaker = Breaker()
    breaker.succeeded(80.0)
    for _ in range(4):
        breaker.failed(100.0)
    assert breaker.allows(100.0)
    breaker.failed(100.0)
    assert not breaker.allows(100.0)


def test_a_breaker_opens_at_half_of_ten_and_lets_one_probe_through():
    breaker = Breaker()
    for _ in range(5):
        breaker.succeeded(100.0)
    for _ in range(5):
        breaker.failed(100.1)
    assert not breaker.allows(100.2)
    assert breaker.allows(101.2)
    assert not breaker.allows(101.2), "exactly one probe"


def test_a_good_probe_closes_it_and_a_bad_one_doubles_the_wait():
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(100.0)
    assert breaker.allows(101.1)
    breaker.failed(101.1)
    assert not breaker.allows(102.5)
    assert breaker.allows(103.2)
    breaker.succeeded(103.2)
    assert breaker.allows(103.2)
    assert breaker.allows(103.2)


def test_a_busy_department_that_hangs_is_left_alone_after_little_more_than_a_second():
    breaker = Breaker()
    for i in range(2000):  # ten good seconds
        breaker.succeeded(90.0 + i / 200)
    for i in range(300):  # then nothing but time-outs
        if not breaker.allows(100.5 + i / 128):
            break
        breaker.failed(100.5 + i / 128)
    assert breaker.state == "open"
    assert breaker.opened_at < 101.5


def test_one_that_has_few_places_and_was_well_a_moment_ago_is_left_alone_within_four_seconds():
    breaker = Breaker()
    for i in range(600):  # ten good seconds
        breaker.succeeded(90.0 + i / 60)
    for turn in range(20):  # four places, each held for a second and a half
        for _ in range(4):
            breaker.failed(100.3 + turn * 1.5)
    assert breaker.state == "open"
    assert breaker.opened_at <= 104.0


def test_an_answer_to_an_older_call_does_not_close_an_open_breaker():
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(100.0)
    breaker.succeeded(100.2)
    assert not breaker.allows(100.3)


def test_old_failures_are_forgotten_after_ten_seconds():
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(100.0)
    breaker.failed(111.0)
    assert breaker.allows(111.0)


def test_a_probe_that_tells_nothing_makes_room_for_the_next():
    breaker = Breaker()
    for _ in range(10):
        breaker.failed(100.0)
    assert breaker.allows(101.1)
    breaker.abandoned()
    assert breaker.allows(101.1)


@given(st.lists(st.booleans(), max_size=300))
def test_at_no_moment_of_any_course_are_there_more_than_six_attempts_for_five_requests(course):
    budget, requests, repeated = RetryBudget(), 0, 0
    for fresh in course:
        if fresh:
            budget.earned()
            requests += 1
        else:
            repeated += budget.spend()
        assert 5 * repeated <= requests


def test_a_line_that_was_asked_five_times_has_a_repetition_and_keeps_at_most_ten():
    budget = RetryBudget()
    for _ in range(4):
        budget.earned()
    assert not budget.spend()
    budget.earned()
    assert budget.spend()
    for _ in range(500):
        budget.earned()
    assert sum(budget.spend() for _ in range(100)) == 10


def test_a_pace_of_three_a_second_spaces_the_fourth():
    pace = Pace(3)
    assert [pace.wait_s(10.0) for _ in range(3)] == [0, 0, 0]
    assert 0.99 < pace.wait_s(10.0) <= 1.0
    assert pace.wait_s(11.01) == 0
