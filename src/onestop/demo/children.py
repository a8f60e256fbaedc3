"""Child processes that are kept alive, and that never outlive the one who keeps them."""

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

_PR_SET_PDEATHSIG = 1
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_SETTLED_S = 10.0  # who lived this long starts again without a longer pause

Tell = Callable[..., None]
"""Called as `tell(event, **facts)`; the events are listed in `supervisor`."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One process: how it is started and where it answers."""

    name: str
    argv: tuple[str, ...]
    probe: str | None = None  # address that answers 200 once it serves; None: nothing to ask
    department: bool = False


class Ended(Exception):
    """A process ended before it served; tells its last words."""

    def __init__(self, name: str, code: int, log: Path) -> None:
        super().__init__(name)
        self.name = name
        self.code = code
        self.log = log

    @property
    def last_words(self) -> str:
        """Return the last line of the log that says something."""
        try:
            lines = self.log.read_text("utf-8", "replace").splitlines()
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def dying_with_parent(last: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """Return what a child does before it becomes its program: ask the kernel to end it when this process ends.

    Holds even where this process is killed without a chance to say goodbye. Linux only; elsewhere it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_program() -> None:
        prctl(_PR_SET_PDEATHSIG, int(last))
        if os.getppid() != parent:  # ended between fork and here
            os._exit(1)

    return before_program


async def answers(url: str, timeout_s: float = 2.0) -> bool:
    """Ask an address on this machine once; True where it says 200."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                head = await reader.readline()
                return head.split(b" ")[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


class Child:
    """One process, started again when it ends until it is told to stop."""

    def __init__(self, spec: Spec, environ: Mapping[str, str], logs: Path, tell: Tell) -> None:
        self.spec = spec
        self.log = logs / f"{spec.name}.log"
        self.pid: int | None = None
        self._environ = environ
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = False
        self.served = False
        self.changed: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Start the process and keep it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.spec.name}")

    async def ready(self, pause_s: float = 0.1) -> None:
        """Wait until the process answers.

        Raises:
            Ended: it ended first.
        """
        while True:
            process = self._process
            if process is not None and process.returncode is not None:
                raise Ended(self.spec.name, process.returncode, self.log)
            if self.spec.probe is None or await answers(self.spec.probe):
                self.served = True
                return
            await asyncio.sleep(pause_s)

    async def stop(self, patience_s: float) -> None:
        """End the process: asked first, killed after `patience_s`."""
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            await _ended(process, patience_s)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _spawn(self) -> None:
        out = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.argv,
                env=dict(self._environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                process_group=0,  # Ctrl-C is the supervisor's alone, who ends its children in good order
                preexec_fn=dying_with_parent(),
            )
        finally:
            os.close(out)
        self.pid = self._process.pid
        self.changed()

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE_S
        while self._process is not None:
            began = time.monotonic()
            code = await self._process.wait()
            if self._stopping or not self.served:
                return
            pause = _FIRST_PAUSE_S if time.monotonic() - began > _SETTLED_S else min(pause * 2, _LONGEST_PAUSE_S)
            self._tell(
                "ended", name=self.spec.name, code=code, pause_s=round(pause, 1), department=self.spec.department
            )
            await asyncio.sleep(pause)
            await self._spawn()
            await self._tell_when_back(time.monotonic())

    async def _tell_when_back(self, began: float) -> None:
        try:
            await self.ready()
        except Ended:
            return
        self._tell("back", name=self.spec.name, took_s=time.monotonic() - began, pid=self.pid)


async def _ended(process: asyncio.subprocess.Process, patience_s: float) -> None:
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(patience_s):
            await process.wait()
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return
