"""Controllers of licence documents: the holder's own, copies for a purpose, the certificate they are sealed with."""

from typing import Final

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from onestop.certificates import service_copies, service_licences
from onestop.certificates.licences import Licences
from onestop.certificates.models_uses import Copy, CopyList, MakeCopy
from onestop.certificates.routes_licences import CITIZEN, FROM_OFFICE
from onestop.db import Connection
from onestop.http.idempotency import Keyed, Reply, find, once
from onestop.http.models import Context
from onestop.identity.models import Session

_json = msgspec.json.Encoder()
PDF: Final = "application/pdf"


def pdf_headers(name: str) -> dict[str, str]:
    """Return the headers of a document: saved under a name, never kept on the way."""
    return {"cache-control": "private, no-store", "content-disposition": f'attachment; filename="{name}.pdf"'}


class DocumentController(Controller):
    """Documents of a person's own licences."""

    path = "/v1/me"
    tags = ("licences",)
    dependencies = FROM_OFFICE

    @get(
        "/licences/{licence_id:str}/document",
        operation_id="getLicenceDocument",
        media_type=PDF,
        opt={**CITIZEN, "fanout": True, "refusals": (422,)},
    )
    async def own(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        licence_id: FromPath[str],
    ) -> Response[bytes]:
        """Your licence as a sealed PDF. For others make a copy that says what it is for."""
        made = await service_copies.own_document(licences, session, context, licence_id)
        return Response(made, media_type=PDF, headers=pdf_headers(licence_id))

    @post(
        "/licences/{licence_id:str}/copies",
        operation_id="copyLicence",
        opt={**CITIZEN, "fanout": True, "idempotent": True, "max_body": 2048, "returns": Copy, "refusals": (404, 409)},
    )
    async def make(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        licence_id: FromPath[str],
        data: JSONBody[MakeCopy],
    ) -> Response[bytes]:
        """Make a copy 加注件 for one purpose and one taker; both stand over every part of the page."""
        kept = await find(licences.pool, licences.keys, keyed)
        if kept is not None:
            return kept.response()
        service_copies.check_words(data)
        route = "POST /v1/me/licences/{id}/copies"
        found = await service_licences.standing_now(licences, session.subject_id, context, licence_id, route)

        async def write(db: Connection) -> Reply:
            made = await service_copies.make_copy(licences, db, session, context, found, data)
            headers = {"location": made.links["document"]}
            return Reply(status=201, body=_json.encode(made), made_id=made.id, headers=headers)

        reply = await once(licences.pool, licences.keys, keyed, write)
        return reply.response()

    @get("/licences/{licence_id:str}/copies", operation_id="listLicenceCopies", opt=CITIZEN)
    async def copies(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        licence_id: FromPath[str],
    ) -> CopyList:
        """The copies you made of this licence, newest first."""
        return await service_copies.own_copies(licences, session, licence_id)

    @get(
        "/licence-copies/{copy_id:str}/document",
        operation_id="getLicenceCopy",
        media_type=PDF,
        opt={**CITIZEN, "fanout": True, "refusals": (409, 422)},
    )
    async def copy(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        copy_id: FromPath[str],
    ) -> Response[bytes]:
        """A copy as a sealed PDF, made at this moment; none once the licence has ended."""
        made = await service_copies.copy_document(licences, session, context, copy_id)
        return Response(made, media_type=PDF, headers=pdf_headers(copy_id))


class DocumentCertificateController(Controller):
    """What documents are checked with."""

    path = "/v1/document-certificate"
    tags = ("licences",)
    dependencies = FROM_OFFICE

    @get("/", operation_id="getDocumentCertificate", media_type="application/x-pem-file", opt={"public": True})
    async def certificate(self, licences: NamedDependency[Licences]) -> Response[str]:
        """The certificate (X.509, PEM) that this installation seals documents with, for your reader to trust."""
        headers = {"cache-control": "public, max-age=300"}
        return Response(licences.seal.pem(), media_type="application/x-pem-file", headers=headers)


CONTROLLERS: Final = [DocumentController, DocumentCertificateController]
