"""Controller of questions between departments; it is handed `exchange` and `session` by name."""

from litestar import Controller, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from onestop.exchange.models import AskDepartment, Given
from onestop.exchange.service import Exchange
from onestop.http.models import Context
from onestop.identity.models import Session


class ExchangeController(Controller):
    """Data of one department for another, by agreement."""

    path = "/v1/exchange"
    tags = ("departments",)

    @post(
        "/{adapter:str}/{operation:str}",
        operation_id="askDepartment",
        status_code=200,
        opt={"roles": ("department",), "fanout": True, "max_body": 4096, "refusals": (404, 429)},
    )
    async def ask(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        exchange: NamedDependency[Exchange],
        adapter: FromPath[str],
        operation: FromPath[str],
        data: JSONBody[AskDepartment],
    ) -> Response[Given]:
        """Ask another department about a person, under the agreement in `Agreement`, for the matter in `Purpose`.

        What was read stands in the person's data-use ledger. `RateLimit` says what is left of the agreed calls.
        """
        given = await exchange.ask(context, session, adapter, operation, data.subject)
        return Response(given, headers=exchange.quota_headers(session, adapter, operation))


CONTROLLERS = [ExchangeController]
