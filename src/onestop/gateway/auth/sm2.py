"""SM2 signatures with SM3 (GB/T 32918), by the optional package `gmssl-pyx`: `pip install onestop[gm]`.

Keys are told as hex, as platforms hand them out: 32 bytes of private key, 64 (or 65 from 04 on) of public key.
"""

import re
from collections.abc import Callable
from types import ModuleType

from onestop import sm2
from onestop.gateway.manifest_base import BadManifest

_PRIVATE = re.compile(r"[0-9a-fA-F]{64}")


def _library() -> ModuleType:
    try:
        return sm2.library()
    except sm2.Sm2Missing as missing:
        raise BadManifest("sm2-sm3 needs the optional package: pip install 'onestop[gm]'") from missing


def signer(text: str, public_text: str) -> Callable[[bytes], bytes]:
    """Return what signs with a private key, `sign_key`, whose public half the signature names; it is DER.

    Raises:
        BadManifest: the package is not there, or the secrets are no such keys.
    """
    library = _library()
    if _PRIVATE.fullmatch(text.strip()) is None:
        raise BadManifest("the secret 'sign_key' is no SM2 private key (64 hex digits)")
    private, public = bytes.fromhex(text.strip()), _public(library, public_text, "sign_public_key")
    return lambda data: bytes(library.sm2_sign(private, public, data))


def checker(text: str, name: str) -> Callable[[bytes, bytes], bool]:
    """Return what checks a DER signature with a public key.

    Raises:
        BadManifest: the package is not there, or the secret is no such key.
    """
    library = _library()
    public = _public(library, text, name)

    def check(data: bytes, given: bytes) -> bool:
        try:
            return bool(library.sm2_verify(public, data, given))
        except (library.GmsslInnerError, library.InvalidValueError, ValueError):
            return False

    return check


def _public(library: ModuleType, text: str, name: str) -> bytes:
    try:
        return bytes(library.normalize_sm2_public_key(text.strip()))
    except (library.InvalidValueError, ValueError):
        raise BadManifest(f"the secret {name!r} is no SM2 public key (128 hex digits)") from None
