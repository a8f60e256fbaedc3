"""Controllers of an adapter's life: hand in, look, move. They are handed `life`, `gateway`, `session` by name."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Controller, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from onestop.db import Connection
from onestop.gateway.routes import AdapterState, state_of
from onestop.gateway.service import Gateway
from onestop.http import etags
from onestop.http.idempotency import Keyed, Reply, once
from onestop.http.models import Context
from onestop.http.pages import next_page
from onestop.identity.models import Session
from onestop.onboarding import service, service_moves, store
from onestop.onboarding.errors import AdapterAbsent
from onestop.onboarding.models import (
    Actor,
    AdapterView,
    Diff,
    Findings,
    Move,
    Moving,
    NoticeList,
    Push,
    StartTrial,
    Submitting,
    VersionList,
    VersionView,
)
from onestop.onboarding.service import Life

ROLES = {"roles": ("department", "operator", "governance")}
CHANGES = {**ROLES, "idempotent": True, "refusals": (404, 409)}
PAGE = 50
_MOST = 200


class AdapterPage(msgspec.Struct, frozen=True, kw_only=True):
    """Adapters in order of id: what serves here, and the caller's own that do not serve yet."""

    data: list[AdapterState]
    drafts: list[str]  # ids of adapters of one's own, between these, without a version that serves
    next_cursor: str | None
    has_more: bool


def actor_of(session: Session) -> Actor:
    """Return who acts, from a session."""
    machine = session.kind == "machine"
    return Actor(id=session.actor_id, role=session.role, department=session.department, machine=machine)


async def keyed_change(
    life: Life, keyed: Keyed, verb: Callable[[Connection], Awaitable[Any]], status: int = 200
) -> Response[bytes]:
    """Run a verb once under its key and let every gateway look after the commit."""

    async def write(db: Connection) -> Reply:
        made = await verb(db)
        headers = {"etag": etags.etag(made.revision)} if isinstance(made, VersionView) else {}
        return Reply(status=status, body=msgspec.json.encode(made), headers=headers)

    reply = await once(life.pool, life.keys, keyed, write)
    life.announce()
    return reply.response()


class AdapterController(Controller):
    """Departments' adapters and their versions."""

    path = "/v1/adapters"
    tags = ("departments",)
    opt = ROLES

    @get("/", operation_id="listAdapters")
    async def listed(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        gateway: NamedDependency[Gateway],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = PAGE,
    ) -> Response[AdapterPage]:
        """List the adapters and how their lines are, in order of id."""
        size = max(1, min(limit, _MOST))
        names = sorted(name for name in gateway.manifests if cursor is None or name > cursor)
        page, more = names[:size], len(names) > size
        owner = session.department if session.role == "department" else None
        own = await store.adapters(life.pool, owner, cursor, _MOST)
        last = page[-1] if more else None
        drafts = [a.id for a in own if a.id not in gateway.manifests and (last is None or a.id <= last)]
        states = [state_of(gateway, name, context.lang) for name in page]
        told = AdapterPage(data=states, drafts=drafts, next_cursor=last, has_more=more)
        return Response(told, headers=next_page("/v1/adapters", last, size))

    @post("/", operation_id="pushAdapter", opt={**CHANGES, "max_body": 600_000, "returns": VersionView})
    async def push(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        data: JSONBody[Push],
    ) -> Response[bytes]:
        """Hand in a manifest as a new draft; the first of an adapter makes the adapter."""
        actor = actor_of(session)

        async def verb(db: Connection) -> VersionView:
            made = await life.push(db, actor, data)
            return await life.view(db, actor, made.adapter, made.version, context.lang)

        return await keyed_change(life, keyed, verb, 201)

    @get("/{adapter:str}", operation_id="getAdapter")
    async def one(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        gateway: NamedDependency[Gateway],
        adapter: FromPath[str],
    ) -> AdapterView:
        """One adapter: whose it is, what serves, its newest versions."""
        known = await life.find(life.pool, actor_of(session), adapter)
        versions = await store.versions(life.pool, adapter, None, 20)
        manifest = gateway.manifests.get(adapter)
        serving = any(version.state in ("live", "quarantined") for version in versions)
        return AdapterView(
            id=adapter,
            owner=known.owner,
            department_code=known.department_code,
            portal=known.portal,
            approves=known.approves,
            automatic_per_day=known.automatic_per_day,
            live=manifest.version if manifest else None,
            from_file=manifest is not None and not serving,
            connected=adapter in gateway.lines,
            fault=gateway.faults.get(adapter),
            maintenance_until=gateway.maintenance(adapter),
            versions=[service.line_of(version) for version in versions],
        )

    @get("/{adapter:str}/health", operation_id="getAdapterHealth")
    async def health(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        gateway: NamedDependency[Gateway],
        adapter: FromPath[str],
    ) -> AdapterState:
        """How the adapter's line is in this process: breakers, calls that wait, or why it is not connected."""
        await life.find(life.pool, actor_of(session), adapter)
        if adapter not in gateway.manifests:
            raise AdapterAbsent(adapter=adapter)
        return state_of(gateway, adapter, context.lang)

    @get("/{adapter:str}/notices", operation_id="listAdapterNotices")
    async def notices(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = PAGE,
    ) -> Response[NoticeList]:
        """What the owner was told, newest first: every move, what could not be loaded, what ends soon."""
        found = await life.notices(actor_of(session), adapter, context.lang, before=cursor, limit=limit)
        return Response(found, headers=next_page(f"/v1/adapters/{adapter}/notices", found.next_cursor, limit))


class VersionController(Controller):
    """One adapter's versions."""

    path = "/v1/adapters/{adapter:str}/versions"
    tags = ("departments",)
    opt = ROLES

    @get("/", operation_id="listAdapterVersions")
    async def listed(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = PAGE,
    ) -> Response[VersionList]:
        """The adapter's versions, the highest first."""
        found = await life.versions(actor_of(session), adapter, before=cursor, limit=limit)
        return Response(found, headers=next_page(f"/v1/adapters/{adapter}/versions", found.next_cursor, limit))

    @get("/{version:str}", operation_id="getAdapterVersion", opt={**ROLES, "versioned": True})
    async def one(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        version: FromPath[str],
    ) -> Response[VersionView]:
        """One version: manifest, history, what it may do next and what that needs."""
        view = await life.view(life.pool, actor_of(session), adapter, version, context.lang)
        if etags.unchanged(context, view.revision):
            return etags.not_modified(view.revision)  # type: ignore[return-value]  # a 304 has no body
        return Response(view, headers=etags.headers(view.revision))

    @put(
        "/{version:str}",
        operation_id="replaceAdapterDraft",
        opt={**ROLES, "edits": True, "max_body": 600_000, "refusals": (404, 409)},
    )
    async def replace(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        version: FromPath[str],
        data: JSONBody[Push],
    ) -> Response[VersionView]:
        """Put another manifest in a draft's place, after a rejection too; nothing else may be changed."""
        actor = actor_of(session)

        async def verb(db: Connection) -> VersionView:
            await life.hold(db, actor, adapter)
            _, found = await life.version(db, actor, adapter, version)
            etags.check_match(context, found.revision)
            await life.replace(db, actor, adapter, version, data)
            return await life.view(db, actor, adapter, version, context.lang)

        view = await life.commit(verb)
        return Response(view, headers=etags.headers(view.revision))

    @get("/{version:str}/diff", operation_id="diffAdapterVersion")
    async def diff(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        version: FromPath[str],
        against: FromQuery[str | None] = None,
    ) -> Diff:
        """What changed since what is live, or since another version; who approves sends back its `digest`."""
        return await life.diff(life.pool, actor_of(session), adapter, version, against, context.lang)

    @post("/{version:str}/lint", operation_id="lintAdapterVersion", status_code=200)
    async def lint(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        version: FromPath[str],
    ) -> Findings:
        """What is wrong with the version's manifest."""
        _, found = await life.version(life.pool, actor_of(session), adapter, version)
        return Findings(service.lint(found.manifest, adapter))

    @post(
        "/{version:str}/trial",
        operation_id="trialAdapterVersion",
        status_code=200,
        opt={**CHANGES, "returns": VersionView},
    )
    async def trial(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        version: FromPath[str],
        data: JSONBody[StartTrial],
    ) -> Response[bytes]:
        """Serve a few people of one's own with this version, everybody else with the live one."""
        numbers = [person.number for person in data.subjects]
        return await _move(context, session, life, keyed, adapter, version, "trial", Moving(why=data.why), numbers)


async def _move(
    context: Context,
    session: Session,
    life: Life,
    keyed: Keyed,
    adapter: str,
    version: str,
    name: Move,
    moving: Moving,
    numbers: list[str] | None = None,
) -> Response[bytes]:
    actor = actor_of(session)

    async def verb(db: Connection) -> VersionView:
        if b"if-match" in context.headers:
            await life.hold(db, actor, adapter)
            etags.check_match(context, (await life.version(db, actor, adapter, version))[1].revision)
        await service_moves.move(life, db, actor, adapter, version, name, moving, numbers=numbers or ())
        return await life.view(db, actor, adapter, version, context.lang)

    return await keyed_change(life, keyed, verb)


@post(
    "/v1/adapters/{adapter:str}/versions/{version:str}/submit",
    operation_id="submitAdapterVersion",
    status_code=200,
    tags=["departments"],
    opt={**CHANGES, "returns": VersionView},
)
async def submit(
    context: NamedDependency[Context],
    session: NamedDependency[Session],
    life: NamedDependency[Life],
    keyed: NamedDependency[Keyed],
    adapter: FromPath[str],
    version: FromPath[str],
    data: JSONBody[Submitting],
) -> Response[bytes]:
    """Hand a draft over to be checked; from here on it cannot be changed. Say so where there is no test system."""
    return await _move(context, session, life, keyed, adapter, version, "submit", data)


def _moving(name: Move, operation_id: str, words: str) -> Any:
    """Return the route of one move."""

    async def move(
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        version: FromPath[str],
        data: JSONBody[Moving],
    ) -> Response[bytes]:
        return await _move(context, session, life, keyed, adapter, version, name, data)

    move.__doc__ = words
    return post(
        f"/v1/adapters/{{adapter:str}}/versions/{{version:str}}/{name}",
        operation_id=operation_id,
        status_code=200,
        tags=["departments"],
        opt={**CHANGES, "returns": VersionView},
    )(move)


MOVES = [
    submit,
    _moving("withdraw", "withdrawAdapterVersion", "Take a version back to draft before it has served anybody."),
    _moving("reject", "rejectAdapterVersion", "Send a version back to its owner, saying why; it is a draft again."),
    _moving("approve", "approveAdapterVersion", "Approve a version as a second person, having seen what changed."),
    _moving("publish", "publishAdapterVersion", "Let the version serve everybody; the one before stays ready."),
    _moving("quarantine", "quarantineAdapterVersion", "Stop all calls to a live version; effects wait."),
    _moving("release", "releaseAdapterVersion", "Let a quarantined version serve again."),
    _moving("return", "returnAdapterVersion", "Bring the version before back at once; for thirty days."),
    _moving("deprecate", "deprecateAdapterVersion", "Take a live version off line without a successor."),
    _moving("retire", "retireAdapterVersion", "Keep a version for the record only."),
]

CONTROLLERS = [AdapterController, VersionController, *MOVES]
