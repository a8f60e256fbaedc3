"""How a command speaks: in which language, for a person or for a program, and with which number it ends."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, TextIO

import msgspec

from onestop.cli import widths
from onestop.texts import Language, has, text

_COLOURS = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "strong": "1"}


class Exit(IntEnum):
    """With what a command ends; these numbers do not change."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    FINDINGS = 5
    INTERRUPTED = 130


class Halt(Exception):
    """A command cannot go on; `cli.halt.<key>.says` tells why and `cli.halt.<key>.fix` what to do."""

    def __init__(self, key: str, code: Exit = Exit.FAILED, **params: object) -> None:
        super().__init__(key)
        self.key = key
        self.code = code
        self.params = params


def language(environ: Mapping[str, str]) -> Language:
    """Return the language of the environment: ONESTOP_LANG, then the locale; English where it names neither."""
    for name in ("ONESTOP_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        told = environ.get(name, "").lower()
        if told:
            return "zh" if told.startswith("zh") else "en"
    return "en"


class Speaker:
    """One run of a command, as its reader sees it."""

    def __init__(self, lang: Language, *, debug: bool = False) -> None:
        self.lang: Language = lang
        self.debug = debug
        self.as_json = False

    def say(self, key: str, **params: object) -> str:
        """Return the words under `cli.<key>`."""
        return text(f"cli.{key}", self.lang, **params)

    def show(self, document: Any) -> None:
        """Print one JSON document on one line."""
        self._write(sys.stdout, msgspec.json.encode(document, enc_hook=str).decode())

    def line(self, words: str = "") -> None:
        """Print a line for a person."""
        self._write(sys.stdout, words)

    def tell(self, key: str, **params: object) -> None:
        """Print the words under `cli.<key>` for a person."""
        self.line(self.say(key, **params))

    def murmur(self, key: str, **params: object) -> None:
        """Say on the error stream, where it mixes with nobody's output, how something goes on."""
        self._write(sys.stderr, self.say(key, **params))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table that fits the terminal; the headings are keys below `cli.heading`."""
        named = [self.say(f"heading.{name}") for name in headings]
        first, *rest = widths.table(named, rows, places())
        self.line(self.paint("strong", first))
        for row in rest:
            self.line(row)

    def complain(self, says: str, fix: str = "") -> None:
        """Say in one sentence what went wrong, and what to do, on the error stream."""
        self._write(sys.stderr, self.paint("bad", "onestop: ", sys.stderr) + says)
        if fix:
            self._write(sys.stderr, "  → " + fix)

    def complain_of(self, halt: Halt) -> None:
        """Say why a command stopped."""
        self.complain(self.say(f"halt.{halt.key}.says", **halt.params), self.say(f"halt.{halt.key}.fix", **halt.params))

    def fix_of(self, code: str, /, **params: object) -> str:
        """Return what to do about a problem code; empty where the catalogue does not say."""
        key = f"problem.{code}.fix"
        return text(key, self.lang, **params) if has(key) else ""

    def paint(self, colour: str, words: str, stream: TextIO | None = None) -> str:
        """Return the words in a colour where the reader is a terminal that wants colours."""
        stream = stream or sys.stdout
        plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb" or not stream.isatty()
        return words if plain else f"\x1b[{_COLOURS[colour]}m{words}\x1b[0m"

    def _write(self, stream: TextIO, words: str) -> None:
        stream.write(words + "\n")
        stream.flush()


def places() -> int:
    """Return how wide the terminal is; 80 where there is none."""
    return max(40, shutil.get_terminal_size((80, 24)).columns)
