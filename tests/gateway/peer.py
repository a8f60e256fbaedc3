"""A department that looks at who asks: a real socket, with TLS where wanted, and a manifest with any [auth]."""

import asyncio
import json
import ssl
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import Manifest
from onestop.outbound.addresses import AllowList

ALLOW = AllowList(["127.0.0.0/8"])
HEAD = """
manifest = 1
id = "{id}"
version = "1.0.0"
region = "990100"
[department]
code = "11990100MB9T0002XE"
name = {{ zh = "测试局", en = "Test bureau" }}
officer = {{ zh = "科长", en = "Head" }}
contact = "x@example.com"
system = {{ id = "sys-test", zh = "测试系统", en = "Test system" }}
"""
OPERATION = """
[[operations]]
id = "{id}"
kind = "{kind}"
title = {{ zh = "查询", en = "Query" }}
method = "{method}"
path = "/{id}"
purpose = {{ zh = "办事", en = "To serve" }}
basis = {{ zh = "测试", en = "Test" }}
idempotent = "{idempotent}"
total_s = 5.0
request_codec = "{codec}"
response_codec = "json"
{more}
reply.fields = {{ said = "said" }}
"""
BODY = 'request.body = { number = "key", name = "payload.name", empty = "payload.empty" }'
ENVELOPE = 'request.template = "<q:Ask xmlns:q=\\"urn:test\\">{{ payload.name }}</q:Ask>"'
OPERATIONS = "".join(
    OPERATION.format(id=id, kind=kind, method=method, idempotent=safe, codec=codec, more=more)
    for id, kind, method, safe, codec, more in (
        ("ask", "query", "POST", "safe", "json", BODY),
        ("form", "query", "POST", "safe", "form", BODY),
        ("look", "query", "GET", "safe", "none", 'request.query = { number = "key", name = "payload.name" }'),
        ("send", "submit", "POST", "none", "json", BODY),
        ("soap", "query", "POST", "safe", "soap", ENVELOPE),
        ("open", "query", "POST", "safe", "json", BODY + "\nauthenticate = false"),
    )
)
VALUES = {"key": "k-1", "payload": {"name": "林晓舟", "empty": ""}}


def manifest(text: str, id: str = "peer", operations: str = OPERATIONS) -> Manifest:
    """Return a manifest with the given tables between its head and its operations."""
    # Not by `parse`: the linter would refuse some of these first, and a line must refuse them by itself.
    return msgspec.convert(tomllib.loads(HEAD.format(id=id) + text + operations), Manifest)


@dataclass
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    port: int = 0

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.target}"

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


Behaviour = Callable[[Asked], Any]  # (status, JSON or bytes), or a coroutine of it


@dataclass
class Peer:
    """What a department heard, and where it is."""

    behaviour: Behaviour
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.rstrip().split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = first.split(" ")
                asked = Asked(method, target, headers, body, self.port)
                self.asked.append(asked)
                said = self.behaviour(asked)
                status, value = await said if asyncio.iscoroutine(said) else said
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(data)) + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


def says(asked: Asked) -> tuple[int, Any]:
    """Answer everybody."""
    return 200, {"said": "ok"}


@asynccontextmanager
async def peer(behaviour: Behaviour = says, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Run a department on a free port of 127.0.0.1."""
    served = Peer(behaviour, scheme="https" if tls else "http")
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


@asynccontextmanager
async def line(
    text: str, told: dict[str, str], at: Peer, *, operations: str = OPERATIONS, id: str = "peer", **where: Any
) -> AsyncIterator[Line]:
    """Open a line to a department."""
    opened = Line(manifest(text, id, operations), Where(where.pop("url", at.url), told, **where), ALLOW)
    try:
        yield opened
    finally:
        await opened.close()


async def asked(text: str, told: dict[str, str], operation: str = "ask", **where: Any) -> Asked:
    """Ask once and return what the department saw."""
    async with peer() as served, line(text, told, served, **where) as opened:
        answer = await opened.ask(operation, dict(VALUES), 5.0)
        assert (answer.kind, answer.fields) == ("ok", {"said": "ok"})
    return served.asked[-1]
