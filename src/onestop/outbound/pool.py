"""Bounded connections to one origin: the newest idle one first, none probed, a bounded line of calls when all are busy.

One pool a department is its bulkhead: whatever that department does costs only its own pool. Nothing is retried here.
"""

import asyncio
import ssl
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from time import perf_counter

from onestop.outbound.addresses import AllowList, look_up
from onestop.outbound.certificates import ended_on
from onestop.outbound.connection import Connection, Done, Sending
from onestop.outbound.errors import (
    ConnectTimeout,
    OutboundError,
    PoolClosed,
    PoolTimeout,
    Refused,
    TlsFailed,
    TooManyWaiting,
    Unreachable,
)
from onestop.outbound.models import DEFAULT_LIMITS, Limits, Reply

_EXPIRED = 10  # OpenSSL: X509_V_ERR_CERT_HAS_EXPIRED

LookUp = Callable[[str, int], Awaitable[list[str]]]


class Pool:
    """All connections to one host and port; made and used inside one running loop.

    `max_connections` bounds sockets, those being made included; `max_waiting` bounds calls beyond them. `connect_s`
    bounds name, TCP and TLS together. An idle connection is closed after `idle_s`, any after `max_requests` calls.
    With `tls` the certificate must be `host`'s.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        allow: AllowList,
        tls: ssl.SSLContext | None = None,
        max_connections: int = 64,
        max_waiting: int = 256,
        connect_s: float = 3.0,
        idle_s: float = 15.0,
        max_requests: int | None = None,
        lookup: LookUp = look_up,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.host, self.port = host, port
        self._allow, self._tls, self._lookup = allow, tls, lookup
        self._max_connections, self._max_waiting, self._max_requests = max_connections, max_waiting, max_requests
        self._connect_s, self._idle_s = connect_s, idle_s
        self._all: set[Connection] = set()
        self._idle: deque[Connection] = deque()  # the last is the newest
        self._waiting: OrderedDict[Sending, None] = OrderedDict()
        self._dialling = 0
        self._dials: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly
        self._resolving: asyncio.Future[list[str]] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open(self) -> int:
        """Connections made and not yet ended."""
        return len(self._all)

    @property
    def idle(self) -> int:
        """Open connections with no call on them."""
        return len(self._idle)

    @property
    def waiting(self) -> int:
        """Calls that have no connection yet."""
        return len(self._waiting)

    def send(
        self, message: bytes, deadline: float, done: Done, limits: Limits = DEFAULT_LIMITS, *, timed: bool = True
    ) -> Sending:
        """Start one call; `done` is called exactly once, with the reply or the error, at the latest at `deadline`.

        Without `timed` the caller keeps the deadline of a call that is on the wire, by `cancel` or `end_by`: one timer
        serves a whole fan-out. Waiting for a connection is bounded all the same.

        `message` is a whole HTTP/1.1 request, see `build_request`; `deadline` is in `loop.time()`. With an idle
        connection the message is written before this returns. `done` is never called from inside.
        """
        sending = Sending(self, message, deadline, done, limits, timed)
        now = self.loop.time()
        if self._closed:
            self.loop.call_soon(sending.finish, PoolClosed())
            return sending
        if deadline <= now:
            self.loop.call_soon(sending.finish, PoolTimeout("deadline_before_send"))
            return sending
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                connection.start(sending)
                return sending
        if self._full() and len(self._waiting) - self._dialling >= self._max_waiting:
            self.loop.call_soon(sending.finish, TooManyWaiting())
            return sending
        self._waiting[sending] = None
        sending.end_by(deadline if limits.queue_s is None else min(deadline, now + limits.queue_s))
        sending.dialled = self._dial_if_needed()
        return sending

    async def ask(self, message: bytes, deadline: float, limits: Limits = DEFAULT_LIMITS) -> Reply:
        """Do one call and wait for it; cancelling the waiting task cancels the call.

        Raises:
            OutboundError: one of `onestop.outbound.errors`.
        """
        future: asyncio.Future[Reply] = self.loop.create_future()
        sending = self.send(message, deadline, partial(_settle, future), limits)
        try:
            return await future
        except asyncio.CancelledError:
            sending.cancel()
            raise

    async def close(self) -> None:
        """Cut all connections and return when they are gone; calls under way end with an error first."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        while self._waiting:
            self._waiting.popitem(last=False)[0].finish(PoolClosed())
        dials = list(self._dials)
        for dial in dials:
            dial.cancel()
        if self._resolving is not None:
            self._resolving.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
        for connection in list(self._all):
            connection.transport.abort()
        while self._all:  # noqa: ASYNC110 - connection_lost comes within a pass or two
            await asyncio.sleep(0)

    # What connections and calls tell.

    def freed(self, connection: Connection) -> None:
        """Give a connection to the first in line, or keep it idle."""
        if self._closed or (self._max_requests is not None and connection.served >= self._max_requests):
            connection.cut()
            return
        now = self.loop.time()
        while self._waiting:
            sending, _ = self._waiting.popitem(last=False)
            if now < sending.deadline:  # else its timer is about to say so
                connection.start(sending)
                return
        connection.idle_since = now
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(self._idle_s, self._sweep)

    def lost(self, connection: Connection) -> None:
        """Forget an ended connection and use its place for the line."""
        if connection not in self._all:
            return
        self._all.discard(connection)
        with suppress(ValueError):
            self._idle.remove(connection)
        self._dial_if_needed()

    def withdraw(self, sending: Sending) -> None:
        """Take a call out of the line."""
        self._waiting.pop(sending, None)

    def _full(self) -> bool:
        return len(self._all) + self._dialling >= self._max_connections

    def _sweep(self) -> None:
        self._sweeper = None
        limit = self.loop.time() - self._idle_s
        while self._idle and self._idle[0].idle_since <= limit:
            self._idle.popleft().cut()
        if self._idle:
            self._sweeper = self.loop.call_at(self._idle[0].idle_since + self._idle_s, self._sweep)

    # Making connections.

    def _dial_if_needed(self) -> bool:
        # One dial for each call in line, as far as the bound allows; whichever connection comes first serves first.
        if self._closed or self._full() or self._dialling >= len(self._waiting):
            return False
        self._dialling += 1
        dial = self.loop.create_task(self._dial())
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)
        return True

    async def _dial(self) -> None:
        started = perf_counter()
        error: OutboundError
        try:
            async with asyncio.timeout(self._connect_s):
                connection = await self._connect()
        except OutboundError as refusal:
            error = refusal
        except TimeoutError:
            error = ConnectTimeout()
        except (ssl.SSLError, ssl.CertificateError) as cause:
            error = TlsFailed(detail=await self._certificate_ended(cause))
            error.__cause__ = cause
        except ConnectionRefusedError as cause:
            error = Refused()
            error.__cause__ = cause
        except (OSError, ValueError) as cause:  # ValueError: a host name TLS cannot check
            error = Unreachable()
            error.__cause__ = cause
        else:
            self._dialling -= 1
            connection.connect_s = perf_counter() - started
            self._all.add(connection)
            self.freed(connection)
            return
        self._dialling -= 1
        # The error is the first one's in line, unless connections being made still cover the whole line.
        if len(self._waiting) > self._dialling:
            self._waiting.popitem(last=False)[0].finish(error)
        self._dial_if_needed()

    async def _connect(self) -> Connection:
        # Every address is checked and the connection goes to the checked one: a name that resolves differently the
        # next moment changes nothing.
        addresses = self._allow.choose(await self._resolve(), self.port)
        failure = OSError("no address")
        for address in addresses:
            try:
                transport, connection = await self.loop.create_connection(
                    partial(Connection, self),
                    address,
                    self.port,
                    ssl=self._tls,
                    server_hostname=self.host if self._tls is not None else None,
                )
            except OSError as error:
                failure = error
                continue
            if transport.is_closing():
                raise Unreachable("closed_at_once")
            return connection
        raise failure

    async def _certificate_ended(self, cause: ssl.SSLError) -> str:
        """Return since when a certificate is expired; empty where something else is wrong with it."""
        if not isinstance(cause, ssl.SSLCertVerificationError) or cause.verify_code != _EXPIRED:
            return ""
        with suppress(OutboundError):
            return await ended_on(self._allow.choose(await self._resolve(), self.port)[0], self.port, self.host)
        return ""

    async def _resolve(self) -> list[str]:
        # One look-up at a time: resolving runs on the loop's few threads, and a name server that hangs for this
        # department may hold one of them, not all.
        if self._resolving is None:
            self._resolving = asyncio.ensure_future(self._lookup(self.host, self.port))
            self._resolving.add_done_callback(self._resolved)
        return await asyncio.shield(self._resolving)

    def _resolved(self, future: asyncio.Future[list[str]]) -> None:
        self._resolving = None
        if not future.cancelled():
            future.exception()  # read, so that the loop does not complain when nobody waits any more


def _settle(future: asyncio.Future[Reply], outcome: Reply | OutboundError) -> None:
    if future.done():
        return
    if isinstance(outcome, OutboundError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
