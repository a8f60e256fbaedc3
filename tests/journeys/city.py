"""The real demo, started for a test: its own folder, a free range of ports, ended by the signal a person would send."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.ports import free_port

from onestop.ids import new_id

_START_S = 150.0
_END_S = 30.0


class City:
    """A demo that runs."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"

    def token(self, person: str, role: str = "citizen", department: str | None = None) -> str:
        """Return a bearer token, as a developer asks for one."""
        wish = {"person": person, "role": role} | ({"department": department} if department else {})
        reply = httpx.post(f"{self.url}/v1/auth/tokens", json=wish)
        reply.raise_for_status()
        return str(reply.json()["access_token"])

    def answer_tasks(self) -> int:
        """Answer every open task of the city's own desk as done, by the API, as a clerk; return how many there were."""
        headers = {"authorization": f"Bearer {self.token('window03', 'clerk', 'zwfw')}"}
        tasks: list[dict[str, Any]] = (
            httpx.get(f"{self.url}/v1/tasks", headers=headers).raise_for_status().json()["data"]
        )
        for task in tasks:
            reply = httpx.post(
                f"{self.url}/v1/tasks/{task['id']}/answer",
                headers=headers | {"idempotency-key": new_id("key")},
                json={"outcome": "completed", "reference": "ZX-0001"},
            )
            reply.raise_for_status()
        return len(tasks)


@contextmanager
def running(folder: Path) -> Iterator[City]:
    """Run the demo in a folder; everything it started has ended when this returns."""
    city = City(free_port(100), folder)
    told = folder.parent / f"{folder.name}.log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ONESTOP_")}
    command = [sys.executable, "-m", "onestop", "demo", "--port", str(city.port), "--state", str(folder)]
    with told.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environ, start_new_session=True)
    try:
        _wait_until_ready(process, told)
        yield city
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _wait_until_ready(process: "subprocess.Popen[bytes]", told: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        said = told.read_text("utf-8", errors="replace")
        if any(line.startswith("ready ") for line in said.splitlines()):
            return
        if process.poll() is not None:
            raise AssertionError(f"the demo ended with {process.returncode}:\n{said[-2000:]}")
        time.sleep(0.2)
    raise AssertionError(f"the demo was not ready in {_START_S} s:\n{told.read_text('utf-8')[-2000:]}")
