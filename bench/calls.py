"""CPU of one question to a department without any wire: bench/calls.py [--against REV]. Run it by hand.

The pool answers at once with what a department of the benchmark would say, so what is left is a line's own work: call,
breaker, places, signing, writing, reading, mapping. With `--against` both take turns.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
CALLS, IN_FLIGHT, ROUNDS = 20_000, 8, 5
REPLY = (
    b'{"receipt":"R-1","name":"Bureau","fees":[{"code":"a","cents":1},{"code":"b","cents":2}],"remark":"' + b"x" * 400
)
FIELDS = '{ receipt = "receipt", name = "name", fees = { each = "fees", fields = { code = "code", cents = "cents" } } }'


async def measure() -> float:
    """Return microseconds of CPU a question."""
    import project

    from onestop.gateway.line import Line, Where
    from onestop.gateway.manifest import parse
    from onestop.outbound.addresses import AllowList
    from onestop.outbound.models import Reply

    loop, now = asyncio.get_running_loop(), time.perf_counter()
    reply = Reply(200, [], REPLY + b'"}', True, 0.0, now, now + 0.001, now + 0.002, now + 0.003)
    manifest = parse(project.MANIFEST.format(n=1, fields=FIELDS).encode())
    line = Line(manifest, Where("http://127.0.0.1:9", {}), AllowList())
    pools = [one.pool for one in line.replicas.all] if hasattr(line, "replicas") else [line.pool]
    for pool in pools:
        pool.send = lambda _message, _deadline, done, *_, **__: loop.call_soon(done, reply)
    ended = loop.create_future()
    started = left = 0

    def go() -> None:
        nonlocal started
        started += 1
        values = {"subject": {"number": "990102199203140221", "name": None}, "traceparent": None}
        if hasattr(line, "question"):
            line.question("record", values, loop.time() + 5, done, f"{started}", "", "citizen")
        else:
            line.start("record", values, loop.time() + 5, done, f"{started}", timed=False)

    def done(_: object, outcome: object) -> None:
        nonlocal left
        left += 1
        if getattr(outcome, "kind", "") != "ok" and not ended.done():
            ended.set_exception(RuntimeError(f"no answer: {outcome} {getattr(outcome, 'reason', '')}"))
        if started < CALLS:
            go()
        elif left == CALLS:
            ended.set_result(None)

    before = time.process_time()
    for _ in range(IN_FLIGHT):
        go()
    await ended
    took = (time.process_time() - before) / CALLS * 1e6
    await line.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--against", metavar="REV")
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.once:
        import uvloop

        print(uvloop.run(measure()))
        return
    runs = {"now": [sys.executable, __file__, "--once"]}
    if chosen.against:
        import revision

        short, folder = revision.build(chosen.against)
        runs[f"at {short}"] = [str(folder / ".venv/bin/python"), __file__, "--once"]
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, command in runs.items():
            found[name].append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    for name, took in found.items():
        print(f"{name:12} {median(took):6.1f} us a question (least {min(took):.1f}, of {len(took)} runs in turn)")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()
