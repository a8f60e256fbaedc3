"""The demo's folder: who holds it, what runs in it, and that it is ours before anything in it is removed."""

import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import Literal

import msgspec

from onestop import embedded

MARKER = ".onestop-demo"
_LOCK = "demo.lock"
_RECORD = "demo.json"

State = Literal["starting", "ready", "stopping", "stopped"]


class Record(msgspec.Struct, kw_only=True):
    """What other commands need to know of a demo, as `demo.json` tells it."""

    state: State
    pid: int  # of the supervisor
    port: int
    url: str
    identity_provider: str
    departments: dict[str, str]  # id → address
    secrets: str  # the departments' side, with the secrets of their control doors
    settings: dict[str, str]  # ONESTOP_* of its gateway and worker
    processes: dict[str, int] = {}  # name → process id
    started_at: str = ""


class NotOurs(Exception):
    """The folder holds something that is not a demo."""


class Taken(Exception):
    """Another demo runs in this folder; its record is told where it could be read."""

    def __init__(self, record: Record | None) -> None:
        super().__init__("taken")
        self.record = record


class Folder:
    """One demo's folder; `claim` it before writing into it."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock: int | None = None

    def claim(self, *, patience_s: float = 10.0) -> None:
        """Hold the folder until this process ends; waits for a demo that is just stopping.

        Raises:
            NotOurs: it exists, is not empty and was not made by a demo.
            Taken: a demo runs in it.
        """
        self.check_ours()
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / MARKER).touch()
        until = time.monotonic() + patience_s
        while not self._try_lock():
            record = self.read()
            if time.monotonic() > until or (record is not None and record.state in ("starting", "ready")):
                raise Taken(record)
            time.sleep(0.1)

    def check_ours(self) -> None:
        """Make sure that what is in the folder, if anything, was made by a demo.

        Raises:
            NotOurs: it was not.
        """
        if self.path.exists() and not self.path.is_dir():
            raise NotOurs
        if self.path.is_dir() and any(self.path.iterdir()) and not (self.path / MARKER).is_file():
            raise NotOurs

    def clear(self) -> None:
        """Remove everything in the folder but the hold on it; stops a server that a killed demo left behind."""
        embedded.remove(self.path)
        for entry in self.path.iterdir():
            if entry.name in (MARKER, _LOCK):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def running(self) -> Record | None:
        """Return the record of the demo that runs here, or None."""
        if not (self.path / _LOCK).exists():
            return None
        file = os.open(self.path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return self.read()
        finally:
            os.close(file)

    def read(self) -> Record | None:
        """Return what the last demo here wrote of itself, or None."""
        try:
            return msgspec.json.decode((self.path / _RECORD).read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, record: Record) -> None:
        """Replace the record in one step."""
        new = self.path / f"{_RECORD}.new"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(record), indent=1))
        new.replace(self.path / _RECORD)

    def _try_lock(self) -> bool:
        file = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._lock = file
        return True
