"""What one item is, what it needs, who does it; and the start of an application."""

from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from onestop.cases import service as cases
from onestop.cases.office import Office
from onestop.cases.views import OpenCase
from onestop.errors import Internal
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.items import service as items
from onestop.web.keyed import keyed
from onestop.web.pages import Paper

_DRAFTS = 20


class ItemPages(Controller):
    """Guides, open to everybody; starting needs a citizen."""

    path = "/items"
    include_in_schema = False

    @get("/{code:str}", opt={"public": True})
    async def guide(
        self,
        code: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        office: NamedDependency[Office],
    ) -> Response[bytes]:
        """Who may, what is needed, who does what until when, by which law."""
        wants = {want: ask.adapter for want, ask in office.gateway.wants.items()}
        told = items.guide(office.catalogue, office.directory, code, paper.lang, wants)
        drafts = []
        if context.session is not None and context.session.role == "citizen":
            own = await cases.own_cases(office, context.session, paper.lang, before=None, limit=_DRAFTS)
            drafts = [case for case in own.data if case.state == "draft" and case.item.code == code]
        return paper.show(
            "item.html",
            item=told,
            known=[field for field in told.fields if field.sources],
            asked=[field for field in told.fields if not field.sources],
            drafts=drafts[:3],
            key=new_id("key"),
        )

    @post("/{code:str}", opt={"roles": ("citizen",), "acting": True, "fanout": True, "max_body": 4096})
    async def start(
        self,
        code: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Open a draft and go on to its form; pressing twice opens one."""
        wanted = OpenCase(item=code)
        reply = await cases.open_case(office, session, context, keyed(office, context, data, "POST"), wanted)
        if reply.made_id is None:
            raise Internal("a draft without an id")
        return paper.go(f"/cases/{reply.made_id}/form")
