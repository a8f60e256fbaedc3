"""SM2 signatures with SM3 (GB/T 32918.2) over curve sm2p256v1, by the optional package `gmssl-pyx`.

`pip install 'onestop[gm]'`. Private keys are 32 bytes, public ones 64 (x and y), signatures 64 (r and s side by
side); the signer's id is the standard's default.
"""

from types import ModuleType

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from onestop.errors import Internal

_HALF = 32
# The order of the curve's base point (GB/T 32918.5): r and s lie below it.
_ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123


class Sm2Missing(Internal):
    """The optional package that signs with SM2 is not installed."""

    code = "crypto.sm2_missing"


def library() -> ModuleType:
    """Return the package.

    Raises:
        Sm2Missing: it is not installed.
    """
    try:
        import gmssl_pyx
    except ImportError as missing:
        raise Sm2Missing("SM2 needs the optional package: pip install 'onestop[gm]'") from missing
    return gmssl_pyx  # type: ignore[no-any-return]


def generate() -> tuple[bytes, bytes]:
    """Return a new private key and its public key.

    Raises:
        Sm2Missing: as `library`.
    """
    public, private = library().sm2_key_generate()
    return bytes(private), bytes(public)


def sign(private: bytes, public: bytes, data: bytes) -> bytes:
    """Return the signature over the data; `public` is signed with it, as the standard asks.

    Raises:
        Sm2Missing: as `library`.
    """
    r, s = decode_dss_signature(library().sm2_sign(private, public, data))
    return r.to_bytes(_HALF) + s.to_bytes(_HALF)


def verify(public: bytes, data: bytes, signature: bytes) -> bool:
    """Tell whether the signature over the data is the key's.

    Raises:
        Sm2Missing: as `library`.
    """
    package = library()
    r, s = int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:])
    if len(signature) != 2 * _HALF or not 0 < r < _ORDER or not 0 < s < _ORDER:
        return False
    try:
        key = package.normalize_sm2_public_key(public)  # refuses a point that is not on the curve
        return bool(package.sm2_verify(key, data, encode_dss_signature(r, s)))
    except package.GmsslInnerError:
        return False
