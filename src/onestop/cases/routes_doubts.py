"""Controllers of doubts about departments' records: opened by the person, verified by the department."""

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from onestop.cases import service_doubts as service
from onestop.cases.office import Office
from onestop.cases.views_doubts import AnswerDoubt, DoubtList, DoubtView, NewDoubt, OverdueList
from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.identity.models import Session

_CITIZEN = {"roles": ("citizen",)}
_OFFICE = {"roles": ("clerk", "department")}


class OwnDoubtController(Controller):
    """What you say is wrong in a department's record."""

    path = "/v1"
    tags = ("my data",)

    @post(
        "/cases/{case_id:str}/doubts",
        operation_id="doubtRecord",
        opt={**_CITIZEN, "idempotent": True, "returns": DoubtView, "max_body": 16_384, "refusals": (404, 409, 422)},
    )
    async def doubt(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        case_id: FromPath[str],
        data: JSONBody[NewDoubt],
    ) -> Response[bytes]:
        """Say that a value a department gave is wrong; it is marked where shown, and the case goes on meanwhile."""
        return (await service.doubt(office, session, context, keyed, case_id, data)).response()

    @get("/me/doubts", operation_id="listMyDoubts", opt=_CITIZEN)
    async def own(
        self, office: NamedDependency[Office], session: NamedDependency[Session], context: NamedDependency[Context]
    ) -> DoubtList:
        """Your doubts, newest first: who verifies each by when, and what was found."""
        return await service.own_doubts(office, session, context.lang)


class DoubtController(Controller):
    """What people say is wrong in your department's records."""

    path = "/v1/record-doubts"
    tags = ("desk",)

    @get("/", operation_id="listDoubts", opt=_OFFICE)
    async def listed(
        self, office: NamedDependency[Office], session: NamedDependency[Session], context: NamedDependency[Context]
    ) -> DoubtList:
        """What your department has to verify, the nearest day first."""
        return await service.to_verify(office, session, context.lang)

    @get("/overdue", operation_id="listOverdueDoubts", opt={"roles": ("governance",)})
    async def overdue(self, office: NamedDependency[Office]) -> OverdueList:
        """Doubts past their term, by department; nothing of the people they are about."""
        return await service.overdue(office)

    @post(
        "/{doubt_id:str}/answer",
        operation_id="answerDoubt",
        status_code=200,
        opt={**_OFFICE, "idempotent": True, "returns": DoubtView, "max_body": 16_384, "refusals": (404,)},
    )
    async def answer(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        doubt_id: FromPath[str],
        data: JSONBody[AnswerDoubt],
    ) -> Response[bytes]:
        """Say what your department found: corrected, right as it is, or why it cannot say."""
        return (await service.answer_doubt(office, session, context, keyed, doubt_id, data)).response()


CONTROLLERS = [OwnDoubtController, DoubtController]
