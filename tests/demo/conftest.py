"""Departments as real processes on real sockets; each started when first asked for, stopped by its id."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.ports import free_port

import onestop
from demo.callers import QUERIES, Caller
from onestop.demo import secrets

NOBODY = "http://127.0.0.1:9"  # the discard port: no portal listens there
SOURCE = Path(onestop.__file__).parent.parent


class Running:
    """One department's process; it can be killed and started again on the same state and port."""

    def __init__(self, id: str, folder: Path, portal: str, client: httpx.Client, *options: str) -> None:
        self.id, self._folder, self._portal, self._client, self._options = id, folder, portal, client, options
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.secrets = secrets.read(folder / secrets.DEPARTMENTS)[id]
        self.state = folder / "state" / f"{id}-{self.port}"
        self.call = Caller(id, self.url, self.secrets, client)
        self.calm = False  # a test made it steady and quick
        self.launch()

    def launch(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "onestop.demo.departments", self.id, "--port", str(self.port)]
        command += ["--state", str(self.state), "--portal", self._portal, *self._options]
        command += ["--secrets", str(self._folder / secrets.DEPARTMENTS)]
        self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SOURCE)})

    def start(self) -> None:
        """Start the process, unless it was, and wait until it serves."""
        if self.process.poll() is not None:
            self.launch()
        for _ in range(400):
            try:
                self._client.get(self.url + "/_health")
                return
            except httpx.TransportError:
                assert self.process.poll() is None, f"{self.id} ended with {self.process.returncode}"
                time.sleep(0.025)
        pytest.fail(f"{self.id} does not serve")

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(5)


class Town:
    """The departments a test run needs, started at most once each; `fresh` starts one more for a test alone."""

    def __init__(self, folder: Path) -> None:
        secrets.make(folder)
        self.folder = folder
        self._client = httpx.Client(trust_env=False)
        self._shared: dict[str, Running] = {}
        self._all: list[Running] = []

    def fresh(self, id: str, portal: str = NOBODY, *options: str) -> Running:
        """Start a department with an empty state."""
        running = self._launched(id, portal, *options)
        running.start()
        return running

    def _launched(self, id: str, portal: str, *options: str) -> Running:
        running = Running(id, self.folder, portal, self._client, *options)
        self._all.append(running)
        return running

    def at(self, id: str) -> Running:
        """Return the shared department of this id; the first asked for brings all of them up, side by side."""
        if not self._shared:
            self._shared = {name: self._launched(name, NOBODY) for name in QUERIES}
            for running in self._shared.values():
                running.start()
        return self._shared[id]

    def close(self) -> None:
        """Stop everything that was started here."""
        self._client.close()
        for running in self._all:
            running.process.terminate()
        for running in self._all:
            running.process.wait(5)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("town"))
    yield town
    town.close()
