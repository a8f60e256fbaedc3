"""The folder of root keys: the first one made at the first start, others beside it, and which one seals.

A key is written to a file of its own before anything is sealed with it, so that a folder copied to other machines in
between opens everything. Nothing here is ever deleted: that is for people, after everything was sealed anew.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Final, Self

from onestop.errors import Internal

FIRST: Final = 1
_MOST: Final = 255  # a number is one byte of a seal
_BYTES: Final = 32
_NAME: Final = re.compile(r"root(?:-([1-9][0-9]{0,2}))?\.key")


class BadRootKeys(Internal):
    """A file in the folder of root keys is no key, or the key that shall seal is not there."""

    code = "crypto.bad_root_keys"


class RootFolder:
    """The root keys of an installation as one process has read them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roots: dict[int, bytes] = {}
        self.current = FIRST

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the folder, making it and the first key where they are missing; safe for several starters.

        Raises:
            BadRootKeys: as `read`.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path_of(folder, FIRST).exists():
            _write(path_of(folder, FIRST), os.urandom(_BYTES))
        found = cls(folder)
        found.read()
        return found

    def read(self) -> None:
        """Read all keys and which one seals.

        Raises:
            BadRootKeys: a file is no key, or the one that shall seal is not there; nothing has changed then.
        """
        found = {number: _key(path) for path in self.folder.iterdir() if (number := _number(path)) is not None}
        current = _told(self.folder / "current")
        if FIRST not in found or current not in found:
            raise BadRootKeys(f"{self.folder} lacks root key {FIRST} or {current}")
        self.roots.update(found)
        self.current = current

    def look(self, number: int) -> bytes | None:
        """Return a root key that was not there when the folder was read; None where it is not there now either.

        Raises:
            BadRootKeys: its file is no key.
        """
        path = path_of(self.folder, number)
        if number not in self.roots and path.exists():
            self.roots[number] = _key(path)
        return self.roots.get(number)

    def add(self) -> int:
        """Write a new root key, with which nothing is sealed yet, and return its number.

        Raises:
            BadRootKeys: there are as many as there can be.
        """
        self.read()
        number = max(self.roots) + 1
        if number > _MOST:
            raise BadRootKeys(f"there are {_MOST} root keys, and a seal has room for no greater number")
        _write(path_of(self.folder, number), os.urandom(_BYTES))
        self.read()
        return number

    def use(self, number: int) -> None:
        """Let a root key seal from now on; processes see it within five seconds.

        Raises:
            BadRootKeys: there is none of that number.
        """
        self.read()
        if number not in self.roots:
            raise BadRootKeys(f"{self.folder} has no root key {number}")
        fresh = self.folder / f"current.{os.getpid()}"
        _fill(fresh, f"{number}\n".encode())
        fresh.replace(self.folder / "current")
        self.read()


def path_of(folder: Path, number: int) -> Path:
    """Return the file of a root key."""
    return folder / ("root.key" if number == FIRST else f"root-{number}.key")


def _number(path: Path) -> int | None:
    told = _NAME.fullmatch(path.name)
    if told is None:
        return None
    number = FIRST if told[1] is None else int(told[1])
    return number if path == path_of(path.parent, number) and number <= _MOST else None


def _key(path: Path) -> bytes:
    found = path.read_bytes()
    if len(found) != _BYTES:
        raise BadRootKeys(f"{path} does not hold {_BYTES} bytes")
    return found


def _told(path: Path) -> int:
    try:
        return int(path.read_text("ascii"))
    except FileNotFoundError:
        return FIRST
    except ValueError as cause:
        raise BadRootKeys(f"{path} holds no number") from cause


def _write(path: Path, key: bytes) -> None:
    fresh = path.with_suffix(f".{os.getpid()}")
    _fill(fresh, key)
    with contextlib.suppress(FileExistsError):  # another starter was first: its key stands
        os.link(fresh, path)
    fresh.unlink()


def _fill(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
