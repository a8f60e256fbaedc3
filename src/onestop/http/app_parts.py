"""The front desk put together: route handlers in, the ASGI app out."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import resources
from typing import Any

from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide

import onestop
from onestop.db import Pool
from onestop.http import assets, express, health, idempotency, openapi, problem_pages, problems
from onestop.http.desk import EndHook, FrontDesk
from onestop.http.gate import Gate, mark_routes
from onestop.http.models import Context, Sessions
from onestop.http.streams import EventStream
from onestop.settings import Settings

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


async def _context(request: Request[Any, Any, Any]) -> Context:
    return problems.context_of(request.scope)


def _giving(thing: Any) -> Callable[[], Awaitable[Any]]:
    async def give() -> Any:
        return thing

    return give


def _closing(close: Sequence[Callable[[], Awaitable[None]]]) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        yield
        for step in close:
            await step()

    return lifespan


def build(
    route_handlers: Sequence[Any],
    *,
    settings: Settings,
    pool: Pool,
    sessions: Sessions | None = None,
    dependencies: Mapping[str, Provide] | None = None,
    shared: Mapping[str, Any] | None = None,
    streams: Sequence[EventStream] = (),
    lines: health.Lines | None = None,
    lifespan: Sequence[Lifespan] = (),
    on_close: Sequence[Callable[[], Awaitable[None]]] = (),
    on_end: EndHook | None = None,
    session_cookie: str = "__Host-onestop",
) -> FrontDesk:
    """Return the app behind its front desk; `desk.app` is the Litestar app.

    The dependencies `context` (`Context`) and `keyed` (`Keyed`, on routes with `opt={"idempotent": True}`) are there
    for every handler, and everything in `shared` by its name. A route's `opt` may hold: public, roles, acting, fanout,
    idempotent, express, max_body (bytes), raw (the handler reads the body itself), and for the document: edits,
    versioned, returns, replies {status: sentence}, refusals.
    """
    base = settings.public_url.rstrip("/")
    own = [
        *health.routes(pool, lines),
        problem_pages.list_problems,
        problem_pages.show_problem,
        assets.route("/http-assets", resources.files("onestop.http") / "static"),
    ]
    gate = Gate(settings.admission_limit)
    app = Litestar(
        [*route_handlers, *own],
        dependencies={
            "context": Provide(_context),
            "keyed": Provide(idempotency.provide_keyed(settings.region)),
            **{name: Provide(_giving(thing)) for name, thing in (shared or {}).items()},
            **(dependencies or {}),
        },
        middleware=[gate],
        exception_handlers=problems.exception_handlers(base),
        openapi_config=openapi.config("onestop", onestop.__version__),
        # Litestar's default prints a line for every call to a department, and its handlers every exception.
        logging_config=None,
        lifespan=[*lifespan, _closing(on_close)],
        request_max_body_size=None,  # the gate counts, by each route's own limit
        state=State({"streams": tuple(streams)}),
        debug=False,
    )
    mark_routes(app)
    express.one_after_another(app)
    desk = FrontDesk(
        app,  # type: ignore[arg-type]
        public_url=base,
        budget_ms=settings.budget_ms,
        budget_ceiling_ms=settings.budget_ceiling_ms,
        sessions=sessions,
        session_cookie=session_cookie,
        access_log=settings.log_level in ("debug", "info"),
        on_end=on_end,
        express=express.lanes(app, gate, shared or {}, settings.region),
    )
    for stream in streams:
        desk.register_stream(stream, stream.tail)
    return desk
