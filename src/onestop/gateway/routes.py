"""Controllers: departments' callbacks, the state of the lines, the manifest's schema."""

from datetime import datetime
from typing import Any, Final

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import callbacks, routes_explain, schema
from onestop.gateway.callback_rules import Envelope
from onestop.gateway.effects import Handler
from onestop.gateway.overrides import Override
from onestop.gateway.service import Gateway
from onestop.settings import Settings


class Received(msgspec.Struct, frozen=True):
    """A department's answer is on record."""

    received: bool
    new: bool  # False: the same answer came before, and nothing changed


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
    overrides: list[Override] = []  # what operators say of the line now


_OF_A_DEPARTMENT: Final = {"public": True, "raw": True, "max_body": 65_536}


class CallbackController(Controller):
    """Departments that answer later come here."""

    path = "/v1/callbacks"
    tags = ("departments",)

    @post("/{adapter:str}", operation_id="receiveCallback", status_code=200, opt=_OF_A_DEPARTMENT)
    async def receive(
        self,
        request: Request[Any, Any, Any],
        adapter: FromPath[str],
        pool: NamedDependency[Pool],
        keys: NamedDependency[Keys],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
        outcome_handler: NamedDependency[Handler],
    ) -> Response[Received]:
        """Take a department's answer to something sent to it earlier; signed as its manifest declares.

        Sent again, the same answer is received again and changes nothing.
        """
        envelope = Envelope(request.headers, query=_query(request))
        body = await request.body()
        return _heard(
            await callbacks.receive(pool, keys, gateway, settings.region, adapter, envelope, body, outcome_handler)
        )

    @post("/{adapter:str}/{told:str}", operation_id="receiveCallbackAbout", status_code=200, opt=_OF_A_DEPARTMENT)
    async def receive_about(
        self,
        request: Request[Any, Any, Any],
        adapter: FromPath[str],
        told: FromPath[str],
        pool: NamedDependency[Pool],
        keys: NamedDependency[Keys],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
        outcome_handler: NamedDependency[Handler],
    ) -> Response[Received]:
        """Take a department's answer where its manifest says that the path tells which operation is answered.

        Otherwise as without that last part of the path.
        """
        envelope = Envelope(request.headers, told, _query(request))
        body = await request.body()
        return _heard(
            await callbacks.receive(pool, keys, gateway, settings.region, adapter, envelope, body, outcome_handler)
        )


def _query(request: Request[Any, Any, Any]) -> str:
    raw: bytes = request.scope["query_string"]
    return raw.decode("latin-1")


def _heard(receipt: callbacks.Receipt) -> Response[Received]:
    """Return what the department must hear: the words of its manifest, or our own."""
    own = receipt.reply
    if own is None:
        return Response(Received(received=True, new=receipt.new))
    words: Any = own.body.encode()
    return Response(words, status_code=own.status, media_type=own.content_type)


class AdapterController(Controller):
    """The lines to the departments."""

    path = "/v1"
    tags = ("departments",)


@get("/schema/manifest.json", operation_id="readManifestSchema", opt={"public": True}, tags=["departments"])
async def manifest_schema() -> Response[dict[str, Any]]:
    """Give the JSON Schema of a department's manifest, for editors and programs."""
    headers = {"cache-control": "public, max-age=300", "access-control-allow-origin": "*"}
    return Response(schema.manifest_schema(), headers=headers)


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
        overrides=gateway.overridden(name),
    )


CONTROLLERS = [CallbackController, AdapterController, manifest_schema, *routes_explain.CONTROLLERS]
