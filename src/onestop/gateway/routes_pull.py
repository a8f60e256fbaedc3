"""Controllers: departments fetch what is owed to them and say what became of it."""

from typing import Any

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from onestop.gateway.pull import Ack, Acknowledged, Extend, FetchedList, Given, Nack, PullDesk, own_manifest
from onestop.gateway.service import Gateway
from onestop.identity.models import Session

_DEPARTMENT: dict[str, Any] = {"roles": ("department",), "refusals": (404,)}
_SAYS: dict[str, Any] = {"roles": ("department",), "refusals": (404, 409), "max_body": 65_536}


class PullController(Controller):
    """For departments that cannot be called."""

    path = "/v1/pull/{adapter:str}"
    tags = ("departments",)

    @get("/", operation_id="fetchEffects", opt=_DEPARTMENT)
    async def fetch(
        self,
        adapter: FromPath[str],
        session: NamedDependency[Session],
        gateway: NamedDependency[Gateway],
        pull_desk: NamedDependency[PullDesk],
        limit: FromQuery[int] = 10,
        wait: FromQuery[float] = 0.0,
        lease: FromQuery[float] = 60.0,
    ) -> FetchedList:
        """Fetch what waits for your department, under a lease of `lease` seconds (5 to 900).

        Where nothing waits the answer comes after `wait` seconds (at most 20), or as soon as something does. An effect
        whose lease runs out is given again under the same key.
        """
        manifest = own_manifest(gateway, session, adapter)
        return FetchedList(await pull_desk.fetch(manifest, limit, wait, lease))

    @post(
        "/{effect_id:str}/ack",
        operation_id="acknowledgeEffect",
        status_code=200,
        opt=_SAYS,
    )
    async def acknowledge(
        self,
        adapter: FromPath[str],
        effect_id: FromPath[str],
        session: NamedDependency[Session],
        gateway: NamedDependency[Gateway],
        pull_desk: NamedDependency[PullDesk],
        data: JSONBody[Ack],
    ) -> Acknowledged:
        """Say what became of an effect: `outcome`, or your system's own `reply`; the same again changes nothing.

        After `pending` the final answer comes here again, without a lease.
        """
        return await pull_desk.acknowledge(own_manifest(gateway, session, adapter), effect_id, data)

    @post("/{effect_id:str}/nack", operation_id="giveBackEffect", status_code=200, opt=_SAYS)
    async def give_back(
        self,
        adapter: FromPath[str],
        effect_id: FromPath[str],
        session: NamedDependency[Session],
        gateway: NamedDependency[Gateway],
        pull_desk: NamedDependency[PullDesk],
        data: JSONBody[Nack],
    ) -> Given:
        """Give an effect back that you did nothing with; it is given again after `retry_after_s`."""
        return await pull_desk.give_back(own_manifest(gateway, session, adapter), effect_id, data)

    @post("/{effect_id:str}/extend", operation_id="extendLease", status_code=200, opt=_SAYS)
    async def extend(
        self,
        adapter: FromPath[str],
        effect_id: FromPath[str],
        session: NamedDependency[Session],
        gateway: NamedDependency[Gateway],
        pull_desk: NamedDependency[PullDesk],
        data: JSONBody[Extend],
    ) -> Given:
        """Make a lease last `lease_s` seconds from now."""
        return await pull_desk.extend(own_manifest(gateway, session, adapter), effect_id, data)


CONTROLLERS = [PullController]
