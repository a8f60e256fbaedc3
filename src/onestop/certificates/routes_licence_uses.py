"""Controllers of using and showing licences: use codes, redemption, presentations, the public check."""

from typing import Final

import msgspec
from litestar import Controller, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from onestop.certificates import service_codes, service_copies, service_licences, service_showing
from onestop.certificates.licences import Licences
from onestop.certificates.models_uses import (
    CheckShow,
    MakeUseCode,
    Presentation,
    RedeemUseCode,
    ShowChecked,
    ShowLicence,
    UseCode,
    UsedLicence,
)
from onestop.certificates.routes_licences import CITIZEN, DEPARTMENT, FROM_OFFICE
from onestop.db import Connection
from onestop.http.idempotency import Keyed, Reply, find, once
from onestop.http.models import Context
from onestop.identity.models import Session

_json = msgspec.json.Encoder()
_UNSTORED: Final = {"cache-control": "no-store"}
_SMALL: Final = 2048


class LicenceUseController(Controller):
    """What a holder makes of a licence for others."""

    path = "/v1/me/licences/{licence_id:str}"
    tags = ("licences",)
    dependencies = FROM_OFFICE

    @post(
        "/use-codes",
        operation_id="makeLicenceUseCode",
        opt={
            **CITIZEN,
            "fanout": True,
            "idempotent": True,
            "max_body": _SMALL,
            "returns": UseCode,
            "refusals": (404, 409),
        },
    )
    async def make_code(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        licence_id: FromPath[str],
        data: JSONBody[MakeUseCode],
    ) -> Response[bytes]:
        """Let one department use this licence once, within ten minutes, for one purpose in one case of yours."""
        kept = await find(licences.pool, licences.keys, keyed)
        if kept is not None:
            return kept.response()
        route = "POST /v1/me/licences/{id}/use-codes"
        found = await service_licences.standing_now(licences, session.subject_id, context, licence_id, route)
        await service_codes.check_wish(licences, session, found, data)

        async def write(db: Connection) -> Reply:
            made = await service_codes.make_code(licences, db, session, context, found, data)
            return Reply(status=201, body=_json.encode(made), made_id=made.id, headers=_UNSTORED)

        reply = await once(licences.pool, licences.keys, keyed, write)
        return reply.response()

    @post(
        "/presentations",
        operation_id="presentLicence",
        opt={**CITIZEN, "fanout": True, "max_body": _SMALL, "refusals": (404, 409)},
    )
    async def present(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        licence_id: FromPath[str],
        data: JSONBody[ShowLicence],
    ) -> Response[Presentation]:
        """Show this licence for a minute: a signed token with the scene's fields, as an address for a QR."""
        made = await service_showing.present(licences, session, context, licence_id, data.scene)
        return Response(made, headers=_UNSTORED)


class RedemptionController(Controller):
    """Departments that use licences."""

    path = "/v1/licence-uses"
    tags = ("departments",)
    dependencies = FROM_OFFICE

    @post(
        "/",
        operation_id="useLicence",
        status_code=200,
        opt={**DEPARTMENT, "fanout": True, "max_body": _SMALL, "refusals": (403, 404, 409)},
    )
    async def redeem(
        self,
        licences: NamedDependency[Licences],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        data: JSONBody[RedeemUseCode],
    ) -> Response[UsedLicence]:
        """Use a licence by the code its holder made for you: once. The holder finds it among the uses of their data.

        There is no repetition, also not under a key: nothing of the answer is kept here. Who loses it needs a new code.
        """
        used = await service_codes.redeem(licences, session, context, data)
        return Response(used, headers=_UNSTORED)


class LicenceCheckController(Controller):
    """Is what I am shown genuine? Open to everybody."""

    path = "/v1/licence-checks"
    tags = ("licences",)
    dependencies = FROM_OFFICE

    @post(
        "/",
        operation_id="checkLicence",
        status_code=200,
        opt={"public": True, "max_body": 8192, "refusals": (409,)},
    )
    async def check(
        self, licences: NamedDependency[Licences], context: NamedDependency[Context], data: JSONBody[CheckShow]
    ) -> Response[ShowChecked]:
        """Check the QR of a licence or of a copy; refused by name where it is forged, too old, or no longer valid.

        Without this route: the token is a JWS that the keys of `/v1/certificate-keys` verify.
        """
        found = await service_copies.check_shown(licences, data, context.lang)
        return Response(found, headers=_UNSTORED)


CONTROLLERS: Final = [LicenceUseController, RedemptionController, LicenceCheckController]
