"""Who used my data: each use with its why and its right, its proof to take away, and a way to dispute it."""

from collections.abc import Sequence
from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from onestop.cases.office import Office
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.overview import service_challenges as challenges
from onestop.overview import service_data_use as uses
from onestop.overview.views_data_use import Challenge, ChallengeView, DataUseView
from onestop.web.form import first
from onestop.web.keyed import keyed
from onestop.web.pages import Paper

_CITIZEN: Final = {"roles": ("citizen",)}
_SHOWN: Final = 20
_LONGEST: Final = 2000  # of a reason, as the interface takes it


def _open_to(entry: DataUseView, said: Sequence[ChallengeView]) -> list[tuple[str, str]]:
    """Return the departments of an entry, by id and name, whose use was not disputed yet."""
    disputed = {one.department.id for one in said}
    found = {use.department.id: use.department.name for use in entry.uses}
    return [(id_, name) for id_, name in found.items() if id_ not in disputed]


class DataUsePages(Controller):
    """The ledger of what was read of the one who asks, and given away."""

    path = "/me/data-use"
    include_in_schema = False

    @get("/", opt=_CITIZEN)
    async def mine(
        self,
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        cursor: FromQuery[str | None] = None,
    ) -> Response[bytes]:
        """Who looked, when, at which fields, why and by what right; newest first."""
        found = await uses.own_uses(office, session.subject_id, paper.lang, before=cursor, limit=_SHOWN)
        said = await challenges.of_entries(office, session, [entry.id for entry in found.data], paper.lang)
        return paper.show(
            "data_use.html",
            entries=found.data,
            said=said,
            next=found.next_cursor,
            key=lambda: new_id("key"),
            open_to=_open_to,
        )

    @post("/{use_id:str}/challenge", opt={**_CITIZEN, "max_body": 16_384})
    async def challenge(
        self,
        use_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Dispute one department's use; where nothing was written the reason says just that."""
        typed = " ".join(first(data, "reason").split())[:_LONGEST]
        told = Challenge(reason=typed or paper.say("data_use.reason"), department=first(data, "department"))
        await challenges.challenge(office, session, context, keyed(office, context, data, "POST"), use_id, told)
        return paper.go(f"/me/data-use#{use_id}")
