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
# The whole head at once. Together with the number of its lines this lets nothing through that would start another
# line or another message: no CR, LF, NUL or other control character, no space in the target, nothing outside ASCII.
_HEAD = re.compile(
    r"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /[!\"$-~]* HTTP/1\.1\r\n"
    r"Host: (?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\r\n"
    r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [\t -~]*\r\n)+"
    r"\r\n"
)
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))


def build_request(
    method: str, path: str, host: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> bytes:
    """Write one HTTP/1.1 request; `path` is the percent-encoded target with its query, `host` may carry a port.

    Host, Accept-Encoding (identity) and Content-Length are added here and may not be given.

    Raises:
        BadMessage: a piece would change the shape of the message, or a reserved header was given.
    """
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity"]
    for name, value in headers:
        if name.lower() in RESERVED:
            raise BadMessage("reserved_header", name.lower())
        lines.append(f"{name}: {value}")
    if body or method in _WITH_BODY:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines) + "\r\n\r\n"
    if head.count("\n") != len(lines) + 1 or _HEAD.fullmatch(head) is None:
        raise BadMessage
    return head.encode("ascii") + body


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
