"""The page before a site learns anything of a person: who asks, what for, on what basis, and which data."""

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody

from onestop.cases.office import Office
from onestop.identity.models import Session
from onestop.provider.service import Provider
from onestop.web.form import first
from onestop.web.pages import Paper

_CITIZEN: Final = {"roles": ("citizen",)}


class SitePages(Controller):
    """Signing in at a site, from the person's side."""

    path = "/oauth/notice"
    include_in_schema = False

    @get("/", opt=_CITIZEN)
    async def notice(
        self,
        paper: NamedDependency[Paper],
        op: NamedDependency[Provider],
        office: NamedDependency[Office],
        client_id: FromQuery[str] = "",
        request_uri: FromQuery[str] = "",
    ) -> Response[bytes]:
        """What a site will be told, before it is."""
        client, purposes = await op.authorizing.notice({"client_id": client_id, "request_uri": request_uri})
        lang = paper.lang
        shown = [
            {
                "purpose": getattr(purpose, lang),
                "basis": getattr(purpose, f"basis_{lang}"),
                "claims": [paper.say(f"site_notice.claim.{claim}") for claim in purpose.claims],
            }
            for purpose in purposes
        ]
        return paper.show(
            "site_notice.html",
            client_id=client_id,
            request_uri=request_uri,
            site=getattr(client, f"name_{lang}"),
            owner=office.directory.name(client.department, lang),
            purposes=shown,
        )

    @post("/", opt={**_CITIZEN, "max_body": 2048})
    async def answered(
        self,
        paper: NamedDependency[Paper],
        op: NamedDependency[Provider],
        session: NamedDependency[Session],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[None]:
        """Go on, or back to the site without it learning anything."""
        told = {name: first(data, name) for name in ("client_id", "request_uri")}
        if first(data, "answer") == "go_on":
            return paper.go(await op.authorizing.go_on(told, session))
        return paper.go(await op.authorizing.turn_back(told))
