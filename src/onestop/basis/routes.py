"""Controllers: what my data is used for, my consents, those for my children; guardians, at the desk."""

from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from onestop.basis import service_guardians as guardians
from onestop.basis.service import Basis
from onestop.basis.views import Give, GuardianView, NewGuardian, PurposeList, PurposeView, WardList
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.service import Sessions
from onestop.settings import Settings

_CITIZEN = {"roles": ("citizen",)}
_CHANGES = {**_CITIZEN, "refusals": (403, 404, 409)}
_CLERK = {"roles": ("clerk",), "refusals": (404,)}


class ConsentController(Controller):
    """What your data is used for and by what right; where that is your consent, giving and withdrawing it."""

    path = "/v1/me/consents"
    tags = ("my data",)

    @get("/", operation_id="listMyConsents", opt=_CITIZEN)
    async def every(
        self, basis: NamedDependency[Basis], session: NamedDependency[Session], context: NamedDependency[Context]
    ) -> PurposeList:
        """Every purpose with its law, notice, recipients and retention; those that ask for your consent first."""
        return await basis.shown(session.subject_id, context.lang)

    @get("/{purpose:str}", operation_id="getMyConsent", opt=_CITIZEN)
    async def one(
        self,
        basis: NamedDependency[Basis],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        purpose: FromPath[str],
    ) -> PurposeView:
        """One purpose. That its notice was shown to you is kept with the notice's hash and the time."""
        return await basis.shown_one(session.subject_id, purpose, context.lang)

    @put("/{purpose:str}", operation_id="giveMyConsent", opt={**_CHANGES, "max_body": 1024})
    async def give(
        self,
        basis: NamedDependency[Basis],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        context: NamedDependency[Context],
        purpose: FromPath[str],
        data: JSONBody[Give],
    ) -> PurposeView:
        """Consent to exactly what the notice says, for this purpose alone."""
        about = await guardians.about(sessions, session.subject_id)
        return await basis.give(
            about, purpose, data.notice, actor=session.actor_id, lang=context.lang, trace_id=context.trace_id
        )

    @delete("/{purpose:str}", operation_id="withdrawMyConsent", status_code=200, opt=_CHANGES)
    async def withdraw(
        self,
        basis: NamedDependency[Basis],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        context: NamedDependency[Context],
        purpose: FromPath[str],
    ) -> PurposeView:
        """Withdraw your consent: nothing is released on it any more, on any instance; what was done stays done."""
        about = await guardians.about(sessions, session.subject_id)
        return await basis.withdraw(
            about, purpose, actor=session.actor_id, lang=context.lang, trace_id=context.trace_id
        )


class WardController(Controller):
    """The children under 14 whose guardian you are, and your consents for them."""

    path = "/v1/me/wards"
    tags = ("my data",)

    @get("/", operation_id="listMyWards", opt=_CITIZEN)
    async def every(
        self, basis: NamedDependency[Basis], session: NamedDependency[Session], sessions: NamedDependency[Sessions]
    ) -> WardList:
        """The children whose guardian you are on record."""
        return await guardians.own_wards(basis, sessions, session)

    @get("/{ward:str}/consents", operation_id="listWardConsents", opt=_CITIZEN)
    async def consents(
        self,
        basis: NamedDependency[Basis],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        context: NamedDependency[Context],
        ward: FromPath[str],
    ) -> PurposeList:
        """What the child's data is used for, and what was consented to for them."""
        about = await guardians.ward(basis, sessions, session, ward)
        return await basis.shown(about.subject or "", context.lang)

    @put("/{ward:str}/consents/{purpose:str}", operation_id="giveWardConsent", opt={**_CHANGES, "max_body": 1024})
    async def give(
        self,
        basis: NamedDependency[Basis],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        context: NamedDependency[Context],
        ward: FromPath[str],
        purpose: FromPath[str],
        data: JSONBody[Give],
    ) -> PurposeView:
        """Consent for a child; it ends with your guardianship, and when the child becomes 14."""
        about = await guardians.ward(basis, sessions, session, ward)
        return await basis.give(
            about, purpose, data.notice, actor=session.actor_id, lang=context.lang, trace_id=context.trace_id
        )

    @delete("/{ward:str}/consents/{purpose:str}", operation_id="withdrawWardConsent", status_code=200, opt=_CHANGES)
    async def withdraw(
        self,
        basis: NamedDependency[Basis],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        context: NamedDependency[Context],
        ward: FromPath[str],
        purpose: FromPath[str],
    ) -> PurposeView:
        """Withdraw what was consented to for a child."""
        about = await guardians.ward(basis, sessions, session, ward)
        return await basis.withdraw(
            about, purpose, actor=session.actor_id, lang=context.lang, trace_id=context.trace_id
        )


class GuardianController(Controller):
    """Who is whose guardian, by a document seen at the desk."""

    path = "/v1/guardians"
    tags = ("desk",)

    @post("/", operation_id="recordGuardian", opt={**_CLERK, "max_body": 4096})
    async def record(
        self,
        basis: NamedDependency[Basis],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        context: NamedDependency[Context],
        settings: NamedDependency[Settings],
        data: JSONBody[NewGuardian],
    ) -> GuardianView:
        """Record a child's guardian after seeing the document; on record in the child's audit."""
        return await guardians.record(basis, sessions, session, data, settings.profile, context.trace_id)

    @delete("/{guardian:str}", operation_id="endGuardian", status_code=200, opt=_CLERK)
    async def end(
        self,
        basis: NamedDependency[Basis],
        session: NamedDependency[Session],
        context: NamedDependency[Context],
        guardian: FromPath[str],
    ) -> GuardianView:
        """End a guardian from now on; consents they gave count no more."""
        return await guardians.end(basis, session, guardian, context.trace_id)


CONTROLLERS = [ConsentController, WardController, GuardianController]
