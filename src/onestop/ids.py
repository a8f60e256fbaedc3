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
_SHIFTS = range(70, -1, -10)
_CHUNKS = 400  # of ten random bytes, asked of the system at once
_VERSION, _VARIANT = 0x7 << 76, 0b10 << 62
_RANDOM = ~((0xF << 76) | (0b11 << 62))  # where random bits stay random

_random: list[int] = []
_instant = (-1, "")  # the last millisecond, and its ten characters


def _entropy() -> int:
    """Return 80 random bits."""
    if not _random:
        data = os.urandom(10 * _CHUNKS)
        _random.extend([int.from_bytes(data[i : i + 10], "big") for i in range(0, len(data), 10)])
    return _random.pop()


def new_id(prefix: str) -> str:
    """Return a new identifier of the kind named by `prefix`, sorting after those of earlier milliseconds.

    The 26 characters are a UUIDv7 (RFC 9562): 48 bits of milliseconds in ten, version, variant and 74 random bits in
    sixteen.
    """
    global _instant
    ms = time.time_ns() // 1_000_000
    if ms != _instant[0]:
        _instant = (ms, "".join([_PAIRS[ms >> shift & 1023] for shift in (40, 30, 20, 10, 0)]))
    tail = _entropy() & _RANDOM | _VERSION | _VARIANT
    return f"{prefix}_{_instant[1]}" + "".join([_PAIRS[tail >> shift & 1023] for shift in _SHIFTS])


def is_id(prefix: str, text: str) -> bool:
    """Tell whether `text` has the shape of an identifier of the kind named by `prefix`."""
    match = _SHAPE.fullmatch(text)
    return match is not None and match[1] == prefix


def forget_entropy() -> None:
    """Drop the random bytes in store; a forked child must not repeat its parent's."""
    _random.clear()


os.register_at_fork(after_in_child=forget_entropy)
