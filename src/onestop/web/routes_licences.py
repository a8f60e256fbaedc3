"""My licences 我的证照: the list, one with its history, showing it, copies of it; and the page that checks a QR."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from onestop.cases.office import Office
from onestop.certificates import service_copies, service_licences, service_showing
from onestop.certificates.errors import LicenceNotValid, ShowExpired, ShowForged, Unprintable
from onestop.certificates.licences import Licences
from onestop.certificates.models_uses import CheckShow, MakeCopy
from onestop.certificates.routes_documents import PDF, pdf_headers
from onestop.db import Connection
from onestop.http.idempotency import Reply, once
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.texts import text
from onestop.web.form import Slip, first
from onestop.web.keyed import keyed
from onestop.web.pages import Paper
from onestop.web.qr import qr

_CITIZEN: Final = {"roles": ("citizen",)}
_OPEN: Final = {"public": True}
_COLOURS: Final = {"valid": "green", "suspended": "orange", "unknown": "purple"}
_MOST: Final = 200
_TOKEN: Final = 4000
_json = msgspec.json.Encoder()


class LicencePages(Controller):
    """A person's own licences."""

    path = "/licences"
    include_in_schema = False

    @get("/", opt=_CITIZEN)
    async def own(
        self, paper: NamedDependency[Paper], session: NamedDependency[Session], office: NamedDependency[Office]
    ) -> Response[bytes]:
        """The list; asks nobody."""
        listed = await service_licences.own_licences(office.licences, session, paper.lang, limit=_MOST)
        return paper.show("licences.html", licences=listed.data, colours=_COLOURS, parts=None)

    @post("/", status_code=200, opt={**_CITIZEN, "fanout": True, "max_body": 1024})
    async def fetch(
        self,
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[bytes]:
        """Ask the issuers, and show the list with those that could not be asked by name."""
        got = await service_licences.fetch(office.licences, session, context, ())
        away = [
            office.licences.types.get(part.type).spec.name.say(paper.lang)
            for part in got.parts
            if part.state not in ("ok", "stale")
        ]
        return paper.show("licences.html", licences=got.data, colours=_COLOURS, parts=away)

    @get("/{licence_id:str}", opt={**_CITIZEN, "fanout": True})
    async def one(
        self,
        licence_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[bytes]:
        """What a licence says, how it stands, what happened to it, what it was copied for."""
        return await _one(paper, context, session, office, licence_id)

    @get("/{licence_id:str}/show/{scene:str}", opt={**_CITIZEN, "fanout": True})
    async def show(
        self,
        licence_id: FromPath[str],
        scene: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[bytes]:
        """A QR that lives a minute; the page renews it before it ends."""
        made = await service_showing.present(office.licences, session, context, licence_id, scene)
        drawing = qr(made.address, paper.say("licences.qr"))
        return paper.show("licence_show.html", made=made, licence_id=licence_id, drawing=drawing, renew_s=45)

    @get("/{licence_id:str}/document", opt={**_CITIZEN, "fanout": True})
    async def document(
        self,
        licence_id: FromPath[str],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[bytes]:
        """The holder's own document."""
        made = await service_copies.own_document(office.licences, session, context, licence_id)
        return Response(made, media_type=PDF, headers=pdf_headers(licence_id))

    @post("/{licence_id:str}/copies", opt={**_CITIZEN, "fanout": True, "max_body": 4096})
    async def copy(
        self,
        licence_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Make a copy for a purpose and a taker; what cannot be taken is told beside its field."""
        typed = {name: first(data, name).strip() for name in ("purpose", "taker")}
        slips = _slips(typed, paper)
        if slips:
            return await _one(paper, context, session, office, licence_id, typed=typed, slips=slips, status=422)
        licences, wish = office.licences, MakeCopy(purpose=typed["purpose"], taker=typed["taker"])
        route = "POST /licences/{id}/copies"
        found = await service_licences.standing_now(licences, session.subject_id, context, licence_id, route)

        async def write(db: Connection) -> Reply:
            made = await service_copies.make_copy(licences, db, session, context, found, wish)
            return Reply(status=201, body=_json.encode(made), made_id=made.id)

        await once(licences.pool, licences.keys, keyed(office, context, data, "POST"), write)
        return paper.go(f"/licences/{licence_id}#copies")


class LicenceCopyPages(Controller):
    """Copies of a person's own licences."""

    path = "/licence-copies"
    include_in_schema = False

    @get("/{copy_id:str}", opt={**_CITIZEN, "fanout": True})
    async def document(
        self,
        copy_id: FromPath[str],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[bytes]:
        """A copy as PDF."""
        made = await service_copies.copy_document(office.licences, session, context, copy_id)
        return Response(made, media_type=PDF, headers=pdf_headers(copy_id))


class LicenceCheckPages(Controller):
    """Is what I am shown genuine?"""

    path = "/verify/licence"
    include_in_schema = False

    @get("/", opt=_OPEN)
    async def ask(self, paper: NamedDependency[Paper]) -> Response[bytes]:
        """Where a QR leads. What it holds stands behind #, so a script, or the visitor, hands it over."""
        return paper.show("licence_check.html", result=None, refusal=None)

    @post("/", status_code=200, opt={**_OPEN, "max_body": 8192})
    async def check(
        self, paper: NamedDependency[Paper], office: NamedDependency[Office], data: URLEncodedBody[dict[str, Any]]
    ) -> Response[bytes]:
        """What is genuine about it, and how the licence stands now."""
        token = first(data, "presentation").strip().rpartition("#")[2]
        try:
            if not 0 < len(token) <= _TOKEN:
                raise ShowForged
            result = await service_copies.check_shown(office.licences, CheckShow(presentation=token), paper.lang)
        except (ShowForged, ShowExpired, LicenceNotValid) as refused:
            return paper.show("licence_check.html", status=422, result=None, refusal=_said(refused, paper))
        return paper.show("licence_check.html", result=result, refusal=None)


def _said(refused: ShowForged | ShowExpired | LicenceNotValid, paper: Paper) -> dict[str, str]:
    """Return why what is shown is not taken, in the words of its problem."""
    title, fix = (text(f"problem.{refused.code}.{part}", paper.lang) for part in ("title", "fix"))
    return {"says": title, "fix": fix}


def _slips(typed: dict[str, str], paper: Paper) -> list[Slip]:
    """Return what is wrong with the words for a copy."""
    found = []
    for name, value in typed.items():
        try:
            service_copies.check_words(msgspec.convert({"purpose": value, "taker": value}, MakeCopy))
        except (msgspec.ValidationError, Unprintable):
            found.append(Slip(name, paper.say("licences.words", label=paper.say(f"licences.{name}"))))
    return found


async def _one(
    paper: Paper,
    context: Context,
    session: Session,
    office: Office,
    licence_id: str,
    *,
    typed: dict[str, str] | None = None,
    slips: Sequence[Slip] = (),
    status: int = 200,
) -> Response[bytes]:
    licences: Licences = office.licences
    found = await service_licences.own_licence(licences, session, context, licence_id)
    copies = await service_copies.own_copies(licences, session, licence_id)
    return paper.show(
        "licence.html",
        status=status,
        licence=found,
        colours=_COLOURS,
        usable=found.standing.last_known == "valid",
        copies=copies.data,
        typed=typed or {"purpose": "", "taker": ""},
        slips=slips,
        key=new_id("key"),
    )
