"""One connection and one call on it: HTTP/1.1 replies, parsed strictly and counted byte by byte.

A connection carries one call at a time. It goes back to its pool only if the last reply ended cleanly; after anything
doubtful it is cut. Whatever arrives while nothing was asked cuts it too.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

import httptools

from onestop.outbound.errors import (
    Abandoned,
    BadReply,
    ConnectionLost,
    ConnectTimeout,
    DeadlinePassed,
    OutboundError,
    PoolTimeout,
    Withdrawn,
)
from onestop.outbound.message import inflate
from onestop.outbound.models import Limits, Reply

Done = Callable[[Reply | OutboundError], None]


class Owner(Protocol):
    """What a connection and a call need of their pool."""

    loop: asyncio.AbstractEventLoop

    def freed(self, connection: "Connection") -> None:
        """Take a connection back that may serve again."""

    def lost(self, connection: "Connection") -> None:
        """Forget a connection that has ended."""

    def withdraw(self, sending: "Sending") -> None:
        """Take a call out of the waiting line."""


class Sending:
    """A call under way; `done` hears of its end exactly once, never from inside `send` or `cancel`."""

    __slots__ = (
        "_done",
        "_owner",
        "_timer",
        "_until",
        "connection",
        "deadline",
        "dialled",
        "limits",
        "message",
        "started",
        "timed",
    )

    def __init__(
        self, owner: Owner, message: bytes, deadline: float, done: Done, limits: Limits, timed: bool = True
    ) -> None:
        self._owner = owner
        self._done: Done | None = done
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0
        self.connection: Connection | None = None  # set once the message is written
        self.message = message
        self.deadline = deadline  # loop.time()
        self.limits = limits
        self.timed = timed  # False: the caller keeps the deadline, for many calls by one timer
        self.dialled = False  # a connection is being made on this call's account
        self.started = perf_counter()

    @property
    def sent(self) -> bool:
        """Whether the other side may have seen the request."""
        return self.connection is not None

    def cancel(self) -> None:
        """Give the call up: it ends as Withdrawn, or as Abandoned with its connection cut if it was written."""
        done, self._done = self._done, None
        if done is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        error: OutboundError
        if self.connection is None:
            self._owner.withdraw(self)
            error = Withdrawn()
        else:
            self.connection.cut()
            error = Abandoned()
        self._owner.loop.call_soon(done, error)

    def end_by(self, until: float) -> None:
        """Set the one timer: `until` is the deadline, or sooner while waiting for a connection."""
        if until != self._until:
            if self._timer is not None:
                self._timer.cancel()
            self._until = until
            self._timer = self._owner.loop.call_at(until, self._look_again, until, 2)

    def finish(self, outcome: Reply | OutboundError) -> None:
        """Tell the caller, once; an exception of the caller's goes to the loop's handler, not to our connection."""
        done, self._done = self._done, None
        if done is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        try:
            done(outcome)
        except Exception as error:
            self._owner.loop.call_exception_handler(
                {"message": "outbound: a caller's done() raised", "exception": error}
            )

    def _look_again(self, until: float, passes: int) -> None:
        # After a stall of the process timers fire before sockets are read, and an answer that came in time would
        # count as late. Two passes: uvloop runs callbacks queued by a timer before it polls, asyncio after.
        if self._done is None or until != self._until:
            return
        if passes:
            self._owner.loop.call_soon(self._look_again, until, passes - 1)
        elif self.connection is not None:
            self.connection.fail(DeadlinePassed())
        else:
            self._owner.withdraw(self)
            self.finish(ConnectTimeout() if self.dialled else PoolTimeout())


class _Stop(Exception):
    """Stops the parser; the reason is in the connection's `_fault`."""


class Connection(asyncio.Protocol):
    """An open connection, idle or with one call on it."""

    __slots__ = (
        "_body_bytes", "_chunked", "_chunks", "_coding", "_complete", "_fault", "_first_byte", "_head_bytes",
        "_head_count", "_head_done", "_head_only", "_headers", "_interim", "_keep", "_length", "_limits", "_owner",
        "_parser", "_received", "_sending", "_status", "_unframed", "_written", "connect_s", "idle_since", "served",
        "transport",
    )  # fmt: skip

    transport: asyncio.Transport
    _limits: Limits

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._sending: Sending | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.connect_s = 0.0
        self.idle_since = 0.0  # loop.time()
        self.served = 0
        self._written = 0.0
        self._reset()

    def _reset(self) -> None:
        self._fault = ""
        self._received = self._head_bytes = self._head_count = self._body_bytes = self._interim = 0
        self._first_byte = 0.0
        self._complete = self._keep = self._unframed = False
        self._chunks: list[bytes] = []
        self._status = 0
        self._head_done = False
        self._clear_head()

    def _clear_head(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._length: int | None = None
        self._chunked = False
        self._coding = b""

    def start(self, sending: Sending) -> None:
        """Write the call's message; the connection must be idle."""
        self._reset()
        self._sending = sending
        self._limits = sending.limits
        self._head_only = sending.message.startswith(b"HEAD ")
        sending.connection = self
        if sending.timed:
            sending.end_by(sending.deadline)
        self._written = perf_counter()
        self.transport.write(sending.message)

    def cut(self) -> None:
        """End the connection at once; its call, if any, hears nothing more from it."""
        self._sending = None
        self.transport.abort()

    def fail(self, error: OutboundError) -> None:
        """End the connection at once and its call with `error`."""
        sending = self._sending
        self.cut()
        if sending is not None:
            sending.finish(error)

    # What the loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        sending = self._sending
        if sending is None:  # nothing was asked, so it may not speak
            self.cut()
            return
        limits = self._limits
        self._received += len(data)
        if not self._first_byte:
            self._first_byte = perf_counter()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as cause:
            reason = self._fault or ("surplus" if self._complete else "malformed")
            # A TLS alert in place of an answer: the port speaks TLS, and we did not.
            error = BadReply(reason, "tls" if data[:1] == b"\x15" and reason == "malformed" else "")
            error.__cause__ = cause if not self._fault else None
            self.fail(error)
            return
        if self._received > limits.header_bytes + limits.wire_bytes:
            self.fail(BadReply("too_large"))
        elif self._complete:
            self._deliver(sending)
        elif not self._head_done and self._received > limits.header_bytes:
            # A single endless header never reaches on_header, and an endless empty line never reaches anything.
            self.fail(BadReply("header_bytes"))

    def connection_lost(self, exc: Exception | None) -> None:
        sending = self._sending
        if sending is not None:
            if exc is None and self._unframed:
                self._complete = True
                self._deliver(sending)
            else:
                reason = "truncated" if self._received else "reset" if exc is not None else "closed_early"
                self._sending = None
                sending.finish(ConnectionLost(reason, stale=self.served > 0 and not self._received))
        self._owner.lost(self)

    def _deliver(self, sending: Sending) -> None:
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if self._coding and body:
            try:
                body = inflate(body, self._coding, self._limits.inflated_bytes)
            except BadReply as error:
                self.fail(error)
                return
        reply = Reply(
            self._status,
            self._headers,
            body,
            self.served > 0,
            self.connect_s if sending.dialled and not self.served else 0.0,
            sending.started,
            self._written,
            self._first_byte,
            perf_counter(),
        )
        self._sending = None
        self.served += 1
        # An answer to a request that is not wholly written yet leaves the rest of it in the way.
        if self._keep and not self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self._owner.freed(self)
        else:
            self.transport.abort()
        sending.finish(reply)

    # What the parser tells. Anything raised here stops it for good.

    def _stop(self, reason: str) -> _Stop:
        self._fault = reason
        return _Stop()

    def on_message_begin(self) -> None:
        if self._complete:
            raise self._stop("surplus")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        self._head_count += 1
        if self._head_bytes > self._limits.header_bytes:
            raise self._stop("header_bytes")
        if self._head_count > self._limits.header_count:
            raise self._stop("header_count")
        if self._head_done:  # a trailer
            return
        name = name.lower()
        if name in _LOOKED_AT:
            if name == b"set-cookie" or name == b"set-cookie2":
                return
            if name == b"content-length":
                self._length = int(value)  # the parser has refused anything but one run of digits
            elif name == b"transfer-encoding":
                if self._chunked or value.strip().lower() != b"chunked":
                    raise self._stop("transfer_encoding")
                self._chunked = True
            else:
                coding = value.strip().lower()
                if self._coding or coding not in _CODINGS:
                    raise self._stop("content_encoding")
                if coding != b"identity":
                    self._coding = coding
                    return
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._status = status = self._parser.get_status_code()
        if status < 200:
            self._interim += 1
            if status == 101:
                raise self._stop("upgrade")
            if self._interim > self._limits.interim_replies:
                raise self._stop("interim_replies")
            return
        self._head_done = True
        version = self._parser.get_http_version()
        if status > 599 or (version != "1.1" and version != "1.0"):
            raise self._stop("malformed")
        if self._chunked and (version == "1.0" or self._length is not None):
            raise self._stop("transfer_encoding")
        if self._head_only:
            # The parser does not know that no body follows; so the message ends here and the connection with it.
            self._complete = True
        elif self._chunked:
            return
        elif self._length is None:
            if status != 204 and status != 304:
                if not self._limits.unframed:
                    raise self._stop("unframed")
                self._unframed = True
        elif self._length > self._limits.wire_bytes and status != 304:
            raise self._stop("too_large")

    def on_body(self, body: bytes) -> None:
        if self._complete:
            raise self._stop("surplus")
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.wire_bytes:
            raise self._stop("too_large")
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._status < 200:
            self._clear_head()
        elif not self._complete:
            self._complete = True
            self._keep = self._parser.should_keep_alive()


_LOOKED_AT = frozenset((b"content-length", b"transfer-encoding", b"content-encoding", b"set-cookie", b"set-cookie2"))
_CODINGS = frozenset((b"identity", b"gzip", b"x-gzip", b"deflate"))
