"""Controllers: who used my data, and the proof that the entry stands unchanged."""

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from onestop.audit import proofs
from onestop.audit.proofs import Proof
from onestop.cases.office import Office
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.overview import service_data_use as service
from onestop.overview.views_data_use import DataUseList, DataUseView

_CITIZEN = {"roles": ("citizen",)}


class DataUseController(Controller):
    """The ledger of what was read of you, and given away."""

    path = "/v1/me/data-use"
    tags = ("my data",)

    @get("/", operation_id="listMyDataUses", opt=_CITIZEN)
    async def own(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = 50,
    ) -> Response[DataUseList]:
        """Who read your data or was given it, by whose doing, for which case, why, and by what right; newest first."""
        found = await service.own_uses(office, session.subject_id, context.lang, before=cursor, limit=limit)
        next_ = f'</v1/me/data-use?cursor={found.next_cursor}&limit={limit}>; rel="next"'
        return Response(found, headers={"link": next_} if found.has_more else {})

    @get("/{use_id:str}", operation_id="getMyDataUse", opt=_CITIZEN)
    async def one(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        use_id: FromPath[str],
    ) -> DataUseView:
        """One entry about you."""
        found = await service.own_use(office, session.subject_id, use_id)
        return service.use_view(office, found, context.lang)

    @get("/{use_id:str}/proof", operation_id="proveMyDataUse", opt={**_CITIZEN, "refusals": (409,)})
    async def proof(
        self, office: NamedDependency[Office], session: NamedDependency[Session], use_id: FromPath[str]
    ) -> Proof:
        """The proof that an entry about you stands unchanged in the sealed ledger; check it without onestop.

        An entry of the last minute has none yet (409, come again after `Retry-After`).
        """
        return await proofs.own_proof(office.pool, office.region, session.subject_id, use_id)


CONTROLLERS = [DataUseController]
