"""Controllers of cases, operations and the desk. They are handed `office`, `session`, `context` and `keyed` by name."""

import re
from typing import Any

from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from onestop.cases import picture, service
from onestop.cases.office import Office
from onestop.cases.views import (
    AnswerTask,
    CaseList,
    CaseView,
    ChangeAnswers,
    OpenCase,
    Operation,
    Resubmit,
    Submit,
    TaskAnswered,
    TaskList,
    TaskView,
    Timeline,
    Unmask,
    Unmasked,
    Withdraw,
)
from onestop.certificates.models import CertificateView
from onestop.http import etags
from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.http.pages import next_page
from onestop.identity.models import Session

_WAIT = re.compile(rb"(?:^|[,;\s])wait=(\d{1,3})(?:$|[,;\s])")
_CITIZEN = {"roles": ("citizen",), "acting": True}  # each verb asks the mandate
_DESK = {"roles": ("clerk", "department")}
_PAGE = 50


def wait_s(context: Context) -> float:
    """Return how long the caller is ready to wait (`Prefer: wait=n`, RFC 7240), in seconds; 0 where it does not say."""
    found = _WAIT.search(context.headers.get(b"prefer", b""))
    return float(found[1]) if found else 0.0


class CaseController(Controller):
    """A citizen's own cases."""

    path = "/v1/cases"
    tags = ("cases",)

    @post(
        "/",
        operation_id="openCase",
        opt={
            **_CITIZEN,
            "fanout": True,
            "idempotent": True,
            "returns": CaseView,
            "refusals": (404,),  # no such item
            "max_body": 65_536,
            "express": True,
        },
    )
    async def open(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        data: JSONBody[OpenCase],
    ) -> Response[bytes]:
        """Open a draft that departments have filled as far as they know; with `submit`, apply in this one call.

        Every value says who gave it, as of when and on what basis. Departments that could not be asked within the
        budget are named in `parts`, and their fields are open to fill by hand.
        """
        reply = await service.open_case(office, session, context, keyed, data)
        return reply.response()

    @get("/", operation_id="listMyCases", opt=_CITIZEN)
    async def own(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = _PAGE,
    ) -> Response[CaseList]:
        """Your cases, newest first; `next_cursor` leads to the page after."""
        found = await service.own_cases(office, session, context.lang, before=cursor, limit=limit)
        return Response(found, headers=next_page("/v1/cases", found.next_cursor, limit))

    @get("/{case_id:str}", operation_id="getCase", opt={**_CITIZEN, "versioned": True})
    async def one(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        case_id: FromPath[str],
    ) -> Response[CaseView]:
        """One of your cases: what its state means, what you do, by when; its steps and its timeline."""
        case = await service.own_case(office, session, case_id)
        if etags.unchanged(context, case.version):
            return etags.not_modified(case.version)  # type: ignore[return-value]  # a 304 has no body
        view = await service.show(office, case, context.lang)
        return Response(view, headers=etags.headers(case.version))

    @patch("/{case_id:str}/answers", operation_id="changeAnswers", opt={**_CITIZEN, "edits": True})
    async def change(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        case_id: FromPath[str],
        data: JSONBody[ChangeAnswers],
    ) -> Response[CaseView]:
        """Fill in or change values of a draft; all of them are taken or none, and every fault is named."""
        expected = etags.expected_versions(context)
        view = await service.change_answers(office, session, context, case_id, expected, data.answers)
        return Response(view, headers=etags.headers(view.version))

    @post(
        "/{case_id:str}/submission",
        operation_id="submitCase",
        status_code=202,
        opt={**_CITIZEN, "idempotent": True, "edits": True, "returns": Operation},
    )
    async def submit(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        case_id: FromPath[str],
        data: JSONBody[Submit],
    ) -> Response[Any]:
        """Submit a draft. The answer is an operation; `Prefer: wait=n` waits up to n seconds for it to end."""
        expected = etags.expected_versions(context)
        reply = await service.submit(office, session, context, keyed, case_id, expected, data)
        seconds = wait_s(context)
        if seconds and not reply.replayed:
            later = await service.wait(office, session, context, case_id, seconds)
            if later is not None:
                headers = reply.headers | {
                    "preference-applied": f"wait={seconds:.0f}",
                    "etag": etags.etag(later.version),
                }
                return Response(later, status_code=reply.status, headers=headers)
        return reply.response()

    @post(
        "/{case_id:str}/steps/{code:str}/resubmission",
        operation_id="resubmitStep",
        status_code=202,
        opt={**_CITIZEN, "idempotent": True, "returns": Operation},
    )
    async def resubmit(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        case_id: FromPath[str],
        code: FromPath[str],
        data: JSONBody[Resubmit],
    ) -> Response[bytes]:
        """Send one step again after its department asked for a correction; once for each notice."""
        reply = await service.resubmit(office, session, context, keyed, case_id, code, data)
        return reply.response()

    @post(
        "/{case_id:str}/withdrawal",
        operation_id="withdrawCase",
        status_code=200,
        opt={**_CITIZEN, "idempotent": True, "returns": CaseView},
    )
    async def withdraw(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        case_id: FromPath[str],
        data: JSONBody[Withdraw],
    ) -> Response[bytes]:
        """Withdraw a case that is not decided; what departments have already done stays valid."""
        reply = await service.withdraw(office, session, context, keyed, case_id)
        return reply.response()

    @get("/{case_id:str}/timeline.svg", operation_id="drawTimeline", media_type="image/svg+xml", opt=_CITIZEN)
    async def drawing(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        case_id: FromPath[str],
    ) -> Response[str]:
        """The case's steps over time as a picture, with everything it shows said in its description."""
        case = await service.own_case(office, session, case_id)
        drawn = picture.draw(await service.timeline(office, case, context.lang), context.lang)
        headers = {"cache-control": "private, no-cache", "vary": "Accept-Language"}
        return Response(drawn, media_type="image/svg+xml", headers=headers)

    @get("/{case_id:str}/timeline", operation_id="getTimeline", opt=_CITIZEN)
    async def timeline(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        case_id: FromPath[str],
    ) -> Timeline:
        """The same data as the picture."""
        case = await service.own_case(office, session, case_id)
        return await service.timeline(office, case, context.lang)

    @get("/{case_id:str}/certificate", operation_id="getCertificate", opt=_CITIZEN)
    async def certificate(
        self, office: NamedDependency[Office], session: NamedDependency[Session], case_id: FromPath[str]
    ) -> CertificateView:
        """The completion certificate of a decided case, with its signature and the code that lets others check it."""
        return await service.certificate(office, session, case_id)


class OperationController(Controller):
    """Long work."""

    path = "/v1/operations"
    tags = ("cases",)

    @get("/{operation_id:str}", operation_id="getOperation", opt=_CITIZEN)
    async def one(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        operation_id: FromPath[str],
    ) -> Operation:
        """How far a submission is, who is waited for, until when."""
        return await service.operation(office, session, operation_id, context.lang)


class TaskController(Controller):
    """The desk of a department."""

    path = "/v1/tasks"
    tags = ("desk",)

    @get("/", operation_id="listTasks", opt=_DESK)
    async def mine(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = _PAGE,
    ) -> Response[TaskList]:
        """Your desk's open tasks, oldest first."""
        found = await service.tasks(office, session, context.lang, after=cursor, limit=limit)
        return Response(found, headers=next_page("/v1/tasks", found.next_cursor, limit))

    @get("/{task_id:str}", operation_id="getTask", opt=_DESK)
    async def one(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        task_id: FromPath[str],
    ) -> TaskView:
        """One task with what its step is about; that you read it is recorded."""
        return await service.task(office, session, context, task_id)

    @post(
        "/{task_id:str}/answer",
        operation_id="answerTask",
        status_code=200,
        opt={**_DESK, "idempotent": True, "returns": TaskAnswered},
    )
    async def answer(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        task_id: FromPath[str],
        data: JSONBody[AnswerTask],
    ) -> Response[bytes]:
        """Say what came of a task; its step ends so, and steps that wait for it begin."""
        reply = await service.answer_task(office, session, context, keyed, task_id, data)
        return reply.response()

    @post(
        "/{task_id:str}/unmaskings",
        operation_id="unmaskApplicant",
        status_code=200,
        opt={**_DESK, "refusals": (404, 409, 429)},
    )
    async def unmask(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        task_id: FromPath[str],
        data: JSONBody[Unmask],
    ) -> Response[Unmasked]:
        """See the applicant's whole number, for a reason; it is on record before you see it, and the applicant sees it.

        Twenty an hour for one person.
        """
        found = await service.unmask(office, session, context, task_id, data)
        return Response(found, headers={"cache-control": "no-store"})


CONTROLLERS = [CaseController, OperationController, TaskController]
