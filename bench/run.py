"""Measures onestop beside what one would take instead: python bench/run.py --help. Only the standard library.

How and why: bench/README.md. Results: bench/.home/results.
"""

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import check
import install
import machine
import project
import report
import revision
import streams
from contenders import PEERS, Contender, Given
from departments import Departments
from install import CITIZENS, HERE, HOME, say
from postgres import Cluster
from servers import Servers, load, timed_start

ORDER = ("fastapi", "fastify", "raw", "onestop")


@dataclass(frozen=True)
class Scene:
    """One job under one condition."""

    key: str
    ask: str  # which of a contender's requests
    connections: int
    delay_ms: float = 0
    hang: bool = False

    @property
    def wanted_parts(self) -> int:
        """How many parts must be in order for an answer to count; 0 when any answer without an error counts."""
        return 0 if self.ask != "case" else 4 if self.hang else 5


SCENES = {
    scene.key: scene
    for scene in (
        Scene("C16", "case", 16, 20),
        Scene("C64", "case", 64, 20),
        Scene("C256", "case", 256, 20),
        Scene("C64-hang", "case", 64, 20, hang=True),
        Scene("B64", "me", 64),
        Scene("P64", "one", 64),
    )
}
ALONE = ("streams", "cold")  # jobs with servers of their own


@dataclass(frozen=True)
class Plan:
    """How long to measure, by mode."""

    rounds: int
    run_s: float
    warm_s: float
    again: int  # how often a disturbed run is made again
    again_until_s: float  # after this no run is made again
    streams: int
    cold_starts: int


QUICK = Plan(rounds=2, run_s=2, warm_s=1, again=1, again_until_s=60, streams=2000, cold_starts=2)
FULL = Plan(rounds=5, run_s=4, warm_s=1, again=2, again_until_s=500, streams=10000, cold_starts=7)
DISTURBED_0, DISTURBED_1 = 15, 40  # percent of a core that others took
QUIET_S = 2  # what a server may go on working after its callers have left
GENTLE = 8  # connections that every contender stands


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at most four minutes instead of twenty; coarser")
    jobs = ",".join((*SCENES, *ALONE))
    parser.add_argument("--jobs", help=f"of {jobs} (quick: all but C16)")
    parser.add_argument("--contenders", default=",".join(ORDER), help="of %(default)s")
    parser.add_argument("--against", metavar="REV", help="measure onestop as it was at this revision as well")
    parser.add_argument("--rounds", type=int, help="turns of each contender (quick: 2, else 5)")
    parser.add_argument("--seconds", type=float, help="length of one run (quick: 2, else 4)")
    parser.add_argument("--keep-tokens", action="store_true", help="let fastify and raw keep verified tokens")
    parser.add_argument("--check", action="store_true", help="check the contenders' answers and rows, measure nothing")
    chosen = parser.parse_args()
    chosen.jobs = (chosen.jobs or (jobs.replace("C16,", "") if chosen.quick else jobs)).split(",")
    chosen.contenders = chosen.contenders.split(",")
    for given, known in ((chosen.jobs, (*SCENES, *ALONE)), (chosen.contenders, ORDER)):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return chosen


class Bench:
    """One run of the benchmark."""

    def __init__(self, chosen: argparse.Namespace, cluster: Cluster, departments: Departments) -> None:
        self.plan = QUICK if chosen.quick else FULL
        self.rounds = chosen.rounds or self.plan.rounds
        self.run_s = chosen.seconds or self.plan.run_s
        self.chosen, self.cluster, self.departments = chosen, cluster, departments
        self.begun = time.monotonic()
        self.rows: list[dict[str, Any]] = []
        self.warm: set[tuple[str, str]] = set()  # scene and contender
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.out = HOME / "results" / f"{stamp}.jsonl"
        self.out.parent.mkdir(exist_ok=True)

    def prepared(self, has_node: bool) -> list[Contender]:
        """Make every contender's database and start command."""
        ready = []
        for name in self.chosen.contenders:
            reason = project.why_not() if name == "onestop" else None if has_node or name != "fastify" else "no Node.js"
            if reason:
                say(f"{name} is left out: {reason}")
                continue
            home = HOME / name
            home.mkdir(exist_ok=True)
            dsn = self.cluster.create_database(name, None if name == "onestop" else HERE / "schema.sql")
            given = Given(dsn, self.departments.origins, CITIZENS, home)
            ready.append(project.prepare(given) if name == "onestop" else PEERS[name](given, self.chosen.keep_tokens))
        if self.chosen.against:
            ready.append(self.earlier(self.chosen.against))
        return ready

    def earlier(self, wanted: str) -> Contender:
        """Make the contender of an earlier revision: argv is a list there as here, the rest is its own."""
        short, folder = revision.build(wanted)
        name = revision.name_of(short)
        home = HOME / name
        home.mkdir(exist_ok=True)
        given = Given(self.cluster.create_database(name), self.departments.origins, CITIZENS, home)
        return revision.prepare(short, folder, given)

    def check(self, contenders: Sequence[Contender]) -> bool:
        found = [
            f"{contender.name}: {fault}"
            for contender in contenders
            for fault in check.faults(contender, self.departments, self.cluster, contender.name)
        ]
        found += check.peers_differ([c for c in contenders if c.name in PEERS], self.departments)
        for fault in found:
            say(fault)
        ok = not found
        say("every contender gives the same answers and writes its rows" if ok else "not measured: see above")
        return ok

    def record(self, **row: Any) -> None:
        self.rows.append(row)
        with self.out.open("a") as out:
            out.write(json.dumps(row) + "\n")

    def measure(self, servers: Servers) -> None:
        scenes = [SCENES[key] for key in self.chosen.jobs if key in SCENES]
        for number in range(self.rounds):
            for contender in servers.contenders:
                self.cluster.sql(contender.name, "VACUUM (ANALYZE)")
            turn = number % max(1, len(servers.contenders))
            for scene in scenes:
                for contender in (*servers.contenders[turn:], *servers.contenders[:turn]):
                    self.take_turn(servers, contender, scene, number)
            say(f"round {number + 1} of {self.rounds} done after {time.monotonic() - self.begun:.0f} s")

    def take_turn(self, servers: Servers, contender: Contender, scene: Scene, number: int) -> None:
        """Measure once, and again when others disturbed it; of these the cleanest run counts."""
        tries = []
        for again in range(self.plan.again + 1):
            if again and time.monotonic() - self.begun > self.plan.again_until_s:
                break
            self.warm_up(servers, contender, scene)
            row = self.one_run(servers, contender, scene)
            tries.append({**row, "restarted": self.leave_well(servers, contender)})
            if row["others0"] <= DISTURBED_0 and row["others1"] <= DISTURBED_1:
                break
        cleanest = min(tries, key=lambda row: row["others0"] / DISTURBED_0 + row["others1"] / DISTURBED_1)
        for row in tries:
            self.record(scene=scene.key, contender=contender.name, round=number, counts=row is cleanest, **row)

    def warm_up(self, servers: Servers, contender: Contender, scene: Scene) -> None:
        """Give the load to come for a while, the first time."""
        self.departments.tell_all(delay=scene.delay_ms)
        ask, here = getattr(contender, scene.ask), (scene.key, contender.name)
        if contender.wears_out:
            servers.restart(contender)
            load(contender, ask, GENTLE, self.plan.warm_s)
        elif here not in self.warm:
            self.warm.add(here)
            load(contender, ask, scene.connections, self.plan.warm_s)
        if scene.hang:  # a breaker, where there is one, opens now
            self.departments.tell(5, hang=1)
            load(contender, ask, GENTLE, self.plan.warm_s + 1)
        servers.quiet(QUIET_S)

    def leave_well(self, servers: Servers, contender: Contender) -> bool:
        """Keep a run's aftermath from the others; returns whether the contender had to be started anew for it."""
        self.departments.tell(5, hang=0)
        if contender.wears_out:
            servers.stop(contender)
            return False
        if servers.quiet(QUIET_S) and check.recovered(contender):
            return False
        servers.restart(contender)
        return True

    def one_run(self, servers: Servers, contender: Contender, scene: Scene) -> dict[str, Any]:
        ask = getattr(contender, scene.ask)
        part = contender.part_in_order if scene.wanted_parts else ""
        pid = servers.processes[contender.name].pid
        own = {"server": pid, "departments": self.departments.process.pid, "postgres": self.cluster.process.pid}
        asked = self.departments.asked()
        before, cores_before, load_before = {k: machine.cpu_s(p) for k, p in own.items()}, machine.cores(), os.times()
        seen = load(contender, ask, scene.connections, self.run_s, part)
        cores_after, load_after = machine.cores(), os.times()
        used = {k: machine.cpu_s(p) - before[k] for k, p in own.items()}
        used["load"] = sum(load_after[:4]) - sum(load_before[:4])
        asked = self.departments.asked() - asked
        busy = [after.busy - earlier.busy for after, earlier in zip(cores_after, cores_before, strict=True)]
        whole = [after.all - earlier.all for after, earlier in zip(cores_after, cores_before, strict=True)]
        answers = max(seen["answers"], 1)
        good = sum(seen["parts"][scene.wanted_parts :]) if part else seen["answers"] - seen["refused"]
        core1 = used["departments"] + used["postgres"] + used["load"]
        return {
            "goodput": good / seen["seconds"],
            "cpu_us": used["server"] / answers * 1e6,
            "pg_us": used["postgres"] / answers * 1e6,
            "asked": asked / answers,
            "pss_mib": machine.pss_mib(pid),
            "others0": round(max(0, busy[0] - used["server"]) / whole[0] * 100, 1),
            "others1": round(max(0, busy[1] - core1) / whole[1] * 100, 1),
            "busy0": round(busy[0] / whole[0] * 100, 1),
            "busy1": round(busy[1] / whole[1] * 100, 1),
            **seen,
        }

    def measure_alone(self, contenders: Sequence[Contender]) -> None:
        """Cold starts, in turns, and event streams: each on a server that has served nothing else."""
        self.departments.tell_all(delay=20)
        for number in range(self.plan.cold_starts if "cold" in self.chosen.jobs else 0):
            for contender in contenders:
                process, took = timed_start(contender)
                pss = machine.pss_mib(process.pid)
                machine.stop(process)
                self.record(
                    scene="cold", contender=contender.name, round=number, counts=True, start_s=took, pss_mib=pss
                )
        for contender in contenders if "streams" in self.chosen.jobs else ():
            process, _ = timed_start(contender)
            try:
                seen = streams.measure(contender, process, self.plan.streams)
            finally:
                machine.stop(process)
            self.record(scene="streams", contender=contender.name, round=0, counts=True, **seen)


def main() -> int:
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    has_node = install.everything(with_node="fastify" in chosen.contenders)
    machine.take_load_core()
    lock = (HOME / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit("bench: another run is going on") from None
    with lock, Cluster(HOME) as cluster, Departments() as departments:
        bench = Bench(chosen, cluster, departments)
        contenders = bench.prepared(has_node)
        with Servers(contenders) as servers:
            if not bench.check(contenders):
                return 1
            if chosen.check:
                return 0
            bench.measure(servers)
        bench.measure_alone(contenders)
        text = report.write(bench.rows, [c.name for c in contenders], cluster.version(), chosen, bench.begun)
    page = Path(bench.out).with_suffix(".md")
    page.write_text(text)
    print(text)
    say(f"every run: {bench.out.relative_to(HERE.parent)}; this page: {page.relative_to(HERE.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
