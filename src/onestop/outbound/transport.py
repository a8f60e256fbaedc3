"""The pool lent to whoever speaks httpx: authlib, adapters written in Python. The only importer of httpx.

Calls on the hot path go to `Pool` itself; an `AsyncClient` costs several times the call.
"""

import asyncio
import ssl
from typing import NoReturn

import httpx

from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import (
    BadMessage,
    ConnectionLost,
    ConnectTimeout,
    DeadlinePassed,
    NotSent,
    OutboundError,
    PoolTimeout,
    TooManyWaiting,
)
from onestop.outbound.message import RESERVED, build_request
from onestop.outbound.models import DEFAULT_LIMITS, Limits
from onestop.outbound.pool import Pool

_MAX_ORIGINS = 8
_FRAMING = frozenset((b"transfer-encoding", b"connection", b"keep-alive"))


class DepartmentTransport(httpx.AsyncBaseTransport):
    """httpx's transport over one pool an origin; nothing is kept between calls but connections.

    The read time limit of a request is its total deadline; `timeout_s` is the default and the ceiling. Cookies are
    neither taken nor sent. An error is the httpx one, with the `OutboundError` as its cause.
    """

    def __init__(
        self,
        *,
        allow: AllowList,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 10.0,
        limits: Limits = DEFAULT_LIMITS,
        max_connections: int = 64,
        max_waiting: int = 256,
        connect_s: float = 3.0,
    ) -> None:
        self._allow, self._tls, self._timeout_s, self._limits = allow, tls, timeout_s, limits
        self._max_connections, self._max_waiting, self._connect_s = max_connections, max_waiting, connect_s
        self._pools: dict[tuple[str, str, int], Pool] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Do one call; a redirect is an answer like any other."""
        url = request.url
        wanted = (request.extensions.get("timeout") or {}).get("read")
        timeout_s = self._timeout_s if wanted is None else min(wanted, self._timeout_s)
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            # A body that is slow to produce counts like any other slowness.
            async with asyncio.timeout_at(deadline):
                body = await request.aread()
        except TimeoutError as cause:
            raise httpx.WriteTimeout("deadline", request=request) from cause
        try:
            headers = [
                (name.decode("ascii"), value.decode("ascii"))
                for name, value in request.headers.raw
                if name.lower().decode("ascii") not in RESERVED
            ]
            message = build_request(
                request.method, url.raw_path.decode("ascii"), url.netloc.decode("ascii"), headers, body
            )
            reply = await self._pool(url.scheme, url.raw_host.decode("ascii"), url.port).ask(
                message, deadline, self._limits
            )
        except UnicodeDecodeError as cause:
            raise httpx.LocalProtocolError("bad_message", request=request) from cause
        except OutboundError as error:
            _raise(error, request)
        return httpx.Response(
            reply.status,
            headers=[header for header in reply.headers if header[0] not in _FRAMING],
            content=reply.body,
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def aclose(self) -> None:
        """Close every pool."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.close()

    def _pool(self, scheme: str, host: str, port: int | None) -> Pool:
        if scheme not in ("http", "https"):
            raise BadMessage("scheme")
        origin = (scheme, host, port or (443 if scheme == "https" else 80))
        pool = self._pools.get(origin)
        if pool is None:
            if len(self._pools) >= _MAX_ORIGINS:
                raise TooManyWaiting("too_many_origins")
            pool = self._pools[origin] = Pool(
                host,
                origin[2],
                allow=self._allow,
                tls=(self._tls or ssl.create_default_context()) if scheme == "https" else None,
                max_connections=self._max_connections,
                max_waiting=self._max_waiting,
                connect_s=self._connect_s,
            )
        return pool


def open_client(
    *,
    allow: AllowList,
    base_url: str = "",
    tls: ssl.SSLContext | None = None,
    timeout_s: float = 10.0,
    limits: Limits = DEFAULT_LIMITS,
    max_connections: int = 64,
    max_waiting: int = 256,
    connect_s: float = 3.0,
) -> httpx.AsyncClient:
    """Open an httpx client for one department: no proxy or netrc of the environment, no cookies, no redirects followed.

    `timeout_s` bounds each call as a whole.
    """
    transport = DepartmentTransport(
        allow=allow,
        tls=tls,
        timeout_s=timeout_s,
        limits=limits,
        max_connections=max_connections,
        max_waiting=max_waiting,
        connect_s=connect_s,
    )
    return httpx.AsyncClient(
        transport=transport, base_url=base_url, timeout=timeout_s, trust_env=False, follow_redirects=False
    )


def _raise(error: OutboundError, request: httpx.Request) -> NoReturn:
    kind: type[httpx.TransportError]
    if isinstance(error, BadMessage):
        kind = httpx.UnsupportedProtocol if error.reason == "scheme" else httpx.LocalProtocolError
    elif isinstance(error, ConnectTimeout):
        kind = httpx.ConnectTimeout
    elif isinstance(error, PoolTimeout | TooManyWaiting):
        kind = httpx.PoolTimeout
    elif isinstance(error, NotSent):
        kind = httpx.ConnectError
    elif isinstance(error, DeadlinePassed):
        kind = httpx.ReadTimeout
    elif isinstance(error, ConnectionLost) and error.reason == "reset":
        kind = httpx.ReadError
    else:
        kind = httpx.RemoteProtocolError
    raise kind(str(error), request=request) from error
