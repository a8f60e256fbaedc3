"""Controllers: what is held of me, deleting it, being erased; and the second person who approves that."""

from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from onestop.cases.office import Office
from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.rights import service_export as exports
from onestop.rights.models import Deleted, Erasure, ErasureList, ExportFile, ExportOperation, HeldList
from onestop.rights.service import Rights

_CITIZEN = {"roles": ("citizen",)}
_GOVERNANCE = {"roles": ("governance",)}


class RightsController(Controller):
    """What is held of you, until when and by which law; and its end."""

    path = "/v1/me"
    tags = ("my data",)

    @get("/held", operation_id="listWhatIsHeld", opt=_CITIZEN)
    async def held(
        self, rights: NamedDependency[Rights], session: NamedDependency[Session], context: NamedDependency[Context]
    ) -> HeldList:
        """How many records of each class are held of you, until when, by which law, and which you may delete now."""
        return await rights.held(session, context.lang)

    @delete("/held", operation_id="deleteWhatMayGo", status_code=200, opt=_CITIZEN)
    async def delete(
        self, rights: NamedDependency[Rights], session: NamedDependency[Session], context: NamedDependency[Context]
    ) -> Deleted:
        """Delete your drafts, look-ups and ended consents at once; what must be kept is told with its day."""
        return await rights.delete(session, context.lang, context.trace_id)

    @post("/erasure", operation_id="askForErasure", opt={**_CITIZEN, "refusals": (403, 409)})
    async def ask(
        self, rights: NamedDependency[Rights], session: NamedDependency[Session], context: NamedDependency[Context]
    ) -> Erasure:
        """Ask to be erased (own session, level 2 or more): done when a second person approves, and never undone.

        Where the law asks for something to be kept it is a 409 that says what and until when.
        """
        return await rights.ask_erasure(session, context.trace_id)


class ExportController(Controller):
    """Everything that is held of you, as one signed file."""

    path = "/v1/me/exports"
    tags = ("my data",)

    @post(
        "/",
        operation_id="askForExport",
        status_code=202,
        opt={**_CITIZEN, "idempotent": True, "returns": ExportOperation, "refusals": (403,)},
    )
    async def ask(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
    ) -> Response[bytes]:
        """Ask for it (own session, level 2 or more); it is made in the background and kept for three days."""
        return (await exports.ask(office, session, keyed, context.lang, context.trace_id)).response()

    @get("/{export:str}", operation_id="getExport", opt=_CITIZEN)
    async def look(
        self, office: NamedDependency[Office], session: NamedDependency[Session], export: FromPath[str]
    ) -> ExportOperation:
        """How far it is."""
        return await exports.look(office, session, export)

    @get("/{export:str}/file", operation_id="fetchExport", opt={**_CITIZEN, "refusals": (403, 404, 409)})
    async def fetch(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        export: FromPath[str],
    ) -> Response[ExportFile]:
        """The file, with its signature; that it was fetched is on record."""
        found = await exports.fetch(office, session, export, context.trace_id)
        headers = {"content-disposition": f'attachment; filename="{found.id}.json"', "cache-control": "no-store"}
        return Response(found, headers=headers)


class ErasureController(Controller):
    """Erasures people asked for."""

    path = "/v1/erasures"
    tags = ("governance",)

    @get("/", operation_id="listErasures", opt=_GOVERNANCE)
    async def waiting(self, rights: NamedDependency[Rights]) -> ErasureList:
        """What waits for approval, oldest first; subjects by id alone."""
        return await rights.waiting()

    @post(
        "/{erasure:str}/approval",
        operation_id="approveErasure",
        status_code=200,
        opt={**_GOVERNANCE, "refusals": (403, 404, 409)},
    )
    async def approve(
        self,
        rights: NamedDependency[Rights],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        erasure: FromPath[str],
    ) -> Erasure:
        """Approve as a second person: the person's key is destroyed at once, in every backup that is restored too."""
        return await rights.approve(session, erasure, context.trace_id)


CONTROLLERS = [RightsController, ExportController, ErasureController]
