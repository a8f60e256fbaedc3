"""The supervisor with stub processes: order, one ready line, healing, and nothing left behind."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import onestop
from onestop.demo import supervisor
from onestop.demo.children import Child, Ended, Spec, answers
from onestop.demo.folder import Folder, NotOurs, Taken
from tests.ports import free_port

SOURCE = str(Path(onestop.__file__).parents[1])
SERVE = (
    "import http.server, sys\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.end_headers(); self.wfile.write(b'ok')\n"
    "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n"
)
# A whole demo whose processes are stubs and whose database is somebody else's.
DEMO = """
import asyncio, os, sys
from pathlib import Path
from onestop.cli import demo as cli
from onestop.cli.speech import Speaker
from onestop.demo import supervisor
from onestop.demo.children import Spec

class Stub(supervisor.City):
    def portal(self):
        yield Spec(name="gateway", argv=(sys.executable, "-c", SERVE, str(self.port)), probe=self.url + "/readyz")
        yield Spec(name="worker", argv=("sleep", "1000"))
    def neighbours(self):
        port = self.port + 11
        yield Spec(name="gongan", argv=(sys.executable, "-c", SERVE, str(port)), department=True,
                   probe=f"http://127.0.0.1:{port}/_health")

async def schema(*_): return []
supervisor.City = Stub
supervisor.migrate.upgrade = schema
sys.exit(asyncio.run(cli._run(Speaker("en"), Path(sys.argv[1]), int(sys.argv[2]), False)))
"""


class Demo:
    """One stub demo as a process group of its own, as a terminal or make would start it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        code = f"SERVE = {SERVE!r}\n{DEMO.replace('SERVE', json.dumps(SERVE))}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder), str(port)],
            env={**os.environ, "ONESTOP_DATABASE_URL": "postgresql://nobody@/none", "PYTHONPATH": SOURCE},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def until(self, words: str) -> list[str]:
        lines = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            lines.append(line.rstrip())
            if words in line:
                return lines
        raise AssertionError(f"ended without {words!r}: {lines}")

    def pids(self) -> dict[str, int]:
        return json.loads((self.folder / "demo.json").read_bytes())["processes"]

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: Iterator[int] | list[int], within_s: float) -> bool:
    until = time.monotonic() + within_s
    pids = list(pids)
    while time.monotonic() < until:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def demo(tmp_path):
    demo = Demo(tmp_path / "state", free_port(100))
    yield demo
    demo.end()


def test_it_tells_each_step_once_and_ready_exactly_when_it_serves(demo):
    lines = demo.until("ready http")
    assert lines[-1] == f"ready http://127.0.0.1:{demo.port}"
    assert [line[:5] for line in lines if line.startswith("[")] == ["[1/5]", "[2/5]", "[3/5]", "[4/5]", "[5/5]"]
    assert asyncio.run(answers(f"http://127.0.0.1:{demo.port}/livez"))
    record = json.loads((demo.folder / "demo.json").read_bytes())
    assert (record["state"], record["port"]) == ("ready", demo.port)
    assert (demo.folder / "demo.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_to_the_group_ends_everything_within_seconds(demo, number, code):
    demo.until("ready http")
    pids = list(demo.pids().values())
    assert len(pids) == 3
    os.killpg(demo.process.pid, number)
    os.kill(demo.process.pid, number)  # make passes on what the group has heard already
    assert demo.process.wait(timeout=8) == code
    assert gone(pids, 1)
    assert json.loads((demo.folder / "demo.json").read_bytes())["state"] == "stopped"


def test_nothing_outlives_a_supervisor_that_is_killed(demo):
    demo.until("ready http")
    pids = list(demo.pids().values())
    os.kill(demo.process.pid, signal.SIGKILL)
    demo.process.wait(10)  # its hold on the folder goes with its last file, a moment after the signal
    assert gone(pids, 3)
    assert Folder(demo.folder).running() is None


def test_a_department_that_is_killed_comes_back_and_both_are_said(demo):
    demo.until("ready http")
    before = demo.pids()["gongan"]
    os.kill(before, signal.SIGKILL)
    assert "gongan ended (-9)" in demo.until("ended")[-1]
    demo.until("gongan is back")
    assert demo.pids()["gongan"] not in (before, None)
    assert asyncio.run(answers(f"http://127.0.0.1:{demo.port + 11}/_health"))


def test_a_second_demo_in_the_same_folder_says_who_runs_there(demo, tmp_path):
    demo.until("ready http")
    second = Demo(demo.folder, free_port(100))
    said, _ = second.process.communicate(timeout=20)
    assert second.process.returncode != 0
    assert "demo_runs" in said


def test_a_folder_that_is_not_a_demo_is_never_touched(tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(NotOurs):
        Folder(tmp_path).claim()
    assert [p.name for p in tmp_path.iterdir()] == ["letters.txt"]


def test_reset_empties_the_folder_but_keeps_the_hold_on_it(tmp_path):
    folder = Folder(tmp_path / "state")
    folder.claim()
    (folder.path / "keys").mkdir()
    (folder.path / "keys" / "root.key").write_bytes(b"x")
    folder.clear()
    assert {p.name for p in folder.path.iterdir()} == {".onestop-demo", "demo.lock"}
    with pytest.raises(Taken):
        Folder(folder.path).claim(patience_s=0.2)


def test_a_port_in_use_is_told_by_number():
    port = free_port(100)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port + 12))
        other.listen()
        with pytest.raises(supervisor.PortTaken) as caught:
            supervisor.check_ports(port)
    assert caught.value.port == port + 12


def test_every_port_follows_the_portals():
    ports = supervisor.ports(9000)
    assert (ports["gateway"], ports["identity-provider"], ports["gongan"], ports["xiaofang"]) == (
        9000,
        9001,
        9011,
        9022,
    )
    assert len(ports) == 14


def test_a_child_of_the_demo_sees_no_setting_of_the_outside(tmp_path):
    city = supervisor.City(tmp_path, 9000, {"ONESTOP_HOST": "0.0.0.0", "ONESTOP_PROFILE": "production", "HOME": "/x"})
    environ = city.environ()
    assert (environ["ONESTOP_HOST"], environ["ONESTOP_PROFILE"], environ["HOME"]) == ("127.0.0.1", "demo", "/x")


@pytest.mark.anyio
async def test_a_process_that_ends_before_it_serves_gives_its_last_words(tmp_path):
    argv = (sys.executable, "-c", "import sys; print('first'); sys.exit('no such file')")
    child = Child(Spec(name="gateway", argv=argv, probe="http://127.0.0.1:9/"), os.environ, tmp_path, print)
    await child.start()
    with pytest.raises(Ended) as caught:
        await child.ready()
    assert caught.value.last_words == "no such file"
    await child.stop(1)


@pytest.mark.anyio
async def test_a_process_that_ignores_the_wish_is_killed(tmp_path):
    argv = (
        sys.executable,
        "-c",
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(99)",
    )
    child = Child(Spec(name="worker", argv=argv), os.environ, tmp_path, print)
    await child.start()
    async with asyncio.timeout(5):
        while not child.log.read_text():  # noqa: ASYNC110 - another process's file, no event of ours
            await asyncio.sleep(0.05)
    assert child.pid is not None
    await child.stop(0.3)
    assert not alive(child.pid)
