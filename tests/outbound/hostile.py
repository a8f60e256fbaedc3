"""Departments, most of which misbehave: small servers on 127.0.0.1, and a corpus of replies nobody should believe."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from onestop.outbound.message import build_request
from onestop.outbound.models import Limits
from onestop.outbound.pool import Pool

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ASK = build_request("GET", "/ask", "department.test")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@asynccontextmanager
async def department(handle: Handle, tls: object = None) -> AsyncIterator[int]:
    """Serve every connection with `handle`; gives the port."""
    tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks[task] = writer
        with suppress(OSError, EOFError, RuntimeError, asyncio.CancelledError):  # RuntimeError: uvloop, after abort
            await handle(reader, writer)
        writer.transport.abort()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()  # reads the failure, which nobody else does
        del tasks[task]

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)  # type: ignore[arg-type]
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        # Cut first and cancel only what is left: a handler cancelled while its drain fails leaves that failure unread.
        for writer in tasks.values():
            writer.transport.abort()
        left = list(tasks)
        if left:
            await asyncio.wait(left, timeout=0.2)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def request(reader: asyncio.StreamReader) -> bytes:
    """Read one whole request."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.split(b":")[1]))
    return head


def saying(*replies: bytes, then_close: bool = False) -> Handle:
    """Answer the requests of each connection with `replies` in turn, the last for ever."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        while True:
            await request(reader)
            writer.write(replies[min(count, len(replies) - 1)])
            await writer.drain()
            count += 1
            if then_close:
                writer.close()
                await writer.wait_closed()
                return

    return handle


async def hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything and never answer."""
    while await reader.read(65536):
        pass


def dripping(first: bytes, drop: bytes, every_s: float = 0.02) -> Handle:
    """Send `first`, then `drop` again and again."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(first)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(every_s)

    return handle


def flooding(first: bytes, block: bytes) -> Handle:
    """Send `first`, then `block` as fast as it is taken."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(first)
        while True:
            writer.write(block)
            await writer.drain()

    return handle


def soon(seconds: float = 2.0) -> float:
    return asyncio.get_running_loop().time() + seconds


class Department:
    """Answers after `delay_s`; remembers how many it ever served at once and on how many connections."""

    def __init__(self, delay_s: float = 0.0, answer: bytes = OK) -> None:
        self.delay_s, self.answer = delay_s, answer
        self.requests: list[bytes] = []
        self.connections = self.now = self.most = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            self.requests.append(await request(reader))
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(self.delay_s)
            self.now -= 1
            writer.write(self.answer)


async def outcomes_of(pool: Pool, calls: int, within_s: float = 2.0, limits: Limits | None = None) -> list[Any]:
    return await asyncio.gather(
        *(pool.ask(ASK, soon(within_s), limits or Limits()) for _ in range(calls)), return_exceptions=True
    )


def reply(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A well-formed reply with this body."""
    head = b"".join(b"%b\r\n" % header for header in headers)
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, head, len(body), body)


def _head(*lines: bytes, rest: bytes = b"") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", *lines)) + b"\r\n\r\n" + rest


CHUNKED = b"Transfer-Encoding: chunked"
BOMB = gzip.compress(bytes(64 * 1024 * 1024), 9)
DEFLATE_BOMB = zlib.compress(bytes(64 * 1024 * 1024), 9)

# name -> (what comes, the reason it is refused for). All of these are one whole write, then the connection stays open.
REPLIES: dict[str, tuple[bytes, str]] = {
    "length and chunked": (_head(b"Content-Length: 5", CHUNKED, rest=b"5\r\nhello\r\n0\r\n\r\n"), "malformed"),
    "chunked and length": (_head(CHUNKED, b"Content-Length: 5", rest=b"5\r\nhello\r\n0\r\n\r\n"), "malformed"),
    "two lengths": (_head(b"Content-Length: 2", b"Content-Length: 3", rest=b"hi!"), "malformed"),
    "the same length twice": (_head(b"Content-Length: 2", b"Content-Length: 2", rest=b"hi"), "malformed"),
    "a list of lengths": (_head(b"Content-Length: 2, 2", rest=b"hi"), "malformed"),
    "a negative length": (_head(b"Content-Length: -2", rest=b"hi"), "malformed"),
    "a signed length": (_head(b"Content-Length: +2", rest=b"hi"), "malformed"),
    "an empty length": (_head(b"Content-Length: ", rest=b"hi"), "malformed"),
    "a length past 64 bits": (_head(b"Content-Length: 99999999999999999999999", rest=b"hi"), "malformed"),
    "a length past the limit": (_head(b"Content-Length: 999999999"), "too_large"),
    "a second reply behind the first": (OK + OK, "surplus"),
    "an empty second reply behind the first": (OK + b"HTTP/1.1 204 No Content\r\n\r\n", "surplus"),
    "an interim reply behind the final one": (OK + b"HTTP/1.1 100 Continue\r\n\r\n", "surplus"),
    "a second reply after Connection: close": (
        _head(b"Connection: close", b"Content-Length: 2", rest=b"hi" + OK),
        "surplus",
    ),
    "more body than announced": (_head(b"Content-Length: 1", rest=b"hi"), "surplus"),
    "a body with 204": (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi", "surplus"),
    "a reply behind the last chunk": (_head(CHUNKED, rest=b"0\r\n\r\n" + OK), "surplus"),
    "transfer coding gzip": (_head(b"Transfer-Encoding: gzip", rest=b"hi"), "transfer_encoding"),
    "transfer coding gzip, chunked": (
        _head(b"Transfer-Encoding: gzip, chunked", rest=b"0\r\n\r\n"),
        "transfer_encoding",
    ),
    "chunked twice": (_head(CHUNKED, CHUNKED, rest=b"0\r\n\r\n"), "transfer_encoding"),
    "chunked in HTTP/1.0": (b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n\r\n0\r\n\r\n", "transfer_encoding"),
    "a chunk size that is no number": (_head(CHUNKED, rest=b"zz\r\nhi\r\n0\r\n\r\n"), "malformed"),
    "a chunk size past 64 bits": (_head(CHUNKED, rest=b"fffffffffffffffff\r\nhi\r\n"), "malformed"),
    "a chunk longer than its size": (_head(CHUNKED, rest=b"1\r\nhi\r\n0\r\n\r\n"), "malformed"),
    "no length at all": (_head(rest=b"hi"), "unframed"),
    "a folded header": (_head(b"A: b", b" c", b"Content-Length: 2", rest=b"hi"), "malformed"),
    "a space before the colon": (_head(b"Content-Length : 2", rest=b"hi"), "malformed"),
    "NUL in a header": (_head(b"A: b\0c", b"Content-Length: 2", rest=b"hi"), "malformed"),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "malformed"),
    "status 99": (b"HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\nhi", "malformed"),
    "status 999": (b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nhi", "malformed"),
    "status 1000": (b"HTTP/1.1 1000 Odd\r\nContent-Length: 2\r\n\r\nhi", "malformed"),
    "HTTP/2.0": (b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "malformed"),
    "HTTP/9.9": (b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nhi", "malformed"),
    "no HTTP but HTML": (b"<!DOCTYPE html><html><body>Login</body></html>", "malformed"),
    "no HTTP but SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", "malformed"),
    "a TLS alert": (b"\x15\x03\x01\x00\x02\x02\x46", "malformed"),
    "our own request echoed": (ASK, "malformed"),
    "switching protocols": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "upgrade"),
    "ten interim replies": (b"HTTP/1.1 100 Continue\r\n\r\n" * 10 + OK, "interim_replies"),
    "200 000 interim replies": (b"HTTP/1.1 100 Continue\r\n\r\n" * 200_000 + OK, "interim_replies"),
    "fat interim replies": ((b"HTTP/1.1 103 Hints\r\nLink: " + b"x" * 9000 + b"\r\n\r\n") * 5 + OK, "header_bytes"),
    "one header of 1 MiB": (_head(b"A: " + b"a" * 2**20, b"Content-Length: 2", rest=b"hi"), "header_bytes"),
    "a status line of 1 MiB": (b"HTTP/1.1 200 " + b"a" * 2**20 + b"\r\nContent-Length: 2\r\n\r\nhi", "header_bytes"),
    "1 000 headers": (_head(*(b"A%d: b" % i for i in range(1000)), b"Content-Length: 2", rest=b"hi"), "header_count"),
    "1 000 cookies": (
        _head(*(b"Set-Cookie: a%d=b" % i for i in range(1000)), b"Content-Length: 2", rest=b"hi"),
        "header_count",
    ),
    "40 KiB of trailers": (
        _head(CHUNKED, rest=b"2\r\nhi\r\n0\r\n" + b"T: " + b"t" * 40_000 + b"\r\n\r\n"),
        "header_bytes",
    ),
    "a gzip bomb": (reply(BOMB, b"Content-Encoding: gzip"), "inflated_too_large"),
    "a deflate bomb": (reply(DEFLATE_BOMB, b"Content-Encoding: deflate"), "inflated_too_large"),
    "gzip in gzip": (reply(gzip.compress(gzip.compress(b"{}")), b"Content-Encoding: gzip, gzip"), "content_encoding"),
    "gzip named twice": (
        reply(gzip.compress(b"{}"), b"Content-Encoding: gzip", b"Content-Encoding: gzip"),
        "content_encoding",
    ),
    "coding br": (reply(b"\x0b\x02\x80hello\x03", b"Content-Encoding: br"), "content_encoding"),
    "coding nobody knows": (reply(b"hi", b"Content-Encoding: x"), "content_encoding"),
    "gzip that is none": (reply(b"{}", b"Content-Encoding: gzip"), "content_encoding_damaged"),
    "gzip cut short": (reply(gzip.compress(b"{}" * 99)[:-9], b"Content-Encoding: gzip"), "content_encoding_damaged"),
    "gzip with another behind it": (
        reply(gzip.compress(b"{}") * 2, b"Content-Encoding: gzip"),
        "content_encoding_damaged",
    ),
    "gzip with a wrong checksum": (
        reply(gzip.compress(b"{}")[:-8] + b"\0" * 8, b"Content-Encoding: gzip"),
        "content_encoding_damaged",
    ),
}

# As above, but the connection is closed after the write.
CUT_REPLIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "closed_early"),
    "half a status line": (b"HTTP/1.1 2", "truncated"),
    "half a header": (b"HTTP/1.1 200 OK\r\nContent-Le", "truncated"),
    "half a body": (_head(b"Content-Length: 10", rest=b"hello"), "truncated"),
    "half a chunk": (_head(CHUNKED, rest=b"a\r\nhello"), "truncated"),
    "no last chunk": (_head(CHUNKED, rest=b"5\r\nhello\r\n"), "truncated"),
    "only an interim reply": (b"HTTP/1.1 100 Continue\r\n\r\n", "truncated"),
}

# Endless ones: (first, block), and the reason they are cut for.
FLOODS: dict[str, tuple[bytes, bytes, str]] = {
    "an endless body without length": (_head(), b"x" * 65536, "unframed"),
    "an endless chunked body": (_head(CHUNKED), b"8000\r\n" + b"x" * 0x8000 + b"\r\n", "too_large"),
    "an endless body in tiny chunks": (_head(CHUNKED), b"1\r\nx\r\n" * 10_000, "too_large"),
    "an endless chunk extension": (_head(CHUNKED, rest=b"1;"), b"x" * 65536, "too_large"),
    "an endless trailer": (_head(CHUNKED, rest=b"0\r\nT: "), b"x" * 65536, "too_large"),
    "an endless header": (b"HTTP/1.1 200 OK\r\nA: ", b"x" * 65536, "header_bytes"),
    "endless headers": (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 1000, "header_count"),
    "endless empty lines": (b"", b"\r\n" * 10_000, "header_bytes"),
    "endless interim replies": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "interim_replies"),
}

# Well-formed replies whose body is not what the manifest says (JSON in UTF-8).
BODIES: dict[str, tuple[bytes, str]] = {
    "HTML instead of JSON": (b"<html><body>Please log in</body></html>", "markup"),
    "nothing": (b"", "empty"),
    "blanks": (b" \r\n ", "empty"),
    "half a document": (b'{"a": [1, 2', "json_malformed"),
    "two documents": (b"{} {}", "json_malformed"),
    "NaN": (b"[NaN]", "json_malformed"),
    "single quotes": (b"{'a': 1}", "json_malformed"),
    "100 000 deep": (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
    "40 000 deep and never closed": (b"[" * 40_000, "json_malformed"),
    "33 deep": (b"[" * 33 + b"]" * 33, "too_deep"),
    "33 deep behind a bracket in a string": (b'{"]]]\\"[": ' + b"[" * 32 + b"]" * 32 + b"}", "too_deep"),
    "a million empty lists": (b"[" + b"[]," * 600_000 + b"[]]", "too_many_parts"),
    "a number of a million digits": (b'{"a": ' + b"9" * 1_000_000 + b"}", "number"),
    "a number past 64 bits": (b'{"a": 9223372036854775808}', "number"),
    "a fraction of a thousand digits": (b'{"a": 0.' + b"9" * 1000 + b"}", "number"),
    "NUL": (b'{"a": "b\0c"}', "nul"),
    "NUL, escaped": (b'{"a": "b\\u0000c"}', "nul"),
    "NUL, escaped behind a backslash": (b'{"a": "\\\\\\u0000"}', "nul"),
    "a lone surrogate": (b'{"a": "\\ud800"}', "json_malformed"),
    "UTF-16 with its mark": ('{"a": 1}'.encode("utf-16"), "charset"),
    "GB 18030 where UTF-8 was declared": ('{"a": "云溪市"}'.encode("gb18030"), "charset"),
    "invalid UTF-8": (b'{"a": "\xc3\x28"}', "charset"),
    "overlong UTF-8": (b'{"a": "\xc0\xaf"}', "charset"),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbf{}", "json_malformed"),
}
