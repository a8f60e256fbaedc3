"""Multipart forms (RFC 7578): texts, and files as `{ filename, content_type, base64 | text }`."""

import base64
import hashlib
import re
import secrets
from typing import Any, Final

from onestop.gateway.manifest import Operation
from onestop.gateway.mapping.values import MappingFailed, Value, plain

_MOST_PARTS: Final = 100
_SALT: Final = secrets.token_bytes(16)
_FILE: Final = frozenset(("filename", "content_type", "base64", "text"))
_TYPE: Final = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}(?:; ?charset=[\w-]{1,20})?", re.ASCII)
# As browsers write them: a name cannot end its quotes or its line.
_NAME_ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def boundary(operation: Operation) -> str:
    """Return what stands between the parts: one for an operation while we run, and nobody can know it before."""
    told = hashlib.blake2b(f"{operation.id} {operation.path}".encode(), key=_SALT, digest_size=16).hexdigest()
    return f"onestop-{told}"


def write(made: dict[str, Any], mark: str, charset: str) -> bytes:
    """Write the parts.

    Raises:
        MappingFailed: too many, one that is neither a text nor a file, or one that holds the boundary.
        UnicodeEncodeError: the charset has no such character.
    """
    parts: list[bytes] = []
    for name, value in made.items():
        parts += [_part(name, item, charset) for item in (value if isinstance(value, list) else [value])]
    if len(parts) > _MOST_PARTS:
        raise MappingFailed("request.body", made, f"needs at most {_MOST_PARTS} parts")
    line = f"--{mark}".encode()
    if any(line in part for part in parts):
        raise MappingFailed("request.body", made, "needs parts without the boundary between them")
    return b"".join([line + b"\r\n" + part + b"\r\n" for part in parts]) + line + b"--\r\n"


def _part(name: str, value: Value, charset: str) -> bytes:
    told = f'form-data; name="{name.translate(_NAME_ESCAPES)}"'
    if not isinstance(value, dict):
        return _headed(told, None, ("" if value is None else plain(value)).encode(charset), charset)
    if not value.keys() <= _FILE or ("base64" in value) == ("text" in value):
        raise MappingFailed("request.body", value, "needs a file as filename, content_type and base64 or text")
    filename = plain(value.get("filename") or "file").translate(_NAME_ESCAPES)
    kind = plain(value.get("content_type") or "application/octet-stream")
    if not _TYPE.fullmatch(kind):
        raise MappingFailed("request.body", kind, "needs a media type")
    return _headed(f'{told}; filename="{filename}"', kind, _content(value, charset), charset)


def _content(value: dict[str, Any], charset: str) -> bytes:
    if "text" in value:
        return ("" if value["text"] is None else plain(value["text"])).encode(charset)
    try:
        return base64.b64decode(plain(value["base64"] or ""), validate=True)
    except ValueError as fault:
        raise MappingFailed("request.body", value["base64"], "needs base64") from fault


def _headed(told: str, kind: str | None, content: bytes, charset: str) -> bytes:
    lines = f"Content-Disposition: {told}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "")
    return lines.encode(charset) + b"\r\n" + content
