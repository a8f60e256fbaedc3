"""`onestop demo`: a whole city on one machine, started in order, kept alive, and gone when it is told to go.

Events told: `step` (number, of, name, took_s and what the step says), `ready`, `ended`, `back`, `stopping`,
`database_stays`.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from onestop import embedded, migrate
from onestop.demo import accounts, people, secrets
from onestop.demo.children import Child, Spec, Tell
from onestop.demo.folder import Folder, Record
from onestop.errors import OnestopError

HOST = "127.0.0.1"  # the demo's sign-in has no passwords: it never leaves this machine
STEPS = 5
_START_PATIENCE_S = 90.0
_END_PATIENCE_S = 3.0
_KEPT = ("ONESTOP_PG_BIN", "ONESTOP_LANG", "ONESTOP_LOG_LEVEL", "ONESTOP_POOL_SIZE")
_HIGHEST_OFFSET = 22


class PortTaken(Exception):
    """A port the demo needs is in use."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.port = port


class Silent(Exception):
    """Some processes did not answer in time."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def ports(portal: int) -> dict[str, int]:
    """Return every port of a demo by the name of who listens there."""
    found = {"gateway": portal, "identity-provider": portal + 1}
    return found | {d.id: portal + d.port_offset for d in people.departments() if d.port_offset is not None}


def check_ports(portal: int) -> None:
    """Make sure that all ports of a demo are free.

    Raises:
        PortTaken: one is not.
    """
    for port in ports(portal).values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as fault:
                raise PortTaken(port) from fault


class City:
    """What runs in a demo, for one folder and one port."""

    def __init__(self, folder: Path, port: int, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self._environ = environ
        self.database_url = environ.get("ONESTOP_DATABASE_URL")
        self.own_server = self.database_url is None

    def settings(self) -> dict[str, str]:
        """Return the ONESTOP_* variables of its gateway and worker."""
        told = {name: self._environ[name] for name in _KEPT if name in self._environ}
        return told | {
            "ONESTOP_PROFILE": "demo",
            "ONESTOP_STATE_DIR": str(self.folder),
            "ONESTOP_DATABASE_URL": self.database_url or embedded.Server(self.folder).dsn,
            "ONESTOP_HOST": HOST,
            "ONESTOP_PORT": str(self.port),
            "ONESTOP_PUBLIC_URL": self.url,
            "ONESTOP_ENVIRONMENT_FILE": str(self.folder / secrets.ENVIRONMENT),
            "ONESTOP_IDENTITY_FILE": str(self.folder / accounts.REGISTRATION),
            "ONESTOP_OUTBOUND_ALLOW": f"{HOST}/32:{self.port + 1}-{self.port + _HIGHEST_OFFSET}",
        }

    def environ(self) -> dict[str, str]:
        """Return the whole environment of a child; nothing of ONESTOP_* is left to chance."""
        rest = {name: value for name, value in self._environ.items() if not name.startswith("ONESTOP_")}
        return rest | self.settings() | {"PYTHONUNBUFFERED": "1"}

    def portal(self) -> Iterator[Spec]:
        """Yield the processes of onestop itself."""
        yield Spec(name="gateway", argv=_python("onestop", "run", "--drain", "1"), probe=f"{self.url}/readyz")
        yield Spec(name="worker", argv=_python("onestop", "worker"))

    def neighbours(self) -> Iterator[Spec]:
        """Yield everybody else's processes: the national sign-in and the departments."""
        issuer = f"http://{HOST}:{self.port + 1}"
        yield Spec(
            name="identity-provider",
            argv=_python("onestop.demo.identity_provider", "--port", str(self.port + 1), *self._common()),
            probe=f"{issuer}/.well-known/openid-configuration",
        )
        for name, port in ports(self.port).items():
            if name in ("gateway", "identity-provider"):
                continue
            argv = _python("onestop.demo.departments", name, "--port", str(port), *self._common())
            argv += ("--secrets", str(self.folder / secrets.DEPARTMENTS))
            yield Spec(name=name, argv=argv, probe=f"http://{HOST}:{port}/_health", department=True)

    def _common(self) -> tuple[str, ...]:
        return ("--state", str(self.folder), "--portal", self.url)

    def prepare(self) -> None:
        """Draw the secrets that are missing and write the files both sides read."""
        secrets.make(self.folder, self.port, HOST)
        accounts.register(self.folder, self.port + 1, HOST)

    def record(self) -> Record:
        """Return what other commands need to know."""
        return Record(
            state="starting",
            pid=os.getpid(),
            port=self.port,
            url=self.url,
            identity_provider=f"http://{HOST}:{self.port + 1}",
            departments={name: f"http://{HOST}:{port}" for name, port in ports(self.port).items() if name not in _OURS},
            secrets=str(self.folder / secrets.DEPARTMENTS),
            settings=self.settings(),
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )


_OURS = ("gateway", "identity-provider")


def _python(module: str, *args: str) -> tuple[str, ...]:
    # -P: what lies about in the folder the demo is started from is never imported.
    return (sys.executable, "-P", "-m", module, *args)


class Supervisor:
    """Starts a city in a claimed folder and keeps it until a signal comes."""

    def __init__(self, city: City, folder: Folder, tell: Tell) -> None:
        self._city = city
        self._folder = folder
        self._tell = tell
        self._record = city.record()
        self._children: dict[str, Child] = {}
        self._stop = asyncio.Event()
        self._told: signal.Signals | None = None

    async def run(self) -> signal.Signals:
        """Run the city until SIGTERM, SIGINT or SIGHUP; return which of them came.

        Raises:
            Ended: a process ended before it served.
            Silent: processes did not answer within the start's patience.
            OnestopError: PostgreSQL or its schema could not be made ready.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._end_by, number)
        starting = asyncio.create_task(self._start(), name="start")
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await stopped
            self._tell("stopping")
        finally:
            stopped.cancel()
            starting.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await starting
            await self._end()
        return self._told or signal.SIGTERM

    def _end_by(self, number: signal.Signals) -> None:
        self._told = self._told or number  # make and the terminal may both pass the same wish on
        self._stop.set()

    async def _start(self) -> None:
        self._save()
        city = self._city
        city.prepare()
        neighbours = [await self._child(spec) for spec in city.neighbours()]  # they start while the database does
        await self._step(1, "postgresql", self._database())
        await self._step(2, "schema", self._schema())
        portal = [await self._child(spec) for spec in city.portal()]
        try:
            async with asyncio.timeout(_START_PATIENCE_S):
                await self._step(3, "neighbours", self._all(neighbours))
                await self._step(4, "worker", self._all(portal[1:]))
                await self._step(5, "gateway", self._all(portal[:1]))
        except TimeoutError as fault:
            raise Silent([c.spec.name for c in self._children.values() if not c.served]) from fault
        self._record.state = "ready"
        self._save()
        self._tell("ready", url=city.url)

    async def _step(self, number: int, name: str, work: Awaitable[dict[str, object]]) -> None:
        began = time.monotonic()
        facts = await work
        self._tell("step", number=number, of=STEPS, name=name, took_s=time.monotonic() - began, **facts)

    async def _database(self) -> dict[str, object]:
        if self._city.own_server:
            await asyncio.to_thread(embedded.ensure, self._city.folder)
        return {"embedded": self._city.own_server, "folder": str(self._city.folder)}

    async def _schema(self) -> dict[str, object]:
        applied = await migrate.upgrade(self._record.settings["ONESTOP_DATABASE_URL"])
        return {"applied": len(applied), "migrations": len(migrate.read())}

    async def _all(self, children: Sequence[Child]) -> dict[str, object]:
        await asyncio.gather(*(child.ready() for child in children))
        departments = sum(child.spec.department for child in children)
        return {"count": len(children), "departments": departments, "port": self._city.port}

    async def _child(self, spec: Spec) -> Child:
        child = Child(spec, self._city.environ(), self._city.folder / "logs", self._tell)
        child.changed = self._save
        self._children[spec.name] = child
        await child.start()
        return child

    def _save(self) -> None:
        self._record.processes = {name: child.pid for name, child in self._children.items() if child.pid is not None}
        self._folder.write(self._record)

    async def _end(self) -> None:
        """End every process, then the database where it is the demo's own; a second signal changes nothing."""
        self._record.state = "stopping"
        self._save()
        await asyncio.gather(*(child.stop(_END_PATIENCE_S) for child in self._children.values()))
        if self._city.own_server:
            try:
                await asyncio.to_thread(embedded.stop, self._city.folder)
            except OnestopError as fault:
                self._tell("database_stays", reason=str(fault))
        self._record.state = "stopped"
        self._record.processes = {}
        self._folder.write(self._record)
