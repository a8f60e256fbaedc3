"""Which process this is, so that another one on the same machine can tell whether it still runs.

Linux only: the host's name, the space its process numbers belong to (containers have their own), its number and when
it began, for numbers are given again. Elsewhere, and from another machine, nothing can be told.
"""

import os
import socket
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_BEGAN: Final = 19  # the 22nd field of `stat`, counted after the name, which may hold spaces (proc(5))


def here() -> str:
    """Return `host/space/number/begun` of this process."""
    return f"{_space()}/{os.getpid()}/{_began(os.getpid())}"


def has_ended(process: str) -> bool:
    """Tell whether a process named by `here` is known to have ended; False where it cannot be known from here."""
    space, number, began = process.rsplit("/", 2)
    if space != _space() or not began or not number.isdecimal():
        return False
    return _began(int(number)) != began


def _space() -> str:
    try:
        space = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{socket.gethostname()}/{space}"


def _began(number: int) -> str:
    """Return in clock ticks since the machine's start when a process began; empty where it does not run."""
    try:
        return (_PROC / str(number) / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[_BEGAN]
    except (OSError, IndexError):
        return ""
