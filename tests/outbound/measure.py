"""CPU of one call of the pool, by how many are in flight. Not a test: run it by hand.

gcc -O2 -o deptsim bench/deptsim.c -lm && ./deptsim 127.0.0.1 18777:size=512,delay=0 &
taskset -c 0 .venv/bin/python tests/outbound/measure.py 18777
"""

import asyncio
import sys
import time

import uvloop

from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import OutboundError
from onestop.outbound.message import build_request
from onestop.outbound.models import Reply
from onestop.outbound.pool import Pool

CALLS, ROUNDS = 12_000, 5


async def by_callback(pool: Pool, message: bytes, in_flight: int) -> None:
    ended = pool.loop.create_future()
    started = left = 0

    def go() -> None:
        nonlocal started
        started += 1
        pool.send(message, pool.loop.time() + 20, done)

    def done(outcome: Reply | OutboundError) -> None:
        nonlocal left
        if isinstance(outcome, OutboundError):
            raise outcome
        left += 1
        if started < CALLS:
            go()
        elif left == CALLS:
            ended.set_result(None)

    for _ in range(in_flight):
        go()
    await ended


async def by_coroutine(pool: Pool, message: bytes, in_flight: int) -> None:
    async def lane() -> None:
        for _ in range(CALLS // in_flight):
            await pool.ask(message, pool.loop.time() + 20)

    await asyncio.gather(*(lane() for _ in range(in_flight)))


async def main(port: int) -> None:
    pool = Pool("127.0.0.1", port, allow=AllowList(["127.0.0.1"]), max_connections=512)
    message = build_request(
        "GET", "/x", f"127.0.0.1:{port}", [("Accept", "application/json"), ("X-Request-Id", "0f7d6c0a")]
    )
    for run in (by_callback, by_coroutine):
        for in_flight in (1, 16, 64, 128):
            best = float("inf")
            for _ in range(ROUNDS):
                before = time.process_time()
                await run(pool, message, in_flight)
                best = min(best, time.process_time() - before)
            print(f"{run.__name__:13} {in_flight:4} in flight {best / CALLS * 1e6:6.1f} us a call", flush=True)
    await pool.close()


uvloop.run(main(int(sys.argv[1])))
