"""`onestop demo --tour`: the tour through a running demo, or through one started for it and stopped afterwards."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onestop.cli import store
from onestop.cli.place import database
from onestop.cli.sandbox import control
from onestop.cli.speech import Exit, Halt, Speaker
from onestop.cli.widths import pad

if TYPE_CHECKING:
    from onestop.demo.folder import Record

_END_S = 15.0


def take(speaker: Speaker, path: Path, port: int, reset: bool) -> int:
    """Take the tour; the number it ends with is 0 only where every ledger agrees."""
    from onestop.demo.folder import Folder
    from onestop.demo.tour import STEPS, Tour, TourFailed
    from onestop.demo.visitor import Unreachable

    folder = Folder(path)
    with _demo(speaker, folder.path, port, reset) as record:
        teller = Teller(speaker, STEPS)
        effects = EffectLedger(record)
        tour = Tour(record.url, lambda *order: control(record, *order), effects.of_cases, teller.step)
        try:
            found = tour.run()
        except TourFailed as fault:
            raise _halt(folder.path, fault.step, fault.reason) from fault
        except Unreachable as fault:
            raise _halt(folder.path, "-", str(fault)) from fault
        teller.end(found)
    return Exit.OK


def _halt(folder: Path, step: str, reason: str) -> Halt:
    return Halt("tour_failed", Exit.FAILED, step=step, reason=reason, logs=folder / "logs")


class EffectLedger:
    """onestop's own effect ledger, as an operator reads it."""

    def __init__(self, record: "Record") -> None:
        from onestop.settings import load

        self._settings = load(record.settings)

    def of_cases(self, case_ids: list[str]) -> Sequence[store.EffectRow]:
        """Return the effects of some cases in the order they were intended."""
        return asyncio.run(self._read(case_ids))

    async def _read(self, case_ids: list[str]) -> Sequence[store.EffectRow]:
        async with database(self._settings) as pool:
            return await store.effects_of_cases(pool, self._settings.region, case_ids)


class Teller:
    """Prints the steps of a tour as they end, each with its time."""

    def __init__(self, speaker: Speaker, steps: int) -> None:
        self._speaker = speaker
        self._steps = steps
        self._number = 0

    def step(self, name: str, /, *, took_s: float, **facts: Any) -> None:
        """Say that a step went well."""
        self._number += 1
        if self._speaker.as_json:
            said = {"step": name, "number": self._number, "ok": True, "took_s": round(took_s, 3), "facts": facts}
            self._speaker.show(said)
            return
        words = pad(self._speaker.say(f"tour.{name}", **facts), 64)
        self._speaker.line(f"[{self._number:2}/{self._steps}] {words} {took_s:5.2f} s")

    def end(self, found: dict[str, Any]) -> None:
        """Say that all is well."""
        told = {**found, "took_s": round(found["took_s"], 1)}
        if self._speaker.as_json:
            self._speaker.show({"tour": "ok", **told})
        else:
            self._speaker.line(self._speaker.paint("good", self._speaker.say("tour.end", **told)))


@contextmanager
def _demo(speaker: Speaker, path: Path, port: int, reset: bool) -> Iterator["Record"]:
    """Yield the record of the demo that runs here, or of one that runs for as long as this lasts."""
    from onestop.demo.folder import Folder

    running = Folder(path).running()
    if running is not None and running.state in ("starting", "ready") and not reset:
        yield running
        return
    process = _start(speaker, path, port, reset)
    try:
        record = Folder(path).running()
        if record is None:
            raise Halt("no_demo", Exit.FAILED, folder=path)
        yield record
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _start(speaker: Speaker, path: Path, port: int, reset: bool) -> "subprocess.Popen[str]":
    """Start a demo that ends when this process ends, and return once it serves.

    Raises:
        Halt: it ended first; its own words stand above.
    """
    from onestop.demo.children import dying_with_parent

    command = [sys.executable, "-P", "-m", "onestop", "demo", "--port", str(port), "--state", str(path)]
    command += ["--lang", speaker.lang, *(["--reset"] if reset else [])]
    process = subprocess.Popen(  # noqa: S603 - ourselves
        command,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        process_group=0,
        preexec_fn=dying_with_parent(signal.SIGTERM),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if not speaker.as_json:
            speaker.line(speaker.paint("dim", line.rstrip()))
        if line.startswith("ready http"):
            return process
    code = process.wait()
    raise Halt("tour_no_demo", Exit(code) if code in {*Exit} else Exit.FAILED, folder=path)
