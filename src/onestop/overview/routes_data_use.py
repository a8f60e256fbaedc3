"""Controllers: who used my data, and the proof that the entry stands unchanged."""

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from onestop.audit import proofs
from onestop.audit.proofs import Proof
from onestop.cases.office import Office
from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.http.pages import next_page
from onestop.identity.models import Session
from onestop.mandates.service import Mandates
from onestop.overview import service_challenges, service_escalation
from onestop.overview import service_data_use as service
from onestop.overview.views_data_use import (
    AnswerChallenge,
    Challenge,
    ChallengeList,
    ChallengeView,
    DataUseList,
    DataUseView,
    Explanation,
    OfficeChallenge,
    OverdueList,
)

_CITIZEN = {"roles": ("citizen",)}
_OFFICE = {"roles": ("clerk", "department")}


class DataUseController(Controller):
    """The ledger of what was read of you, and given away."""

    path = "/v1/me/data-use"
    tags = ("my data",)

    @get("/", operation_id="listMyDataUses", opt=_CITIZEN)
    async def own(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = 50,
    ) -> Response[DataUseList]:
        """Who read your data or was given it, by whose doing, for which case, why, and by what right; newest first."""
        found = await service.own_uses(office, session.subject_id, context.lang, before=cursor, limit=limit)
        return Response(found, headers=next_page("/v1/me/data-use", found.next_cursor, limit))

    @get("/{use_id:str}", operation_id="getMyDataUse", opt=_CITIZEN)
    async def one(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        use_id: FromPath[str],
    ) -> DataUseView:
        """One entry about you."""
        found = await service.own_use(office, session.subject_id, use_id)
        return service.use_view(office, found, context.lang, await service.representatives(office, [found]))

    @get("/{use_id:str}/proof", operation_id="proveMyDataUse", opt={**_CITIZEN, "refusals": (409,)})
    async def proof(
        self, office: NamedDependency[Office], session: NamedDependency[Session], use_id: FromPath[str]
    ) -> Proof:
        """The proof that an entry about you stands unchanged in the sealed ledger; check it without onestop.

        An entry of the last minute has none yet (409, come again after `Retry-After`).
        """
        return await proofs.own_proof(office.pool, office.region, session.subject_id, use_id)

    @get("/{use_id:str}/explanation", operation_id="explainMyDataUse", opt=_CITIZEN)
    async def explanation(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        use_id: FromPath[str],
    ) -> Explanation:
        """By which rule each department's data was read or given: the purpose, its article, and how sure that is."""
        return service.explain(office, await service.own_use(office, session.subject_id, use_id), context.lang)

    @post(
        "/{use_id:str}/challenge",
        operation_id="challengeMyDataUse",
        opt={**_CITIZEN, "idempotent": True, "returns": ChallengeView, "max_body": 16_384},
    )
    async def challenge(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        use_id: FromPath[str],
        data: JSONBody[Challenge],
    ) -> Response[bytes]:
        """Dispute a use of your data: the accountable office answers within ten working days."""
        reply = await service_challenges.challenge(office, session, context, keyed, use_id, data)
        return reply.response()

    @get("/{use_id:str}/challenge", operation_id="listMyChallenges", opt=_CITIZEN)
    async def challenges(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        use_id: FromPath[str],
    ) -> list[ChallengeView]:
        """What you said against an entry, who answers by when, and what they answered."""
        return await service_challenges.own_challenges(office, session, use_id, context.lang)


class MandateUseController(Controller):
    """What was done under a mandate, for the one who gave it and the one who acts."""

    path = "/v1/me/mandates/{mandate_id:str}/data-use"
    tags = ("my data", "mandates")

    @get("/", operation_id="listMandateUses", opt=_CITIZEN)
    async def under(
        self,
        office: NamedDependency[Office],
        mandates: NamedDependency[Mandates],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        mandate_id: FromPath[str],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = 50,
    ) -> Response[DataUseList]:
        """Whose data was read or given under a mandate, by whom, for which case and why; newest first."""
        found = await service.uses_under(
            office, mandates, session, mandate_id, context.lang, before=cursor, limit=limit
        )  # fmt: skip
        return Response(found, headers=next_page(f"/v1/me/mandates/{mandate_id}/data-use", found.next_cursor, limit))


class ChallengeController(Controller):
    """What people dispute, for the office that answers."""

    path = "/v1/data-use-challenges"
    tags = ("desk",)

    @get("/", operation_id="listChallenges", opt=_OFFICE)
    async def mine(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = 50,
    ) -> Response[ChallengeList]:
        """What your office has to answer, oldest first."""
        found = await service_challenges.to_answer(office, session, context.lang, after=cursor, limit=limit)
        return Response(found, headers=next_page("/v1/data-use-challenges", found.next_cursor, limit))

    @get("/{challenge_id:str}", operation_id="getChallenge", opt=_OFFICE)
    async def one(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        challenge_id: FromPath[str],
    ) -> OfficeChallenge:
        """One challenge with what is disputed; that you read it is recorded, and its person sees so."""
        return await service_challenges.read(office, session, context, challenge_id)

    @post(
        "/{challenge_id:str}/answer",
        operation_id="answerChallenge",
        status_code=200,
        opt={**_OFFICE, "idempotent": True, "returns": ChallengeView, "max_body": 16_384},
    )
    async def answer(
        self,
        office: NamedDependency[Office],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        keyed: NamedDependency[Keyed],
        challenge_id: FromPath[str],
        data: JSONBody[AnswerChallenge],
    ) -> Response[bytes]:
        """Answer for your office, once: the use was rightful, or it was not, and why."""
        reply = await service_challenges.answer(office, session, context, keyed, challenge_id, data)
        return reply.response()


class OverdueController(Controller):
    """What was not answered in time, for those who supervise."""

    path = "/v1/audit/challenges"
    tags = ("audit",)

    @get("/", operation_id="listOverdueChallenges", opt={"roles": ("governance", "operator")})
    async def overdue(
        self,
        office: NamedDependency[Office],
        context: NamedDependency[Context],
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int] = 50,
    ) -> Response[OverdueList]:
        """Challenges answered too late or not yet, and with whom each is now; nothing of the person, oldest first."""
        found = await service_escalation.overdue(office, context.lang, after=cursor, limit=limit)
        return Response(found, headers=next_page("/v1/audit/challenges", found.next_cursor, limit))


CONTROLLERS = [DataUseController, MandateUseController, ChallengeController, OverdueController]
