"""A department of the tests: a real socket, one behaviour a path, a ledger in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from onestop.gateway.fanout import Person

Reply = tuple[int, bytes] | None  # None: the connection is cut without an answer
Behaviour = Callable[[str, dict[str, str], bytes], Awaitable[Reply]]


class Department:
    """Answers as `behaviour` says and remembers what it was asked."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.methods: list[str] = []  # of what it was asked, in the same order
        self.effects: list[str] = []
        self.headers = b""  # further ones of every reply, each with its line end
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = asked.rstrip().split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, path, _ = first.split(" ")
                self.methods.append(method)
                self.asked.append((path, headers, body))
                reply = await self.behaviour(path, headers, body)
                if reply is None:
                    break
                status, data = reply
                writer.write(
                    b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n" % (status, self.headers, len(data)) + data
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def department(behaviour: Behaviour) -> AsyncIterator[Department]:
    """Run a department on a free port of 127.0.0.1."""
    served = Department(behaviour)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


def says(value: Any, status: int = 200, after_s: float = 0.0) -> Behaviour:
    """Make a behaviour that always gives one answer."""

    async def behave(_: str, __: dict[str, str], ___: bytes) -> Reply:
        if after_s:
            await asyncio.sleep(after_s)
        return status, json.dumps(value).encode()

    return behave


def holds_all(after_s: float = 0.0) -> Behaviour:
    """Make a behaviour that has a record of whoever is asked for."""

    async def behave(_: str, __: dict[str, str], body: bytes) -> Reply:
        if after_s:
            await asyncio.sleep(after_s)
        number = json.loads(body)["id_number"]
        record = {"id_number": number, "as_of": "2026-03-02T08:00:00+08:00", "answer": number[-4:]}
        return 200, json.dumps({"data": record}).encode()

    return behave


def people(count: int) -> list[Person]:
    """Return invented people, each with a number of their own."""
    return [Person(f"99010219920314{nth:04}", f"测试{nth}") for nth in range(count)]


MANIFEST = """
manifest = 1
id = "{id}"
version = "1.0.0"
region = "990100"
[department]
code = "11990100MB9T0002XE"
name = {{ zh = "测试局{id}", en = "Test bureau {id}" }}
officer = {{ zh = "科长", en = "Head" }}
contact = "x@example.com"
system = {{ id = "sys-{id}", zh = "测试系统", en = "Test system" }}
[limits]
concurrency = {concurrency}
waiting = 64

[[operations]]
id = "query"
kind = "query"
want = "{id}"
title = {{ zh = "查询", en = "Query" }}
method = "POST"
path = "/query"
purpose = {{ zh = "办事", en = "To serve" }}
basis = {{ zh = "测试", en = "Test" }}
idempotent = "safe"
total_s = 2.0
request.body = {{ id_number = "subject.number" }}
reply.found = "data"
reply.subject = "data.id_number"
reply.as_of = "data.as_of | instant"
reply.fields = {{ answer = "data.answer" }}

[[operations]]
id = "apply"
kind = "submit"
title = {{ zh = "申办", en = "Apply" }}
method = "POST"
path = "/apply"
purpose = {{ zh = "办事", en = "To serve" }}
basis = {{ zh = "测试", en = "Test" }}
idempotent = "{idempotent}"
lookup = "find"
total_s = 0.3
accept = [200]
request.body = {{ key = "key", name = "payload.name" }}
reply.reference = "number"
reply.outcome = {{ path = "status", map = {{ ok = "completed", no = "declined", fix = "correction" }} }}
reply.fields = {{ number = "number" }}

[[operations]]
id = "find"
kind = "lookup"
title = {{ zh = "查找", en = "Find" }}
method = "POST"
path = "/find"
purpose = {{ zh = "办事", en = "To serve" }}
basis = {{ zh = "测试", en = "Test" }}
idempotent = "safe"
total_s = 0.5
request.body = {{ key = "key" }}
reply.found = "number"
reply.outcome = {{ path = "status", map = {{ ok = "completed", no = "declined", fix = "correction" }} }}
reply.reference = "number"
reply.fields = {{ number = "number" }}
"""


def manifest_text(name: str, *, idempotent: str = "key", concurrency: int = 16, query: str = "") -> bytes:
    """Return a manifest for a department of the tests; `query` holds further lines of its query."""
    text = MANIFEST.format(id=name, idempotent=idempotent, concurrency=concurrency)
    return text.replace('reply.found = "data"\n', f'reply.found = "data"\n{query}\n', 1).encode()
