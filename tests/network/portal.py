"""A portal of the proofs: the real gateway's process, departments in another, citizens who come over HTTP."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg

from onestop.identity.models import Identified
from onestop.parts import open_parts
from onestop.settings import load
from tests.crash.city import Process
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
PYTHON = (sys.executable, "-P", "-m")
_START_S = 30.0
_NUMBER = 990102_1990_0101_0000

MANIFEST = """
manifest = 1
id = "{id}"
version = "1.0.0"
region = "990100"
[department]
code = "11990100MB9T0002XE"
name = {{ zh = "测试局{id}", en = "Bureau {id}" }}
officer = {{ zh = "科长", en = "Head" }}
contact = "x@example.com"
system = {{ id = "sys-{id}", zh = "测试系统", en = "System" }}
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
total_s = {total_s}
late_s = {late_s}
request.body = {{ id_number = "subject.number" }}
reply.found = "data"
reply.subject = "data.id_number"
reply.as_of = "data.as_of | instant"
reply.fields = {{ answer = "data.answer" }}
"""


class Connection:
    """One kept connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection(HOST, port))

    def send(self, method: str, path: str, token: str = "", body: Any = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Accept-Language: en", f"Content-Length: {len(data)}"]
        head += [f"Authorization: Bearer {token}"] * bool(token) + ["Content-Type: application/json"] * bool(data)
        self._writer.write(("\r\n".join(head) + "\r\n\r\n").encode() + data)

    async def ask(self, method: str, path: str, token: str = "", body: Any = None) -> tuple[int, Any]:
        """Send one request and return status and JSON of the answer."""
        self.send(method, path, token, body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
        data = await self._reader.readexactly(length)
        return int(head.split(" ")[1]), json.loads(data) if data else None

    async def line(self) -> bytes:
        return await self._reader.readline()

    def close(self) -> None:
        self._writer.close()


class Portal:
    """What runs, and who may ask."""

    def __init__(self, port: int, departments: dict[str, int], tokens: Sequence[str], operator: str) -> None:
        self.port, self.departments, self.tokens, self.operator = port, departments, tokens, operator

    async def once(self, method: str, path: str, body: Any = None) -> Any:
        """Ask something as the operator."""
        connection = await Connection.open(self.port)
        status, told = await connection.ask(method, path, self.operator, body)
        connection.close()
        assert status < 300, f"{path}: {status} {told}"
        return told

    async def tell(self, department: str, door: str = "_set", **options: Any) -> Any:
        """Change a department's manners, or ask what it has counted."""
        connection = await Connection.open(self.departments[department])
        query = "&".join(f"{name}={value}" for name, value in options.items())
        _, told = await connection.ask("GET", f"/{door}?{query}")
        connection.close()
        return told

    async def count(self, department: str) -> Any:
        return await self.tell(department, "_count")

    async def force(self, names: Sequence[str], state: str | None) -> None:
        """Say `stopped` or `passing` of lines for an hour, or take it back; returns when the gateway follows."""
        from datetime import UTC, datetime, timedelta

        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        for name in names:
            path = f"/v1/ops/lines/{name}/override"
            told = {"state": state, "reason": "a proof", "until": until}
            await (self.once("PUT", path, told) if state else self.once("DELETE", path))
        for name in names:
            for _ in range(100):
                if [one["state"] for one in (await self.health(name))["overrides"]] == ([state] if state else []):
                    break
                await asyncio.sleep(0.05)
            else:
                raise AssertionError(f"{name} is not {state} after five seconds")

    async def health(self, name: str) -> Any:
        return await self.once("GET", f"/v1/adapters/{name}/health")


@asynccontextmanager
async def open_portal(
    dsn: str,
    names: Sequence[str],
    *,
    people: int = 200,
    concurrency: int = 32,
    total_s: float = 2.0,
    late_s: float = 2.0,
) -> AsyncIterator[Portal]:
    """Run a gateway over departments of these names."""
    with tempfile.TemporaryDirectory(prefix="onestop-network-", dir="/tmp") as top:
        folder, port = Path(top), free_port(len(names) + 1)
        ports = range(port + 1, port + 1 + len(names))
        where = []
        for name, at in zip(names, ports, strict=True):
            text = MANIFEST.format(id=name, concurrency=concurrency, total_s=total_s, late_s=late_s)
            (folder / "adapters" / name).mkdir(parents=True)
            (folder / "adapters" / name / "manifest.toml").write_text(text, "utf-8")
            where.append(f'[adapters.{name}]\nurl = "http://{HOST}:{at}"\n')
        (folder / "environment.toml").write_text("".join(where), "utf-8")
        (folder / "state").mkdir()
        (folder / "items").mkdir()
        told = {
            "ONESTOP_PROFILE": "sandbox",
            "ONESTOP_STATE_DIR": str(folder / "state"),
            "ONESTOP_DATABASE_URL": dsn,
            "ONESTOP_HOST": HOST,
            "ONESTOP_PORT": str(port),
            "ONESTOP_PUBLIC_URL": f"http://{HOST}:{port}",
            "ONESTOP_ADAPTERS_DIR": str(folder / "adapters"),
            "ONESTOP_ITEMS_DIR": str(folder / "items"),
            "ONESTOP_ENVIRONMENT_FILE": str(folder / "environment.toml"),
            "ONESTOP_OUTBOUND_ALLOW": f"{HOST}/32",
            "ONESTOP_LOG_LEVEL": "warning",
        }
        tokens, operator = await _people(told, people)
        rest = {name: value for name, value in os.environ.items() if not name.startswith("ONESTOP_")}
        gateway = Process(
            "gateway", (*PYTHON, "onestop", "run"), rest | told | {"PYTHONUNBUFFERED": "1"}, folder / "gateway.log",
            f"http://{HOST}:{port}/readyz",
        )  # fmt: skip
        async with open_departments(folder, ports):
            try:
                await gateway.start()
                async with asyncio.timeout(_START_S):
                    await gateway.ready()
                yield Portal(port, dict(zip(names, ports, strict=True)), tokens, operator)
            finally:
                await gateway.end()
        said = gateway.log.read_text("utf-8", "replace")
        assert "Traceback" not in said, said[-3000:]


@asynccontextmanager
async def open_departments(folder: Path, ports: Sequence[int]) -> AsyncIterator[None]:
    """Run the departments of these ports."""
    argv = (*PYTHON, "tests.network.departments", *map(str, ports))
    environ = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT)}
    crowd = Process("departments", argv, environ, folder / "departments.log", f"http://{HOST}:{ports[-1]}/_count")
    try:
        await crowd.start()
        async with asyncio.timeout(_START_S):
            await crowd.ready()
        yield
    finally:
        await crowd.end()


async def _people(told: dict[str, str], count: int) -> tuple[list[str], str]:
    db = await asyncpg.connect(told["ONESTOP_DATABASE_URL"])
    await db.execute("TRUNCATE signing_keys")  # sealed by the portal before us, if there was one
    await db.close()
    async with open_parts(load(told), "onestop proofs") as parts:
        await parts.sessions.signing.load()
        tokens = []
        for nth in range(count):
            who = Identified(number_type="citizen_id", number=str(_NUMBER + nth), name=f"测试{nth}", level=2)
            tokens.append((await parts.sessions.issue_bearer(who)).token)
        operator = Identified(number_type="account", number="op", name="运维", role="operator", level=1)
        return tokens, (await parts.sessions.issue_bearer(operator)).token
