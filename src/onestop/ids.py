"""Identifiers: a prefix that says what is named, and a UUIDv7 that sorts by time.

`case_01k9…` is the prefix, an underscore and 26 lower-case Crockford base32 characters.
"""

import os
import re
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Ten bits at a time: 1,024 pairs of characters.
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_SHAPE = re.compile(r"([a-z]{2,5})_([0-7][0-9a-hjkmnp-tv-z]{25})")
_TAIL = 16  # characters after the time, each from a random byte of its own
_TAILS = 400  # made at once


def _from_byte(characters: str) -> bytes:
    """Return a table that makes each of these characters, a power of two in number, of equally many bytes."""
    return characters.encode() * (256 // len(characters))


_ANY = _from_byte(_ALPHABET)
_VERSION = _from_byte(_ALPHABET[0b01110:0b10000])  # four bits of version 7, one random bit
_VARIANT = _from_byte("".join(c for value, c in enumerate(_ALPHABET) if value >> 2 & 0b11 == 0b10))

_tails: list[str] = []
_instant = (-1, "")  # the last 1,024 milliseconds in which an id was made, and their eight characters


def _tail() -> str:
    """Return sixteen characters: version, variant and 74 random bits."""
    if not _tails:
        data = os.urandom(_TAIL * _TAILS)
        made = bytearray(data.translate(_ANY))
        made[0::_TAIL] = data[0::_TAIL].translate(_VERSION)
        made[3::_TAIL] = data[3::_TAIL].translate(_VARIANT)
        text = made.decode()
        _tails.extend([text[i : i + _TAIL] for i in range(0, len(text), _TAIL)])
    return _tails.pop()


def new_id(prefix: str) -> str:
    """Return a new identifier of the kind named by `prefix`, sorting after those of earlier milliseconds.

    The 26 characters are a UUIDv7 (RFC 9562): 48 bits of milliseconds in ten, version, variant and 74 random bits in
    sixteen.
    """
    global _instant
    ms = time.time_ns() // 1_000_000
    span = ms >> 10
    if span != _instant[0]:
        _instant = (span, "".join([_PAIRS[span >> shift & 1023] for shift in (30, 20, 10, 0)]))
    return f"{prefix}_{_instant[1]}{_PAIRS[ms & 1023]}{_tail()}"


def is_id(prefix: str, text: str) -> bool:
    """Tell whether `text` has the shape of an identifier of the kind named by `prefix`."""
    match = _SHAPE.fullmatch(text)
    return match is not None and match[1] == prefix


def forget_entropy() -> None:
    """Drop the random characters in store; a forked child must not repeat its parent's."""
    _tails.clear()


os.register_at_fork(after_in_child=forget_entropy)
