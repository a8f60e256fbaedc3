"""The two sets of algorithms data is protected with, behind one interface; the id of a suite stands on what it made.

`intl` is AES-256-GCM, SHA-256 and ES256; `sm` 国密 is SM4-GCM (GB/T 32907), SM3 (GB/T 32905) and SM2 (GB/T 32918,
in `sm2.py`). A suite is given keys and gives bytes; which root key, which context, where the id stands: `crypto.py`.
"""

import hashlib
import hmac
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import hmac as hmac_of_library
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from onestop.settings import SuiteName

_TAG: Final = 16


class Aead(Protocol):
    """Authenticated encryption under one key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Return ciphertext and tag in one."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Return what was encrypted.

        Raises:
            InvalidTag: another key, nonce or associated data, or altered bytes.
        """
        ...


class Suite(Protocol):
    """One set of algorithms."""

    id: int  # 1 to 127
    name: SuiteName
    signature: str  # the JWS name of the algorithm it signs with

    def derive(self, root: bytes, purpose: str) -> bytes:
        """Return 32 bytes of key for a named purpose."""
        ...

    def aead(self, key: bytes) -> Aead:
        """Return the cipher under 32 bytes of key."""
        ...

    def hash(self, data: bytes) -> bytes:
        """Return the hash of the data, 32 bytes."""
        ...

    def mac(self, key: bytes, data: bytes) -> bytes:
        """Return the HMAC of the data, 32 bytes."""
        ...


class Intl:
    """AES-256-GCM, SHA-256, HMAC-SHA-256, ES256."""

    id: int = 1
    name: SuiteName = "intl"
    signature: str = "ES256"

    def derive(self, root: bytes, purpose: str) -> bytes:
        """See `Suite.derive`."""
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(root)

    def aead(self, key: bytes) -> Aead:
        """See `Suite.aead`."""
        return AESGCM(key)

    def hash(self, data: bytes) -> bytes:
        """See `Suite.hash`."""
        return hashlib.sha256(data).digest()

    def mac(self, key: bytes, data: bytes) -> bytes:
        """See `Suite.mac`."""
        return hmac.digest(key, data, "sha256")


class Sm:
    """SM4-GCM, SM3, HMAC-SM3, SM2 with SM3."""

    id: int = 2
    name: SuiteName = "sm"
    signature: str = "SGD_SM3_SM2"

    def derive(self, root: bytes, purpose: str) -> bytes:
        """See `Suite.derive`."""
        return HKDF(algorithm=hashes.SM3(), length=32, salt=None, info=purpose.encode()).derive(root)

    def aead(self, key: bytes) -> Aead:
        """See `Suite.aead`; the key of SM4 is the first half, it has no other length."""
        return Sm4Gcm(key[:16])

    def hash(self, data: bytes) -> bytes:
        """See `Suite.hash`; not every Python's own hashlib has SM3."""
        digest = hashes.Hash(hashes.SM3())
        digest.update(data)
        return digest.finalize()

    def mac(self, key: bytes, data: bytes) -> bytes:
        """See `Suite.mac`."""
        mac = hmac_of_library.HMAC(key, hashes.SM3())
        mac.update(data)
        return mac.finalize()


class Sm4Gcm:
    """SM4 in Galois/counter mode, as RFC 8998 uses it: 96 bits of nonce, 128 bits of tag."""

    def __init__(self, key: bytes) -> None:
        self._key: Any = SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """See `Aead.encrypt`."""
        gcm = Cipher(self._key, modes.GCM(nonce)).encryptor()
        if associated_data:
            gcm.authenticate_additional_data(associated_data)
        return gcm.update(data) + gcm.finalize() + gcm.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """See `Aead.decrypt`.

        Raises:
            ValueError: too short to hold a tag.
        """
        gcm = Cipher(self._key, modes.GCM(nonce, data[-_TAG:])).decryptor()
        if associated_data:
            gcm.authenticate_additional_data(associated_data)
        return gcm.update(data[:-_TAG]) + gcm.finalize()


INTL: Final = Intl()
SM: Final = Sm()
SUITES: Final[dict[SuiteName, Suite]] = {"intl": INTL, "sm": SM}
BY_ID: Final[dict[int, Suite]] = {suite.id: suite for suite in SUITES.values()}
