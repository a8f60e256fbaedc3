"""Anchors: what the tree was at a moment, signed; each holds the hash of the one before.

Whoever owns the database can change rows and work out hashes anew, but cannot sign: see `anchor_keys`. An anchor tells
its suite, which is both the hash of its tree and the kind of its key, and where its tree begins. Those of before there
was a choice (`onestop-anchor-1`) tell neither: theirs are `intl` and zero.
"""

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from onestop.audit.canonical import sorted_json
from onestop.errors import Internal
from onestop.settings import SuiteName
from onestop.suites import SUITES, Suite

FIRST: Final = "0" * 64  # what the first anchor has in place of the one before
_SIGNED_AS: Final = (b"onestop-anchor-1\n", b"onestop-anchor-2\n")


class LedgerRewritten(Internal):
    """The database's anchors are not those that were written outside of it: it was rolled back, or altered."""

    code = "audit.rewritten"


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that anchors are checked with, as a JWK; binary members are base64url without padding."""

    alg: str  # EdDSA or SGD_SM3_SM2
    crv: str  # Ed25519 or SM2
    kid: str  # the thumbprint of RFC 7638, by the hash of the key's suite
    kty: str
    use: str = "sig"
    x: str
    y: str | UnsetType = UNSET  # of SM2


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """One anchor; in order of name, as it is signed."""

    at: str  # UTC, RFC 3339 with microseconds
    base: int | UnsetType = UNSET  # the position of its tree's first leaf
    kid: str
    next: PublicKey | UnsetType = UNSET  # the key that may follow the one which signs this
    number: int
    previous: str  # `digest_of` the one before
    region: str
    root: str
    signature: str = ""  # base64url, over everything else
    size: int  # leaves of all trees until here
    suite: SuiteName | UnsetType = UNSET

    @property
    def begins(self) -> int:
        """Return the position of its tree's first leaf."""
        return 0 if self.base is UNSET else self.base

    @property
    def by(self) -> Suite:
        """Return the suite it was made with."""
        return SUITES["intl" if self.suite is UNSET else self.suite]


def signed_bytes(anchor: Anchor) -> bytes:
    """Return what is signed: the anchor without its signature, with a line before it that says what it is."""
    members = msgspec.to_builtins(anchor)
    del members["signature"]
    return _SIGNED_AS[anchor.suite is not UNSET] + sorted_json(members).encode()


def digest_of(anchor: Anchor, suite: Suite) -> str:
    """Return what the next anchor, made with `suite`, holds of this one: 64 hexadecimal digits."""
    return suite.hash(signed_bytes(anchor)).hex()


def written(anchor: Anchor) -> str:
    """Return an anchor as it is published and kept."""
    return sorted_json(msgspec.to_builtins(anchor))


def follows(anchor: Anchor, before: Anchor | None) -> bool:
    """Tell whether an anchor continues the one before, or begins where there is none."""
    if before is None:
        return anchor.number == 1 and anchor.previous == FIRST and anchor.begins == 0
    same = anchor.begins == before.begins and anchor.by is before.by
    return (
        anchor.number == before.number + 1
        and anchor.previous == digest_of(before, anchor.by)
        and anchor.size >= before.size
        # A tree of another suite begins where an anchor of the one before has closed it.
        and (same or anchor.begins == before.size)
    )
