"""A small city for the kill test: two gateways and two workers on one durable database, five departments, one address.

Everything listens on 127.0.0.1, lives in one folder below /tmp, and ends with this process. Only processes that were
started here are ever signalled, by their own handle.
"""

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import TypeVar

import httpx

from onestop.demo import secrets
from onestop.demo.children import answers, dying_with_parent
from onestop.embedded import Server
from onestop.parts import Parts, open_parts
from onestop.settings import load
from tests.ports import free_port

from . import evidence

HOST = "127.0.0.1"
DEPARTMENTS = ("gongan", "weijian", "renshe", "yibao", "minzheng")
_OFFSETS = {"gongan": 11, "weijian": 12, "renshe": 13, "yibao": 14, "minzheng": 17}  # as the shipped departments have
_START_S = 60.0
_END_S = 5.0
_GATEWAY_NOTICE_S = (0.02, 0.3)  # how long before a kill its round of submissions begins
_WORKER_NOTICE_S = (0.4, 1.0)
_ANY_CALL_S = 1.2
_YOUNG_S = 2.5  # a worker says to nobody that it has begun; before this it is taken to be starting


class Process:
    """One process of the city; started again by whoever killed it."""

    def __init__(self, name: str, argv: Sequence[str], environ: dict[str, str], log: Path, probe: str | None) -> None:
        self.name, self.probe, self.log = name, probe, log
        self._argv, self._environ = argv, environ
        self._process: asyncio.subprocess.Process | None = None
        self.started_at = 0.0
        self.kills = 0

    async def start(self) -> None:
        out = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                process_group=0,
                preexec_fn=dying_with_parent(),
            )
        finally:
            os.close(out)
        self.started_at = time.monotonic()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def ready(self) -> None:
        """Wait until it answers; fails where it ended instead."""
        while self.probe is not None and not await answers(self.probe):
            assert self.runs, f"{self.name} ended by itself: {self.log.read_text()[-2000:]}"
            await asyncio.sleep(0.1)

    async def serves(self) -> bool:
        """Tell whether a kill would hit it at work."""
        assert self.runs, f"{self.name} ended by itself: {self.log.read_text()[-2000:]}"
        if self.probe is not None:
            return await answers(self.probe, 0.5)
        return time.monotonic() - self.started_at > _YOUNG_S

    async def kill(self) -> None:
        """SIGKILL: no goodbye, no flush, no drain."""
        process = self._process
        assert process is not None
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        self.kills += 1

    async def end(self) -> None:
        """Ask it to end, and kill it where it does not."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_END_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Balancer:
    """The one address of both gateways, for departments that call back: each connection to the next that is there."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._ports = tuple(ports)
        self._turns = cycle(range(len(self._ports)))
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = next(self._turns)
        for nth in range(len(self._ports)):
            try:
                there = await asyncio.open_connection(HOST, self._ports[(turn + nth) % len(self._ports)])
                break
            except OSError:
                continue
        else:
            writer.transport.abort()
            return
        await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class City:
    """What runs, where it answers, and the way into its database."""

    def __init__(self, folder: Path, base: int, dsn: str) -> None:
        self.folder, self.base, self.dsn = folder, base, dsn
        self.url = f"http://{HOST}:{base}"
        self.gateways = tuple(f"http://{HOST}:{base + n}" for n in (1, 2))
        self.parts: Parts
        self.processes: dict[str, Process] = {}
        self._balancer = Balancer((base + 1, base + 2))

    @property
    def victims(self) -> list[Process]:
        """The four that are killed."""
        return [self.processes[name] for name in ("gateway-1", "gateway-2", "worker-1", "worker-2")]

    def settings(self, port: int) -> dict[str, str]:
        return {
            "ONESTOP_PROFILE": "demo",
            "ONESTOP_STATE_DIR": str(self.folder),
            "ONESTOP_DATABASE_URL": self.dsn,
            "ONESTOP_HOST": HOST,
            "ONESTOP_PORT": str(port),
            "ONESTOP_PUBLIC_URL": self.url,
            "ONESTOP_ENVIRONMENT_FILE": str(self.folder / secrets.ENVIRONMENT),
            "ONESTOP_OUTBOUND_ALLOW": f"{HOST}/32:{self.base + 11}-{self.base + 22}",
            "ONESTOP_POOL_SIZE": "10",
        }

    def prepare(self) -> None:
        """Write what the processes read, before any of them starts."""

    def environ(self, rest: dict[str, str]) -> dict[str, str]:
        """Return the environment all processes share."""
        return rest

    async def departments(self) -> list[tuple[str, int, str | None, tuple[str, ...]]]:
        """Return name, port, probe and command of each department."""
        found: list[tuple[str, int, str | None, tuple[str, ...]]] = []
        for id in DEPARTMENTS:
            port = self.base + _OFFSETS[id]
            told = ("--port", str(port), "--state", str(self.folder), "--portal", self.url)
            told += ("--secrets", str(self.folder / secrets.DEPARTMENTS))
            found.append((id, port, f"http://{HOST}:{port}/_health", ("onestop.demo.departments", id, *told)))
        return found

    async def start(self) -> None:
        rest = self.environ({name: value for name, value in os.environ.items() if not name.startswith("ONESTOP_")})
        logs = self.folder / "logs"
        logs.mkdir()

        def add(name: str, port: int, probe: str | None, *argv: str) -> None:
            environ = rest | self.settings(port) | {"PYTHONUNBUFFERED": "1"}
            command = (sys.executable, "-P", "-m", *argv)
            self.processes[name] = Process(name, command, environ, logs / f"{name}.log", probe)

        for id, port, probe, argv in await self.departments():
            add(id, port, probe, *argv)
        for nth, url in enumerate(self.gateways, 1):
            add(f"gateway-{nth}", self.base + nth, f"{url}/readyz", "onestop", "run")
            add(f"worker-{nth}", self.base + nth, None, "onestop", "worker")
        await self._balancer.start(self.base)
        for process in self.processes.values():
            await process.start()
        async with asyncio.timeout(_START_S):
            for process in self.processes.values():
                await process.ready()

    async def stop(self) -> None:
        await asyncio.gather(*(process.end() for process in self.processes.values()))
        await self._balancer.stop()

    async def tell(self, door: str, ids: Iterable[str], **order: object) -> None:
        """Change departments' manners at their control doors (`_fail`, `_set`)."""
        async with httpx.AsyncClient(trust_env=False) as client:
            for id in ids:
                url, secret = secrets.control_door(self.folder, id)
                reply = await client.post(f"{url}/{door}", json=order, headers={"X-Sandbox-Control": secret})
                reply.raise_for_status()


Kind = TypeVar("Kind", bound=City)


class Round:
    """One kill, as clients may know of it: `begins` is set a moment before it falls."""

    def __init__(self) -> None:
        self.begins, self.fallen = asyncio.Event(), asyncio.Event()


class Killer:
    """Kills one of the four every one and a half to two seconds, and starts it again at once.

    A gateway is killed while the clients of the round wait for it, a worker while it has their effects in hand.
    """

    def __init__(
        self,
        city: City,
        kills: int,
        dice: random.Random,
        *,
        between_s: tuple[float, float] = (1.5, 2.0),
        victims: Sequence[Process] | None = None,
    ) -> None:
        self._city, self._dice = city, dice
        self._between_s, self._victims = between_s, victims or city.victims
        self.rounds = [Round() for _ in range(kills)]
        self._bereft: list[asyncio.Task[set[tuple[str, str]]]] = []

    @property
    def done(self) -> int:
        """Return how many kills have fallen."""
        return sum(one.fallen.is_set() for one in self.rounds)

    async def run(self) -> None:
        last: Process | None = None
        for one in self.rounds:
            wait = self._dice.uniform(*self._between_s)
            last = await self._victim(last)
            notice = self._dice.uniform(*(_GATEWAY_NOTICE_S if last.probe else _WORKER_NOTICE_S))
            await asyncio.sleep(wait - notice)
            one.begins.set()
            await asyncio.sleep(notice)
            await last.kill()
            if last.probe is None:
                self._bereft.append(asyncio.create_task(_left_behind(self._city.parts)))
            await last.start()
            one.fallen.set()

    async def left_behind(self) -> int:
        """Return how many effects were in the hands of workers as they were killed."""
        return len(set[tuple[str, str]]().union(*[await task for task in self._bereft]))

    async def _victim(self, last: Process | None) -> Process:
        """Return one that is at work: each is killed once before any is again, and none much more often than others."""
        while True:
            never = [p for p in self._victims if not p.kills]
            at_work = [p for p in never or self._victims if p is not last and await p.serves()]
            if at_work:
                least = min(p.kills for p in at_work)
                return self._dice.choice([p for p in at_work if p.kills <= least + 1])
            await asyncio.sleep(0.05)


@asynccontextmanager
async def open_city(kind: type[Kind] = City) -> AsyncIterator[Kind]:  # type: ignore[assignment]
    """Start a city of its own and end it; its folder goes with it unless something failed."""
    folder = _own_folder()
    server = Server(folder, durable=True)
    base = free_port(25)
    try:
        dsn = await asyncio.to_thread(server.ensure)
        secrets.make(folder, base, HOST)
        city = kind(folder, base, dsn)
        city.prepare()
        async with open_parts(load(city.settings(base)), "onestop crash") as city.parts:
            await city.parts.sessions.signing.load()
            try:
                await city.start()
                yield city
            finally:
                await city.stop()
    except BaseException as fault:
        fault.add_note(f"what ran, and its logs: {folder}")
        raise
    else:
        await asyncio.to_thread(server.remove)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        await asyncio.to_thread(server.stop)


async def _left_behind(parts: Parts) -> set[tuple[str, str]]:
    """Return the effects that a killed worker holds: those that stay in the same hands longer than any call."""
    before = await evidence.in_hands(parts.pool)
    await asyncio.sleep(_ANY_CALL_S)
    return before & await evidence.in_hands(parts.pool)


def _own_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="onestop-crash-", dir="/tmp"))
    folder.chmod(0o711)  # the database's user passes through
    return folder
