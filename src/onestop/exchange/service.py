"""The verb of the room: ask another department, put it on record, hand over what it said."""

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.basis.errors import BasisMissing
from onestop.basis.service import Basis
from onestop.db import Pool
from onestop.exchange import rules
from onestop.exchange.errors import QueryUnknown
from onestop.exchange.models import About, Given
from onestop.gateway.errors import AgreementMissing, QuotaExhausted
from onestop.gateway.explain import TraceLog
from onestop.gateway.fanout import Gathered, Person, gather
from onestop.gateway.manifest import Operation
from onestop.gateway.models import Agreement, Ask, Part
from onestop.gateway.own_ids import asks_by_own_id
from onestop.gateway.releases import Releases
from onestop.gateway.service import Gateway
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.service import Sessions

ROUTE = "POST /v1/exchange/{adapter}/{operation}"


class Exchange:
    """Questions of departments to departments, as one process puts them."""

    def __init__(
        self, pool: Pool, gateway: Gateway, sessions: Sessions, traces: TraceLog, region: str, basis: Basis
    ) -> None:
        self._basis = basis
        self._pool, self._gateway, self._sessions = pool, gateway, sessions
        self._traces, self._region = traces, region

    async def ask(self, context: Context, session: Session, adapter: str, operation: str, about: About) -> Given:
        """Ask another department about one person or organisation.

        What was read stands in the person's data-use ledger and in the audit, by one transaction, before it is handed
        over; where that cannot be written nothing is.

        Raises:
            HeaderMissing: `Agreement` or `Purpose` is missing or malformed.
            QueryUnknown: no department on line answers such a question.
            AgreementMissing: the agreement named is not the asking department's for this question, or does not hold.
            QuotaExhausted: the agreed number of calls is used up; says until when.
            BasisMissing: it rests on a consent that the person did not give, or that ended meanwhile.
        """
        named = rules.header("Agreement", context.headers.get(b"agreement"))
        purpose = rules.header("Purpose", context.headers.get(b"purpose"))
        ask = Ask(want=operation, adapter=adapter, operation=operation, consumer=f"department:{session.department}")
        spec = self._gateway.operation_of(ask)
        if spec is None or spec.kind != "query":
            raise QueryUnknown(adapter=adapter, operation=operation)
        agreement = self._gateway.quotas.find(ask.consumer, adapter, operation)
        if agreement is None or not rules.covers(agreement, named, clock.real_now()):
            raise AgreementMissing(adapter=adapter, operation=operation, agreement=named)
        ids = await self._sessions.called(about.number_type, about.number) if asks_by_own_id(spec) else {}
        known = await self._sessions.find(about.number_type, about.number)
        person = Person(about.number, about.name, ids, {}, known, about.number_type)
        releases = await Releases.decide(self._gateway, self._basis, "exchange", [ask], person)
        gathered = await self._gathered(context, session, ask, person, releases)
        [part] = await releases.still(gathered.parts, context.lang)
        _refuse(part)
        if part.data is not None or part.found is False:
            subject = await self._record(context, session, spec, agreement, purpose, about, part)
            if gathered.own_ids:
                await self._sessions.learn(await self._sessions.person(subject), gathered.own_ids)
        return Given(agreement=agreement.id, purpose=purpose, part=part, trace_id=context.trace_id)

    async def _gathered(
        self, context: Context, session: Session, ask: Ask, person: Person, releases: Releases
    ) -> Gathered:
        gathered = await gather(
            self._gateway.lines_for(person.number),
            [ask],
            person,
            deadline=context.deadline,
            lang=context.lang,
            traceparent=context.traceparent,
            # Nobody stands before a machine; citizens' own questions go first.
            lane="batch" if session.kind == "machine" else "citizen",
            closed=self._gateway.closed,
            admit=releases.admit,
        )
        outcome = "complete" if gathered.complete else "partial"
        took_ms = gathered.parts[0].took_ms
        self._traces.note(context.trace_id, context.principal, ROUTE, outcome, took_ms, gathered.records)
        return gathered

    async def _record(
        self,
        context: Context,
        session: Session,
        spec: Operation,
        agreement: Agreement,
        purpose: str,
        about: About,
        part: Part,
    ) -> str:
        """Write whose data was read by whom, from whom, for what, all of it or nothing; return the subject's id."""
        uses = _uses(spec, agreement, part, session.department or "")
        object_ = f"{agreement.id}: {purpose}"
        async with self._pool.acquire() as db, db.transaction():
            subject = await self._sessions.met(db, about.number_type, about.number, about.name or "")
            await audit.data_used(
                db, self._region, uses, subject=subject, actor=f"department:{session.department}", object=object_,
                trace_id=context.trace_id,
            )  # fmt: skip
            await audit.record(
                db, self._region, actor=session.actor_id, action="exchange.asked", subject=subject, object=object_,
                trace_id=context.trace_id, detail={"adapter": part.source.adapter, "operation": spec.id},
            )  # fmt: skip
        return subject

    def quota_headers(self, session: Session, adapter: str, operation: str) -> dict[str, str]:
        """Return what is left of the quota behind a question, as RateLimit headers; empty where none is agreed."""
        return self._gateway.quotas.headers([(f"department:{session.department}", adapter, operation)])


def _uses(spec: Operation, agreement: Agreement, part: Part, asking: str) -> list[str]:
    """Return who was asked, and who was told what it said, as entries of the ledger of data uses.

    Each department answers for its own share: the one for having given, the other for having asked.
    """
    asked = Use(
        adapter=part.source.adapter,
        basis=spec.basis.zh,
        fields=tuple(sorted({*spec.reply.fields, *spec.reply.header_fields})),
        operation=spec.id,
        outcome="read" if part.found else "no_record",
        purpose=agreement.purpose_zh,
        version=part.source.version,
    )
    told = msgspec.structs.replace(asked, adapter=asking, outcome="told")
    return [audit.use_entry(asked), audit.use_entry(told)]


def _refuse(part: Part) -> None:
    """Raise where there is no agreement, quota or legal basis for a question; other states are an answer."""
    problem = part.problem
    if problem is not None and problem.code == "basis.missing":
        raise BasisMissing(adapter=part.source.adapter, operation=part.want)
    if problem is not None and problem.code == "agreement.missing":
        raise AgreementMissing(adapter=part.source.adapter, operation=part.want, agreement="-")
    if problem is not None and problem.code == "quota.exhausted":
        raise QuotaExhausted(retry_after_s=problem.retry_after_s or 1.0)
