"""What the runner knows of the machine: processes, their CPU time and memory, and what others take of the two cores."""

import contextlib
import ctypes
import http.client
import os
import pwd
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SERVER_CORE, LOAD_CORE = 0, 1
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


class Core(NamedTuple):
    """Seconds since the machine started."""

    all: float
    busy: float


def take_load_core() -> None:
    """Move the runner, and whatever it starts later, to the load's core, with room for many connections."""
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("bench: two cores are needed: one for the server, one for the load")
    os.sched_setaffinity(0, {LOAD_CORE})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def start(
    argv: Sequence[str], env: Mapping[str, str], log: Path, core: int = LOAD_CORE, user: str | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that ends with the runner, however the runner ends."""

    def before_exec() -> None:
        os.sched_setaffinity(0, {core})
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        groups: dict[str, Any] = {"user": user, "group": user_group(user), "extra_groups": []} if user else {}
        return subprocess.Popen(
            argv, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True,
            preexec_fn=before_exec, **groups,
        )  # fmt: skip


def user_group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def stop(process: subprocess.Popen[bytes], with_signal: int = signal.SIGTERM) -> None:
    """End a process, and whatever of it is still there eight seconds later; nothing if it has ended already."""
    if process.poll() is not None:
        return
    pids = tree(process.pid)
    send(pids[:1], with_signal)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(8)
    send(orphans(pids, process.pid), signal.SIGKILL)
    process.wait()


def send(pids: Sequence[int], what: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            continue


def orphans(pids: Sequence[int], session: int) -> list[int]:
    """Return those of the processes that still live in the session: a number may have gone to somebody else."""
    living = []
    for pid in pids:
        try:
            if os.getsid(pid) == session:
                living.append(pid)
        except ProcessLookupError:
            continue
    return living


def tree(pid: int) -> list[int]:
    """Return the process and all its descendants, parents first."""
    found = [pid]
    for known in found:
        for children in Path(f"/proc/{known}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process tree; of children that have ended too, where they were waited for."""
    ticks = 0
    for member in tree(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS_PER_S


def pss_mib(pid: int) -> float:
    """Return the memory of a process tree; a page shared with n processes counts as 1/n."""
    kib = 0
    for member in tree(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kib / 1024


def cores() -> tuple[Core, Core]:
    """Return the clocks of the server's core and of the load's; time stolen by the host counts as busy."""
    lines = Path("/proc/stat").read_text().splitlines()[1:3]
    clocks = []
    for line in lines:
        ticks = [int(field) for field in line.split()[1:9]]
        clocks.append(Core(sum(ticks) / TICKS_PER_S, (sum(ticks) - ticks[3] - ticks[4]) / TICKS_PER_S))
    return clocks[SERVER_CORE], clocks[LOAD_CORE]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(
    url: str, method: str = "GET", body: str = "", headers: Mapping[str, str] | None = None, timeout_s: float = 10
) -> tuple[int, bytes]:
    """Ask once; status 0 says that no answer came. Of an event stream only the head is read."""
    request = urllib.request.Request(url, body.encode() or None, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as reply:
            endless = reply.headers.get_content_type() == "text/event-stream"
            return reply.status, b"" if endless else reply.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()
    except (OSError, http.client.HTTPException) as failure:
        return 0, repr(failure).encode()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], limit_s: float = 30) -> float:
    """Return the seconds until the address answered 200; the process is given up when it ends or takes too long."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < limit_s:
        if process.poll() is not None:
            raise RuntimeError(f"ended with {process.returncode} before it answered {url}")
        if fetch(url, timeout_s=2)[0] == 200:
            return time.perf_counter() - begun
        time.sleep(0.005)
    raise RuntimeError(f"{url} did not answer within {limit_s:g} s")
