"""Idle event streams: opens many and tells what they cost the server's memory (less the kernel's buffers)."""

import socket
import subprocess
import time

import machine
from contenders import Contender

PER_ADDRESS = 1000
AT_ONCE = 100


def open_streams(contender: Contender, count: int) -> list[socket.socket]:
    """Open streams, the citizens taking turns, from 127.0.0.2 on; each has had its first answer when this returns."""
    tokens = contender.tokens.read_text().split()
    own = contender.event_paths.read_text().split() if contender.event_paths else [contender.events.path]
    opened: list[socket.socket] = []
    while len(opened) < count:
        batch = []
        for number in range(len(opened), min(len(opened) + AT_ONCE, count)):
            stream = socket.create_connection(
                ("127.0.0.1", contender.port), 20, (f"127.0.0.{2 + number // PER_ADDRESS}", 0)
            )
            stream.sendall(
                f"GET {own[number % len(own)]} HTTP/1.1\r\nHost: bench.test\r\nAccept: text/event-stream\r\n"
                f"Authorization: Bearer {tokens[number % len(tokens)]}\r\n\r\n".encode()
            )
            batch.append(stream)
        for stream in batch:
            answer = stream.recv(4096)
            if b" 200 " not in answer.partition(b"\r\n")[0]:
                raise RuntimeError(f"a stream was answered {answer[:200]!r}")
        opened += batch
    return opened


def measure(contender: Contender, process: subprocess.Popen[bytes], count: int) -> dict[str, float]:
    """Return MiB for 10,000 streams, by what `count` of them added to a server that had served twenty."""
    opened = open_streams(contender, 20)
    try:
        time.sleep(0.5)
        before = machine.pss_mib(process.pid)
        begun = time.perf_counter()
        opened += open_streams(contender, count)
        took = time.perf_counter() - begun
        time.sleep(1)
        grown = machine.pss_mib(process.pid) - before
        broken = sum(is_closed(stream) for stream in opened)
        return {"streams": count, "mib_10k": grown / count * 10000, "open_s": took, "broken": broken, "pss_mib": before}
    finally:
        for stream in opened:
            stream.close()


def is_closed(stream: socket.socket) -> bool:
    stream.setblocking(False)
    try:
        return stream.recv(65536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
