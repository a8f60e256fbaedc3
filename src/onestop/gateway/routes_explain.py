"""Controllers: why a request went as it did, as JSON, as a picture, and by a link that needs no account."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import jinja2
import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from onestop.crypto import Keys
from onestop.db import Db, Pool
from onestop.gateway import shares
from onestop.gateway.explain import Explanation, Viewer, explain
from onestop.gateway.service import Gateway
from onestop.gateway.shares import Shares
from onestop.gateway.waterfall import rows, svg
from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.http.problem_pages import pages
from onestop.http.problems import LANGUAGE_TAGS
from onestop.identity.models import Session
from onestop.settings import Settings
from onestop.texts import Language, text

OwnsCase = Callable[[str, str], Awaitable[bool]]
_pages = pages.overlay(loader=jinja2.ChoiceLoader([jinja2.PackageLoader("onestop.gateway"), pages.loader]))  # type: ignore[list-item]


class Explained(msgspec.Struct, frozen=True):
    """Every request under one trace id."""

    data: list[Explanation]


class ExplainController(Controller):
    """Why a request went as it did."""

    path = "/v1"
    tags = ("explain",)

    @get("/explain/{trace_id:str}", operation_id="explainTrace")
    async def explain(
        self,
        trace_id: FromPath[str],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        pool: NamedDependency[Pool],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
        owns_case: NamedDependency[OwnsCase],
    ) -> Explained:
        """Show the chain of decisions, the link that failed, who acts and what to do.

        A person sees their own requests, a department the parts that concern its own system, an operator everything."""
        return Explained(await _own(trace_id, context, session, pool, gateway, settings, owns_case))

    @get("/traces/{trace_id:str}/waterfall.svg", operation_id="drawWaterfall", media_type="image/svg+xml")
    async def waterfall(
        self,
        trace_id: FromPath[str],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        pool: NamedDependency[Pool],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
        owns_case: NamedDependency[OwnsCase],
    ) -> Response[str]:
        """Draw who was asked when and how long each took: queue, connect, wait, read."""
        found = await _own(trace_id, context, session, pool, gateway, settings, owns_case)
        return Response(svg(found, context.lang), media_type="image/svg+xml")

    @post("/explain/{trace_id:str}/shares", operation_id="shareTrace", status_code=201, opt={"idempotent": True})
    async def share(
        self,
        trace_id: FromPath[str],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        pool: NamedDependency[Pool],
        keys: NamedDependency[Keys],
        keyed: NamedDependency[Keyed],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
        owns_case: NamedDependency[OwnsCase],
    ) -> Response[bytes]:
        """Make a link to what you see of this trace: it holds for 24 hours, needs no account, shows nothing personal.

        Its address is told this once."""
        await _own(trace_id, context, session, pool, gateway, settings, owns_case)
        reply = await shares.make(
            pool, keys, keyed, trace_id, session, viewer_of(session), settings.public_url
        )  # fmt: skip
        return reply.response()

    @get("/explain/{trace_id:str}/shares", operation_id="listTraceShares")
    async def shares(
        self,
        trace_id: FromPath[str],
        session: NamedDependency[Session],
        pool: NamedDependency[Pool],
        settings: NamedDependency[Settings],
    ) -> Shares:
        """List the links you made to this trace, newest first; an operator sees everybody's."""
        return await shares.listed(pool, settings.region, trace_id, _maker(session))

    @delete("/explain/{trace_id:str}/shares/{share_id:str}", operation_id="revokeTraceShare", status_code=204)
    async def revoke(
        self,
        trace_id: FromPath[str],
        share_id: FromPath[str],
        session: NamedDependency[Session],
        pool: NamedDependency[Pool],
        settings: NamedDependency[Settings],
    ) -> None:
        """End a link at once."""
        await shares.revoke(pool, settings.region, trace_id, share_id, _maker(session))


class SharedController(Controller):
    """Explanations by link."""

    path = "/explain/shared"
    tags = ("explain",)

    @get("/{token:str}", operation_id="readSharedTrace", opt={"public": True, "returns": Explained})
    async def read(
        self,
        request: Request[Any, Any, Any],
        token: FromPath[str],
        context: NamedDependency[Context],
        pool: NamedDependency[Pool],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
        owns_case: NamedDependency[OwnsCase],
    ) -> Response[Any]:
        """Show a shared explanation: as JSON, or as a page where `Accept` asks for HTML."""
        row, viewer = await shares.opened(pool, settings.region, token)
        found = await explain(
            pool, settings.region, row.trace_id, viewer=viewer, lang=context.lang, manifests=gateway.manifests,
            owns=partial(owns_case, row.subject), owned_by=gateway.owned_by,
        )  # fmt: skip
        headers = {"vary": "Accept, Accept-Language", "cache-control": "no-store", "referrer-policy": "no-referrer"}
        if b"text/html" in context.headers.get(b"accept", b""):
            return Response(page(found, context.lang), media_type="text/html", headers=headers)
        return Response(Explained(found), headers=headers)


def page(found: list[Explanation], lang: Language) -> bytes:
    """Return an explanation as a page: chain, picture, and the picture's numbers as a table."""

    def words(key: str, **params: object) -> str:
        return text(key, lang, **params)

    template = _pages.get_template("explained.html")
    drawn = svg(found, lang) if any(one.waterfall for one in found) else ""
    return template.render(t=words, lang=LANGUAGE_TAGS[lang], found=found, svg=drawn, rows=rows(found, lang)).encode()


def viewer_of(session: Session) -> Viewer:
    """Return what a session may see of explanations."""
    if session.role == "operator":
        return Viewer(principal=None, curl=True)
    if session.role == "department":
        return Viewer(principal=session.principal, department=session.department or "-", curl=True)
    return Viewer(principal=session.principal)


def _maker(session: Session) -> str | None:
    return None if session.role == "operator" else session.principal


async def _own(
    trace_id: str,
    context: Context,
    session: Session,
    pool: Db,
    gateway: Gateway,
    settings: Settings,
    owns_case: OwnsCase,
) -> list[Explanation]:
    return await explain(
        pool,
        settings.region,
        trace_id,
        viewer=viewer_of(session),
        lang=context.lang,
        manifests=gateway.manifests,
        owns=partial(owns_case, session.subject_id),
        owned_by=gateway.owned_by,
    )


CONTROLLERS = [ExplainController, SharedController]
