"""Pages of mandates: give one, see them, accept, refuse and end them, act for somebody and go back."""

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from onestop import clock
from onestop.cases.office import Office
from onestop.http.errors import BadBody
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.items.service import search
from onestop.mandates import service_legal
from onestop.mandates.errors import OfferRefused
from onestop.mandates.models import Move
from onestop.mandates.present import view
from onestop.mandates.routes import acting_cookie
from onestop.mandates.service import Mandates
from onestop.mandates.service_acting import act, go_back
from onestop.web import mandates as shown
from onestop.web.form import first
from onestop.web.keyed import keyed
from onestop.web.pages import Paper

_CITIZEN: Final = {"roles": ("citizen",), "max_body": 8192}
_ACTING: Final = {**_CITIZEN, "acting": True}
_MOVES: Final[dict[str, Move]] = {"accept": "accept", "confirm": "confirm", "refuse": "refuse", "end": "end"}


class MandatePages(Controller):
    """Who may act for you, and for whom you may act."""

    path = "/mandates"
    include_in_schema = False

    @get("/", opt=_ACTING)
    async def every(
        self,
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        mandates: NamedDependency[Mandates],
        office: NamedDependency[Office],
    ) -> Response[bytes]:
        """Mandates given and received, with what can be done with each."""
        given, received = await mandates.every_own(session)
        lang = paper.lang
        return paper.show(
            "mandates.html",
            given=[shown.row(office, await view(mandates, one, "given", lang), lang) for one in given],
            received=[shown.row(office, await view(mandates, one, "received", lang), lang) for one in received],
            oneself=session.mandate_id is None,
        )

    @get("/new", opt=_ACTING)
    async def new(self, paper: NamedDependency[Paper], office: NamedDependency[Office]) -> Response[bytes]:
        """Where a mandate is given."""
        return _form(paper, office, {}, {})

    @post("/new", opt=_ACTING)
    async def give(
        self,
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        mandates: NamedDependency[Mandates],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Offer the mandate that was typed; what is wrong is said beside its field, and nothing typed is lost."""
        offer, errors = shown.read(data, paper.lang, clock.now())
        if offer is not None:
            try:
                await mandates.offer(session, context, keyed(office, context, data, "POST"), offer)
                return paper.go("/mandates")
            except OfferRefused as refused:
                errors = shown.complaints(refused.errors, paper.lang)
        return _form(paper, office, data, errors, status=422)

    @post("/checks", opt={**_CITIZEN, "fanout": True})
    async def check(
        self,
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        mandates: NamedDependency[Mandates],
    ) -> Response[None]:
        """Ask the departments for whom one acts by law, and show what they said."""
        await service_legal.ask(mandates, context, session.subject_id)
        return paper.go("/mandates")

    @post("/{mandate_id:str}/moves", opt=_ACTING)
    async def move(
        self,
        mandate_id: FromPath[str],
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        mandates: NamedDependency[Mandates],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[None]:
        """Accept, confirm, refuse or end."""
        move = _MOVES.get(first(data, "move"))
        if move is None:
            raise BadBody(reason="empty")
        await mandates.move(session, mandate_id, move)
        return paper.go("/mandates")

    @post("/{mandate_id:str}/acting", opt=_CITIZEN)
    async def start(
        self,
        mandate_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        mandates: NamedDependency[Mandates],
    ) -> Response[None]:
        """Act for the giver from now on: the browser gets another session, and every page says for whom."""
        _, secret, _ = await act(mandates, session, context, mandate_id)
        return _with_session(paper.go("/me"), secret)

    @post("/acting/end", opt={**_CITIZEN, "acting": True})
    async def stop(
        self,
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        mandates: NamedDependency[Mandates],
    ) -> Response[None]:
        """Go back to one's own affairs."""
        return _with_session(paper.go("/mandates"), await go_back(mandates, session))


def _with_session(reply: Response[None], secret: str | None) -> Response[None]:
    reply.cookies.append(acting_cookie(secret))
    return reply


def _form(
    paper: Paper, office: Office, typed: dict[str, Any], errors: dict[str, str], *, status: int = 200
) -> Response[bytes]:
    offered = search(office.catalogue, office.directory, "", paper.lang)
    names = ("number", "name", "ends_on", "most_cases")
    return paper.show(
        "mandate_new.html",
        status=status,
        items=offered.data,
        typed={name: first(typed, name) for name in names},
        chosen=shown.ticked(typed, "items"),
        excluded=shown.ticked(typed, "excluded"),
        errors=errors,
        slips=[{"id": place, "says": says} for place, says in errors.items()],
        key=new_id("key"),
    )
