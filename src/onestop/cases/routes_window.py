"""Controllers of the window: a clerk begins for somebody, who confirms on a device of their own."""

from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from onestop.cases import service_window as window
from onestop.cases.office import Office
from onestop.cases.views import CaseView, ChangeAnswers, Operation
from onestop.cases.views_window import BeginForSomebody, Confirm, ConfirmationCode
from onestop.http import etags
from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.service import Sessions

_CLERK = {"roles": ("clerk",)}


class WindowController(Controller):
    """Applications that a clerk begins for whoever stands at the window."""

    path = "/v1/window/cases"
    tags = ("window",)

    @post(
        "/",
        operation_id="beginForSomebody",
        opt={**_CLERK, "fanout": True, "idempotent": True, "returns": CaseView, "refusals": (404, 429)},
    )
    async def begin(
        self,
        office: NamedDependency[Office],
        sessions: NamedDependency[Sessions],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        data: JSONBody[BeginForSomebody],
    ) -> Response[bytes]:
        """Open a draft for somebody at the window; it is theirs, you write it, and only they can submit it.

        What departments say of them is on their record as seen by you. Twenty an hour.
        """
        reply = await window.begin(office, sessions, session, context, keyed, data)
        return reply.response()

    @get("/{case_id:str}", operation_id="readAtWindow", opt={**_CLERK, "versioned": True})
    async def read(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        case_id: FromPath[str],
    ) -> Response[CaseView]:
        """A draft begun at your house's window and not confirmed yet; that you read it is recorded."""
        view = await window.read(office, session, context, case_id)
        return Response(view, headers=etags.headers(view.version))

    @patch("/{case_id:str}/answers", operation_id="changeAtWindow", opt={**_CLERK, "edits": True})
    async def change(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        case_id: FromPath[str],
        data: JSONBody[ChangeAnswers],
    ) -> Response[CaseView]:
        """Write into a draft begun at your house's window; a code made before is good no more."""
        expected = etags.expected_versions(context)
        view = await window.change(office, session, context, case_id, expected, data.answers)
        return Response(view, headers=etags.headers(view.version))

    @post(
        "/{case_id:str}/confirmation-code", operation_id="makeConfirmationCode", opt={**_CLERK, "refusals": (404, 409)}
    )
    async def code(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        case_id: FromPath[str],
    ) -> Response[ConfirmationCode]:
        """Make the code that the one at the window types on a device of their own: ten minutes, five attempts, once."""
        made = await window.make_code(office, session, context, case_id)
        return Response(made, headers={"cache-control": "no-store"})


class ConfirmationController(Controller):
    """What a clerk wrote for you."""

    path = "/v1/cases/{case_id:str}/confirmation"
    tags = ("cases", "window")

    # Not open to who acts for somebody: it is the person's own word that is wanted.
    @post(
        "/",
        operation_id="confirmFromWindow",
        status_code=202,
        opt={"roles": ("citizen",), "idempotent": True, "returns": Operation, "refusals": (404, 409, 412)},
    )
    async def confirm(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        case_id: FromPath[str],
        data: JSONBody[Confirm],
    ) -> Response[bytes]:
        """Have what a clerk wrote for you submitted, with the code you were told; look at your case before you do."""
        reply = await window.confirm(office, session, context, keyed, case_id, data)
        return reply.response()


CONTROLLERS = [WindowController, ConfirmationController]
