"""Seal, unseal and index personal data. Every output begins with the id of the suite that made it.

Suite 1 is AES-256-GCM and HMAC-SHA-256. The keys are derived (HKDF-SHA-256) from one 32-byte root in the state folder.
"""

import contextlib
import hashlib
import hmac
import os
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from onestop.errors import Internal

_SUITE = b"\x01"
_NONCE = 12


class SealBroken(Internal):
    """The bytes were not sealed by these keys for this context, or were altered."""

    code = "crypto.seal_broken"


def _derive(root: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(root)


class Keys:
    """The keys of one installation."""

    def __init__(self, root: bytes) -> None:
        self._aead = AESGCM(_derive(root, "onestop/seal/1"))
        self._index = _derive(root, "onestop/index/1")
        self._mac = _derive(root, "onestop/mac/1")
        self._root = root

    @classmethod
    def load(cls, state_dir: Path) -> Self:
        """Read the root key of an installation, making it at the first start; safe for several starters."""
        path = state_dir / "keys" / "root.key"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            fresh = path.with_suffix(f".{os.getpid()}")
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(os.urandom(32))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another starter was first: its key stands
                os.link(fresh, path)
            fresh.unlink()
        return cls(path.read_bytes())

    def seal(self, data: bytes, context: str) -> bytes:
        """Encrypt; `context` (table, column, row) must be given again to open it."""
        nonce = os.urandom(_NONCE)
        return _SUITE + nonce + self._aead.encrypt(nonce, data, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` made.

        Raises:
            SealBroken: other keys, another context, another suite, or altered bytes.
        """
        if sealed[:1] != _SUITE:
            raise SealBroken(f"unknown suite {sealed[:1].hex()}")
        try:
            return self._aead.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], context.encode())
        except InvalidTag as cause:
            raise SealBroken(context) from cause

    def blind_index(self, value: str, context: str) -> bytes:
        """Return 32 bytes that are equal for equal values of one context and tell nothing else."""
        return hmac.digest(self._index, f"{context}\0{value}".encode(), "sha256")

    def mac(self, data: bytes) -> bytes:
        """Return an HMAC-SHA-256 for tokens that onestop itself gives out and reads back."""
        return hmac.digest(self._mac, data, "sha256")

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes of key for a named purpose."""
        return _derive(self._root, purpose)


def digest(data: bytes) -> bytes:
    """Return the SHA-256 of `data`: what is stored in place of a bearer secret."""
    return hashlib.sha256(data).digest()
