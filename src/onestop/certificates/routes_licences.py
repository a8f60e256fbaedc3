"""Controllers of e-licences: the catalogue, a holder's own, what issuers change. They are handed `office`, whose
licence room this is, with `session`, `context` and `keyed` by name."""

from typing import Any, Final

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody

from onestop.certificates import service_changes, service_licences, service_types
from onestop.certificates.licences import Licences
from onestop.certificates.models_licences import (
    Changed,
    ChangeLicence,
    Fetched,
    FetchLicences,
    LicenceList,
    LicenceView,
)
from onestop.certificates.models_types import TypeList, TypeView
from onestop.db import Connection
from onestop.http.idempotency import Keyed, Reply, once
from onestop.http.models import Context
from onestop.http.pages import next_page
from onestop.identity.models import Session

_json = msgspec.json.Encoder()
CITIZEN: Final = {"roles": ("citizen",)}
DEPARTMENT: Final = {"roles": ("department",)}
PAGE: Final = 50


async def _licences(office: NamedDependency[Any]) -> Any:
    return office.licences


FROM_OFFICE: Final = {"licences": Provide(_licences)}


class LicenceTypeController(Controller):
    """The catalogue of licence types; open to everybody."""

    path = "/v1/licence-types"
    tags = ("licences",)
    dependencies = FROM_OFFICE

    @get("/", operation_id="listLicenceTypes", opt={"public": True})
    async def every(self, licences: NamedDependency[Licences], context: NamedDependency[Context]) -> TypeList:
        """Every type of licence: who issues it, what it says, what of it is shown when, what is used for what."""
        return service_types.list_types(licences.types, licences.directory(), context.lang)

    @get("/{code:str}", operation_id="getLicenceType", opt={"public": True})
    async def one(
        self, licences: NamedDependency[Licences], context: NamedDependency[Context], code: FromPath[str]
    ) -> TypeView:
        """One type of licence."""
        return service_types.show_type(licences.types.get(code), licences.directory(), context.lang)


class OwnLicenceController(Controller):
    """A person's own licences."""

    path = "/v1/me"
    tags = ("licences",)
    dependencies = FROM_OFFICE

    @get("/licences", operation_id="listMyLicences", opt=CITIZEN)
    async def own(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = PAGE,
    ) -> Response[LicenceList]:
        """Your licences, newest first, each with its state and when its issuer last said so; asks nobody."""
        found = await service_licences.own_licences(licences, session, context.lang, before=cursor, limit=limit)
        return Response(found, headers=next_page("/v1/me/licences", found.next_cursor, limit))

    @post(
        "/licence-fetches",
        operation_id="fetchMyLicences",
        status_code=200,
        opt={**CITIZEN, "fanout": True, "refusals": (404,)},
    )
    async def fetch(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        data: JSONBody[FetchLicences],
    ) -> Fetched:
        """Have your licences fetched from the departments that issue them; each says how it answered."""
        return await service_licences.fetch(licences, session, context, data.types)

    @get("/licences/{licence_id:str}", operation_id="getMyLicence", opt={**CITIZEN, "fanout": True})
    async def one(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        licence_id: FromPath[str],
    ) -> LicenceView:
        """One of your licences with its history. Its issuer is asked where its last word is too old."""
        return await service_licences.own_licence(licences, session, context, licence_id)


class LicenceChangeController(Controller):
    """What issuers do with their licences."""

    path = "/v1/licence-changes"
    tags = ("departments",)
    dependencies = FROM_OFFICE

    @post(
        "/",
        operation_id="changeLicence",
        status_code=200,
        opt={**DEPARTMENT, "idempotent": True, "max_body": 16_384, "returns": Changed, "refusals": (404, 409)},
    )
    async def change(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        data: JSONBody[ChangeLicence],
    ) -> Response[bytes]:
        """Suspend, restore or revoke licences that your department issued, or put another version in their place."""

        async def write(db: Connection) -> Reply:
            changed = await service_changes.change(licences, db, session, context, data)
            return Reply(status=200, body=_json.encode(changed))

        reply = await once(licences.pool, licences.keys, keyed, write)
        return reply.response()


CONTROLLERS: Final = [LicenceTypeController, OwnLicenceController, LicenceChangeController]
