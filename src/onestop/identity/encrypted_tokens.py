"""ID tokens that come encrypted: opened with onestop's own key to the signed token inside, which is checked as any is.

The algorithms are a fixed list, as in `tokens`: ECDH-ES alone or with A256KW, and A256GCM. Nothing is decompressed.
"""

from typing import Any, Final

import msgspec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from onestop.identity import client_keys
from onestop.identity.errors import BadToken
from onestop.identity.tokens import decoded, is_canonical, read_json

MAX_TOKEN: Final = 16 * 1024
_MANAGEMENT: Final = frozenset({"ECDH-ES", "ECDH-ES+A256KW"})
_CONTENT: Final = "A256GCM"


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    enc: str
    epk: dict[str, str]
    kid: str | None = None
    cty: str | None = None
    typ: str | None = None
    apu: str | None = None
    apv: str | None = None
    # Some providers repeat these claims outside; what counts is what is signed inside.
    iss: str | None = None
    aud: Any = None
    sub: str | None = None


def open_encrypted(token: str, key: ECKey) -> str:
    """Return the signed token inside an encrypted one.

    Raises:
        BadToken: not encrypted, not to this key, by other algorithms than those here, or with anything else inside.
    """
    if not token.isascii() or len(token) > MAX_TOKEN:
        raise BadToken("size")
    parts = token.split(".")
    if len(parts) == 3:
        raise BadToken("not_encrypted")
    # With ECDH-ES alone there is no wrapped key: the second part is empty, and no other may be.
    if len(parts) != 5 or not all(is_canonical(part) or (n == 1 and not part) for n, part in enumerate(parts)):
        raise BadToken("form")
    header = _read_header(parts[0])
    if header.kid is not None and header.kid != client_keys.kid(key):
        raise BadToken("unknown_key")
    if bool(parts[1]) == (header.alg == "ECDH-ES") or header.epk.get("crv") != key.curve_name:
        raise BadToken("decryption")
    try:
        # The header was held to a shorter list above; joserfc's own would refuse the claims that some repeat in it.
        registry = jwe.JWERegistry(algorithms=[header.alg, _CONTENT], strict_check_header=False)
        opened = jwe.decrypt_compact(token, key, registry=registry).plaintext
    except (JoseError, ValueError, TypeError, KeyError, OverflowError) as cause:
        raise BadToken("decryption") from cause
    if opened is None or not opened.isascii():
        raise BadToken("nested")
    return opened.decode("ascii")


def _read_header(part: str) -> _Header:
    if len(part) > 2048:
        raise BadToken("size")
    try:
        header = msgspec.convert(read_json(decoded(part)), _Header)
    except (ValueError, msgspec.ValidationError) as cause:
        raise BadToken("header") from cause
    if header.alg not in _MANAGEMENT or header.enc != _CONTENT:
        raise BadToken("algorithm")
    if header.cty is not None and header.cty.upper() != "JWT":
        raise BadToken("header")
    return header
