"""SM4 envelopes (GM/T 0002, GB/T 32907) as platforms wrap their messages in them."""

import base64
import binascii
import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.padding import PKCS7

from onestop.gateway.auth.keys import Secrets, secret
from onestop.gateway.manifest_auth import Sm4
from onestop.gateway.manifest_base import BadManifest

_BLOCK = 16
_GCM_IV = 12
_TAG = 16
_MOST = 16_777_216  # hex of the largest body
_NO = "the text cannot be opened with our key"


def opener(spec: Sm4, told: Secrets) -> Callable[[bytes], bytes]:
    """Return what opens an envelope; it raises ValueError in our words.

    Raises:
        BadManifest: the key or the initial value is missing or not 32 hex digits.
    """
    key, fixed = _keys(spec, told)

    def opened(text: bytes) -> bytes:
        try:
            return _opened(spec, key, fixed, _bytes(spec, text))
        except (ValueError, InvalidTag, binascii.Error):
            raise ValueError(_NO) from None

    return opened


def sealer(spec: Sm4, told: Secrets) -> Callable[[bytes], bytes]:
    """Return what makes an envelope.

    Raises:
        BadManifest: as `opener`.
    """
    key, fixed = _keys(spec, told)

    def sealed(body: bytes) -> bytes:
        raw = _sealed(spec, key, fixed, body)
        return base64.b64encode(raw) if spec.encoding == "base64" else raw.hex().encode()

    return sealed


def _keys(spec: Sm4, told: Secrets) -> tuple[SM4, bytes | None]:
    key = SM4(_hex(told, "sm4_key"))
    return key, _hex(told, "sm4_iv") if spec.mode == "cbc" and spec.iv == "secret" else None


def _hex(told: Secrets, name: str) -> bytes:
    try:
        found = bytes.fromhex(secret(told, name).strip())
    except ValueError:
        found = b""
    if len(found) != _BLOCK:
        raise BadManifest(f"the secret {name!r} is not 32 hex digits")
    return found


def _bytes(spec: Sm4, text: bytes) -> bytes:
    if len(text) > _MOST:
        raise ValueError
    return base64.b64decode(text, validate=True) if spec.encoding == "base64" else bytes.fromhex(text.decode("ascii"))


def _opened(spec: Sm4, key: SM4, fixed: bytes | None, raw: bytes) -> bytes:
    if spec.mode == "gcm":
        if len(raw) < _GCM_IV + _TAG:
            raise ValueError
        gcm = Cipher(key, modes.GCM(raw[:_GCM_IV], raw[-_TAG:])).decryptor()
        return gcm.update(raw[_GCM_IV:-_TAG]) + gcm.finalize()
    iv, data = (fixed, raw) if fixed is not None or spec.mode == "ecb" else (raw[:_BLOCK], raw[_BLOCK:])
    decryptor = Cipher(key, _mode(spec, iv)).decryptor()
    padding = PKCS7(_BLOCK * 8).unpadder()
    return padding.update(decryptor.update(data) + decryptor.finalize()) + padding.finalize()


def _sealed(spec: Sm4, key: SM4, fixed: bytes | None, body: bytes) -> bytes:
    if spec.mode == "gcm":
        iv = os.urandom(_GCM_IV)
        gcm = Cipher(key, modes.GCM(iv)).encryptor()
        return iv + gcm.update(body) + gcm.finalize() + gcm.tag
    prefix = os.urandom(_BLOCK) if fixed is None and spec.mode == "cbc" else b""
    encryptor = Cipher(key, _mode(spec, fixed or prefix)).encryptor()
    padding = PKCS7(_BLOCK * 8).padder()
    return prefix + encryptor.update(padding.update(body) + padding.finalize()) + encryptor.finalize()


def _mode(spec: Sm4, iv: bytes | None) -> modes.CBC | modes.ECB:
    # ECB is what some platforms use; the manifest's author did not choose it.
    return modes.ECB() if spec.mode == "ecb" or iv is None else modes.CBC(iv)  # noqa: S305
