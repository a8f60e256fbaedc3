"""The words by which things are recognised, in the languages that documents come in: data, in `words.toml` beside."""

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("words.toml").read_text("utf-8"))


def known(name: str) -> frozenset[str]:
    """Return the words under a dotted name."""
    found: Any = _read()
    for step in name.split("."):
        found = found[step]
    return frozenset(found.split())


def personal() -> list[dict[str, Any]]:
    """Return the kinds of personal data in the order in which they are tried."""
    kinds: list[dict[str, Any]] = _read()["personal"]
    return kinds
