"""Names: splitting those of any style into words, and making ours of them."""

import re
from collections.abc import Iterable

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case: `payerIdNo`, `payer_id_no` and `PayerID-No` are the same three."""
    return [word.lower() for word in _WORD.findall(name)]


def snake(name: str, fallback: str = "value") -> str:
    """Return a name as ours are: lower case, ASCII, 2 to 40 characters, beginning with a letter."""
    joined = "_".join(word for word in words_of(name) if word.isascii())[:40].strip("_")
    if not joined:
        return fallback
    if not joined[0].isalpha():
        joined = f"n_{joined}"[:40]
    return joined if len(joined) > 1 else f"{joined}_value"


def member(name: str) -> str:
    """Return what a member of `payload` or of a reply is called with us: ours where it is ASCII, else as it is."""
    if _NOT_ASCII.search(name):
        kept = re.sub(r"[^\w-]", "_", name)[:40]
        return kept if re.match(r"[^\W\d]", kept) else f"n_{kept}"
    return snake(name)


def unique(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number where it is taken."""
    known = set(taken)
    if name not in known:
        return name
    number = 2
    while f"{name[:37]}_{number}" in known:
        number += 1
    return f"{name[:37]}_{number}"
