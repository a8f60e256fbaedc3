"""The gate before every route: who may enter, how large a body, of what type, how many at once.

Closed unless a route's `opt` says `public`, and to whoever acts for somebody else unless it says `acting`. A middleware
rather than a guard: Litestar copies the handler for a guard.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp
from litestar.utils.scope.state import ScopeState

from onestop.errors import NotFound, Unavailable, UnsupportedType
from onestop.http import body, idempotency
from onestop.http.errors import ActingClosed, BadBody, InProgress
from onestop.http.models import BodyKind, Context, RouteFacts

FACTS: Final = "onestop_facts"
_JSON: Final = b"application/json"
_CHANGES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_ENCODINGS: Final[dict[str, BodyKind]] = {
    RequestEncodingType.URL_ENCODED.value: "form",
    RequestEncodingType.MULTI_PART.value: "multipart",
}


class AccessRule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the authorisation matrix."""

    method: str
    path: str
    roles: tuple[str, ...]  # sorted; empty with `public` false: anyone who is signed in
    public: bool
    acting: bool = False  # also to whoever acts for somebody else


def facts_of(handler: HTTPRouteHandler) -> RouteFacts:
    """Return what a handler's options and signature say."""
    opt = handler.opt
    parameters = handler.parsed_fn_signature.parameters
    data = parameters.get("data")
    reads: BodyKind | None = "raw" if opt.get("raw") or "body" in parameters else None
    kind: Any = None
    if data is not None:
        marker = data.kwarg_definition
        media = marker.media_type if isinstance(marker, BodyKwarg) else ""
        reads = _ENCODINGS.get(str(getattr(media, "value", media)), "json")
        kind = data.annotation
    roles = opt.get("roles")
    return RouteFacts(
        public=bool(opt.get("public")) or set(handler.http_methods) == {"OPTIONS"},
        roles=None if roles is None else frozenset(roles),
        reads=reads,
        kind=kind,
        body_required=data is not None and not data.has_default,
        max_body=int(opt.get("max_body", 65_536)),
        fanout=bool(opt.get("fanout")),
        idempotent=bool(opt.get("idempotent")),
        acting=bool(opt.get("acting")),
        absent=handler.handler_name == "handle_schema_path_not_found",
    )


def mark_routes(app: Litestar) -> None:
    """Work out the facts of every route once, and keep them in its `opt`."""
    for _, handler in _handlers(app):
        handler.opt[FACTS] = facts_of(handler)


def _handlers(app: Litestar) -> Iterable[tuple[str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                yield route.path_format, handler


def matrix(app: Litestar) -> list[AccessRule]:
    """Return who may enter every route, in order of path and method."""
    rules = []
    for path, handler in _handlers(app):
        facts = handler.opt.get(FACTS) or facts_of(handler)
        if facts.absent:
            continue
        for method in sorted(handler.http_methods - {"OPTIONS"}):
            roles = tuple(sorted(facts.roles or ()))
            public, acting = facts.public, facts.acting
            rules.append(AccessRule(method=str(method), path=path or "/", roles=roles, public=public, acting=acting))
    return sorted(rules, key=lambda rule: (rule.path, rule.method))


class Gate:
    """The gate of one process: it also counts what is under way."""

    def __init__(self, admission_limit: int) -> None:
        self.limit = admission_limit
        self.fanouts = 0
        self.running: set[tuple[str, str, str]] = set()  # principal, route, key of keyed requests under way

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Wrap one route, as Litestar asks of a middleware."""

        async def guarded(scope: Any, receive: Any, send: Any) -> None:
            facts: RouteFacts = scope["route_handler"].opt[FACTS]
            context: Context = scope["state"]["context"]
            if not facts.public:
                context.signed_in(facts.roles)
                if context.acting and not facts.acting:
                    raise ActingClosed
            elif facts.absent:
                raise NotFound
            if facts.fanout or facts.idempotent:
                await self._counted(app, facts, context, scope, receive, send)
                return
            if scope["method"] in _CHANGES:
                await read_body(facts, context, scope, receive)
            await app(scope, receive, send)

        return guarded

    async def _counted(
        self, app: ASGIApp, facts: RouteFacts, context: Context, scope: Any, receive: Any, send: Any
    ) -> None:
        """Pass a request that fans out or carries a key, and forget it when it ends."""
        running = None
        if facts.idempotent:
            key = idempotency.key_of(context.headers.get(b"idempotency-key"))
            running = (context.principal, idempotency.route_of(scope["method"], context.path), key)
            if running in self.running:
                raise InProgress(retry_after_s=1.0)
        if facts.fanout and self.fanouts >= self.limit:
            raise Unavailable(retry_after_s=1.0)
        if running is not None:
            self.running.add(running)
        self.fanouts += facts.fanout
        try:
            await read_body(facts, context, scope, receive)
            await app(scope, receive, send)
        finally:
            self.fanouts -= facts.fanout
            if running is not None:
                self.running.discard(running)


async def read_body(facts: RouteFacts, context: Context, scope: Any, receive: Any) -> None:
    """Read, check and decode the body, and hand it to Litestar as already read.

    Raises:
        UnsupportedType: not the media type the route takes.
        TooLarge: more than the route takes.
        BadBody: not readable as what it is declared to be.
        Invalid: readable, but not the route's type.
    """
    headers = context.headers
    declared = headers.get(b"content-length")
    sent = b"transfer-encoding" in headers or (declared is not None and declared != b"0")
    if facts.reads is None:
        # A route without a body ignores one, except of a type that a foreign page could send unasked.
        if sent and headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _JSON:
            raise UnsupportedType(expected=_JSON.decode())
        return
    content = b""
    if sent:
        body.check_media_type(facts, headers.get(b"content-type"), headers.get(b"content-encoding"))
        content = await body.collect(receive, declared, facts.max_body)
    if not content and facts.body_required and facts.reads != "form":
        raise BadBody(reason="empty")
    state = ScopeState.from_scope(scope)
    state.body = content
    if facts.reads == "json" and content:
        state.json = body.as_kind(body.read_json(content), facts.kind)
    elif facts.reads == "form":
        # Litestar's own parser keeps the last 1,024 forms, and what people wrote in them, in memory.
        state.form = body.read_form(content)  # type: ignore[assignment]
