"""Controllers of mandates: give, see, move, act under. They are handed `mandates`, `session` and `context` by name."""

from litestar import Controller, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.identity.models import SESSION_COOKIE, Session
from onestop.mandates import service_legal
from onestop.mandates.models import (
    Acting,
    Direction,
    History,
    LegalMandates,
    Mandate,
    MandateList,
    MandateView,
    Offer,
    StartActing,
    TakeMove,
)
from onestop.mandates.present import view
from onestop.mandates.service import Mandates
from onestop.mandates.service_acting import act, go_back

_CITIZEN = {"roles": ("citizen",)}


class MandateController(Controller):
    """Who may act for you, and for whom you may act."""

    path = "/v1/me/mandates"
    tags = ("mandates",)

    @get("/", operation_id="listMyMandates", opt={**_CITIZEN, "acting": True})
    async def own(
        self, mandates: NamedDependency[Mandates], session: NamedDependency[Session], context: NamedDependency[Context]
    ) -> MandateList:
        """Mandates you gave and were given, newest first; whoever acts for a company sees those of the company."""
        given, received = await mandates.every_own(session)
        return MandateList(
            given=[await view(mandates, one, "given", context.lang) for one in given],
            received=[await view(mandates, one, "received", context.lang) for one in received],
        )

    @post(
        "/",
        operation_id="offerMandate",
        opt={**_CITIZEN, "acting": True, "idempotent": True, "returns": MandateView, "max_body": 8192},
    )
    async def offer(
        self,
        mandates: NamedDependency[Mandates],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        data: JSONBody[Offer],
    ) -> Response[bytes]:
        """Let somebody act for you in named matters until a day; it holds once they accept.

        Who acts under a mandate that may be handed on gives, for the same subject, no more than it holds.
        """
        return (await mandates.offer(session, context, keyed, data)).response()

    @post("/checks", operation_id="checkLegalMandates", status_code=200, opt={**_CITIZEN, "fanout": True})
    async def check(
        self, mandates: NamedDependency[Mandates], session: NamedDependency[Session], context: NamedDependency[Context]
    ) -> LegalMandates:
        """Ask the departments for whom you may act by law: your children, your wards, your companies.

        What they say is kept for a day, and asked again when you begin to act later than that.
        """
        parts = await service_legal.ask(mandates, context, session.subject_id)
        _, received = await mandates.every_own(session)
        return LegalMandates(
            complete=all(part.state == "ok" for part in parts),
            parts=parts,
            received=[await view(mandates, one, "received", context.lang) for one in received if one.adapter],
        )

    @get("/{mandate_id:str}", operation_id="getMandate", opt={**_CITIZEN, "acting": True})
    async def one(
        self,
        mandates: NamedDependency[Mandates],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        mandate_id: FromPath[str],
    ) -> MandateView:
        """One mandate: what it covers, how it stands, what you can do with it."""
        found = await mandates.own(session, mandate_id)
        return await view(mandates, found, direction_of(found, session), context.lang)

    @get("/{mandate_id:str}/moves", operation_id="listMandateMoves", opt={**_CITIZEN, "acting": True})
    async def history(
        self, mandates: NamedDependency[Mandates], session: NamedDependency[Session], mandate_id: FromPath[str]
    ) -> History:
        """What became of a mandate: who offered, accepted, confirmed, refused or ended it, when, at which level."""
        return await mandates.history(session, mandate_id)

    @post(
        "/{mandate_id:str}/moves",
        operation_id="moveMandate",
        status_code=200,
        opt={**_CITIZEN, "acting": True, "refusals": (404, 409)},
    )
    async def move(
        self,
        mandates: NamedDependency[Mandates],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        mandate_id: FromPath[str],
        data: JSONBody[TakeMove],
    ) -> MandateView:
        """Accept, confirm, refuse or end a mandate; ending takes hold everywhere within five seconds."""
        moved = await mandates.move(session, mandate_id, data.move)
        return await view(mandates, moved, direction_of(moved, session), context.lang)


class ActingController(Controller):
    """Acting for somebody else."""

    path = "/v1/me/acting"
    tags = ("mandates",)

    @post("/", operation_id="startActing", opt={**_CITIZEN, "refusals": (404, 503)})
    async def start(
        self,
        mandates: NamedDependency[Mandates],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        data: JSONBody[StartActing],
    ) -> Response[Acting]:
        """Act for somebody under a mandate they gave you: an app gets a token for it, a browser another cookie.

        What you then do is theirs, and is recorded as done by you; they see it.
        """
        acting, secret, opened = await act(mandates, session, context, data.mandate)
        cookies = [acting_cookie(secret)] if opened.kind == "cookie" else []
        return Response(acting, cookies=cookies, headers={"cache-control": "no-store"})

    @delete("/", operation_id="stopActing", status_code=200, opt={**_CITIZEN, "acting": True, "refusals": (404,)})
    async def stop(self, mandates: NamedDependency[Mandates], session: NamedDependency[Session]) -> Response[None]:
        """Go back to your own affairs; an app's own token was valid all along."""
        secret = await go_back(mandates, session)
        cookies = [acting_cookie(secret)] if session.kind == "cookie" else []
        return Response(None, cookies=cookies)


def direction_of(mandate: Mandate, session: Session) -> Direction:
    """Return from which side a party sees a mandate."""
    return "received" if mandate.actor == session.subject_id else "given"


def acting_cookie(secret: str | None) -> Cookie:
    """Return the cookie of another session in the same browser; None takes it away."""
    age = 0 if secret is None else None
    value = secret or ""
    return Cookie(key=SESSION_COOKIE, value=value, max_age=age, path="/", secure=True, httponly=True, samesite="lax")


CONTROLLERS = [MandateController, ActingController]
