"""The way to a token endpoint that is on another host than the department: a small pool of its own."""

import asyncio
import ssl
from urllib.parse import urlsplit

from onestop.gateway.manifest_base import BadManifest
from onestop.outbound.addresses import AllowList
from onestop.outbound.message import build_request
from onestop.outbound.pool import Pool

TOKEN_S = 3.0  # the longest that fetching a token may take


class TokenDoor:
    """One host, known by the environment's `token_url`; bound by the same list of allowed addresses."""

    def __init__(self, url: str, adapter: str, allow: AllowList, tls: ssl.SSLContext | None) -> None:
        try:
            told = urlsplit(url)
            port = told.port or (443 if told.scheme == "https" else 80)
        except ValueError:
            told, port = urlsplit(""), 0
        if told.scheme not in ("http", "https") or not told.hostname or told.username is not None:
            raise BadManifest(f"adapter {adapter}: the environment's token_url is not an http address")
        self._host = f"{told.hostname}:{port}" if told.port else told.hostname
        self._pool = Pool(
            told.hostname,
            port,
            allow=allow,
            tls=tls if told.scheme == "https" else None,
            max_connections=2,
            max_waiting=8,
            connect_s=1.0,
        )

    async def exchange(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[int, bytes]:
        """Do one call that is not itself authenticated.

        Raises:
            OutboundError: there was no answer.
        """
        message = build_request(method, target, self._host, headers, body)
        reply = await self._pool.ask(message, asyncio.get_running_loop().time() + TOKEN_S)
        return reply.status, reply.body

    async def close(self) -> None:
        """Cut its connections."""
        await self._pool.close()
