"""What is declared holds for all processes together: while they come, leave, are killed, lose the database."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.db import open_pool
from onestop.gateway import running, store_line_shares
from onestop.gateway.line_shares import TURN_S, Share, decide, split, turn_in_s
from onestop.gateway.store_line_shares import Holding
from tests.gateway.department import department, manifest_text
from tests.gateway.sharing import Counting, Sharer

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
LIMIT = 12


def declaring(concurrency, limits="", query=""):
    """Return a manifest whose limit does not move, with further lines of its limits and of its query."""
    text = manifest_text("one", concurrency=concurrency, query=query).decode()
    return text.replace("[limits]", f"[limits]\nadaptive = false\n{limits}").encode()


MANIFEST = declaring(LIMIT)


# ---- the rule


_MEMBERS = st.lists(st.tuples(st.integers(0, 250), st.booleans()), min_size=1, max_size=60)


@given(st.integers(1, 200), _MEMBERS, st.integers(0, 10**9))
def test_the_parts_are_whole_sum_to_what_is_declared_and_nobody_lacks_what_another_has_to_spare(limit, members, turn):
    wanted = [want for want, _ in members]
    parts, count = split(limit, wanted, turn, [serves for _, serves in members]), len(wanted)
    assert sum(parts) == limit
    assert min(parts) >= max(limit // count // 4, 1) or limit < count
    if limit >= count:
        for part, want in zip(parts, wanted, strict=True):
            assert part >= min(want, limit // count), "an equal part is everybody's who wants it"
            assert part >= want or max(parts) <= part + 1, "who lacks has no less than who has most"


@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 250), st.integers(0, 10**9))
def test_who_want_alike_and_serve_alike_have_equal_parts_but_for_one(limit, count, want, turn):
    parts = split(limit, [want] * count, turn)
    assert max(parts) - min(parts) <= 1


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 10**6))
def test_where_places_are_fewer_each_process_has_one_equally_often_and_is_told_when(limit, count, turn):
    turns = [split(limit, [0] * count, turn + k) for k in range(count)]
    if limit < count:
        assert {sum(parts) for parts in zip(*turns, strict=True)} == {limit}
    epoch = turn * TURN_S + 3.0
    for index, has in enumerate(turns[0]):
        after_s = turn_in_s(limit, count, index, epoch)
        assert (after_s == 0) == bool(has)
        assert split(limit, [0] * count, int((epoch + after_s) / TURN_S))[index]


_STEPS = ["round", "join", "leave", "kill", "gone", "begin", "end", "want"]
_STEP = st.tuples(st.sampled_from(_STEPS), st.integers(0, 7))


@given(st.integers(1, 20), st.lists(_STEP, max_size=120))
def test_in_no_course_of_joining_leaving_and_dying_is_more_held_or_under_way_than_declared(limit, course):
    rows, places, under_way, epoch = {}, {}, {}, 0.0  # what the database says; what each may; what each does
    wanted = {}

    def holdings(names):
        return [
            Holding(process=one, host="", held={"a": rows[one]}, wanted={"a": wanted.get(one, 0)})
            for one in sorted(names)
        ]

    for what, who in course:
        epoch += 1.7
        name = f"p{who}"
        if what == "join" and name not in rows:
            rows[name], places[name], under_way[name] = 0, 0, 0
        elif what == "round" and name in places:
            told = decide({"a": limit}, holdings(rows), name, epoch)["a"]
            rows[name], places[name] = max(told.places, under_way[name]), told.places
        elif what == "leave" and name in places and not under_way[name]:
            del rows[name], places[name], under_way[name]
        elif what == "kill" and name in places:
            del places[name], under_way[name]  # its row stays
        elif what == "gone" and name in rows and name not in places:
            del rows[name]
        elif what == "begin" and name in places and under_way[name] < places[name]:
            under_way[name] += 1
        elif what == "end" and under_way.get(name):
            under_way[name] -= 1
        elif what == "want":
            wanted[name] = (wanted.get(name, 0) * 7 + who + 3) % 23
        assert sum(rows.values()) <= limit
        assert sum(under_way.values()) <= limit
    for _ in range(2):  # once all calls have ended and the dead are forgotten, everything is given out again
        for name in sorted(places):
            rows[name] = places[name] = decide({"a": limit}, holdings(places), name, epoch)["a"].places
    assert not places or sum(places.values()) == limit


def test_what_is_not_known_of_another_machine_is_not_held_against_a_process():
    space, number, began = running.here().rsplit("/", 2)
    assert not running.has_ended(running.here())
    assert not running.has_ended(f"elsewhere/{number}/1")
    assert not running.has_ended(f"{space}/{number}/")
    if began:  # where processes can be told apart
        assert running.has_ended(f"{space}/{number}/1"), "the number was given again"


# ---- several processes, one department


@asynccontextmanager
async def city(dsn, count, manifest=MANIFEST):
    """Give a department that counts, and processes with pools of their own that have not joined yet."""
    counting = Counting()
    pools = [await open_pool(dsn, size=2) for _ in range(count)]
    await pools[0].execute("TRUNCATE line_shares")
    async with department(counting) as served:
        sharers = [Sharer(pool, served.port, manifest) for pool in pools]
        try:
            yield counting, sharers, served.port
        finally:
            for sharer in sharers:
                await sharer.stop()
            for pool in pools:
                await pool.close()


async def rounds(*sharers, times=3):
    """Let each do its round, with calls flowing between."""
    for _ in range(times):
        for sharer in sharers:
            await sharer.round()
            await asyncio.sleep(0.01)


async def test_the_sum_is_never_above_the_limit_while_processes_join_leave_and_die(dsn):
    async with city(dsn, 4) as (counting, (first, second, third, fourth), _):
        first.start()
        await rounds(first)
        assert first.share == LIMIT, "alone it has all"
        second.start()
        await second.round()
        assert second.share == 0, "nothing is taken before it is given"
        await rounds(first, second)
        assert (first.share, second.share) == (6, 6)
        third.start()
        fourth.start()
        await rounds(first, second, third, fourth)
        assert [one.share for one in (first, second, third, fourth)] == [3, 3, 3, 3]
        await fourth.stop()  # killed: nobody said goodbye
        await rounds(first, second, third)
        assert first.share + second.share + third.share == LIMIT - 3, "what it held is not taken while it may live"
        await first.shares._pool.execute(
            "UPDATE line_shares SET seen_at = seen_at - interval '31 s' WHERE process = $1", fourth.shares.process
        )
        await rounds(first, second, third)
        assert [one.share for one in (first, second, third)] == [4, 4, 4]
        await third.stop()
        await third.shares.leave()
        await rounds(first, second)
        assert (first.share, second.share) == (6, 6)
        assert counting.most == LIMIT, "and the places were really used"


async def test_who_is_killed_is_seen_by_its_machine_and_its_share_is_taken(dsn, tmp_path):
    (tmp_path / "one.toml").write_bytes(MANIFEST)
    async with city(dsn, 1) as (counting, (here,), port):
        here.start()
        await here.round()
        command = ("-m", "tests.gateway.sharing_process", dsn, str(port), str(tmp_path / "one.toml"))
        other = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(60):
                calls = asyncio.create_task(other.stdout.readline())
                while not calls.done():
                    await rounds(here, times=1)
                assert calls.result() == b"calls\n"
            assert here.share == LIMIT / 2
            await asyncio.sleep(0.1)
        finally:
            other.kill()
            await other.wait()
        await counting.quiet(here.share)  # what it had sent is still being answered
        await rounds(here, times=2)
        assert here.share == LIMIT
        assert counting.most <= LIMIT


async def test_calls_under_way_keep_their_places_until_they_end(dsn):
    async with city(dsn, 2) as (_, (first, second), _port):
        await first.round()
        admission = first.line.admission
        admission.under_way["citizen"] = 10
        for sharer in (first, second):
            sharer.line.admission._short.add("")  # both could use more
        await rounds(first, second)
        assert (first.share, second.share) == (6, 2), "ten are under way: two places are free"
        admission.under_way["citizen"] = 0
        await rounds(first, second)
        assert (first.share, second.share) == (6, 6)


async def test_what_one_has_no_use_for_another_may_use_and_gives_back(dsn):
    async with city(dsn, 2) as (counting, (first, second), _port):
        await rounds(first, second)
        assert (first.share, second.share) == (6, 6), "nobody calls"
        first.start()
        await asyncio.sleep(0.02)
        await rounds(first, second)
        assert (first.share, second.share) == (11, 1), "the idle one keeps a place for its next call"
        second.start()
        await asyncio.sleep(0.02)
        await rounds(second, first, second)
        assert (first.share, second.share) == (6, 6)
        assert counting.most == LIMIT


async def test_a_database_that_was_away_makes_nobody_take_the_others_for_dead(dsn):
    async with city(dsn, 2) as (_, (first, second), _port):
        await rounds(first, second)
        await first.shares._pool.execute("UPDATE line_shares SET seen_at = seen_at - interval '20 s'")
        first.shares._rounded -= 20  # its own rounds had failed as well
        await first.round()
        assert first.share == 6
        await rounds(second, first)
        assert (first.share, second.share) == (6, 6)
        await first.shares._pool.execute(
            "UPDATE line_shares SET seen_at = seen_at - interval '20 s' WHERE process = $1", second.shares.process
        )
        await first.round()
        assert first.share == LIMIT, "the other one alone was silent"


async def test_a_process_without_the_database_keeps_its_share(dsn):
    async with city(dsn, 2) as (_, (first, second), _port):
        await rounds(first, second)
        await second.shares._pool.close()
        with pytest.raises(Exception, match="pool is clos"):
            await second.round()
        assert second.share == 6


async def test_a_round_that_never_ends_holds_up_no_other_process_for_longer_than_a_second(dsn):
    async with city(dsn, 2) as (_, (first, second), _port):
        await rounds(first, second)
        async with first.shares._pool.acquire() as db, db.transaction():
            await db.execute(store_line_shares.LOCK_SHARES)  # as by a process that was stopped in the middle
            with pytest.raises(asyncpg.LockNotAvailableError):
                await second.round()
        assert second.share == 6
        await second.round()


async def test_where_places_are_fewer_one_is_told_when_its_turn_comes_and_the_others_call(dsn):
    async with city(dsn, 3, declaring(1)) as (counting, sharers, _):
        await rounds(*sharers)
        # A turn may pass between two of the rounds; what was given is then taken a round later.
        assert sum(one.share for one in sharers) <= 1
        for one in sharers:
            one.start()
        await rounds(*sharers)
        waits = [told for one in sharers for told in one.turned_away]
        assert waits
        assert all(0 < told <= 3 * TURN_S for told in waits)
        assert counting.most == 1


async def test_rates_operations_own_limits_and_kept_repetitions_are_divided_alike(dsn):
    told = declaring(LIMIT, "per_second = 10.0", "concurrency = 5\nper_second = 4.0")
    async with city(dsn, 2, told) as (_, sharers, _port):
        await rounds(*sharers)
        for sharer in sharers:
            assert sharer.line.pace.per_second == 5.0
            assert sharer.line.paces["query"].per_second == 2.0
            assert not sharer.line.pace.was_short()
            for _ in range(100):
                sharer.line.retries.earned()
            assert sum(sharer.line.retries.spend() for _ in range(100)) == 5
        assert sorted(sharer.line.admission._own["query"] for sharer in sharers) == [2, 3]


async def test_a_worker_that_is_idle_leaves_the_rate_to_who_serves_people_and_has_it_when_it_needs_it(dsn):
    async with city(dsn, 2, declaring(3, "per_second = 2.0")) as (_, (gateway, worker), _port):
        gateway.shares._serves = True
        await rounds(gateway, worker)
        assert (gateway.share, worker.share) == (2, 1)
        assert (gateway.line.pace.per_second, worker.line.pace.per_second) == (1.75, 0.25)
        for sharer in (gateway, worker):
            for _ in range(9):
                sharer.line.pace.wait_s(asyncio.get_running_loop().time())
        await rounds(worker, gateway, worker)
        assert (gateway.line.pace.per_second, worker.line.pace.per_second) == (1.0, 1.0)


def test_a_share_says_what_is_held_when_less_may_begin():
    found = [Holding(process="a", host="", held={"x": 9}), Holding(process="b", host="", held={})]
    assert decide({"x": 12}, found, "a", 0.0)["x"] == Share(12, 6, 9)
    assert decide({"x": 12}, found, "b", 0.0)["x"] == Share(12, 3, 3), "no more than is left"
