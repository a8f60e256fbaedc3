"""Where the files that come with onestop are, and how one that describes a thing is read.

In a checkout they are at the top level, in a wheel inside the package.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from onestop.errors import OnestopError

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent
T = TypeVar("T")


def shipped(name: str) -> Path:
    """Return the folder `adapters` or `migrations` of this installation.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for folder in (_PACKAGE / f"_{name}", _CHECKOUT / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{name}/ is neither in the package nor beside src/")


def read_toml(
    data: bytes, name: str, kind: type[T], fault: Callable[[T], str | None], bad: Callable[[str], OnestopError]
) -> T:
    """Read a TOML file that describes one thing; `fault` says what does not fit together, or raises; None: it fits.

    Raises:
        OnestopError: `bad`, of the file's name and why: not TOML, an unknown or missing key, a value out of bounds.
    """
    try:
        read = msgspec.convert(tomllib.loads(data.decode("utf-8")), kind)
        problem = fault(read)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, OnestopError) as cause:
        raise bad(f"{name}: {cause}") from cause
    if problem:
        raise bad(f"{name}: {problem}")
    return read
