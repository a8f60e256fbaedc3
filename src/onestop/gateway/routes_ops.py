"""Controllers for operators: effects that need somebody's eye."""

from typing import Annotated, Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from onestop.db import Pool
from onestop.gateway import watch
from onestop.gateway.service import Gateway
from onestop.gateway.watch import EffectChanged, Resolve, SendAgain, Watch, WatchedList, WatchedState, WatchedView
from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.settings import Settings

_OPERATOR: dict[str, Any] = {"roles": ("operator",)}
_ACTS: dict[str, Any] = {
    **_OPERATOR,
    "idempotent": True,
    "returns": EffectChanged,
    "refusals": (404, 409),
    "max_body": 8192,
}


class OpsController(Controller):
    """What a department has not answered, what a person finds out, what nobody looked at."""

    path = "/v1/ops/effects"
    tags = ("operators",)

    @get("/", operation_id="watchEffects", opt=_OPERATOR)
    async def watched(
        self,
        context: NamedDependency[Context],
        pool: NamedDependency[Pool],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
        which: Annotated[WatchedState, QueryParameter(name="state")] = "unknown",
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = 50,
    ) -> WatchedList:
        """Effects that are `unknown`, at a `desk`, `overdue` (due for five minutes and not looked at), or `waiting`."""
        return await watch.watched(
            pool, gateway, settings.region, which, context.lang, after=cursor, limit=limit
        )  # fmt: skip

    @get("/{effect_id:str}", operation_id="showEffect", opt={**_OPERATOR, "refusals": (404,)})
    async def shown(
        self,
        effect_id: FromPath[str],
        context: NamedDependency[Context],
        pool: NamedDependency[Pool],
        gateway: NamedDependency[Gateway],
        settings: NamedDependency[Settings],
    ) -> WatchedView:
        """One effect, whatever its state, with who answers for its department; nothing that is sealed."""
        return await watch.shown(pool, gateway, settings.region, effect_id, context.lang)

    @post("/{effect_id:str}/retry", operation_id="retryEffect", status_code=200, opt=_ACTS)
    async def retry(
        self,
        effect_id: FromPath[str],
        watch_desk: NamedDependency[Watch],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        data: JSONBody[SendAgain],
    ) -> Response[bytes]:
        """Try an effect again under its key, with a reason; what may have happened is asked after first."""
        return (await watch_desk.send_again(session, context, keyed, effect_id, data)).response()

    @post("/{effect_id:str}/resolve", operation_id="resolveEffect", status_code=200, opt=_ACTS)
    async def resolve(
        self,
        effect_id: FromPath[str],
        watch_desk: NamedDependency[Watch],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        data: JSONBody[Resolve],
    ) -> Response[bytes]:
        """Say what came of an effect, with a reason; its case goes on from there."""
        return (await watch_desk.resolve(session, context, keyed, effect_id, data)).response()


CONTROLLERS = [OpsController]
