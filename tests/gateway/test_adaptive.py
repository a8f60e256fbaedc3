"""The limit against a simulated department: so many calls at once, the others wait there, in order."""

import heapq
import random
from collections import deque

import pytest

from onestop.gateway.adaptive import FLOOR, AdaptiveLimit


def watched(capacity_at, seconds, *, service_s=lambda _: 0.02, noise=0.1, clients=200, most=256, seed=1):
    """Return (second, limit) twice a second, while `clients` always have something to ask."""
    draw = random.Random(seed)
    limit = AdaptiveLimit(most)
    now, busy, under_way, waiting, seen = 0.0, 0, 0, clients, []
    line, ends = deque(), []

    def begin(started):
        heapq.heappush(ends, (now + service_s(now) * draw.lognormvariate(0, noise), started))

    def ask():
        nonlocal under_way, waiting, busy
        while waiting and under_way < limit.limit:
            waiting, under_way = waiting - 1, under_way + 1
            if busy < capacity_at(now):
                busy += 1
                begin(now)
            else:
                line.append(now)

    ask()
    while now < seconds:
        now, started = heapq.heappop(ends)
        busy -= 1
        while line and busy < capacity_at(now):
            busy += 1
            begin(line.popleft())
        limit.ended("query", started, now, under_way, False, 0.0)
        under_way, waiting = under_way - 1, waiting + 1
        ask()
        if now >= len(seen) / 2:
            seen.append((now, limit.limit))
    return seen


def grown(most):
    """Return a limit that has grown to the most it may be."""
    limit = AdaptiveLimit(most)
    for n in range(3000):
        limit.ended("query", n / 500, n / 500 + 0.02, limit.limit, False, 0.0)
    assert limit.limit == most
    return limit


def between(seen, begin, end):
    return sorted(limit for at, limit in seen if begin <= at < end)


@pytest.mark.parametrize("service_s", [0.02, 0.1])
@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_it_finds_a_capacity_of_50_then_10_then_50_within_15_s(service_s, noise):
    seen = watched(lambda at: 10 if 15 <= at < 30 else 50, 45, service_s=lambda _: service_s, noise=noise)
    for begin, capacity in ((0, 50), (15, 10), (30, 50)):
        limits = between(seen, begin + 8, begin + 15)
        assert 0.8 * capacity <= limits[len(limits) // 2] <= 1.2 * capacity


def test_a_department_that_gets_slower_by_itself_keeps_its_places_after_a_few_seconds():
    seen = watched(lambda _: 50, 30, service_s=lambda at: 0.02 if at < 15 else 0.06)
    assert between(seen, 22, 30)[0] >= 40


def test_a_department_without_a_limit_is_asked_as_much_as_the_manifest_allows():
    assert watched(lambda _: 10_000, 10, clients=400)[-1][1] == 256


def test_answers_within_one_tick_of_the_clock_do_not_break_it():
    limit = AdaptiveLimit(64)
    for n in range(500):
        limit.ended("query", n / 500, n / 500, limit.limit, False, 0.0)
    assert limit.limit == 64


def test_refusals_shrink_the_limit_and_a_few_time_outs_do_not():
    limit = grown(100)
    for n in range(200):
        limit.ended("query", 10 + n / 100, 10 + n / 100 + 0.02, 100, n % 20 == 0, 0.0)
    assert limit.limit == 100
    for n in range(2000):
        limit.ended("query", 20 + n / 100, 20 + n / 100 + 0.02, limit.limit, True, 0.0)
    assert limit.limit == FLOOR


def test_what_a_lagging_process_measures_does_not_shrink_the_limit():
    limit = grown(50)
    for n in range(3000):
        lag = 0.0 if n < 1000 else 0.05
        limit.ended("query", 10 + n / 500, 10 + n / 500 + 0.02 + lag, 50, False, lag)
    assert limit.limit == 50


def test_operations_are_compared_with_their_own_kind():
    limit = grown(50)
    for n in range(4000):
        slow = (n // 100) % 2  # a hundred quick ones, a hundred slow ones, in turn
        took = 0.5 if slow else 0.01
        limit.ended("slow" if slow else "quick", 10 + n / 500, 10 + n / 500 + took, 50, False, 0.0)
    assert limit.limit == 50
