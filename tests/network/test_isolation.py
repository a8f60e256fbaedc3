"""One department hangs at full load and the others do not feel it; a limit finds what a department bears.

A short run stands in the suite; `make isolation` runs the whole. Loads are paced, not closed loops: who waits for a
department that hangs must not ask the others less, or more, for it.
"""

import asyncio
import os
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

import pytest
import uvloop

from onestop.gateway.call import CallFailed
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import parse
from onestop.gateway.overrides import WHOLE, Override, Overrides
from onestop.outbound.addresses import AllowList
from tests.ports import free_port

from .portal import HOST, MANIFEST, Connection, Portal, open_departments, open_portal

pytestmark = pytest.mark.anyio

FULL = os.environ.get("ISOLATION") == "full"
NAMES = tuple(f"dep{n}" for n in range(1, 9))
ILL, OTHERS = NAMES[-1], NAMES[:-1]
RATE = 20.0  # questions a second to each department
BUDGET_MS = 400
DECLARED = 32
ALLOW = AllowList([f"{HOST}/32"])


class Load:
    """A paced load on every department: so many questions a second each, one want in each question."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.idle: list[Connection] = []
        self.turn = 0

    async def run(self, seconds: float, names=NAMES, rate: float = RATE) -> dict[str, list[tuple[float, str]]]:
        """Ask for so long; return for each department how long each question took, and its part's state."""
        seen: dict[str, list[tuple[float, str]]] = {name: [] for name in names}
        begun, asked = time.monotonic(), []
        for nth in range(int(seconds * rate)):
            for place, name in enumerate(names):
                due = begun + (nth + place / len(names)) / rate
                if (wait := due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                asked.append(asyncio.create_task(self._ask(name, seen[name])))
        await asyncio.gather(*asked)
        return seen

    async def _ask(self, name: str, seen: list[tuple[float, str]]) -> None:
        self.turn += 1
        token = self.portal.tokens[self.turn % len(self.portal.tokens)]
        connection = self.idle.pop() if self.idle else await Connection.open(self.portal.port)
        began = time.perf_counter()
        status, answer = await connection.ask(
            "POST", "/v1/me/lookups", token, {"wants": [name], "deadline_ms": BUDGET_MS}
        )
        state = answer["parts"][0]["state"] if status == 200 else str(status)
        seen.append(((time.perf_counter() - began) * 1000, state))
        self.idle.append(connection)

    def close(self) -> None:
        for connection in self.idle:
            connection.close()


def p95(values) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]


def of_others(seen) -> list[float]:
    return [took for name in OTHERS for took, _ in seen[name]]


@pytest.mark.load
async def test_what_one_department_does_at_full_load_is_not_felt_by_seven_others(dsn, capsys):
    """Turns with and without the hang, and with a hang that no breaker ends, by an operator's `passing`."""
    turns, seconds = (4, 15.0) if FULL else (1, 1.5)
    found: dict[str, list[float]] = {"well": [], "hangs": [], "hangs, let pass": []}
    held: dict[str, int] = {}
    states: Counter[str] = Counter()
    async with open_portal(dsn, NAMES, people=400, concurrency=DECLARED, total_s=0.5, late_s=0.5) as portal:
        load = Load(portal)
        for name in NAMES:
            await portal.tell(name, delay=0.05, spread=0.05)
        await load.run(seconds / 3)
        for _ in range(turns):
            for how in found:
                await portal.tell(ILL, mode="well" if how == "well" else "hang")
                if how == "hangs, let pass":
                    await portal.force([ILL], "passing")
                await portal.tell(ILL, "_forget")
                seen = await load.run(seconds)
                found[how].append(p95(of_others(seen)))
                held[how] = max(held.get(how, 0), (await portal.count(ILL))["most_at_once"])
                states.update(state for name in OTHERS for _, state in seen[name])
                if how == "hangs, let pass":
                    health = await portal.health(ILL)
                    await portal.force([ILL], None)
                    await portal.tell(ILL, mode="well")
                    await load.run(max(seconds / 5, 1.0))
        load.close()
    base = median(found["well"])
    moved = {how: median(values) / base - 1 for how, values in found.items()}
    with capsys.disabled():
        print(f"\nisolation: {turns} turns of {seconds:g} s, {RATE:g} questions/s to each of {len(NAMES)} departments")
        for how, values in found.items():
            each = ", ".join(f"{value:.1f}" for value in values)
            print(
                f"  {ILL} {how}: p95 of the others {median(values):.1f} ms ({each}), moved {moved[how]:+.1%}; "
                f"at once at {ILL} at most {held[how]} of {DECLARED}"
            )
        told = {name: health["line"][name] for name in ("limit", "under_way", "waiting", "breakers")}
        print(f"  shown while it hung: {told}; states of the others {dict(states)}")
    assert max(held.values()) <= DECLARED
    assert health["line"]["limit"] <= DECLARED
    assert set(states) == {"ok"}, "nothing of the others failed"
    if FULL:
        assert moved["hangs"] < 0.05
        assert moved["hangs, let pass"] < 0.05
    else:
        assert max(moved.values()) < 1.0


@pytest.mark.load
async def test_a_breaker_probes_alone_and_full_traffic_is_back_within_ten_seconds(dsn, capsys):
    hung_s = 12.0 if FULL else 2.5
    async with open_portal(dsn, [ILL], concurrency=DECLARED, total_s=0.3, late_s=0.3) as portal:
        load = Load(portal)
        await load.run(1.5, [ILL])
        steady = RATE
        await portal.tell(ILL, "_forget")
        await portal.tell(ILL, mode="hang")
        running = asyncio.create_task(load.run(hung_s + 11, [ILL]))
        await asyncio.sleep(hung_s)
        await portal.tell(ILL, mode="well")
        healed = time.monotonic()
        hung = (await portal.count(ILL))["came"]
        await running
        came = (await portal.count(ILL))["came"]
        load.close()
    opened = next((before for before, after in pairwise(hung) if after - before > 0.5), hung[-1])
    probes = [at for at in hung if at > opened + 0.5]
    alone = [after - before for before, after in pairwise(probes)]
    after = [at for at in came if at > healed]
    full = next(
        (at for at in after if sum(at <= other < at + 1.0 for other in after) >= steady * 0.9), None
    )  # fmt: skip
    first_second = sum(full <= at < full + 1.0 for at in after)
    with capsys.disabled():
        print(
            f"\nbreaker: {len(hung) - len(probes)} calls in {opened - hung[0]:.1f} s until it opened, then "
            f"{len(probes)} probes, {min(alone, default=9):.1f} s apart or more; full traffic {full - healed:.1f} s "
            f"after the department was well, {first_second} in that first second (steady {steady:g})"
        )
    assert probes
    assert all(gap > 0.5 for gap in alone), "one probe at a time"
    assert full - healed <= 10.0
    assert first_second <= 2 * steady


def line(port: int, **changes) -> Line:
    told = {"id": "one", "concurrency": 128, "total_s": 5.0, "late_s": 5.0, **changes}
    return Line(parse(MANIFEST.format(**told).encode()), Where(f"http://{HOST}:{port}", {}), ALLOW)


def values(nth: int):
    return {"subject": {"number": f"99010219920314{nth % 10_000:04}", "name": None}}


@pytest.mark.load
async def test_a_limit_finds_what_a_department_bears_when_that_changes(tmp_path, capsys):
    """The loop of the line is the gateway's own: uvloop."""
    plan = [(50, 15.0), (10, 15.0), (50, 15.0)] if FULL else [(30, 3.0), (8, 3.0)]
    port = free_port()
    async with open_departments(tmp_path, [port]):
        found = await asyncio.to_thread(uvloop.run, _limits(port, plan))
    with capsys.disabled():
        print()
        for capacity, at, most, limits in found:
            print(
                f"  limit where a department bears {capacity}: within 20 % after {at if at is not None else '-'} s; "
                f"in the last third {median(limits):.0f} ({min(limits)} to {max(limits)}); at once there at most {most}"
            )
    for capacity, _, most, limits in found:
        near = 0.2 if FULL else 0.6
        assert (1 - near) * capacity <= median(limits) <= (1 + near) * capacity
        assert most <= 128


async def _limits(port: int, plan):
    found = []
    control, opened, stop = await Connection.open(port), line(port), asyncio.Event()

    async def busy(nth: int) -> None:
        while not stop.is_set():
            try:
                await opened.ask("query", values(nth), 5.0, values(nth)["subject"]["number"])
            except CallFailed:
                await asyncio.sleep(0.02)

    await control.ask("GET", f"/_set?delay=0.05&spread=0.01&capacity={plan[0][0]}")
    crowd = [asyncio.create_task(busy(nth)) for nth in range(128)]
    for capacity, seconds in plan:
        await control.ask("GET", f"/_set?capacity={capacity}")
        await control.ask("GET", "/_forget")
        begun, seen = time.monotonic(), []
        while time.monotonic() < begun + seconds:
            seen.append((time.monotonic() - begun, opened.admission.limit.limit))
            await asyncio.sleep(0.1)
        last = [limit for at, limit in seen if at > seconds * 2 / 3]
        near = [at for at, limit in seen if 0.8 * capacity <= limit <= 1.2 * capacity]
        _, told = await control.ask("GET", "/_count")
        found.append((capacity, round(near[0], 1) if near else None, told["most_at_once"], last))
    stop.set()
    await asyncio.gather(*crowd)
    await opened.close()
    control.close()
    return found


async def test_a_department_that_cuts_us_off_is_asked_at_most_1_2_times_a_request(tmp_path, capsys):
    port = free_port()
    async with open_departments(tmp_path, [port]):
        requests, asked = await asyncio.to_thread(uvloop.run, _cut_off(port, 5_000 if FULL else 500))
    with capsys.disabled():
        print(f"\nretries: {requests} requests to a department that cuts every one, {asked} attempts counted there")
    assert asked <= requests * 1.2


async def _cut_off(port: int, requests: int) -> tuple[int, int]:
    until = datetime.now(UTC) + timedelta(hours=1)
    word = Override(adapter="one", operation=WHOLE, state="passing", reason="a proof", until=until, set_by="o")
    control, opened = await Connection.open(port), line(port)
    await control.ask("GET", "/_set?mode=cut")
    opened.overrides = Overrides([word])  # as if there were no breaker
    kinds: Counter[str] = Counter()

    async def ask(nth: int) -> None:
        try:
            await opened.ask("query", values(nth), 5.0, values(nth)["subject"]["number"])
        except CallFailed as failed:
            kinds[failed.kind] += 1

    for begin in range(0, requests, 10):
        await asyncio.gather(*(ask(nth) for nth in range(begin, begin + 10)))
    assert kinds == {"cut": requests}
    _, told = await control.ask("GET", "/_count")
    control.close()
    await opened.close()
    return requests, told["asked"]
