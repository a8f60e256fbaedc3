"""Controllers of what surrounds a version: places, secrets, keys, windows, agreements, quotas, templates."""

from typing import Any

import msgspec
from litestar import Controller, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from onestop.db import Connection
from onestop.gateway.service import Gateway
from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.http.pages import next_page
from onestop.identity import service_machine_keys as machine_keys
from onestop.identity.models import Session
from onestop.identity.service_machine_keys import MachineKeyList, MachineKeyMade, NewMachineKey
from onestop.onboarding import service_secrets, service_templates, service_terms
from onestop.onboarding.models import Adapter, Environment, VersionView
from onestop.onboarding.routes import CHANGES, PAGE, ROLES, actor_of, keyed_change
from onestop.onboarding.service import Life
from onestop.onboarding.service_secrets import NewSecret, NewSigningKey, PlaceView, SecretList, SecretView, SetPlace
from onestop.onboarding.service_templates import NewInstance, NewTemplate, TemplateList, Upgraded
from onestop.onboarding.service_terms import (
    AgreementList,
    Decision,
    NewAgreement,
    NewWindow,
    Policy,
    QuotaList,
    WindowList,
)
from onestop.onboarding.store_terms import AgreementRow, WindowRow

_EDITS: dict[str, Any] = {**ROLES, "refusals": (404, 409)}


class Registered(msgspec.Struct, frozen=True):
    """A key is on record."""

    kid: str


class SecretController(Controller):
    """Where a department's system is, and what we show it: told here, never read back."""

    path = "/v1/adapters/{adapter:str}"
    tags = ("departments",)
    opt = ROLES

    @get("/secrets", operation_id="listAdapterSecrets")
    async def listed(
        self, session: NamedDependency[Session], life: NamedDependency[Life], adapter: FromPath[str]
    ) -> SecretList:
        """Places and secrets: name, fingerprint, age, end; never a value."""
        return await service_secrets.listed(life, actor_of(session), adapter)

    @post("/secrets", operation_id="addAdapterSecret", opt={**CHANGES, "returns": SecretView})
    async def add(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        data: JSONBody[NewSecret],
    ) -> Response[bytes]:
        """Tell one value of a secret; the older one of that name holds beside it until it is removed."""
        actor = actor_of(session)
        return await keyed_change(
            life, keyed, lambda db: service_secrets.add_secret(life, db, actor, adapter, data), 201
        )  # fmt: skip

    @delete("/secrets/{secret:str}", operation_id="removeAdapterSecret", opt=_EDITS)
    async def remove(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        secret: FromPath[str],
    ) -> None:
        """Forget one value."""
        actor = actor_of(session)
        await life.commit(lambda db: service_secrets.remove_secret(life, db, actor, adapter, secret))

    @put("/places/{environment:str}", operation_id="setAdapterPlace", opt=_EDITS)
    async def place(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        environment: FromPath[Environment],
        data: JSONBody[SetPlace],
    ) -> PlaceView:
        """Say where the system is; refused outside the networks this installation may call."""
        actor = actor_of(session)
        await life.find(life.pool, actor, adapter)
        await service_secrets.check_places(life, data)
        return await life.commit(
            lambda db: service_secrets.set_place(life, db, actor, adapter, environment, data)
        )  # fmt: skip

    @post("/signing-keys", operation_id="addSigningKey", opt={**CHANGES, "returns": Registered})
    async def add_signing_key(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        data: JSONBody[NewSigningKey],
    ) -> Response[bytes]:
        """Register the public half of a key that the department signs its manifests with."""
        actor = actor_of(session)

        async def verb(db: Connection) -> Registered:
            await service_secrets.add_signing_key(life, db, actor, adapter, data)
            return Registered(data.kid)

        return await keyed_change(life, keyed, verb, 201)

    @delete("/signing-keys/{kid:str}", operation_id="removeSigningKey", opt=_EDITS)
    async def remove_signing_key(
        self, session: NamedDependency[Session], life: NamedDependency[Life], adapter: FromPath[str], kid: FromPath[str]
    ) -> None:
        """Take a signing key back."""
        actor = actor_of(session)
        await life.commit(lambda db: service_secrets.remove_signing_key(life, db, actor, adapter, kid))


class MachineKeyController(Controller):
    """Keys that the department's own systems call us with."""

    path = "/v1/adapters/{adapter:str}/keys"
    tags = ("departments",)
    opt = ROLES

    @get("/", operation_id="listMachineKeys")
    async def listed(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = PAGE,
    ) -> Response[MachineKeyList]:
        """The department's keys with their end and last use; never a key."""
        known = await life.find(life.pool, actor_of(session), adapter)
        found = await machine_keys.listed(life.pool, known.owner, after=cursor, limit=limit)
        return Response(found, headers=next_page(f"/v1/adapters/{adapter}/keys", found.next_cursor, limit))

    @post("/", operation_id="makeMachineKey", opt={**CHANGES, "returns": MachineKeyMade})
    async def make(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        data: JSONBody[NewMachineKey],
    ) -> Response[bytes]:
        """Make a key; it is shown in this answer only. Those that hold go on holding."""
        actor = actor_of(session)

        async def verb(db: Connection) -> MachineKeyMade:
            known = await life.find(db, actor, adapter)
            made = await machine_keys.make(db, life.settings, known.owner, data, by=actor.id)
            await life.notify(db, adapter, None, "machine_key", label=data.label, by=actor.id)
            return made

        return await keyed_change(life, keyed, verb, 201)

    @delete("/{key:str}", operation_id="revokeMachineKey", opt=_EDITS)
    async def revoke(
        self, session: NamedDependency[Session], life: NamedDependency[Life], adapter: FromPath[str], key: FromPath[str]
    ) -> None:
        """Revoke a key; refused everywhere within five seconds."""
        actor = actor_of(session)

        async def verb(db: Connection) -> None:
            known = await life.find(db, actor, adapter)
            await machine_keys.revoke(db, life.settings, known.owner, key, by=actor.id)
            await life.notify(db, adapter, None, "machine_key_revoked", key=key, by=actor.id)

        await life.commit(verb)


class WindowController(Controller):
    """When a department's system is away, as it announces."""

    path = "/v1/adapters/{adapter:str}/maintenance-windows"
    tags = ("departments",)
    opt = ROLES

    @get("/", operation_id="listMaintenanceWindows")
    async def listed(
        self, session: NamedDependency[Session], life: NamedDependency[Life], adapter: FromPath[str]
    ) -> WindowList:
        """Windows that are announced; those of every week stand in the manifest."""
        return await service_terms.windows(life, actor_of(session), adapter)

    @post("/", operation_id="addMaintenanceWindow", opt={**CHANGES, "returns": WindowRow})
    async def add(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        data: JSONBody[NewWindow],
    ) -> Response[bytes]:
        """Announce a window: nothing is asked during it, what is to be sent waits for its end."""
        actor = actor_of(session)
        return await keyed_change(
            life, keyed, lambda db: service_terms.add_window(life, db, actor, adapter, data), 201
        )  # fmt: skip

    @delete("/{window:str}", operation_id="endMaintenanceWindow", opt=_EDITS)
    async def end(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        window: FromPath[str],
    ) -> None:
        """Take a window back, also one that has begun."""
        actor = actor_of(session)
        await life.commit(lambda db: service_terms.end_window(life, db, actor, adapter, window))


class AgreementController(Controller):
    """Who may ask an adapter what, for which purpose, how often."""

    path = "/v1/adapters/{adapter:str}"
    tags = ("departments",)
    opt = ROLES

    @get("/agreements", operation_id="listAgreements")
    async def listed(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = PAGE,
    ) -> Response[AgreementList]:
        """The owner sees all, another department those it asked for."""
        found = await service_terms.agreements(life, actor_of(session), adapter, after=cursor, limit=limit)
        return Response(found, headers=next_page(f"/v1/adapters/{adapter}/agreements", found.next_cursor, limit))

    @post("/agreements", operation_id="proposeAgreement", opt={**CHANGES, "returns": AgreementRow})
    async def propose(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        data: JSONBody[NewAgreement],
    ) -> Response[bytes]:
        """Ask for an agreement; it holds once the provider, or its policy, has said yes."""
        actor = actor_of(session)
        return await keyed_change(
            life, keyed, lambda db: service_terms.propose(life, db, actor, adapter, data), 201
        )  # fmt: skip

    @post(
        "/agreements/{agreement:str}/decision",
        operation_id="decideAgreement",
        status_code=200,
        opt={**CHANGES, "returns": AgreementRow},
    )
    async def decide(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        adapter: FromPath[str],
        agreement: FromPath[str],
        data: JSONBody[Decision],
    ) -> Response[bytes]:
        """Approve, refuse or end an agreement; gateways follow within five seconds."""
        actor = actor_of(session)
        return await keyed_change(
            life, keyed, lambda db: service_terms.decide(life, db, actor, adapter, agreement, data)
        )  # fmt: skip

    @put("/agreement-policy", operation_id="setAgreementPolicy", opt=_EDITS)
    async def policy(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        data: JSONBody[Policy],
    ) -> Adapter:
        """Say whether this portal needs agreements of its own, and what is agreed without a person's look."""
        actor = actor_of(session)
        return await life.commit(lambda db: service_terms.set_policy(life, db, actor, adapter, data))

    @get("/quota", operation_id="getQuota")
    async def quota(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        gateway: NamedDependency[Gateway],
        adapter: FromPath[str],
    ) -> Response[QuotaList]:
        """What is left of every agreement today, over all processes; at most a second old."""
        found = await service_terms.quota(life, actor_of(session), adapter)
        asked = [(row.consumer, adapter, row.operation) for row in found.data]
        return Response(found, headers=gateway.quotas.headers(asked))


class TemplateController(Controller):
    """One manifest for many departments alike."""

    path = "/v1/adapter-templates"
    tags = ("departments",)
    opt = ROLES

    @get("/", operation_id="listTemplates")
    async def listed(
        self, life: NamedDependency[Life], cursor: FromQuery[str | None] = None, limit: FromQuery[int] = PAGE
    ) -> Response[TemplateList]:
        """The newest version of every template."""
        found = await service_templates.listed(life, after=cursor, limit=limit)
        return Response(found, headers=next_page("/v1/adapter-templates", found.next_cursor, limit))

    @post(
        "/",
        operation_id="writeTemplate",
        opt={**CHANGES, "roles": ("operator", "governance"), "max_body": 600_000, "returns": Upgraded},
    )
    async def write(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        data: JSONBody[NewTemplate],
    ) -> Response[bytes]:
        """Write a template's next version; everything made from it gets a draft with what would change."""
        actor = actor_of(session)
        return await keyed_change(life, keyed, lambda db: service_templates.write(life, db, actor, data), 201)

    @post("/{template:str}/instances", operation_id="instantiateTemplate", opt={**CHANGES, "returns": VersionView})
    async def instantiate(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        keyed: NamedDependency[Keyed],
        template: FromPath[str],
        data: JSONBody[NewInstance],
    ) -> Response[bytes]:
        """Make an adapter's draft from the template with these values."""
        actor = actor_of(session)

        async def verb(db: Connection) -> VersionView:
            made = await service_templates.instantiate(life, db, actor, template, data)
            return await life.view(db, actor, made.adapter, made.version, context.lang)

        return await keyed_change(life, keyed, verb, 201)


CONTROLLERS = [SecretController, MachineKeyController, WindowController, AgreementController, TemplateController]
