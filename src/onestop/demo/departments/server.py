"""The common front of every department's system: a bare ASGI application with faults and a control door.

The control door stands on the same port behind the header `X-Sandbox-Control`: `POST /_fail`, `/_heal` and `/_set` take
the structs of `faults.py`, `GET /_ledger` shows the ledger. `GET /_health` is open and answers in every mode.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from onestop.demo.departments.desk import Broken, Cut, Desk, Hang, Refusal
from onestop.demo.departments.faults import Fail, Set
from onestop.demo.departments.wire import Reply, Request, json_reply
from onestop.demo.people import Behaviour

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 1_048_576
HANG_S = 600.0
_HTML = "<html><head><title>502</title></head><body><h1>系统维护中</h1></body></html>".encode()


class Department(Protocol):
    """What one manner of system has to say for itself."""

    async def answer(self, request: Request) -> Reply:
        """Authenticate the caller and do what the request asks."""
        ...

    def refuse(self, refusal: Refusal) -> Reply:
        """Say no in this system's own way."""
        ...


class System:
    """One department's system on its port."""

    def __init__(self, desk: Desk, department: Department) -> None:
        self._desk = desk
        self._department = department

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        request = await _read(scope, receive)
        try:
            if request is None:
                reply = Reply(b"", status=413)
            elif request.path.startswith("/_"):
                reply = self._control(request)
            else:
                reply = await self._serve(request)
        except Hang:
            await _until_gone(receive)
            return
        except Cut:
            await _cut(receive, send)
            return
        await _write(reply, send)

    async def _serve(self, request: Request) -> Reply:
        desk = self._desk
        fault = desk.faults.draw()
        if fault == "timeout":
            raise Hang
        if fault == "slow":
            await asyncio.sleep(desk.faults.manners.slow_ms / 1000)
        try:
            if fault == "error":
                raise Broken
            reply = await self._department.answer(request)
        except Refusal as refusal:
            reply = self._department.refuse(refusal)
        except Broken:
            reply = self._department.refuse(Refusal("broken", "系统繁忙，请稍后再试"))
        if fault == "drop-after-effect" and reply.effect:
            raise Cut
        if fault == "garbage":
            return Reply(_HTML, status=200, content_type=reply.content_type)
        if request.behaviour is Behaviour.MALFORMED and reply.status < 300:
            return Reply(reply.body[: len(reply.body) // 2], status=200, content_type=reply.content_type)
        return reply

    def _control(self, request: Request) -> Reply:
        if request.path == "/_health":
            return json_reply({"status": "ok", "department": self._desk.id, "fault": self._desk.fault_in_force()})
        shown = request.headers.get("x-sandbox-control", "")
        if not hmac.compare_digest(shown.encode(), self._desk.secrets["control_secret"].encode()):
            return json_reply({"error": "the control door wants X-Sandbox-Control"}, 401)
        faults = self._desk.faults
        try:
            match request.method, request.path:
                case "GET", "/_ledger":
                    return json_reply({"entries": self._desk.ledger.shown()})
                case "POST", "/_fail":
                    faults.fail(msgspec.json.decode(request.body, type=Fail))
                case "POST", "/_heal":
                    faults.heal()
                case "POST", "/_set":
                    faults.set(msgspec.json.decode(request.body, type=Set))
                case _:
                    return json_reply({"error": "no such control"}, 404)
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            return json_reply({"error": str(fault)}, 400)
        return json_reply(msgspec.to_builtins(faults.manners))


async def _read(scope: Scope, receive: Receive) -> Request | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            return None
        parts.append(part)
        if not message.get("more_body"):
            break
    raw_query = scope["query_string"].decode("latin-1")
    return Request(
        method=scope["method"],
        path=scope["path"],
        raw_query=raw_query,
        query=dict(parse_qsl(raw_query, keep_blank_values=True)),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=b"".join(parts),
    )


async def _write(reply: Reply, send: Send) -> None:
    headers = [(b"content-length", str(len(reply.body)).encode()), *reply.headers]
    if reply.body:
        headers.append((b"content-type", reply.content_type.encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _until_gone(receive: Receive) -> None:
    """Say nothing until the caller has left; the server then has nobody to answer."""
    try:
        async with asyncio.timeout(HANG_S):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return


async def _cut(receive: Receive, send: Send) -> None:
    """Close the connection without a word; ASGI has no way to say so, hence the reach for uvicorn's transport."""
    send.__self__.transport.abort()  # type: ignore[attr-defined]
    await _until_gone(receive)
