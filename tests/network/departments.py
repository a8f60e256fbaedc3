"""Departments of the proofs, as one process of its own: `python -m tests.network.departments PORT...`.

Every port of 127.0.0.1 is one department. It holds a record of whoever is asked about, and counts what reaches it:
requests, those at once, and when each came. `/_set?mode=hang&delay=0.02&spread=0.1&capacity=10` changes its manners,
`/_count` tells what it has counted, `/_forget` begins anew.

Modes: `well` answers after `delay` to `delay + spread` seconds, `hang` never answers, `fail` says 500, `cut` hangs up.
With a capacity only so many are worked on at once; the others wait here, in order.
"""

import asyncio
import json
import random
import sys
import time
from collections import deque
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import uvloop


class Department:
    """Manners and counts of one port."""

    def __init__(self) -> None:
        self.mode, self.delay, self.spread, self.capacity = "well", 0.02, 0.0, 0
        self.working = 0
        self.line: deque[tuple[Asked, bytes]] = deque()
        self.here: set[Asked] = set()  # connections with a request that is not answered
        self.forget()

    def forget(self) -> None:
        self.asked, self.most, self.came = 0, len(self.here), list[float]()

    def told(self, options: dict[str, str]) -> None:
        for name, value in options.items():
            setattr(self, name, value if name == "mode" else type(getattr(self, name))(float(value)))
        while self.line and self._free():
            self._work(*self.line.popleft())

    def counted(self) -> dict[str, Any]:
        return {"asked": self.asked, "most_at_once": self.most, "at_once": len(self.here), "came": self.came}

    def take(self, connection: "Asked", body: bytes) -> None:
        self.asked += 1
        self.came.append(time.monotonic())
        if self.mode == "fail":
            connection.answer(500, b"{}")
        elif self.mode == "cut":
            connection.transport.abort()
        else:
            self.here.add(connection)
            self.most = max(self.most, len(self.here))
            if self.mode == "well" and self._free():
                self._work(connection, body)
            elif self.mode == "well":
                self.line.append((connection, body))

    def _free(self) -> bool:
        return not self.capacity or self.working < self.capacity

    def _work(self, connection: "Asked", body: bytes) -> None:
        self.working += 1
        after = self.delay + random.random() * self.spread
        asyncio.get_running_loop().call_later(after, self._done, connection, body)

    def _done(self, connection: "Asked", body: bytes) -> None:
        self.working -= 1
        if connection in self.here:
            number = json.loads(body)["id_number"]
            record = {"id_number": number, "as_of": "2026-03-02T08:00:00+08:00", "answer": number[-4:]}
            connection.answer(200, json.dumps({"data": record}).encode())
        while self.line and self._free():
            self._work(*self.line.popleft())

    def left(self, connection: "Asked") -> None:
        self.here.discard(connection)


class Asked(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, department: Department) -> None:
        self.department, self.data = department, b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        self.department.left(self)

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, rest = self.data.partition(b"\r\n\r\n")
        if not found:
            return
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
        if len(rest) < length:
            return
        self.data = rest[length:]
        path = urlsplit(head.split(b" ")[1].decode())
        if path.path == "/_set":
            self.department.told(dict(parse_qsl(path.query)))
            self.answer(200, b"{}")
        elif path.path == "/_forget":
            self.department.forget()
            self.answer(200, b"{}")
        elif path.path == "/_count":
            self.answer(200, json.dumps(self.department.counted()).encode())
        else:
            self.department.take(self, rest[:length])

    def answer(self, status: int, body: bytes) -> None:
        self.department.left(self)
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))


async def main(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    for port in ports:
        department = Department()
        await loop.create_server(lambda d=department: Asked(d), "127.0.0.1", port, backlog=512)
    await loop.create_future()


if __name__ == "__main__":
    uvloop.run(main([int(port) for port in sys.argv[1:]]))
