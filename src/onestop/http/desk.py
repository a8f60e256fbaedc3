"""The front desk itself: a plain ASGI wrapper round the app, passed by every request.

It names the request, reads language and budget, finds the session, refuses cross-site changes and malformed addresses,
puts its headers on every reply, and writes one line about it. What depends on the route is in `gate`.
"""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache, partial
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes, urlsplit

from onestop.errors import OnestopError, Unauthenticated
from onestop.http import access, problems
from onestop.http.errors import BadAddress, BadHeader, CrossSite
from onestop.http.models import App, Context, Message, Receive, Scope, Send, Session, Sessions
from onestop.ids import new_id
from onestop.texts import Language

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_.-]{8,64}")
_TRACEPARENT: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_NO_STORE: Final = (b"cache-control", b"no-store")
# form-action is left out: signing in answers a form with a redirect to the identity provider, which it would stop.
_HTML_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
STREAM_HEADERS: Final = ((b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no"))
_LANGUAGE_COOKIE: Final = b"onestop-lang"
# Names of requests, not secrets: a fast generator, seeded anew in every process.
_random_bits = random.Random().getrandbits  # noqa: S311


EndHook = Callable[[Scope, Context, int], None]


class Stream(Protocol):
    """An address served without Litestar: an event stream."""

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters in the path, or None where the path is another."""

    async def authorise(self, context: Context, parameters: dict[str, str]) -> str:
        """Return the topic that may be read, or raise why not."""

    async def serve(
        self, topic: str, last_id: str | None, receive: Receive, send: Send, session: Session | None
    ) -> None:
        """Send the body to one client until it leaves or its session ends."""

    @property
    def template(self) -> str:
        """Return the path with its parameters' names."""


@lru_cache(512)
def preferred(accept: bytes) -> Language:
    """Return the language of an Accept-Language header: Chinese unless English is wanted more."""
    best: dict[Language, float] = {}
    for part in accept.decode("latin-1").lower().split(","):
        tag, _, quality = part.partition(";q=")
        tag = tag.strip()
        lang: Language | None = "zh" if tag.startswith("zh") else "en" if tag.startswith("en") else None
        if lang is None:
            continue
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        best[lang] = max(best.get(lang, 0.0), weight)
    return "en" if best.get("en", 0.0) > best.get("zh", 0.0) else "zh"


def cookie_value(header: bytes, name: bytes) -> bytes | None:
    """Return one cookie of a Cookie header."""
    for part in header.split(b";"):
        key, _, value = part.strip().partition(b"=")
        if key == name:
            return value
    return None


class FrontDesk:
    """What stands between the server and the app; one for a process."""

    def __init__(
        self,
        app: App,
        *,
        public_url: str,
        budget_ms: int = 2_500,
        budget_ceiling_ms: int = 10_000,
        sessions: Sessions | None = None,
        session_cookie: str = "__Host-onestop",
        access_log: bool = True,
        on_end: EndHook | None = None,
        express: Mapping[tuple[str, str], App] | None = None,
    ) -> None:
        self.app = app
        self._express = dict(express or {})
        self.on_end = on_end
        self._base = public_url.rstrip("/")
        self._origin = "{0.scheme}://{0.netloc}".format(urlsplit(public_url)).encode()
        self._budget_ms = budget_ms
        self._ceiling_ms = budget_ceiling_ms
        self._sessions = sessions
        self._cookie = session_cookie.encode()
        self._access_log = access_log
        self._streams: dict[str, list[Stream]] = {}  # by the last step of the path

    def register_stream(self, stream: Stream, tail: str) -> None:
        """Serve paths that end in `/<tail>` and match by `stream`."""
        self._streams.setdefault(tail, []).append(stream)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the server's start and stop on."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        context = self._context(scope)
        scope.setdefault("state", {})["context"] = context
        try:
            opened = await self._answer(scope, context, receive, send)
            if opened is not None:
                # Waited for here and no deeper: a stream keeps every frame above it for as long as it is open.
                await opened(receive, send)
        finally:
            if self._access_log:
                self._line(scope, context)
            if self.on_end is not None:
                self.on_end(scope, context, context.status)

    async def _answer(
        self, scope: Scope, context: Context, receive: Receive, send: Send
    ) -> Callable[[Receive, Send], Awaitable[None]] | None:
        """Answer a request; where it is a stream, begin the answer and return what goes on with it."""

        async def reply(message: Message) -> None:
            if message["type"] == "http.response.start":
                context.status = message["status"]
                message["headers"] = _complete(message["headers"], context)
            await send(message)

        try:
            pending = self._prepare(scope, context)
            if pending is not None:
                await pending
            if context.session is not None and scope["method"] not in _SAFE_METHODS:
                self._check_origin(context, scope)
            if self._streams and (stream := self._stream(scope, context)) is not None:
                return await _open(stream[0], stream[1], scope, context, reply)
            app = self._express.get((scope["method"], context.path), self.app)
            await app(scope, receive, reply)
        except Exception as failure:
            if context.status:
                raise
            await self._refuse(failure, context, scope, reply)
        return None

    def _prepare(self, scope: Scope, context: Context) -> Awaitable[None] | None:
        """Check what does not depend on the route; return the finding of the session where it must be waited for."""
        headers = context.headers
        budget = headers.get(b"onestop-budget-ms")
        if budget is not None:
            self._set_budget(context, budget)
        if "\0" in context.path or b"%" in scope["query_string"]:
            _check_address(scope)
        credential = headers.get(b"authorization")
        cookie = headers.get(b"cookie")
        if self._sessions is None or (credential is None and cookie is None):
            return None
        return self._find_session(self._sessions, context, credential, cookie)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1003})
            return
        await self.app(scope, receive, send)

    def _context(self, scope: Scope) -> Context:
        headers = dict(scope["headers"])
        given = headers.get(b"request-id")
        parent = headers.get(b"traceparent")
        trace = _TRACEPARENT.fullmatch(parent) if parent is not None else None
        path = scope["path"]
        budget_ms = self._budget_ms
        accept = headers.get(b"accept-language")
        lang: Language = "zh" if accept is None else preferred(accept)
        if not path.startswith("/v1/"):
            lang = _page_language(scope, headers, lang)
        return Context(
            given.decode() if given is not None and _REQUEST_ID.fullmatch(given) else new_id("req"),
            trace[1].decode() if trace is not None else f"{_random_bits(128) | 1:032x}",
            f"{_random_bits(64) | 1:016x}",
            lang,
            budget_ms,
            asyncio.get_running_loop().time() + budget_ms / 1000,
            time.perf_counter(),
            path,
            headers,
        )

    def _set_budget(self, context: Context, given: bytes) -> None:
        if not given.isdigit() or len(given) > 9 or int(given) == 0:
            raise BadHeader(header="Onestop-Budget-Ms")
        budget_ms = min(int(given), self._ceiling_ms)
        context.deadline += (budget_ms - context.budget_ms) / 1000
        context.budget_ms = budget_ms

    def _find_session(
        self, sessions: Sessions, context: Context, credential: bytes | None, cookies: bytes | None
    ) -> Awaitable[None] | None:
        """Put the session into the context where it is known; else return what has to be waited for."""
        raw = None if credential is not None or cookies is None else cookie_value(cookies, self._cookie)
        if credential is None and raw is None:
            return None
        authorization = None if credential is None else credential.decode("latin-1")
        cookie = None if raw is None else raw.decode("latin-1")
        try:
            context.session = sessions.peek(authorization, cookie)
        except OnestopError as refusal:
            context.refusal = refusal
            return None
        return None if context.session is not None else self._resolve(sessions, context, authorization, cookie)

    async def _resolve(
        self, sessions: Sessions, context: Context, authorization: str | None, cookie: str | None
    ) -> None:
        """Ask for the session. A failure is kept: open pages still open, closed ones tell it."""
        try:
            found: Session | None = await sessions.resolve(authorization, cookie)
        except Exception as failure:  # the gate tells it, where a session is needed at all
            context.refusal = problems.translate(failure)
            problems.log_if_ours(context.refusal, failure, context, "session")
            return
        context.session = found
        if found is None:
            context.refusal = Unauthenticated()

    def _check_origin(self, context: Context, scope: Scope) -> None:
        """Refuse a change that a browser sends with its cookie from a page of somebody else's."""
        if context.session.kind != "cookie":
            return
        headers = context.headers
        origin = headers.get(b"origin")
        if origin is not None:
            own = f"{scope.get('scheme', 'http')}://".encode() + headers.get(b"host", b"")
            if origin in (self._origin, own):
                return
        elif headers.get(b"sec-fetch-site") in (b"same-origin", b"none"):
            return
        raise CrossSite

    def _stream(self, scope: Scope, context: Context) -> tuple[Stream, dict[str, str]] | None:
        if scope["method"] != "GET":
            return None
        for stream in self._streams.get(context.path.rpartition("/")[2], ()):
            parameters = stream.match(context.path)
            if parameters is not None:
                return stream, parameters
        return None

    async def _refuse(self, failure: Exception, context: Context, scope: Scope, reply: Send) -> None:
        told = problems.respond(failure, context, self._base, scope.get("path_template", ""))
        headers = [(k.encode(), v.encode()) for k, v in told.headers.items()]
        headers.append((b"content-length", str(len(told.body)).encode()))
        await reply({"type": "http.response.start", "status": told.status, "headers": headers})
        await reply({"type": "http.response.body", "body": told.body, "more_body": False})

    def _line(self, scope: Scope, context: Context) -> None:
        took_ms = round((time.perf_counter() - context.started) * 1000, 1)
        access.line(scope["method"], scope.get("path_template", "-"), context.status, took_ms, context.request_id)


def _page_language(scope: Scope, headers: dict[bytes, bytes], lang: Language) -> Language:
    """Return the language chosen on a page: by `?lang=`, else by the cookie, else as the browser says."""
    query: bytes = scope["query_string"]
    chosen = None
    if b"lang=" in query:
        chosen = cookie_value(query.replace(b"&", b";"), b"lang")
    if chosen is None and _LANGUAGE_COOKIE in (cookies := headers.get(b"cookie", b"")):
        chosen = cookie_value(cookies, _LANGUAGE_COOKIE)
    return "zh" if chosen == b"zh" else "en" if chosen == b"en" else lang


def _check_address(scope: Scope) -> None:
    try:
        query = unquote_to_bytes(scope["query_string"]).decode()
    except UnicodeDecodeError:
        raise BadAddress from None
    if "\0" in query or "\0" in scope["path"]:
        raise BadAddress


async def _open(
    stream: Stream, parameters: dict[str, str], scope: Scope, context: Context, reply: Send
) -> Callable[[Receive, Send], Awaitable[None]]:
    """Authorise and begin a stream, and let go of what it does not need while it waits: 2 KiB each, of thousands."""
    scope["path_template"] = stream.template
    topic = await stream.authorise(context, parameters)
    last = context.headers.get(b"last-event-id")
    last_id = last.decode("latin-1")[:128] if last else None
    await reply({"type": "http.response.start", "status": 200, "headers": list(STREAM_HEADERS)})
    context.headers = {}
    if isinstance(scope["headers"], list):
        scope["headers"].clear()
    for key in ("headers", "raw_path", "query_string", "client", "server", "state", "path", "asgi"):
        scope.pop(key, None)
    return partial(_served, stream, topic, last_id, context.session)


async def _served(
    stream: Stream, topic: str, last_id: str | None, session: Session | None, receive: Receive, send: Send
) -> None:
    await stream.serve(topic, last_id, receive, send, session)


def _complete(headers: Any, context: Context) -> list[tuple[bytes, bytes]]:
    """Return a reply's headers with those every reply has."""
    found = [
        *headers,
        (b"request-id", context.request_id.encode()),
        (b"traceparent", context.traceparent.encode()),
        _NOSNIFF,
    ]
    cached = page = False
    for name, value in headers:
        if name == b"cache-control":
            cached = True
        elif name == b"content-type":
            page = value.startswith(b"text/html")
    if not cached:
        found.append(_NO_STORE)
    if page:
        found.extend(_HTML_HEADERS)
    return found
