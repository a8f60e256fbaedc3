from dataclasses import dataclass

import pytest

from onestop.gateway.adaptive import AdaptiveLimit
from onestop.gateway.admission import Admission


@dataclass(eq=False)
class One:
    """A call that remembers what became of it."""

    lane: str = "citizen"
    operation: str = "query"
    waits: bool = False
    admitted: bool = False
    turned_away: bool = False

    def admit(self):
        self.admitted = True

    def turn_away(self):
        self.turned_away = True


def places(count, *, waiting=8, share=0.2, own=None):
    return Admission(AdaptiveLimit(count, adaptive=False), waiting, share, own or {})


def enter(admission, count, lane="citizen", operation="query", now=0.0):
    calls = [One(lane, operation) for _ in range(count)]
    for call in calls:
        admission.enter(call, now)
    return calls


def test_no_more_go_ahead_than_there_are_places_and_no_more_wait_than_may():
    admission = places(4, waiting=2)
    calls = enter(admission, 7)
    assert [call.admitted for call in calls] == [True] * 4 + [False] * 3
    assert [call.waits for call in calls] == [False] * 4 + [True] * 2 + [False]


def test_who_waits_goes_ahead_in_order_when_a_place_is_free():
    admission = places(1)
    first, second, third = enter(admission, 3)
    admission.left(first, 1.0)
    assert (second.admitted, third.admitted) == (True, False)
    admission.left(second, 1.0)
    assert third.admitted


def test_the_counter_goes_before_citizens_and_citizens_before_bulk_work():
    admission = places(2)
    busy = enter(admission, 2, "window")
    bulk, citizen, counter = One("batch"), One("citizen"), One("window")
    for call in (bulk, citizen, counter):
        admission.enter(call, 0.0)
    admission.left(busy[0], 1.0)
    assert (counter.admitted, citizen.admitted, bulk.admitted) == (True, False, False)
    admission.left(busy[1], 100.0)  # the counter has not asked for a while: nothing is kept for it
    assert (citizen.admitted, bulk.admitted) == (True, False)


def test_places_are_kept_for_a_counter_that_asked_lately_and_for_no_other():
    quiet = places(10)
    assert sum(call.admitted for call in enter(quiet, 12)) == 10
    open_counter = places(10)
    (clerk,) = enter(open_counter, 1, "window")
    open_counter.left(clerk, 0.0)
    assert sum(call.admitted for call in enter(open_counter, 12, now=1.0)) == 8
    assert sum(call.admitted for call in enter(open_counter, 2, "window", now=1.0)) == 2


def test_bulk_work_takes_at_most_half():
    admission = places(10)
    assert sum(call.admitted for call in enter(admission, 9, "batch")) == 5
    assert sum(call.admitted for call in enter(admission, 9)) == 5


def test_a_full_waiting_line_makes_room_for_a_higher_lane_by_the_newest_of_the_lowest():
    admission = places(1, waiting=2)
    enter(admission, 1)
    older, newer = enter(admission, 2, "batch")
    counter = One("window")
    assert admission.enter(counter, 0.0)
    assert (older.turned_away, newer.turned_away, counter.waits) == (False, True, True)
    assert not admission.enter(One("batch"), 0.0), "nobody makes room for their own kind"


def test_an_operation_with_a_limit_of_its_own_does_not_block_the_others():
    admission = places(10, own={"slow": 2})
    slow = enter(admission, 4, operation="slow")
    assert [call.admitted for call in slow] == [True, True, False, False]
    (quick,) = enter(admission, 1)
    assert quick.admitted, "it does not wait behind what it does not need"
    admission.left(slow[0], 0.0)
    assert slow[2].admitted


def test_who_gives_up_waiting_leaves_the_line():
    admission = places(1, waiting=1)
    first, second = enter(admission, 2)
    admission.withdraw(second)
    (third,) = enter(admission, 1)
    admission.left(first, 0.0)
    assert (second.admitted, third.admitted, admission.waiting) == (False, True, 0)


@pytest.mark.parametrize(("per_s", "expected"), [(10, 1.2), (100, 0.12)])
def test_when_to_come_again_is_told_from_the_pace_measured(per_s, expected):
    admission = places(4)
    for n in range(per_s * 10):
        (call,) = enter(admission, 1, now=n / per_s)
        admission.left(call, n / per_s)
    enter(admission, 12)
    assert admission.drains_in_s() == pytest.approx(expected, rel=0.3)
