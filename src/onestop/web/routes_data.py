"""My data: what it is used for and by what right, who used it, and one's consents, given and withdrawn in one place."""

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from onestop.basis import service_guardians as guardians
from onestop.basis.service import Basis
from onestop.basis.views import PurposeList
from onestop.cases.office import Office
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.rules import mask_number
from onestop.identity.service import Sessions
from onestop.overview import service_data_use
from onestop.web.pages import Paper

_CITIZEN: Final = {"roles": ("citizen",)}
_USES: Final = 20


class DataPages(Controller):
    """What is known of the one who asks, why, and what they may say to it."""

    path = "/my-data"
    include_in_schema = False

    @get("/", opt=_CITIZEN)
    async def mine(
        self,
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        basis: NamedDependency[Basis],
        office: NamedDependency[Office],
    ) -> Response[bytes]:
        """Every purpose with its notice, consents to give or withdraw, and the newest uses; asks no department."""
        person = await sessions.person(session.subject_id)
        wards = await guardians.own_wards(basis, sessions, session)
        uses = await service_data_use.own_uses(office, session.subject_id, paper.lang, before=None, limit=_USES)
        return paper.show(
            "my_data.html",
            name=person.name,
            number=mask_number(person.number),
            purposes=(await basis.shown(session.subject_id, paper.lang)).data,
            wards=[(one, _asked(await basis.shown(one.id, paper.lang))) for one in wards.data],
            uses=uses.data,
        )

    @post("/consents/{purpose:str}", opt={**_CITIZEN, "max_body": 2048})
    async def decide(
        self,
        purpose: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        basis: NamedDependency[Basis],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Give or withdraw one consent, for oneself or a ward; one press either way."""
        ward = str(data.get("ward") or "")
        about = await (
            guardians.ward(basis, sessions, session, ward) if ward else guardians.about(sessions, session.subject_id)
        )
        told: dict[str, Any] = {"actor": session.actor_id, "lang": paper.lang, "trace_id": context.trace_id}
        if data.get("decide") == "give":
            await basis.give(about, purpose, str(data.get("notice") or ""), **told)
        else:
            await basis.withdraw(about, purpose, **told)
        return paper.go("/my-data")


def _asked(purposes: PurposeList) -> list[Any]:
    return [one for one in purposes.data if one.consent is not None]
