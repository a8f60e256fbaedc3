"""The servers under test on their core, and the load they are put under."""

import itertools
import json
import os
import subprocess
import time
from collections.abc import Sequence
from typing import Any

import machine
from contenders import Ask, Contender
from install import HERE, HOME

numbers = itertools.count()


def spawn(contender: Contender) -> subprocess.Popen[bytes]:
    return machine.start(contender.argv, contender.env, HOME / f"log/{contender.name}.log", machine.SERVER_CORE)


def timed_start(contender: Contender) -> tuple[subprocess.Popen[bytes], float]:
    """Start a server and return it with the seconds from then to its first 200."""
    begun = time.perf_counter()
    process = spawn(contender)
    try:
        machine.wait_until_ready(contender.origin + contender.ready, process)
    except BaseException:
        machine.stop(process)
        raise
    return process, time.perf_counter() - begun


class Servers:
    """All contenders, running; `with` stops them."""

    def __init__(self, contenders: Sequence[Contender]) -> None:
        self.contenders = contenders
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for contender in contenders:
                self.processes[contender.name] = timed_start(contender)[0]
        except BaseException:
            self.__exit__()
            raise

    def quiet(self, limit_s: float) -> bool:
        """Wait until no server works any more; False when one still does at the end of the limit.

        One that was overrun goes on with requests nobody waits for, and would disturb whoever is measured next.
        """
        end = time.monotonic() + limit_s
        before = self._cpu_s()
        while time.monotonic() < end:
            time.sleep(0.1)
            now = self._cpu_s()
            if now - before <= 0.02:
                return True
            before = now
        return False

    def stop(self, contender: Contender) -> None:
        machine.stop(self.processes[contender.name])

    def restart(self, contender: Contender) -> None:
        self.stop(contender)
        self.processes[contender.name] = timed_start(contender)[0]

    def _cpu_s(self) -> float:
        return sum(machine.cpu_s(process.pid) for process in self.processes.values())

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            machine.stop(process)


def load(contender: Contender, ask: Ask, connections: int, seconds: float, part: str = "") -> dict[str, Any]:
    """Keep so many requests in flight for so long and return what wrk saw."""
    words = [
        ask.method,
        ask.path,
        ask.body or "-",
        str(contender.tokens) if ask.bearer else "-",
        "keyed" if ask.keyed else "-",
        part or "-",
        f"bench-{os.getpid()}-{time.time_ns():x}-{next(numbers)}",
    ]
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "10s",
        "-s",
        str(HERE / "load.lua"),
    ]
    done = subprocess.run([*command, contender.origin, "--", *words], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            seen: dict[str, Any] = json.loads(line)
            return seen
    raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
