"""The file of anchors outside of the database, one JSON object a line: what tells that the database was rolled back.

Every process that makes anchors keeps one; several on one machine may share it.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from onestop.audit.anchors import Anchor, written

_LONGEST = 4096  # bytes of a line
_in = msgspec.json.Decoder(Anchor)


class Witness:
    """The file of one region; blocking, for a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def last(self) -> Anchor | None:
        """Return the newest anchor that stands whole in the file, None where there is none."""
        try:
            with self.path.open("rb") as file:
                return _last(file)
        except FileNotFoundError:
            return None

    def append(self, anchors: Sequence[Anchor]) -> None:
        """Write those that follow what the file has; on disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # another process may have written them meanwhile
            last = _last(file)
            new = [one for one in anchors if last is None or one.number > last.number]
            if not new:
                return
            _end_line(file)
            file.write("".join(written(one) + "\n" for one in new).encode())
            file.flush()
            os.fsync(file.fileno())


def _tail(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2 * _LONGEST))
    return file.read()


def _last(file: BinaryIO) -> Anchor | None:
    # A line that a crash cut off is none: the anchor is in the database and comes again.
    for line in reversed(_tail(file).split(b"\n")):
        try:
            return _in.decode(line)
        except msgspec.DecodeError:
            continue
    return None


def _end_line(file: BinaryIO) -> None:
    """Begin a new line after what a crash cut off."""
    tail = _tail(file)
    if tail and not tail.endswith(b"\n"):
        file.write(b"\n")
