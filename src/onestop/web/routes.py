"""Every page put together: handlers for the assembly, each page's refusals shown as a page; the pages open to all."""

from collections.abc import Sequence
from typing import Any

from litestar import Controller, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, URLEncodedBody

from onestop.cases.office import Office
from onestop.certificates import service as certificates
from onestop.certificates.models import CheckCertificate
from onestop.db import Pool
from onestop.gateway.service import Gateway
from onestop.http import assets
from onestop.http.models import Context
from onestop.identity.models import Level
from onestop.identity.service_sign_in import SignIn
from onestop.items.service import search
from onestop.overview.status import StatusBoard
from onestop.web import refusals, strip
from onestop.web.checks import checkable
from onestop.web.form import first
from onestop.web.pages import STATIC, Paper, provide_paper
from onestop.web.routes_affairs import AffairsPages
from onestop.web.routes_cases import CasePages, CorrectionPages
from onestop.web.routes_data import DataPages
from onestop.web.routes_data_use import DataUsePages
from onestop.web.routes_desk import DeskPages
from onestop.web.routes_form import FormPages
from onestop.web.routes_items import ItemPages
from onestop.web.routes_licences import LicenceCheckPages, LicenceCopyPages, LicencePages
from onestop.web.routes_mandates import MandatePages
from onestop.web.routes_sessions import SessionPages
from onestop.web.routes_sites import SitePages
from onestop.web.routes_window import ConfirmationPages, WindowPages

_OPEN = {"public": True}


class OpenPages(Controller):
    """Pages for everybody: the start, signing in, checking a certificate."""

    path = "/"
    include_in_schema = False

    @get("/", opt=_OPEN)
    async def start(
        self, paper: NamedDependency[Paper], office: NamedDependency[Office], gateway: NamedDependency[Gateway]
    ) -> Response[bytes]:
        """What can be done here, and how the departments are."""
        offered = search(office.catalogue, office.directory, "", paper.lang)
        return paper.show("start.html", items=offered.data, lines=strip.lines(gateway, office.directory, paper.lang))

    @get("/sign-in", opt=_OPEN)
    async def sign_in_page(
        self,
        paper: NamedDependency[Paper],
        sign_in: NamedDependency[SignIn],
        context: NamedDependency[Context],
        return_to: FromQuery[str] = "/",
        why: FromQuery[str] = "",
        level: FromQuery[Level] = 0,
    ) -> Response[bytes]:
        """Where people choose a way to sign in, and learn of the way without; `level` leaves out what proves less."""
        level = min(max(level, 0), 3)
        session = context.session
        binding = level > 0 and session is not None and session.role == "citizen" and session.level == 0
        return paper.show(
            "sign_in.html",
            providers=[
                (one.name, one.label.en if paper.lang == "en" else one.label.zh)
                for one in sign_in.choices(level, binding=binding)
            ],
            return_to=return_to,
            why=why if why in ("needed", "kept", "not_kept", "level") else "",
            level=level,
            binding=binding,
            signed_in=session is not None and session.level >= level,
        )

    @get("/status", opt=_OPEN)
    async def status(
        self, paper: NamedDependency[Paper], status_board: NamedDependency[StatusBoard]
    ) -> Response[bytes]:
        """Whether anything is left lying, and how every department is; plain, without any script."""
        return paper.show("status.html", found=await status_board.show(paper.lang))

    @get("/verify", opt=_OPEN)
    async def verify(self, paper: NamedDependency[Paper]) -> Response[bytes]:
        """Where anybody checks a certificate they were shown."""
        return paper.show("verify.html", number="", code="", error=None, result=None)

    @post("/verify", status_code=200, opt={**_OPEN, "max_body": 2048})
    async def verified(
        self,
        paper: NamedDependency[Paper],
        pool: NamedDependency[Pool],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[bytes]:
        """Whether the certificate is genuine; nothing else is told."""
        number, code = first(data, "number").strip().upper(), first(data, "code").strip().upper()
        if not checkable(number, code):
            return paper.show(
                "verify.html", status=422, number=number, code=code, error=paper.say("verify.shape"), result=None
            )
        asked = CheckCertificate(number=number, code=code)
        result = await certificates.check(pool, office.issuer, office.basis, office.region, asked, paper.lang)
        return paper.show("verify.html", number=number, code=code, error=None, result=result)


def handlers(*also: Any) -> Sequence[Any]:
    """Return every page for the assembly; the failures of `also`, other rooms' controllers, are shown as pages too."""
    pages = Router(
        "/",
        route_handlers=[
            OpenPages,
            AffairsPages,
            DataUsePages,
            DataPages,
            ItemPages,
            FormPages,
            CasePages,
            CorrectionPages,
            MandatePages,
            WindowPages,
            ConfirmationPages,
            DeskPages,
            LicencePages,
            LicenceCopyPages,
            LicenceCheckPages,
            SessionPages,
            SitePages,
            *also,
        ],
        dependencies={"paper": Provide(provide_paper)},
        exception_handlers={Exception: refusals.answer},
    )
    return [pages, assets.route("/assets", STATIC), assets.route("/assets/vendor", STATIC / "vendor")]
