"""A process of its own that shares a department: asks as much as it may, with a round every few milliseconds.

Started by test_line_shares with the database, the department's port and a manifest; runs until it is killed.
"""

import asyncio
import sys
from pathlib import Path

from onestop.db import open_pool
from tests.gateway.sharing import Sharer


async def main(dsn: str, port: str, manifest: bytes) -> None:
    pool = await open_pool(dsn, size=2)
    sharer = Sharer(pool, int(port), manifest)
    sharer.start()
    told = False
    while True:
        await sharer.round()
        if sharer.share and not told:
            told = True
            print("calls", flush=True)
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    dsn, port, manifest = sys.argv[1:]
    asyncio.run(main(dsn, port, Path(manifest).read_bytes()))
