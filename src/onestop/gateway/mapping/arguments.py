"""Arguments of the mapping language's functions, and what a function is told where it is compiled."""

import re
from typing import Final

import msgspec

from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.paths import reader, reader_around
from onestop.gateway.mapping.values import Codes, Getter

_INTEGER: Final = re.compile(r"-?[0-9]{1,6}", re.ASCII)


class Spot(msgspec.Struct, frozen=True):
    """Where a function stands."""

    source: str  # the whole expression
    at: int  # the character the function begins at, from 1
    codes: Codes
    inside: int = 0  # how many lists

    def wrong(self, sentence: str) -> BadManifest:
        """Return the fault of an argument."""
        return BadManifest(f"{sentence}, at character {self.at} of {self.source!r}")

    def path(self, text: str) -> Getter:
        """Compile a path among the arguments.

        Raises:
            BadManifest: it is none.
        """
        return reader(text, f"character {self.at} of {self.source!r}")

    def root_path(self, text: str) -> Getter:
        """Compile a path among the arguments that begins where the expression does; it may lead out of lists by `../`.

        Raises:
            BadManifest: it is none, or leads too far out.
        """
        return reader_around(text, f"character {self.at} of {self.source!r}", self.inside)

    def operand(self, text: str) -> Getter:
        """Compile a path as `root_path` does, or a text in single quotes.

        Raises:
            BadManifest: it is neither.
        """
        if is_quoted(text):
            literal = text[1:-1]
            return lambda _: literal
        return self.root_path(text)


def is_quoted(text: str) -> bool:
    """Tell whether a text stands in single quotes."""
    return len(text) >= 2 and text[0] == text[-1] == "'"


def unquoted(text: str) -> str:
    """Return a text without the single quotes around it, where there are some."""
    return text[1:-1] if is_quoted(text) else text


def parts(argument: str) -> list[str]:
    """Split arguments at commas outside quotes; the quotes stay."""
    found, start, quote = [], 0, ""
    for i, character in enumerate(argument):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == ",":
            found.append(argument[start:i].strip())
            start = i + 1
    return [*found, argument[start:].strip()]


def words(argument: str) -> list[str]:
    """Return the arguments as texts, without quotes; the empty ones left out."""
    return [unquoted(part) for part in parts(argument) if part]


def integers(argument: str, spot: Spot, need: str, least: int, most: int) -> list[int]:
    """Return whole numbers.

    Raises:
        BadManifest: one is none, or there are too few or too many.
    """
    found = words(argument)
    if not (least <= len(found) <= most and all(_INTEGER.fullmatch(word) for word in found)):
        raise spot.wrong(need)
    return [int(word) for word in found]
