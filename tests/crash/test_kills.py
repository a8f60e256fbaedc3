"""Two gateways and two workers on one database work as one; kill -9 of any of them loses nothing and doubles nothing.

The suite runs it small; `CRASH=full` (what `make crash` says) and `CRASH=long` make it larger. `CRASH_SEED=n` repeats
the choice and the times of the kills, but not what they hit.
"""

import asyncio
import os
import random
import time
from collections import Counter

import httpx
import msgspec
import pytest

from . import evidence
from .applicants import Applicant, GaveUp, Tally, invite
from .checker import check
from .city import DEPARTMENTS, City, Killer, open_city

# The applicants' own HTTP client now and then leaves a socket to the collector when a gateway dies while it connects.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:unclosed (<socket|transport):ResourceWarning")]

DOERS = ("weijian", "gongan", "renshe", "yibao")  # the departments with something to do in the bundle
_AT_ONCE = 16
_BETWEEN_KILLS_S = 1.75  # on average
_REST_S = 120.0  # within which everything must have come to rest
_LOOK_S = 0.5
_ELSE_S = 120.0  # for the start, the last answers and the comparison


class Size(msgspec.Struct, frozen=True):
    """How large a run is."""

    submissions: int
    kills: int
    people: int


SIZES = {"small": Size(60, 6, 20), "full": Size(200, 20, 40), "long": Size(1000, 100, 100)}


async def test_kill_9_of_any_process_loses_nothing_and_doubles_nothing(capsys):
    size = SIZES[os.environ.get("CRASH", "small")]
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(1_000_000))
    began = time.monotonic()
    async with asyncio.timeout(size.kills * _BETWEEN_KILLS_S + _REST_S + _ELSE_S), open_city() as city:
        tally = Tally()
        applicants, during, left = await _submit_while_killing(city, size, random.Random(seed), tally)
        rested = await _come_to_rest(city)
        again = await evidence.sent_again(city.parts.pool)
        db = await evidence.database(city.parts)
        entries = evidence.ledgers(city.folder, DEPARTMENTS)
        faults = check([one.account() for one in applicants], db, entries, evidence.BIRTH)
        effects = sum(entry.effect_id is not None for entry in entries)
        kinds = Counter(fault.kind for fault in faults)
        with capsys.disabled():
            print(
                f"\ncrash: {size.submissions} submissions, {sum(one.acknowledged for one in applicants)} acknowledged, "
                f"{tally.unknown} unknown at client, {tally.resolved} resolved, {effects} effects, "
                f"{_count(kinds, 'doubled')} duplicates, {_count(kinds, 'lost')} lost, {during} kills, "
                f"{time.monotonic() - began:.0f} s"
            )
            print(
                f"crash: seed {seed}; kills: {', '.join(f'{p.name} {p.kills}' for p in city.victims)}; "
                f"{tally.requests} requests, {tally.refused} not connected, {tally.hung_up} hung up by the client, "
                f"{tally.committed} unknown had been done, {tally.repeated} repeated after their answer; "
                f"{left} effects in the hands of killed workers, {again} sent again; "
                f"at rest {rested:.0f} s after the last answer"
            )
        assert not faults, f"{dict(kinds)}: {faults[:20]}"
        assert len(db.rows) == effects == 6 * size.submissions
        assert tally.unknown == tally.resolved
        assert await evidence.unwritten(city.parts.pool) == []
        ledger = await evidence.sealed(city.parts)
        assert [finding.says() for finding in ledger.findings] == []
        assert (ledger.pending, ledger.unanchored) == (0, 0)
        assert ledger.entries > 4 * size.submissions
        assert during == size.kills, "some kills came after the last submission was answered"
        assert {p.kills > 0 for p in city.victims} == {True}
        if size.kills >= SIZES["full"].kills:  # a small run may miss by chance
            assert tally.committed, "no answer was lost: nothing was learned about repetition"
            assert left, "no kill hit a worker at work: nothing was learned about leases"
        # As one: both gateways answered, both workers settled.
        assert set(tally.served) == set(city.gateways)
        for worker in ("worker-1", "worker-2"):
            assert '"event": "effect_settled"' in city.processes[worker].log.read_text(), worker


def _count(kinds: Counter[str], first: str) -> int:
    return sum(times for kind, times in kinds.items() if kind.startswith(first))


async def _submit_while_killing(
    city: City, size: Size, dice: random.Random, tally: Tally
) -> tuple[list[Applicant], int, int]:
    """Return the clients, the kills before the last submission was answered, and the effects killed workers held."""
    span = size.kills * _BETWEEN_KILLS_S
    people = await invite(city.parts.sessions, size.people)
    killer = Killer(city, size.kills, dice)
    limits = httpx.Limits(max_connections=2 * _AT_ONCE)
    slots, hopeless = asyncio.Semaphore(_AT_ONCE), asyncio.Event()
    in_round = size.submissions // size.kills
    async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=10.0) as client:
        applicants = [Applicant(n, people[n % len(people)], city.gateways, client) for n in range(size.submissions)]
        # Slow enough to be in the middle of something when a kill falls; most of the time answers get lost as well.
        await city.tell("_set", ("weijian", "gongan"), delay_ms=200)
        await city.tell("_fail", DOERS, mode="drop-after-effect", share=0.2, for_s=span * 0.7)

        async def one(nth: int, applicant: Applicant) -> None:
            # The first half of a round is under way when its kill falls, the second half begins after it.
            turn, place = divmod(nth, in_round)
            await killer.rounds[turn].begins.wait()
            if place >= in_round // 2:
                await killer.rounds[turn].fallen.wait()
            async with slots:
                # The check tells who gave up; the others need not wait as long to learn the same.
                if not hopeless.is_set():
                    try:
                        await applicant.apply(tally, again=nth % 5 == 0)
                    except GaveUp:
                        hopeless.set()

        killing = asyncio.create_task(killer.run())
        try:
            await asyncio.gather(*(one(nth, applicant) for nth, applicant in enumerate(applicants)))
            during = killer.done
            await killing
        finally:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
    return applicants, during, await killer.left_behind()


async def _come_to_rest(city: City) -> float:
    """Return after how many seconds every system's step had ended; the check tells what never did."""
    began = time.monotonic()
    for _ in range(int(_REST_S / _LOOK_S)):
        if not await evidence.unsettled(city.parts.pool):
            break
        await asyncio.sleep(_LOOK_S)
    return time.monotonic() - began
