"""Controller of operators' words on lines."""

from typing import Annotated, Any

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from onestop.identity.models import Session
from onestop.onboarding import service_overrides
from onestop.onboarding.routes import actor_of
from onestop.onboarding.service import Life
from onestop.onboarding.service_overrides import OverrideList, SetOverride
from onestop.onboarding.store_overrides import OverrideRow

_OPERATOR: dict[str, Any] = {"roles": ("operator",), "refusals": (404,)}


class LineController(Controller):
    """Stop a department's line, or let it pass although its breaker is open: with a reason, and for a day at most."""

    path = "/v1/ops/lines/{adapter:str}/override"
    tags = ("operators",)
    opt = _OPERATOR

    @get("/", operation_id="listLineOverrides")
    async def listed(
        self, session: NamedDependency[Session], life: NamedDependency[Life], adapter: FromPath[str]
    ) -> OverrideList:
        """What holds for the line now: state, reason, end, and who said so."""
        return await service_overrides.overrides(life, actor_of(session), adapter)

    @put("/", operation_id="setLineOverride")
    async def set(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        data: JSONBody[SetOverride],
    ) -> OverrideRow:
        """Say it of the whole line, or of one operation; every gateway follows within five seconds, and it ends alone.

        While stopped, parts are `unavailable` (`upstream.stopped`) and effects wait.
        """
        actor = actor_of(session)
        return await life.commit(lambda db: service_overrides.set_override(life, db, actor, adapter, data))

    @delete("/", operation_id="endLineOverride")
    async def end(
        self,
        session: NamedDependency[Session],
        life: NamedDependency[Life],
        adapter: FromPath[str],
        operation: Annotated[str | None, QueryParameter(name="operation", max_length=40)] = None,
    ) -> None:
        """Take it back before its end."""
        actor = actor_of(session)
        await life.commit(lambda db: service_overrides.end_override(life, db, actor, adapter, operation))


CONTROLLERS = [LineController]
