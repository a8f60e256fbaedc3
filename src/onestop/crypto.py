"""Seal, open and index personal data. Every output tells the suite that made it, every seal its key as well.

A seal is `header | 12 bytes of nonce | ciphertext and tag`. The header is one byte, the suite's id, where the first
root key made it; with its highest bit set, the next byte is the number of the root key. So what was sealed before
there was a second key or suite is a seal like any other.

Root keys are files of 32 bytes: `keys/root.key` is number 1, `keys/root-<n>.key` the others; `keys/current` tells which
one seals. All of them open. Indices stay under number 1: with another key nobody would be found.
"""

import hashlib
import hmac
import os
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag

from onestop.errors import Internal
from onestop.rootkeys import FIRST, RootFolder
from onestop.settings import SuiteName
from onestop.suites import BY_ID, INTL, SUITES, Aead, Suite

_NONCE: Final = 12
_NUMBERED: Final = 0x80


class SealBroken(Internal):
    """The bytes were not sealed by these keys for this context, or were altered."""

    code = "crypto.seal_broken"


class Sealer:
    """Seals and opens for one purpose, under root keys that may be followed by others."""

    def __init__(self, roots: dict[int, bytes], purpose: str, suite: Suite, number: int = FIRST) -> None:
        self._roots, self._purpose = roots, purpose
        self._opening: dict[bytes, Aead] = {}
        self.choose(suite, number)

    def choose(self, suite: Suite, number: int) -> None:
        """Seal from now on with that suite and that root key."""
        self.suite = suite
        self.header = bytes([suite.id]) if number == FIRST else bytes([suite.id | _NUMBERED, number])
        self._aead = self._cipher(self.header)

    def seal(self, data: bytes, context: str) -> bytes:
        """Encrypt; `context` (table, column, row) must be given again to open it."""
        nonce = os.urandom(_NONCE)
        return self.header + nonce + self._aead.encrypt(nonce, data, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` made, with whichever suite and root key it was made.

        Raises:
            SealBroken: other keys, another context, an unknown suite, or altered bytes.
        """
        aead = self._opening.get(sealed[:1])
        if aead is None:
            return self._unseal_other(sealed, context)
        try:
            return aead.decrypt(sealed[1:13], sealed[13:], context.encode())
        except (InvalidTag, ValueError) as cause:
            raise SealBroken(context) from cause

    def _unseal_other(self, sealed: bytes, context: str) -> bytes:
        """Open what is not of the first root key, or the first seal of a suite."""
        header = sealed[: 1 if sealed[:1] < b"\x80" else 2]
        aead = self._opening.get(header) or self._cipher(header)
        at = len(header) + _NONCE
        try:
            return aead.decrypt(sealed[at - _NONCE : at], sealed[at:], context.encode())
        except (InvalidTag, ValueError) as cause:
            raise SealBroken(context) from cause

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether it was sealed with the suite and key that seal now."""
        return sealed.startswith(self.header)

    def _cipher(self, header: bytes) -> Aead:
        """Make the cipher a header asks for, once."""
        suite = BY_ID.get(header[0] & ~_NUMBERED) if header else None
        root = self._root(header[1] if len(header) == 2 else FIRST)
        if suite is None or root is None or header == bytes([suite.id | _NUMBERED, FIRST]):
            raise SealBroken(f"unknown suite or key {header.hex()}")
        made = self._opening[header] = suite.aead(suite.derive(root, self._named(suite)))
        return made

    def _root(self, number: int) -> bytes | None:
        return self._roots.get(number)

    def _named(self, suite: Suite) -> str:
        # No key serves two suites: what one of them leaks tells nothing of the other.
        return self._purpose if suite is INTL else f"{self._purpose}/{suite.name}"


class Keys(Sealer):
    """The keys of one installation."""

    def __init__(self, folder: RootFolder, suite: SuiteName = "intl") -> None:
        self._folder = folder
        self._regions: dict[str, Sealer] = {}
        super().__init__(folder.roots, "onestop/seal/1", SUITES[suite], folder.current)
        first = folder.roots[FIRST]
        self._index = {each.id: each.derive(first, "onestop/index/1") for each in SUITES.values()}
        self._mac = INTL.derive(first, "onestop/mac/1")

    @classmethod
    def load(cls, state_dir: Path, suite: SuiteName = "intl") -> Self:
        """Read an installation's root keys, making the first one at the first start; safe for several starters.

        Raises:
            BadRootKeys: a file is no key, or the one that shall seal is not there.
        """
        return cls(RootFolder.open(state_dir / "keys"), suite)

    def reload(self) -> bool:
        """Read the folder of root keys again; True where another one seals from now on.

        Raises:
            BadRootKeys: as `load`; what was read before stays in use.
        """
        before = self._folder.current
        self._folder.read()
        if self._folder.current == before:
            return False
        for sealer in (self, *self._regions.values()):
            sealer.choose(self.suite, self._folder.current)
        return True

    def region(self, region: str) -> Sealer:
        """Return the key of a region: it wraps the data keys of the region's subjects, and seals nothing else."""
        found = self._regions.get(region)
        if found is None:
            purpose = f"onestop/region/1/{region}"
            found = self._regions[region] = _Region(self, purpose, self._folder.current)
        return found

    def data_sealer(self, data_key: bytes) -> Sealer:
        """Return what seals under a data key of its own, such as one subject's."""
        return Sealer({FIRST: data_key}, "onestop/data/1", self.suite)

    def blind_index(self, value: str, context: str) -> bytes:
        """Return bytes that are equal for equal values of one context and tell nothing else; written with a row."""
        return self._index_by(self.suite, value, context)

    def blind_indices(self, value: str, context: str) -> list[bytes]:
        """Return what `blind_index` gives under each suite, always in the same order; a row is looked for by all."""
        return [self._index_by(suite, value, context) for suite in SUITES.values()]

    def _index_by(self, suite: Suite, value: str, context: str) -> bytes:
        found = suite.mac(self._index[suite.id], f"{context}\0{value}".encode())
        return _tagged(suite, found)

    def hash(self, data: bytes) -> bytes:
        """Return the suite's hash of the data, as it is stored."""
        return _tagged(self.suite, self.suite.hash(data))

    def mac(self, data: bytes) -> bytes:
        """Return an HMAC-SHA-256 for tokens that onestop itself gives out and reads back."""
        return hmac.digest(self._mac, data, "sha256")

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes of key for a named purpose."""
        return INTL.derive(self._folder.roots[FIRST], purpose)

    def _root(self, number: int) -> bytes | None:
        """Return a root key; one that another process has just begun to seal with is looked for in the folder."""
        return super()._root(number) or self._folder.look(number)


class _Region(Sealer):
    """A region's key; it looks for new root keys where the installation's keys do."""

    def __init__(self, keys: Keys, purpose: str, number: int) -> None:
        self._keys = keys
        super().__init__({}, purpose, keys.suite, number)

    def _root(self, number: int) -> bytes | None:
        return self._keys._root(number)


def _tagged(suite: Suite, made: bytes) -> bytes:
    """Put the suite's id before a hash or index; 32 bytes without one are suite 1's."""
    return made if suite is INTL else bytes([suite.id]) + made


def is_hash(data: bytes, stored: bytes) -> bool:
    """Tell whether `Keys.hash`, under any suite, made `stored` of this data."""
    suite = INTL if len(stored) == 32 else BY_ID.get(stored[0]) if stored else None
    return suite is not None and hmac.compare_digest(_tagged(suite, suite.hash(data)), stored)


def digest(data: bytes) -> bytes:
    """Return the SHA-256 of `data`: what is stored in place of a bearer secret."""
    return hashlib.sha256(data).digest()
