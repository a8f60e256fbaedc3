"""The simulator behind a port of its own: a small ASGI application, its control door, and the callbacks it owes.

`GET /_simulator` shows what it is and what was ordered; `PUT /_simulator` orders a bad day; both only from this host.
"""

import asyncio
import base64
import hmac
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import structlog
import uvicorn

from onestop.gateway.auth.digests import ENCODE, signer
from onestop.gateway.callback_rules import envelope_for, reader_of
from onestop.onboarding.simulator import Owed, Simulator, Told
from onestop.onboarding.simulator_requests import Request
from onestop.onboarding.simulator_scenario import Ordered
from onestop.onboarding.simulator_wire import media_type
from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import OutboundError
from onestop.outbound.message import build_request
from onestop.outbound.pool import Pool

log = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONTROL = "/_simulator"
MAX_BODY = 8_388_608
HANG_S = 120.0
_CALLBACK_TRIES = 5
_HERE = AllowList(["127.0.0.0/8", "::1/128"])  # whom a simulator calls by itself
_LOOPBACK = frozenset(("127.0.0.1", "::1"))


class SimulatorApp:
    """One simulator as an ASGI application; `callback_url` is where its callbacks go, below which `/<adapter>` is."""

    def __init__(self, simulator: Simulator, callback_url: str | None = None) -> None:
        self.simulator = simulator
        self.callbacks = Callbacks(simulator, callback_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        if body is None:
            await write(Told(status=413, headers={}, body=b""), send)
            return
        request = request_of(scope, body)
        if request.path == CONTROL:
            await write(self._control(scope, request), send)
            return
        told = self.simulator.answer(request)
        self.callbacks.owe(told.callback)
        await asyncio.sleep(told.delay_s)
        if told.ending == "answer":
            await write(told, send)
        elif told.ending == "hang":
            await _until_gone(receive)
        else:
            send.__self__.transport.abort()  # type: ignore[attr-defined]  # ASGI has no way to cut a connection
            await _until_gone(receive)

    def _control(self, scope: Scope, request: Request) -> Told:
        if (scope.get("client") or ("",))[0] not in _LOOPBACK:
            return _json(403, {"error": "the control door opens from this host only"})
        if request.method == "PUT":
            try:
                order(self.simulator, msgspec.json.decode(request.body, type=Ordered))
            except msgspec.DecodeError as fault:
                return _json(400, {"error": str(fault)})
        return _json(200, state_of(self.simulator))


def order(simulator: Simulator, ordered: Ordered) -> None:
    """Let a simulator behave as ordered from now on."""
    simulator.scenario.order(ordered)
    if ordered.forget:
        simulator.memory.clear()


def state_of(simulator: Simulator) -> dict[str, Any]:
    """Return what a simulator is and does: which operations, with which examples, and what was ordered."""
    return {
        "adapter": simulator.manifest.id,
        "version": simulator.manifest.version,
        "scenario": msgspec.to_builtins(simulator.scenario.ordered),
        "effects": len(simulator.memory),
        "operations": {
            name: [{"name": e.name, "status": e.status, "reads_as": e.reads_as} for e in book.examples]
            for name, book in simulator.books.items()
        },
    }


def _json(status: int, document: Any) -> Told:
    return Told(status=status, headers={"content-type": "application/json"}, body=msgspec.json.encode(document))


def request_of(scope: Scope, body: bytes, prefix: str = "") -> Request:
    """Return a request of a server; `prefix` is the part of its path that is not the department's."""
    raw_query = scope.get("query_string", b"").decode("latin-1")
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    return Request(
        method=scope["method"],
        path=raw.removeprefix(prefix) or "/",
        query=dict(parse_qsl(raw_query, keep_blank_values=True)),
        headers=headers,
        body=body,
        raw_query=raw_query,
        host=headers.get("host", ""),
        signed_path=unquote(raw) if "%" not in raw else raw,
    )


async def _body(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            return None
        parts.append(part)
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(parts)


async def write(told: Told, send: Send) -> None:
    """Send an answer."""
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in told.headers.items()]
    headers.append((b"content-length", str(len(told.body)).encode()))
    await send({"type": "http.response.start", "status": told.status, "headers": headers})
    await send({"type": "http.response.body", "body": told.body})


async def _until_gone(receive: Receive) -> None:
    try:
        async with asyncio.timeout(HANG_S):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return


# --- callbacks --------------------------------------------------------------------------------------------------------


class Callbacks:
    """The answers a simulator gives later, signed as the manifest says, and repeated until they are taken."""

    def __init__(self, simulator: Simulator, url: str | None, allow: AllowList = _HERE) -> None:
        self._simulator, self.url, self._allow = simulator, url, allow
        self._tasks: set[asyncio.Task[None]] = set()

    def owe(self, owed: Owed | None) -> None:
        """Make a callback after the delay that was ordered."""
        if owed is None or self.url is None:
            return
        task = asyncio.get_running_loop().create_task(self._make(owed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, owed: Owed) -> None:
        await asyncio.sleep(self._simulator.scenario.ordered.callback_ms / 1000)
        body = self._simulator.callback_body(owed)
        if body is None:
            return
        for attempt in range(_CALLBACK_TRIES):
            if await self._post(owed.operation, body):
                return
            await asyncio.sleep(0.2 * 2**attempt)
        log.warning("simulator_callback_given_up", adapter=self._simulator.manifest.id)

    async def _post(self, operation: str, body: bytes) -> bool:
        manifest = self._simulator.manifest
        reader = reader_of(manifest, operation)
        assert manifest.callback is not None
        assert reader is not None  # or there were no body to send
        told = envelope_for(manifest.callback, operation)
        url = urlsplit(f"{self.url}/{manifest.id}" + (f"/{told.segment}" if told.segment else ""))
        headers = [
            ("Content-Type", media_type(self._simulator.books[reader].operation)),
            *told.headers.items(),
            *signed_callback(self._simulator, body).items(),
        ]
        path, secure = url.path + (f"?{told.query}" if told.query else ""), url.scheme == "https"
        pool = Pool(
            url.hostname or "",
            url.port or (443 if secure else 80),
            allow=self._allow,
            tls=ssl.create_default_context() if secure else None,
            max_connections=1,
            max_waiting=1,
            connect_s=1.0,
        )
        try:
            message = build_request("POST", path, url.netloc, headers, body)
            answer = await pool.ask(message, asyncio.get_running_loop().time() + 5.0)
        except OutboundError as fault:
            log.info("simulator_callback_failed", adapter=self._simulator.manifest.id, reason=type(fault).__name__)
            return False
        finally:
            await pool.close()
        return answer.status < 500


def signed_callback(simulator: Simulator, body: bytes, now: float | None = None) -> dict[str, str]:
    """Return the headers that show a callback to be the department's; empty where it signs with a key of its own."""
    rules, secret = simulator.manifest.callback, simulator.secrets.get("callback_secret", "")
    stamp, nonce = str(int(now if now is not None else time.time())), secrets.token_hex(12)
    if rules is None or rules.kind == "http_signature" or (rules.kind == "signed" and rules.digest[:5] != "hmac-"):
        return {}
    if rules.kind == "token":
        return {rules.signature_header: secret, rules.nonce_header: nonce}
    if rules.kind == "standard_webhooks":
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.digest(key, f"{nonce}.{stamp}.".encode() + body, "sha256")
        told = f"v1,{base64.b64encode(mac).decode()}"
        return {"webhook-id": nonce, "webhook-timestamp": stamp, "webhook-signature": told}
    base = rules.base.replace("{timestamp}", stamp).replace("{nonce}", nonce)
    signature = ENCODE[rules.encoding](
        signer(rules.digest, {"app_secret": secret})(base.encode().replace(b"{body}", body))
    )
    return {rules.timestamp_header: stamp, rules.nonce_header: nonce, rules.signature_header: signature}


# --- a process of its own ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(app: SimulatorApp, port: int = 0) -> AsyncIterator[str]:
    """Serve on this host while the block runs; gives the address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.get_running_loop().create_task(server.serve())
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.01)
    if not server.started:
        await task
        raise OSError(f"port {port} cannot be listened on")
    app.simulator.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{app.simulator.port}"
    finally:
        server.should_exit = server.force_exit = True
        await task


def serve(app: SimulatorApp, port: int, ready: Callable[[int], None]) -> None:
    """Serve until interrupted; `ready` hears the port once it listens. Only this host can reach it."""

    async def run() -> None:
        async with serving(app, port):
            ready(app.simulator.port or port)
            await asyncio.Event().wait()

    asyncio.run(run())
