"""Turns the runs into a Markdown page: a table for each job, ratios, and whether each goal is met."""

import argparse
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TITLES = {
    "C16": "Job C: a case for five departments, 16 in flight",
    "C64": "Job C: a case for five departments, 64 in flight",
    "C256": "Job C: a case for five departments, 256 in flight",
    "C64-hang": "Job C: 64 in flight, one of the five departments hangs",
    "B64": "Job B: the citizen's own profile, 64 in flight",
    "P64": "Job P: one department's answer passed on, 64 in flight",
    "streams": "Idle event streams",
    "cold": "Cold start",
}
Row = dict[str, Any]


class Medians:
    """Medians of the runs that count."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = [row for row in rows if row["counts"]]

    def runs(self, scene: str, contender: str) -> list[Row]:
        return [row for row in self.rows if (row["scene"], row["contender"]) == (scene, contender)]

    def of(self, scene: str, contender: str, what: str) -> float | None:
        found = [row[what] for row in self.runs(scene, contender)]
        return statistics.median(found) if found else None

    def ratio(self, scene: str, contender: str, other: str, what: str) -> float | None:
        mine, theirs = self.of(scene, contender, what), self.of(scene, other, what)
        return None if mine is None or theirs is None else mine / theirs if theirs else float("inf")

    def share(self, scene: str, of_scene: str, contender: str) -> float | None:
        mine, whole = self.of(scene, contender, "goodput"), self.of(of_scene, contender, "goodput")
        return None if mine is None or not whole else mine / whole


Measure = Callable[[Medians], float | None]
HANG_SHARE = "Job C at 64, one department hangs: share of the healthy goodput"
GOALS: list[tuple[str, Measure, str, float]] = [
    ("Job C at 64: goodput against FastAPI's", lambda m: m.ratio("C64", "onestop", "fastapi", "goodput"), ">=", 20),
    ("Job C at 64: goodput against Fastify's", lambda m: m.ratio("C64", "onestop", "fastify", "goodput"), ">=", 1.5),
    ("Job C at 64: CPU a case against raw's", lambda m: m.ratio("C64", "onestop", "raw", "cpu_us"), "<=", 1.6),
    (HANG_SHARE, lambda m: m.share("C64-hang", "C64", "onestop"), ">=", 0.8),
    ("Job C at 256: share of the goodput at 64", lambda m: m.share("C256", "C64", "onestop"), ">=", 0.75),
    ("Job B at 64: goodput against FastAPI's", lambda m: m.ratio("B64", "onestop", "fastapi", "goodput"), ">=", 4),
    ("Job P at 64: goodput against FastAPI's", lambda m: m.ratio("P64", "onestop", "fastapi", "goodput"), ">=", 12),
    ("10,000 idle event streams: MiB", lambda m: m.of("streams", "onestop", "mib_10k"), "<=", 150),
]


def write(rows: Sequence[Row], names: Sequence[str], postgres: str, chosen: argparse.Namespace, begun: float) -> str:
    medians = Medians(rows)
    scenes = [scene for scene in TITLES if any(row["scene"] == scene for row in medians.rows)]
    blocks = [head(postgres, chosen, begun)]
    blocks += [table(medians, scene, names) for scene in scenes]
    return "\n\n".join([*blocks, goals(medians)]) + "\n"


def head(postgres: str, chosen: argparse.Namespace, begun: float) -> str:
    mode = "quick" if chosen.quick else "full"
    kept = "; fastify and raw keep verified tokens" if chosen.keep_tokens else ""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    minutes = (time.monotonic() - begun) / 60
    return (
        f"# Benchmark of {time.strftime('%Y-%m-%d')}\n\n{mode} mode, {minutes:.1f} minutes{kept}; {processor()}, "
        f"Python {platform.python_version()}, Node {node}, PostgreSQL {postgres}. Medians of the runs that count; `×` "
        "is goodput against that contender's. `others` is the most that other processes took of the server's core and "
        "of the load's core, in percent; `asked` is requests to departments for one answer. `restarts`: how often "
        "a run left a server still busy or no longer whole two seconds later."
    )


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{model}, {sum(line.startswith('processor') for line in lines)} cores"


def table(medians: Medians, scene: str, names: Sequence[str]) -> str:
    present = [name for name in names if medians.runs(scene, name)]
    columns = {"streams": streams_row, "cold": cold_row}.get(scene, load_row)
    rows = [columns(medians, scene, name) for name in present]
    heads = list(rows[0])
    lines = [" | ".join(heads), " | ".join(["---"] + ["---:"] * (len(heads) - 1))]
    lines += [" | ".join(row.values()) for row in rows]
    return f"## {TITLES[scene]}\n\n" + "\n".join(f"| {line} |" for line in lines)


def number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def load_row(m: Medians, scene: str, name: str) -> dict[str, str]:
    runs = m.runs(scene, name)
    goodputs = [run["goodput"] for run in runs]
    bad = sum(run["refused"] + run["broken"] + run["late"] for run in runs)
    return {
        "contender": name,
        "goodput /s": number(m.of(scene, name, "goodput")),
        "span": f"{min(goodputs):.0f}–{max(goodputs):.0f}",
        "× fastapi": number(m.ratio(scene, name, "fastapi", "goodput"), 2),
        "× fastify": number(m.ratio(scene, name, "fastify", "goodput"), 2),
        "× raw": number(m.ratio(scene, name, "raw", "goodput"), 2),
        "CPU µs": number(m.of(scene, name, "cpu_us")),
        "CPU × raw": number(m.ratio(scene, name, "raw", "cpu_us"), 2),
        "PostgreSQL µs": number(m.of(scene, name, "pg_us")),
        "p50 ms": number(m.of(scene, name, "p50_ms"), 1),
        "p99 ms": number(m.of(scene, name, "p99_ms"), 1),
        "PSS MiB": number(m.of(scene, name, "pss_mib")),
        "busy": f"{number(m.of(scene, name, 'busy0'))}/{number(m.of(scene, name, 'busy1'))}",
        "others": f"{max(run['others0'] for run in runs):.0f}/{max(run['others1'] for run in runs):.0f}",
        "errors": str(bad),
        "asked": number(m.of(scene, name, "asked"), 2),
        "restarts": str(sum(run["restarted"] for run in runs)),
    }


def streams_row(m: Medians, scene: str, name: str) -> dict[str, str]:
    return {
        "contender": name,
        "streams opened": number(m.of(scene, name, "streams")),
        "MiB for 10,000": number(m.of(scene, name, "mib_10k")),
        "× fastapi": number(m.ratio(scene, name, "fastapi", "mib_10k"), 2),
        "× fastify": number(m.ratio(scene, name, "fastify", "mib_10k"), 2),
        "× raw": number(m.ratio(scene, name, "raw", "mib_10k"), 2),
        "opened in s": number(m.of(scene, name, "open_s"), 1),
        "broken": number(m.of(scene, name, "broken")),
    }


def cold_row(m: Medians, scene: str, name: str) -> dict[str, str]:
    return {
        "contender": name,
        "first 200 after s": number(m.of(scene, name, "start_s"), 2),
        "× fastapi": number(m.ratio(scene, name, "fastapi", "start_s"), 2),
        "PSS MiB": number(m.of(scene, name, "pss_mib")),
        "starts": str(len(m.runs(scene, name))),
    }


def goals(medians: Medians) -> str:
    lines = ["## Goals", ""]
    for sentence, measure, sign, target in GOALS:
        value = measure(medians)
        met = value is not None and (value >= target if sign == ">=" else value <= target)
        state = "not measured" if value is None else "met" if met else "**not met**"
        lines.append(f"- {sentence} {'≥' if sign == '>=' else '≤'} {target:g}: {number(value, 2)}, {state}")
    return "\n".join(lines)
