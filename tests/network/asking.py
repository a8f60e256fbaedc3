"""The process that asks hostile departments: `python -m tests.network.asking`, cases as JSON on standard input.

It is the gateway's way from a question to its part and the words about it, with nothing of a test in between: fan-out,
line, token, wire, unwrapping, reading, mapping, explanation. For each case it tells what came, how far its memory grew
at most, and how long its loop stood still.
"""

import asyncio
import gc
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from onestop.gateway.explain_chain import chain
from onestop.gateway.fanout import Person, gather
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import parse
from onestop.gateway.models import Ask
from onestop.gateway.store_traces import Entry
from onestop.outbound.addresses import AllowList

NUMBER = "990102199203140221"
_LOOK_S = 0.002


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def memory_mib(what: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise AssertionError(what)


class Watch:
    """How long the loop stood still, by the work done meanwhile: a busy machine stops a loop as well as a bomb does."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(_LOOK_S)
            self.longest_s = max(self.longest_s, time.thread_time() - before)


async def one(case: dict[str, Any], watch: Watch, faults: list[str]) -> dict[str, Any]:
    where = Where(f"http://127.0.0.1:{case['port']}", case.get("secrets", {}), token_url=case.get("token_url"))
    line = Line(parse(case["manifest"].encode()), where, AllowList(["127.0.0.0/8"]))
    gc.collect()
    await asyncio.sleep(_LOOK_S * 2)  # the loop stood still while standard input was waited for
    forget_peak()
    before, watch.longest_s = memory_mib("VmRSS:"), 0.0
    began = time.perf_counter()
    deadline = asyncio.get_running_loop().time() + case["budget_s"]
    ask = Ask(want="one", adapter="one", operation="query")
    gathered = await gather({"one": line}, [ask], Person(NUMBER, "测试"), deadline=deadline, lang="en")
    took_s = time.perf_counter() - began
    await asyncio.sleep(_LOOK_S * 3)
    stood_s, grew = watch.longest_s, memory_mib("VmHWM:") - before
    [part] = gathered.parts
    [bar] = [msgspec.to_builtins(record) for record in gathered.records]
    entry = Entry(
        id="0" * 32, at=datetime.now(UTC), principal=None, route="-", outcome="partial", took_ms=1.0,
        records={"bars": [bar]},
    )  # fmt: skip
    links = [chain(entry, [bar], lang, {"one": line.manifest}, curl=True) for lang in ("zh", "en")]
    failed = [link for link in links[1] if link.state != "passed"]
    await line.close()
    said = msgspec.json.encode([part.problem, bar, links]).decode()
    return {
        "name": case["name"],
        "state": part.state,
        "code": part.problem.code if part.problem else None,
        "outcome": bar["outcome"],
        "links": [link.link for link in failed],
        "said": said,
        "data": part.data,
        "took_s": round(took_s, 3),
        "grew_mib": round(max(grew, 0.0), 1),
        "stood_ms": round(stood_s * 1000, 1),
        "faults": [faults.pop() for _ in range(len(faults))],
    }


async def main() -> None:
    faults: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(str(context)))
    watch = Watch()
    for line in sys.stdin:
        print(json.dumps(await one(json.loads(line), watch, faults)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
