"""Controllers: my affairs, and what comes of them later."""

import asyncio
import math

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from onestop.gateway.explain import TraceLog
from onestop.gateway.fanout import Person
from onestop.gateway.models import Part
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.service import Sessions
from onestop.mandates.service import Mandates
from onestop.overview.models import AskLookups, Kept, Lookups
from onestop.overview.service import Overview


class OverviewController(Controller):
    """What the state holds about the one who asks."""

    path = "/v1/me"
    tags = ("my affairs",)

    @post(
        "/lookups",
        operation_id="lookUpMyAffairs",
        status_code=200,
        opt={"roles": ("citizen",), "acting": True, "fanout": True, "max_body": 4096, "express": True},
    )
    async def look_up(
        self,
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        overview: NamedDependency[Overview],
        traces: NamedDependency[TraceLog],
        mandates: NamedDependency[Mandates],
        data: JSONBody[AskLookups],
    ) -> Response[Lookups]:
        """Ask every department at once; the answer is there within the deadline, with a state for every part.

        Parts still `pending` come later under `completion`: by its events, or by asking for it again.
        """
        now = asyncio.get_running_loop().time()
        deadline = min(context.deadline, now + data.deadline_ms / 1000)
        await mandates.check(session, *overview.asked(data.wants))
        subject = await sessions.person(session.subject_id)
        acting = await mandates.represented(session)
        answer, gathered = await overview.look_up(
            data.wants,
            session.subject_id,
            session.actor_id,
            Person.of(subject, acting.parties() if acting else {}),
            level=session.level,
            deadline=deadline,
            budget_ms=round((deadline - now) * 1000),
            lang=context.lang,
            trace_id=context.trace_id,
            traceparent=context.traceparent,
            mandate=session.mandate_id,
        )
        await sessions.learn(subject, gathered.own_ids)
        took_ms = (asyncio.get_running_loop().time() - now) * 1000
        outcome = "complete" if gathered.complete else "partial"
        traces.note(context.trace_id, context.principal, "POST /v1/me/lookups", outcome, took_ms, gathered.records)
        return Response(answer, headers=_quota_headers(overview.quota_headers(data.wants), answer.parts))


def _quota_headers(headers: dict[str, str], parts: list[Part]) -> dict[str, str]:
    """Add when to come again, where a quota is used up."""
    waits = [p.problem.retry_after_s or 1.0 for p in parts if p.problem and p.problem.code == "quota.exhausted"]
    return {**headers, "retry-after": str(math.ceil(min(waits)))} if waits else headers


class CompletionController(Controller):
    """Composite answers that went out incomplete."""

    path = "/v1/completions"
    tags = ("my affairs",)

    @get("/{completion_id:str}", operation_id="readCompletion", opt={"roles": ("citizen",), "acting": True})
    async def read(
        self,
        completion_id: FromPath[str],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        overview: NamedDependency[Overview],
    ) -> Kept:
        """Return the parts that went out, with those that came later in their place; eventually consistent."""
        return await overview.kept(completion_id, session.subject_id, context.lang, session.mandate_id)


CONTROLLERS = [OverviewController, CompletionController]
