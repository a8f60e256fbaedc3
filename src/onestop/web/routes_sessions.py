"""Where I am signed in: every session of one's own, with an end for each and for all the others."""

from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody

from onestop.identity.access import EVERY_ROLE
from onestop.identity.models import Session
from onestop.identity.rules import BIND_LEVEL
from onestop.identity.service import Sessions
from onestop.identity.service_sign_in import SignIn
from onestop.web.form import first
from onestop.web.pages import Paper

_OTHERS = "others"


class SessionPages(Controller):
    """One's own sessions; another person's read as absent."""

    path = "/my-sessions"
    include_in_schema = False
    opt = {"roles": EVERY_ROLE}  # noqa: RUF012 - litestar's name and type

    @get("/")
    async def shown(
        self,
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        sign_in: NamedDependency[SignIn],
    ) -> Response[bytes]:
        """Browsers and apps, when each was last seen, which of them this is; and the network numbers bound."""
        unbound = session.role == "citizen" and session.level == 0
        choices = sign_in.choices(BIND_LEVEL, binding=True) if unbound else []
        return paper.show(
            "sessions.html",
            sessions=(await sessions.list_own(session)).data,
            links=(await sign_in.links.own(session)).data,
            binders=[(one.name, one.label.en if paper.lang == "en" else one.label.zh) for one in choices],
        )

    @post("/", opt={"max_body": 1024})
    async def end(
        self,
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        sign_in: NamedDependency[SignIn],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """End one session, all but this one, or a binding, and show what is left."""
        chosen = first(data, "end")
        if first(data, "unbind"):
            await sign_in.links.unbind(session, first(data, "unbind"))
            return paper.go("/my-sessions")
        if chosen == _OTHERS:
            await sessions.revoke_others(session)
        else:
            await sessions.revoke_own(session, chosen)
        return paper.go("/my-sessions" if chosen != session.id else "/")
