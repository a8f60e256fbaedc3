"""Identifiers: a prefix that says what is named, and a UUIDv7 that sorts by time.

`case_01k9…` is the prefix, an underscore and 26 lower-case Crockford base32 characters.
"""

import os
import re
import time
from itertools import islice

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Ten bits at a time: 1,024 pairs of characters, so that a new id costs 13 look-ups.
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_SHAPE = re.compile(r"([a-z]{2,5})_([0-7][0-9a-hjkmnp-tv-z]{25})")
_random = bytearray()


def _entropy(count: int) -> bytes:
    """Return `count` random bytes; asked of the system 4 KiB at a time."""
    if len(_random) < count:
        _random.extend(os.urandom(4096))
    taken = bytes(islice(_random, count))
    del _random[:count]
    return taken


def new_uuid7() -> int:
    """Return a UUIDv7 (RFC 9562) as a 128-bit integer: 48 bits of milliseconds, then random bits."""
    ms = time.time_ns() // 1_000_000
    rand = int.from_bytes(_entropy(10), "big")
    return (ms << 80) | (0x7 << 76) | ((rand >> 68 & 0xFFF) << 64) | (0b10 << 62) | (rand & ((1 << 62) - 1))


def new_id(prefix: str) -> str:
    """Return a new identifier of the kind named by `prefix`, sorting after those made earlier."""
    value = new_uuid7()
    pairs = _PAIRS
    return prefix + "_" + "".join([pairs[value >> shift & 1023] for shift in range(120, -1, -10)])


def is_id(prefix: str, text: str) -> bool:
    """Tell whether `text` has the shape of an identifier of the kind named by `prefix`."""
    match = _SHAPE.fullmatch(text)
    return match is not None and match[1] == prefix


def forget_entropy() -> None:
    """Drop the random bytes in store; a forked child must not repeat its parent's."""
    _random.clear()


os.register_at_fork(after_in_child=forget_entropy)
