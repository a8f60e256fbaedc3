"""Where a run hears the department's callbacks: are they signed, do they name our key, can they be read."""

import asyncio
import time
from collections.abc import Mapping

from onestop.gateway.auth.callbacks import callback_check
from onestop.gateway.auth.recipes import Outgoing
from onestop.gateway.callback_rules import Envelope, Untold, heard_by, reader_of, readers, told_operation
from onestop.gateway.manifest import CallbackReply, Manifest
from onestop.gateway.mapping.language import MappingFailed
from onestop.gateway.operations import prepare
from onestop.outbound.errors import BadBody

_WAIT_S = 10.0
_MOST_BYTES = 65_536


class CallbackEar:
    """A small listener for the length of a run, on this host only."""

    def __init__(self, manifest: Manifest, secrets: Mapping[str, str]) -> None:
        self._heard: dict[str, str | None] = {}  # key → what was wrong; None: nothing
        self._came = asyncio.Event()
        self._server: asyncio.Server | None = None
        rules = manifest.callback
        assert rules is not None  # asked by the caller
        prepared = prepare(manifest, secrets)
        self._manifest, self._rules = manifest, rules
        self._readers = {name: prepared[name] for name in readers(manifest)}
        self._check = callback_check(manifest, secrets)

    async def open(self, port: int) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def about(self, key: str) -> str | None:
        """Wait for the callback about a key; return what was wrong with it, None where nothing was."""
        try:
            async with asyncio.timeout(_WAIT_S):
                while key not in self._heard:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return "unsigned" if "" in self._heard else "silent"
        return self._heard[key]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = [(n.strip().lower(), v.strip()) for n, _, v in (line.partition(":") for line in head[1:])]
            told = dict(headers)
            size = told.get("content-length", "0")
            body = await reader.readexactly(min(int(size) if size.isdigit() else 0, _MOST_BYTES))
            path, _, query = head[0].split(" ")[1].partition("?")
            operation = self._note(Outgoing("POST", f"http://{told.get('host', '')}", path, query, headers, body))
            writer.write(_written(heard_by(self._rules, operation)))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return
        finally:
            writer.close()

    def _note(self, message: Outgoing) -> str:
        """Keep what was wrong with a callback, by its key; return the operation that it tells, or that read it."""
        operation, key, fault = self._read(message)
        if self._check is None or self._check(message, time.time()) is None:
            key, fault = key or "", "unsigned"
        self._heard[key] = fault
        self._came.set()
        return operation

    def _read(self, message: Outgoing) -> tuple[str, str, str | None]:
        """Return the operation, the key and what was wrong; empty where it is not known."""
        try:
            told = told_operation(self._rules, Envelope(dict(message.headers), self._segment(message), message.query))
        except Untold:
            return "", "", "untold"
        fault = "unreadable"
        for name in readers(self._manifest) if told is None else [reader_of(self._manifest, told) or told]:
            try:
                heard = self._readers[name].hear(message.body)
                self._readers[name].said_later(heard.value)
            except (BadBody, MappingFailed):
                continue
            if heard.key is not None:
                return told or name, heard.key, None
            fault = "keyless"
        return told or "", "", fault

    def _segment(self, message: Outgoing) -> str | None:
        """Return what stands in the path behind the adapter's name."""
        _, named, behind = message.path.partition(f"/{self._manifest.id}/")
        return behind if named else None


def _written(reply: CallbackReply | None) -> bytes:
    """Return what the portal itself would answer; without words of the department's, that it was heard."""
    if reply is None:
        return b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
    body = reply.body.encode()
    head = f"HTTP/1.1 {reply.status} OK\r\ncontent-type: {reply.content_type}\r\ncontent-length: {len(body)}"
    return f"{head}\r\nconnection: close\r\n\r\n".encode() + body
