"""The assembly: settings in, the portal out. Everything one process shares is opened here, and closed in reverse."""

import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Literal

import msgspec
import structlog
from litestar.di import Provide

from onestop import logs
from onestop.audit import routes as audit_routes
from onestop.audit.service import DataUses
from onestop.basis import routes as basis_routes
from onestop.cases import routes as case_routes
from onestop.cases import routes_doubts
from onestop.cases import routes_window as window_routes
from onestop.cases import service as cases
from onestop.certificates import routes as certificate_routes
from onestop.errors import OnestopError
from onestop.exchange import routes as exchange_routes
from onestop.exchange.service import Exchange
from onestop.gateway import facts, routes_ops, routes_pull
from onestop.gateway import routes as gateway_routes
from onestop.gateway.explain import TraceLog
from onestop.gateway.limits import Breaker, BreakerState
from onestop.gateway.pull import PullDesk
from onestop.gateway.service import Gateway
from onestop.gateway.watch import Watch
from onestop.http import access as access_log
from onestop.http import app_parts
from onestop.http.desk import FrontDesk
from onestop.http.health import LineHealth
from onestop.http.models import App, Context, Receive, Scope, Send
from onestop.http.streams import Event, EventStream, Hub
from onestop.http.wake import Announcer, Listener
from onestop.identity import access
from onestop.identity import routes as identity_routes
from onestop.identity.models import SESSION_COOKIE, Identified
from onestop.identity.providers import Providers, read_providers
from onestop.identity.service_refresh import AppSessions
from onestop.identity.service_sign_in import SignIn, TokenDesk
from onestop.identity.throttles import Throttles
from onestop.items import routes as item_routes
from onestop.mandates import routes as mandate_routes
from onestop.onboarding import drift
from onestop.onboarding import routes as onboarding_routes
from onestop.onboarding import routes_lines as onboarding_lines
from onestop.onboarding import routes_play as onboarding_play
from onestop.onboarding import routes_runs as onboarding_runs
from onestop.onboarding import routes_terms as onboarding_terms
from onestop.onboarding.importing import routes as import_routes
from onestop.onboarding.importing.desk import Importer
from onestop.onboarding.service import Life
from onestop.onboarding.service_runs import Runner
from onestop.onboarding.simulator_house import House
from onestop.outbound.addresses import AllowList
from onestop.outbound.transport import open_client
from onestop.overview import routes as overview_routes
from onestop.overview import routes_data_use, routes_status
from onestop.overview.service import Overview
from onestop.overview.status import StatusBoard
from onestop.parts import Parts, adapters, announcing, open_parts
from onestop.provider import routes as provider_routes
from onestop.provider import routes_clients
from onestop.provider.service import Provider
from onestop.provider.service_exchange import Agreed, Terms
from onestop.rights import routes as rights_routes
from onestop.rights.service import Rights
from onestop.settings import Settings
from onestop.web import routes as web_routes

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_portal(settings: Settings) -> AsyncIterator[FrontDesk]:
    """Open one gateway process: the app behind its front desk, ready to serve.

    Raises:
        As `open_parts`; BadSettings where the identity file cannot be used.
    """
    logs.configure(settings.log_level)
    async with AsyncExitStack() as stack:
        stack.callback(access_log.flush)
        parts = await stack.enter_async_context(open_parts(settings, "onestop gateway", serves=True))
        await stack.enter_async_context(parts.sessions)
        parts.traces.start()
        stack.push_async_callback(parts.traces.close)
        desk = await _desk(parts, stack)
        await stack.enter_async_context(desk.app.lifespan())  # type: ignore[attr-defined]  # a Litestar app
        yield desk


async def _desk(parts: Parts, stack: AsyncExitStack) -> FrontDesk:
    settings, pool, keys, region = parts.settings, parts.pool, parts.keys, parts.settings.region
    sources: dict[str, _Source] = {}
    hub = Hub(_since(sources), _newest(sources), over=parts.sessions.over)
    announce = Announcer(pool, hub)
    overview = Overview(pool, keys, parts.gateway, DataUses(pool, region), region, announce, parts.office.basis)
    sources["completion"] = _Source(overview.events_since, overview.newest)
    sources["case"] = _Source(parts.office.events_since, parts.office.newest)
    parts.gateway.changed = announcing(announce)
    providers = await _providers(settings, stack)
    throttles = Throttles(pool, keys, settings)
    parts.sessions.cleaning["old_tries"] = throttles.clean
    apps = AppSessions(pool, keys, settings, parts.sessions, throttles)
    handler = cases.outcome_handler(parts.office)
    provider = await stack.enter_async_context(Provider(pool, keys, settings, parts.sessions, _agreed(parts)))
    life = Life(pool, keys, settings, parts.gateway.files, announce)
    runner = Runner(life)
    stack.push_async_callback(runner.close)
    shared: dict[str, Any] = {
        "pool": pool,
        "keys": keys,
        "settings": settings,
        "gateway": parts.gateway,
        "life": life,
        "runner": runner,
        "house": House(life, adapters(settings)),
        "traces": parts.traces,
        "sessions": parts.sessions,
        "op": provider,
        "sign_in": SignIn(pool, keys, settings, providers, parts.sessions, throttles),
        "throttles": throttles,
        "app_sessions": apps,
        "token_desk": TokenDesk(parts.sessions, apps, settings, _find_person(settings), throttles),
        "overview": overview,
        "mandates": parts.mandates,
        "exchange": Exchange(pool, parts.gateway, parts.sessions, parts.traces, region, parts.office.basis),
        "basis": parts.office.basis,
        "rights": Rights(parts.office),
        "importer": Importer(),
        "office": parts.office,
        "outcome_handler": handler,
        "owns_case": cases.owns_case(parts.office),
        "pull_desk": PullDesk(pool, keys, parts.gateway, region, handler),
        "watch_desk": Watch(pool, keys, parts.gateway, region, handler),
        "status_board": StatusBoard(parts.office),
    }
    desk = app_parts.build(
        [
            *identity_routes.CONTROLLERS,
            *provider_routes.CONTROLLERS,
            *routes_clients.CONTROLLERS,
            *mandate_routes.CONTROLLERS,
            *gateway_routes.CONTROLLERS,
            *import_routes.CONTROLLERS,
            *routes_pull.CONTROLLERS,
            *routes_ops.CONTROLLERS,
            *item_routes.CONTROLLERS,
            *case_routes.CONTROLLERS,
            *window_routes.CONTROLLERS,
            *routes_doubts.CONTROLLERS,
            *certificate_routes.CONTROLLERS,
            *audit_routes.CONTROLLERS,
            *exchange_routes.CONTROLLERS,
            *basis_routes.CONTROLLERS,
            *rights_routes.CONTROLLERS,
            *onboarding_routes.CONTROLLERS,
            *onboarding_play.CONTROLLERS,
            *onboarding_runs.CONTROLLERS,
            *onboarding_terms.CONTROLLERS,
            *onboarding_lines.CONTROLLERS,
            *overview_routes.CONTROLLERS,
            *routes_data_use.CONTROLLERS,
            *routes_status.CONTROLLERS,
            *web_routes.handlers(identity_routes.SignInController, provider_routes.SignInAtController),
        ],
        settings=settings,
        pool=pool,
        sessions=parts.sessions,
        dependencies={"session": Provide(access.provide_session)},
        shared=shared,
        streams=[
            EventStream("/v1/completions/{id}/events", hub, overview.authorise, roles=frozenset({"citizen"})),
            EventStream("/v1/cases/{id}/events", hub, parts.office.authorise_stream),
        ],
        lines=_lines(parts.gateway),
        on_end=_noting(parts.traces),
    )
    watch = drift.DriftWatch(life, lambda: parts.gateway.lines, examples=adapters(settings))
    watch.start()
    stack.push_async_callback(watch.close)
    hub.start()
    listener = Listener(parts.dsn, hub)
    listener.start()
    for close in (hub.close, listener.close, announce.close, overview.close):
        stack.push_async_callback(close)
    return desk


def _agreed(parts: Parts) -> Agreed:
    """Return what tells under which agreement a department may ask another something."""

    def agreed(department: str, adapter: str, operation: str) -> Terms | None:
        found = parts.gateway.quotas.find(f"department:{department}", adapter, operation)
        return None if found is None else Terms(found.id, found.purpose_zh)

    return agreed


# --- small pieces ----------------------------------------------------------------------------------------------------


class _Source(msgspec.Struct, frozen=True):
    """Where the events of one kind of topic come from."""

    since: Callable[[str, str | None], Awaitable[Sequence[Event]]]
    newest: Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]


def _since(sources: Mapping[str, _Source]) -> Callable[[str, str | None], Awaitable[Sequence[Event]]]:
    async def since(topic: str, last_id: str | None) -> Sequence[Event]:
        return await sources[topic.partition(":")[0]].since(topic, last_id)

    return since


def _newest(sources: Mapping[str, _Source]) -> Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]:
    async def newest(topics: Sequence[str]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for kind, source in sources.items():
            own = [topic for topic in topics if topic.startswith(kind + ":")]
            if own:
                found |= await source.newest(own)
        return found

    return newest


async def _providers(settings: Settings, stack: AsyncExitStack) -> Providers:
    """Open the client that talks to the sign-in providers, over the one door."""
    client = await stack.enter_async_context(open_client(allow=AllowList(settings.outbound_allow), timeout_s=5.0))
    return Providers(read_providers(settings.identity_file) if settings.identity_file else [], client)


def _find_person(settings: Settings) -> Callable[[str], Identified | None]:
    """Return who finds the people tokens may be asked for by name: the demo world's, nobody in production."""
    if settings.profile == "production":
        return lambda _: None
    from onestop.demo.accounts import find_person  # the one place where the portal knows the demo world

    return find_person


_BREAKER_STATES: Final[dict[BreakerState, Literal["ok", "degraded", "down"]]] = {
    "closed": "ok",
    "half_open": "degraded",
    "open": "down",
}


_UNWELL_AFTER: Final = 2  # one call may fail anywhere
_UNWELL_S: Final = 60.0  # what failed longer ago, and was not asked since, may be well again


def _state(breaker: Breaker, now: float) -> Literal["ok", "degraded", "down"]:
    """Return how one operation is; who answers nobody is named before there are calls enough to pause it."""
    fresh = now - breaker.failed_at < _UNWELL_S
    if breaker.state == "closed" and breaker.failed_in_row >= _UNWELL_AFTER and fresh:
        return "degraded"
    return _BREAKER_STATES[breaker.state]


def _lines(gateway: Gateway) -> Callable[[], Awaitable[Sequence[LineHealth]]]:
    async def lines() -> Sequence[LineHealth]:
        return [
            LineHealth(
                department=line.manifest.id,
                operation=name,
                state="stopped"
                if gateway.stop(line.manifest.id, name)
                else _state(line.breaker(name), line.loop.time()),
            )
            for line in gateway.lines.values()
            for name in line.operations
        ] + [LineHealth(department=name, operation="*", state="down") for name in sorted(gateway.faults)]

    return lines


def _shown(context: Context) -> bool:
    """Tell whether the request came with a session or a token, whatever it was worth."""
    return b"authorization" in context.headers or SESSION_COOKIE.encode() in context.headers.get(b"cookie", b"")


def _noting(traces: TraceLog) -> Callable[[Scope, Context, int], None]:
    """Return the hook that notes why a request was refused; answered ones are noted where they fan out."""

    def note(scope: Scope, context: Context, status: int) -> None:
        if status >= 400 and context.refusal is not None:
            route = f"{scope['method']} {scope.get('path_template') or '-'}"
            took_ms = (time.perf_counter() - context.started) * 1000
            refusal = context.refusal
            traces.note(
                context.trace_id,
                context.principal,
                route,
                refusal.code,
                took_ms,
                [],
                fact=facts.of_refusal(refusal, credential=_shown(context)),
                adapter=getattr(refusal, "adapter", None),  # of a callback that was not taken
            )

    return note


# --- what is served and what works ------------------------------------------------------------------------------------


def _settle_memory() -> None:
    """Set aside what start-up made, which stays, and look for garbage cycles less often.

    Requests leave next to none; looking for them every 700 objects costs more than it finds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class _Portal:
    """The ASGI app of one process; it opens its parts when the server starts and closes them when it ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._desk: FrontDesk | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._desk is not None and scope["type"] != "lifespan":
            await self._desk(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with open_portal(self._settings) as self._desk:
                _settle_memory()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                self._desk = None
        except OnestopError as fault:
            # A refusal to start is one sentence, not a traceback.
            log.error("not_started", code=fault.code, sentence=str(fault))
            await send({"type": "lifespan.startup.failed", "message": str(fault)})
        else:
            await send({"type": "lifespan.shutdown.complete"})


def create_app(settings: Settings) -> App:
    """Return the portal as an ASGI app; nothing is opened before the server starts it."""
    return _Portal(settings)
