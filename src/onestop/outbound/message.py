"""Requests as bytes, and bodies out of their content coding."""

import re
import zlib
from collections.abc import Iterable

from onestop.outbound.errors import BadMessage, BadReply

# What the pool writes itself, or never: framing, the connection's own business, cookies.
RESERVED = frozenset((
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "upgrade", "te",
    "trailer", "expect", "proxy-authorization", "cookie", "cookie2", "accept-encoding",
))  # fmt: skip
# The head in two pieces. Together with the number of its lines this lets nothing through that would start another
# line or another message: no CR, LF, NUL or other control character, no space in the target, nothing outside ASCII.
_FIELDS = r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t -~]*\r\n)*"
_START = re.compile(
    r"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[!\"$-~]* HTTP/1\.1\r\n"
    r"Host: (?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\r\n" + _FIELDS
)
_REST = re.compile(_FIELDS + r"\r\n")
_WITH_BODY = ("POST ", "PUT ", "PATCH ")


def build_request(
    method: str, path: str, host: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> bytes:
    """Write one HTTP/1.1 request; `path` is the percent-encoded target with its query, `host` may carry a port.

    Host, Accept-Encoding (identity) and Content-Length are added here and may not be given.

    Raises:
        BadMessage: a piece would change the shape of the message, or a reserved header was given.
    """
    return finish_request(start_request(method, path, host), headers, body)


def start_request(method: str, path: str, host: str, headers: Iterable[tuple[str, str]] = ()) -> str:
    """Write what many requests have in common, to be finished by `finish_request` for each.

    Raises:
        BadMessage: as `build_request`.
    """
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity", *_lines(headers)]
    start = "\r\n".join(lines) + "\r\n"
    if start.count("\n") != len(lines) or _START.fullmatch(start) is None:
        raise BadMessage
    return start


def finish_request(start: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    """Add a request's own headers and its body to what `start_request` wrote.

    Raises:
        BadMessage: as `build_request`.
    """
    lines = _lines(headers)
    if body or start.startswith(_WITH_BODY):
        lines.append(f"Content-Length: {len(body)}")
    lines.append("\r\n")
    rest = "\r\n".join(lines)
    if rest.count("\n") != len(lines) or _REST.fullmatch(rest) is None:
        raise BadMessage
    return (start + rest).encode("ascii") + body


def _lines(headers: Iterable[tuple[str, str]]) -> list[str]:
    lines = []
    for name, value in headers:
        if name.lower() in RESERVED:
            raise BadMessage("reserved_header", name.lower())
        lines.append(f"{name}: {value}")
    return lines


def inflate(body: bytes, coding: bytes, limit: int) -> bytes:
    """Undo one content coding, gzip or deflate, into at most `limit` bytes.

    Raises:
        BadReply: another coding or several, damaged or cut data, data after its end, or too much of it.
    """
    if coding in (b"gzip", b"x-gzip"):
        bits = 31
    elif coding == b"deflate":
        # Meant to be zlib's format; some servers send the bare stream. The first two bytes tell.
        bits = 15 if len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0 else -15
    else:
        raise BadReply("content_encoding")
    stream = zlib.decompressobj(bits)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as cause:
        raise BadReply("content_encoding_damaged") from cause
    if len(plain) > limit:
        raise BadReply("inflated_too_large")
    if not stream.eof or stream.unused_data:
        raise BadReply("content_encoding_damaged")
    return plain
