"""Refresh tokens as text: computed from a session's own key and a generation, never kept themselves.

`rt_<session>.<generation>.<mac>`. The same session and generation always give the same token, so a lost reply can be
given again; and a token of any older generation is known for what it is, however old.
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final, Literal

import msgspec

SECRET_BYTES: Final = 32
GRACE_S: Final = 30.0  # how long a reply that was lost may be asked for again
_SHAPE: Final = re.compile(r"rt_([0-9a-z]{26})\.([1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})")

Verdict = Literal["rotate", "again", "reused", "forged"]


class Shown(msgspec.Struct, frozen=True):
    """A refresh token taken apart; nothing of it is believed yet."""

    session_id: str
    generation: int
    mac: str

    def __repr__(self) -> str:
        return f"Shown({self.session_id}, {self.generation})"  # never the mac


def new_secret() -> bytes:
    """Return a new session's key, to be sealed at once."""
    return secrets.token_bytes(SECRET_BYTES)


def make(secret: bytes, session_id: str, generation: int) -> str:
    """Return the refresh token of one generation of a session."""
    return f"rt_{session_id.partition('_')[2]}.{generation}.{_mac(secret, session_id, generation)}"


def read(token: str) -> Shown | None:
    """Take a refresh token apart; None where it is no such thing."""
    found = _SHAPE.fullmatch(token)
    return None if found is None else Shown(f"ses_{found[1]}", int(found[2]), found[3])


def judge(shown: Shown, secret: bytes, generation: int, rotated_s: float) -> Verdict:
    """Return what a shown token is worth, where the session's next is `generation` and the last change `rotated_s` ago.

    `again`: the token just used, shown once more before its successor was: the reply was lost, and is repeated.

    Rule: R-116, a refresh token is used once; one that was used before ends its session.
    """
    if not hmac.compare_digest(shown.mac, _mac(secret, shown.session_id, shown.generation)):
        return "forged"
    if shown.generation == generation:
        return "rotate"
    if shown.generation == generation - 1 and rotated_s <= GRACE_S:
        return "again"
    return "reused" if shown.generation < generation else "forged"


def _mac(secret: bytes, session_id: str, generation: int) -> str:
    made = hmac.digest(secret, f"{session_id}.{generation}".encode(), sha256)
    return urlsafe_b64encode(made).rstrip(b"=").decode()
