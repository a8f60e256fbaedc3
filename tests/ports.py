"""Free ports of 127.0.0.1, of which no two processes of one run ever choose the same."""

import os
import random
import socket

HOST = "127.0.0.1"
# Below the ports that the system gives to outgoing connections: nobody takes one before its server has started.
_FIRST, _LAST = 20_000, 32_000
_WORKERS = 6
_given: set[int] = set()


def free_port(span: int = 1) -> int:
    """Return the first of `span` ports in a row on which nobody listens.

    Each process of the suite chooses from a part of its own, and no port twice: who got it may not have started yet.

    Raises:
        OSError: none of two hundred tries was free.
    """
    part = (_LAST - _FIRST) // _WORKERS
    begin = _FIRST + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _WORKERS * part
    for _ in range(200):
        port = random.randrange(begin, begin + part - span)
        row = range(port, port + span)
        if _given.isdisjoint(row) and all(_is_free(one) for one in row):
            _given.update(row)
            return port
    raise OSError(f"no {span} free ports in a row between {begin} and {begin + part}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
