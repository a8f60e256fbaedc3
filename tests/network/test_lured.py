"""No trick makes this system connect to where it may not: counted outside the process that is lured.

Two witnesses: servers on forbidden addresses and ports, which count who comes; and, where this machine has it, strace,
which writes down every connect() the process makes, wherever to.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack

import pytest

from tests.ports import free_port

from .luring import tricks
from .portal import HOST, ROOT

pytestmark = pytest.mark.anyio

_SOCKET = re.compile(r"socket\(AF_INET6?, (SOCK_\w+).*\) = (\d+)")
_CONNECT = re.compile(r'connect\((\d+), \{sa_family=AF_INET6?, sin6?_port=htons\((\d+)\).*?"([0-9a-f.:]+)"')


def _answers(forbidden: int) -> list[bytes]:
    evil = f"http://127.0.0.2:{forbidden}/x"
    heads = [
        f"HTTP/1.1 {status} Go\r\n{name}: {value}\r\n"
        for status in (201, 300, 301, 302, 303, 305, 307, 308)
        for name, value in (("Location", evil), ("Location", evil.removeprefix("http:")))
    ]
    lures = {
        "Refresh": f"0; url={evil}",
        "Link": f'<{evil}>; rel="next"',
        "Alt-Svc": f'http/1.1="127.0.0.2:{forbidden}"',
        "Content-Location": evil,
        "Location": evil,
        "WWW-Authenticate": f'Bearer resource_metadata="{evil}"',
    }
    heads += [f"HTTP/1.1 200 OK\r\n{name}: {value}\r\n" for name, value in lures.items()]
    heads += [
        f"HTTP/1.1 100 Continue\r\nLocation: {evil}\r\n\r\nHTTP/1.1 302 Go\r\nLocation: {evil}\r\n",
        f"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nLocation: {evil}\r\n",
        f"HTTP/1.1 407 Proxy\r\nProxy-Authenticate: Basic\r\nLocation: {evil}\r\n",
        f"HTTP/1.1 503 Later\r\nRetry-After: 0\r\nLocation: {evil}\r\n",
    ]
    body = json.dumps({"next": evil, "$ref": evil, "links": {"next": {"href": evil}}, "data": None}).encode()
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for head in heads]


async def _forbidden(stack: AsyncExitStack, places, came: list) -> None:
    async def count(_, writer) -> None:
        came.append(writer.get_extra_info("sockname"))
        writer.close()

    for host, port in places:
        server = await asyncio.start_server(count, host, port)
        stack.callback(server.close)


async def _allowed(stack: AsyncExitStack, port: int, answers: list[bytes]) -> None:
    async def answer(reader, writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        nth = head.split(b" ")[1].strip(b"/")
        writer.write(answers[int(nth)] if nth.isdigit() else b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, port)
    stack.callback(server.close)


async def test_no_trick_makes_us_connect_to_where_we_may_not(tmp_path, capsys):
    allowed = free_port(2)
    forbidden = allowed + 1
    answers, came, seen = _answers(forbidden), [], tmp_path / "connects"
    proxy = f"http://127.0.0.2:{forbidden}"
    lures = {f"{name}_proxy": proxy for name in ("http", "https", "all")}
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ONESTOP_OUTBOUND_ALLOW": f"{HOST}:{allowed}"}
    environ |= {"ONESTOP_PROFILE": "sandbox"} | lures | {name.upper(): value for name, value in lures.items()}
    witness = [shutil.which("strace"), "-f", "-qq", "-e", "trace=socket,connect", "-o", str(seen)]
    command = [sys.executable, "-P", "-m", "tests.network.luring", str(allowed), str(forbidden), str(len(answers))]
    async with AsyncExitStack() as stack:
        places = [(HOST, forbidden), *((host, port) for host in ("127.0.0.2", "::1") for port in (allowed, forbidden))]
        await _forbidden(stack, places, came)
        await _allowed(stack, allowed, answers)
        watched = witness[0] is not None and (await _run([*witness, "true"], environ))[0] == 0
        code, out = await _run([*witness, *command] if watched else command, environ)
    assert code == 0, out
    gone = json.loads(out.splitlines()[-1])
    connected = _connected(seen.read_text()) if watched else []
    with capsys.disabled():
        print(f"\nlured: {len(tricks(allowed, forbidden))} addresses, {len(answers)} answers; ways gone {gone}")
        print(f"  at forbidden places {len(came)}; {f'{len(connected)} connects seen' if watched else 'no'} by strace")
    assert sum(gone.values()) >= 60
    assert came == []
    assert {place for place in connected if place != (HOST, allowed)} == set()
    assert not watched or len(connected) > len(answers), "the witness sees what is allowed"


async def _run(command, environ) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode, out.decode() or err.decode()[-2000:]


def _connected(trace: str) -> list[tuple[str, int]]:
    """Return where streams were connected to; a resolver only sorts addresses with its datagram sockets."""
    kinds, found = {}, []
    for line in trace.splitlines():
        made, went = _SOCKET.search(line), _CONNECT.search(line)
        if made:
            kinds[made[2]] = made[1]
        elif went and not kinds.get(went[1], "SOCK_STREAM").startswith("SOCK_DGRAM"):
            found.append((went[3], int(went[2])))
    return found
