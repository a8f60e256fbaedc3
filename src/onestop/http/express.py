"""The express lane: the busiest routes, called without the framework's steps between the gate and the handler.

A handler is the same function that Litestar knows, documents and can call; its `opt` says `express`. Addresses are
exact, without parameters. Measured: Litestar's routing, dependency tasks and response cost more than what such a
handler does itself. docs/decisions/0011-express-lane.md; a test holds both ways to the same answers.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.utils.scope.state import ScopeState

from onestop.http import idempotency
from onestop.http.gate import Gate
from onestop.http.models import Context, Receive, Scope, Send

_JSON: Final = (b"content-type", b"application/json")
# What the lane hands over itself; everything else a handler takes must be the same thing for every request.
_OWN: Final = frozenset({"context", "session", "keyed", "data", "return"})

_encode = msgspec.json.Encoder().encode
Lane = Callable[[Scope, Receive, Send], Awaitable[None]]


def lanes(app: Litestar, gate: Gate, shared: Mapping[str, Any], region: str) -> dict[tuple[str, str], Lane]:
    """Return the express routes of an app by method and path.

    Raises:
        TypeError: a handler takes something that is not shared by all requests.
    """
    found: dict[tuple[str, str], Lane] = {}
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            if handler.opt.get("express"):
                lane = gate(_serving(handler, shared, region))
                for method in handler.http_methods - {"OPTIONS"}:
                    found[str(method), route.path_format or "/"] = _entering(handler, route.path_format, lane)
    return found


def _entering(handler: HTTPRouteHandler, path: str, lane: Any) -> Lane:
    """Put into the scope what the gate, the log and the problems read there."""

    async def enter(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route_handler"] = handler
        scope["path_template"] = path
        await lane(scope, receive, send)

    return enter


def _serving(handler: HTTPRouteHandler, shared: Mapping[str, Any], region: str) -> Any:
    names = set(handler.parsed_fn_signature.parameters)
    unknown = names - _OWN - shared.keys()
    if unknown:
        raise TypeError(f"{handler.handler_name} cannot be an express route: it takes {', '.join(sorted(unknown))}")
    fixed = {name: shared[name] for name in names & shared.keys()}
    wants_context, wants_session = "context" in names, "session" in names
    wants_keyed, wants_data = "keyed" in names, "data" in names
    call: Callable[..., Awaitable[Any]] = handler.fn
    usual = handler.status_code

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        context: Context = scope["state"]["context"]
        given = fixed.copy()
        if wants_context:
            given["context"] = context
        if wants_session:
            given["session"] = context.signed_in()
        if wants_keyed or wants_data:
            state = ScopeState.from_scope(scope)
            if wants_keyed:
                body = state.body if isinstance(state.body, bytes) else b""
                given["keyed"] = idempotency.keyed_of(region, context, scope["method"], body)
            if wants_data:
                given["data"] = state.json
        result = await call(**given)
        status, headers = usual, [_JSON]
        if isinstance(result, Response):
            status = result.status_code or usual
            headers += [(k.encode("latin-1"), v.encode("latin-1")) for k, v in result.headers.items()]
            result = result.content
        content = result if isinstance(result, bytes) else _encode(result)
        headers.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return serve


def one_after_another(app: Litestar) -> None:
    """Let dependencies be resolved in turn.

    Litestar starts a task for each dependency of a batch of several; ours only hand a thing over and never wait, so
    the tasks cost more than everything they do.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for _, model in route.route_handler_map.values():
                model.dependency_batches = [{one} for batch in model.dependency_batches for one in batch]
