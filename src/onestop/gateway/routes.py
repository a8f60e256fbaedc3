"""Controllers: departments' callbacks, explanations, and the state of the lines."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import callbacks
from onestop.gateway.effects import Handler
from onestop.gateway.explain import Explanation, explain
from onestop.gateway.service import Gateway
from onestop.gateway.waterfall import svg
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.settings import Settings


class Received(msgspec.Struct, frozen=True):
    """A department's answer is on record."""

    received: bool
    new: bool  # False: the same answer came before, and nothing changed


class Explained(msgspec.Struct, frozen=True):
    """Every request under one trace id."""

    data: list[Explanation]


class AdapterState(msgspec.Struct, frozen=True, kw_only=True):
    """One department's adapter as it is here."""

    id: str
    version: str
    department: str
    system: str
    desk: bool  # no system: a person answers
    connected: bool
    wants: list[str]
    operations: list[str]
    line: dict[str, Any] | None
    fault: str | None = None  # why it could not be loaded
    maintenance_until: datetime | None = None


class CallbackController(Controller):
    """Departments that answer later come here."""

    path = "/v1/callbacks"
    tags = ("departments",)

    @post(
        "/{adapter:str}",
        operation_id="receiveCallback",
        status_code=200,
        opt={"public": True, "raw": True, "max_body": 65_536},
    )
    async def receive(
        self,
        request: Request[Any, Any, Any],
        adapter: FromPath[str],
        pool: NamedDependency[Pool],
        keys: NamedDependency[Keys],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
        outcome_handler: NamedDependency[Handler],
    ) -> Received:
        """Take a department's answer to something sent to it earlier; signed as its manifest declares.

        Sent again, the same answer is received again and changes nothing.
        """
        new = await callbacks.receive(
            pool, keys, gateway, settings.region, adapter, request.headers, await request.body(), outcome_handler
        )
        return Received(received=True, new=new)


class ExplainController(Controller):
    """Why a request went as it did."""

    path = "/v1"
    tags = ("explain",)

    @get("/explain/{trace_id:str}", operation_id="explainTrace")
    async def explain(
        self,
        trace_id: FromPath[str],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        pool: NamedDependency[Pool],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
    ) -> Explained:
        """Show the chain of decisions, the link that failed, who acts and what to do.

        A person sees their own requests, an operator everybody's."""
        return Explained(await _explanations(trace_id, context, session, pool, gateway, settings))

    @get("/traces/{trace_id:str}/waterfall.svg", operation_id="drawWaterfall", media_type="image/svg+xml")
    async def waterfall(
        self,
        trace_id: FromPath[str],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        pool: NamedDependency[Pool],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
    ) -> Response[str]:
        """Draw who was asked when and how long each took: queue, connect, wait, read."""
        found = await _explanations(trace_id, context, session, pool, gateway, settings)
        return Response(svg(found, context.lang), media_type="image/svg+xml")


async def _explanations(
    trace_id: str, context: Context, session: Session, pool: Pool, gateway: Gateway, settings: Settings
) -> list[Explanation]:
    own = None if session.role == "operator" else context.principal
    names = {
        name: m.department.name.zh if context.lang == "zh" else m.department.name.en
        for name, m in gateway.manifests.items()
    }
    return await explain(pool, settings.region, trace_id, principal=own, lang=context.lang, names=names)


def state_of(gateway: Gateway, name: str, lang: str) -> AdapterState:
    """Return how one adapter is in this process."""
    manifest = gateway.manifests[name]
    line = gateway.lines.get(name)
    department = manifest.department
    return AdapterState(
        id=name,
        version=manifest.version,
        department=department.name.zh if lang == "zh" else department.name.en,
        system=department.system.zh if lang == "zh" else department.system.en,
        desk=manifest.desk,
        connected=line is not None,
        wants=[o.want for o in manifest.operations if o.want],
        operations=[o.id for o in manifest.operations],
        line=line.health() if line else None,
        fault=gateway.faults.get(name),
        maintenance_until=gateway.maintenance(name),
    )


CONTROLLERS = [CallbackController, ExplainController]
