"""My affairs: every department asked at once, a card each; what comes late comes into the same page."""

import asyncio
from collections.abc import Sequence
from typing import Final

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from onestop.cases import service as cases
from onestop.cases.office import Office
from onestop.cases.views import CaseLine
from onestop.gateway.explain import TraceLog
from onestop.gateway.fanout import Person
from onestop.gateway.waterfall import svg
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.rules import mask_number
from onestop.identity.service import Sessions
from onestop.mandates.service import Mandates
from onestop.overview.service import Overview
from onestop.web import affairs
from onestop.web.pages import Paper, picture

# A page shows what has come by then; the rest follows into it. Longer, and people look at nothing.
_PATIENCE_S: Final = 1.2
_CASES: Final = 20
_CITIZEN = {"roles": ("citizen",), "acting": True}


class AffairsPages(Controller):
    """What the departments hold about the one who asks, and the person's cases."""

    path = "/me"
    include_in_schema = False

    @get("/", opt={**_CITIZEN, "fanout": True})
    async def mine(
        self,
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        overview: NamedDependency[Overview],
        office: NamedDependency[Office],
        traces: NamedDependency[TraceLog],
        mandates: NamedDependency[Mandates],
    ) -> Response[bytes]:
        """Ask every department and show what has come."""
        now = asyncio.get_running_loop().time()
        deadline = min(context.deadline, now + _PATIENCE_S)
        subject = await sessions.person(session.subject_id)
        acting = await mandates.represented(session)
        adapters = list(dict.fromkeys(ask.adapter for ask in office.gateway.wants.values()))
        # What departments can be asked by a citizen's word is about people; a company has nothing there.
        asked = [] if subject.kind == "organisation" else adapters
        seen = set(await mandates.departments_seen(session, asked))
        answer, gathered = await overview.look_up(
            tuple(want for want, ask in office.gateway.wants.items() if ask.adapter in seen),
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
        traces.note(context.trace_id, context.principal, "GET /me", outcome, took_ms, gathered.records)
        names = {name: office.directory.name(name, paper.lang) for name in office.gateway.manifests}
        told = affairs.explained(gathered.records, context.trace_id, took_ms, names)
        return paper.show(
            "me.html",
            name=subject.name,
            number=mask_number(subject.number),
            cases=await _own_cases(office, session, paper),
            cards=affairs.cards(answer.parts, paper.lang),
            counts=_counts([part.state for part in answer.parts]),
            completion=answer.completion.id if answer.completion else None,
            took_ms=round(took_ms),
            picture=picture(svg([told], paper.lang)),
            bars=told.waterfall,
        )

    @get("/{completion_id:str}", opt=_CITIZEN)
    async def later(
        self,
        completion_id: FromPath[str],
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        overview: NamedDependency[Overview],
        office: NamedDependency[Office],
    ) -> Response[bytes]:
        """Show the same answer again with what came since; asks no department."""
        subject = await sessions.person(session.subject_id)
        kept = await overview.kept(completion_id, session.subject_id, paper.lang, session.mandate_id)
        states = [part.state for part in kept.parts]
        return paper.show(
            "me.html",
            name=subject.name,
            number=mask_number(subject.number),
            cases=await _own_cases(office, session, paper),
            cards=affairs.cards(kept.parts, paper.lang),
            counts=_counts(states),
            completion=kept.id if "pending" in states else None,
            took_ms=None,
            picture=None,
            bars=[],
        )


def _counts(states: Sequence[str]) -> dict[str, int]:
    return {
        "total": len(states),
        "here": sum(state in ("ok", "stale") for state in states),
        "pending": sum(state == "pending" for state in states),
    }


async def _own_cases(office: Office, session: Session, paper: Paper) -> list[CaseLine]:
    found = await cases.own_cases(office, session, paper.lang, before=None, limit=_CASES)
    return found.data
