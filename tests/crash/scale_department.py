"""A department of the run at scale, as a process of its own: `python -m tests.crash.scale_department <kind> …`.

One submission, `apply`, of one of four kinds: `bykey` and `bycall` know our keys, `bylookup` does what it is sent
however often and can be asked, `bypull` fetches. What it did is on its disk before anybody is answered; then it keeps
the answer of a share of them to itself.
"""

import argparse
import asyncio
import contextlib
import hmac
import json
import random
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from onestop.demo.departments.ledger import Entry, Ledger

KINDS = ("bykey", "bylookup", "bycall", "bypull")
SECRET = "what-the-scale-run-signs-with"
_NOT_EVEN_DONE = 0.02  # cut off before anything happened
_AT_ONCE = 16
_SLOW_S = 0.3


class Department:
    """Books and manners."""

    def __init__(self, told: argparse.Namespace) -> None:
        self.kind, self.portal, self.share = told.kind, told.portal, told.share
        self.token = told.token
        self.ledger = Ledger(told.folder / f"{told.kind}.ledger.jsonl", "scale")
        self._dice = random.Random(told.seed)
        self._calling: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._client = httpx.AsyncClient(trust_env=False, timeout=30.0)

    def answer(self, path: str, key: str) -> bytes | None:
        """Do what is asked and return the answer; None cuts the caller off."""
        if path == "/find":
            return _json(key, self.ledger.by_key.get(key), "ok")
        if self._dice.random() < _NOT_EVEN_DONE:
            return None
        entry, cut = self.do(key)
        if self.kind == "bycall":
            self._later(self._call_back(entry))
        return None if cut else _json(key, entry, "wait" if self.kind == "bycall" else "ok")

    def do(self, key: str) -> tuple[Entry, bool]:
        """Do it, once where keys are known; tell whether its answer is to be lost."""
        known = self.ledger.by_key.get(key)
        if known is not None and self.kind != "bylookup":
            return known, False
        cut = self._dice.random() < self.share
        effect = f"E{secrets.token_hex(8)}"
        entry = self.ledger.append(
            at=datetime.now(UTC).isoformat(),
            operation="apply",
            key=key,
            person="",
            outcome="cut" if cut else "done",
            effect_id=effect,
            facts={"number": effect},
        )
        return entry, cut

    def _later(self, work) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._calling.add(task)
        task.add_done_callback(self._calling.discard)

    async def _call_back(self, entry: Entry) -> None:
        """Say what came of it until somebody has heard."""
        body = _json(entry.key, entry, "ok")
        while True:
            stamp, nonce = str(int(time.time())), secrets.token_hex(16)
            signature = hmac.digest(SECRET.encode(), f"{stamp}\n{nonce}\n".encode() + body, "sha256").hex()
            headers = {"X-Timestamp": stamp, "X-Nonce": nonce, "X-Signature": signature}
            headers["Content-Type"] = "application/json"
            async with self._slots:
                with contextlib.suppress(httpx.TransportError):
                    reply = await self._client.post(f"{self.portal}/v1/callbacks/bycall", content=body, headers=headers)
                    if reply.status_code == 200:
                        return
            await asyncio.sleep(0.3)

    async def fetch(self) -> None:
        """Fetch, do, acknowledge; without an end. What is not acknowledged comes again."""
        self._client.headers["Authorization"] = f"Bearer {self.token}"
        while True:
            try:
                reply = await self._client.get(f"{self.portal}/v1/pull/bypull?limit=20&wait=2&lease=5")
                reply.raise_for_status()
                await asyncio.gather(*(self._acknowledge(one) for one in reply.json()["data"]))
            except httpx.HTTPError:
                await asyncio.sleep(0.2)

    async def _acknowledge(self, got) -> None:
        entry, cut = self.do(got["payload"]["key"])
        if not cut:
            told = {"lease": got["lease"], "reply": json.loads(_json(entry.key, entry, "ok"))}
            reply = await self._client.post(f"{self.portal}/v1/pull/bypull/{got['id']}/ack", json=told)
            assert reply.status_code in (200, 409) or reply.status_code >= 500, reply.text

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.rstrip().split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                path = first.split(" ")[1]
                await asyncio.sleep(self._dice.uniform(0, _SLOW_S))  # so that kills fall while effects are in hand
                data = b"{}" if path == "/_health" else self.answer(path, json.loads(body)["key"])
                if data is None:
                    break
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
                await writer.drain()
        writer.close()


def _json(key: str, entry: Entry | None, status: str) -> bytes:
    number = entry.effect_id if entry else None
    return json.dumps({"key": key, "number": number, "status": status}).encode()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--portal", required=True)
    parser.add_argument("--token", default="")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    department = Department(told)
    server = await asyncio.start_server(department.serve, "127.0.0.1", told.port, backlog=512)
    if told.kind == "bypull":
        await department.fetch()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
