"""Controllers of identity: signing in and out, who am I, my sessions.

They are handed `sign_in`, `sessions`, `app_sessions`, `throttles`, `token_desk` and `session` by name, the last by
`access`.
"""

from typing import Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.status_codes import HTTP_201_CREATED, HTTP_204_NO_CONTENT, HTTP_303_SEE_OTHER

from onestop.errors import Malformed, Unauthenticated
from onestop.identity.access import EVERY_ROLE, provide_session, session_of
from onestop.identity.models import (
    FLOW_COOKIE,
    SESSION_COOKIE,
    AskToken,
    Ended,
    Level,
    Me,
    OwnSessions,
    Refresh,
    Session,
    Token,
)
from onestop.identity.rules import FLOW_LIFE, device_of
from onestop.identity.service import Sessions
from onestop.identity.service_links import LinkList
from onestop.identity.service_refresh import AppSessions
from onestop.identity.service_sign_in import SignIn, TokenDesk
from onestop.identity.throttles import DEVICE_COOKIE, DEVICE_LIFE_S, Throttles


class SignInController(Controller):
    """Signing in at a provider, once for every department, and out again."""

    path = "/auth"
    tags = ("identity",)

    @get(
        "/sign-in",
        operation_id="beginSignIn",
        status_code=HTTP_303_SEE_OTHER,
        opt={"public": True, "refusals": (401, 403, 404, 409, 429, 502, 504)},
    )
    async def begin(
        self,
        request: Request[Any, Any, Any],
        sign_in: NamedDependency[SignIn],
        throttles: NamedDependency[Throttles],
        provider: FromQuery[str | None] = None,
        return_to: FromQuery[str | None] = None,
        level: FromQuery[Level] = 0,
        bind: FromQuery[bool] = False,
    ) -> Response[None]:
        """Go to a sign-in provider and come back to a page of onestop.

        `level` asks for a real-name level: whoever is signed in below it raises it so. `bind` makes the network number
        one is signed in by one's own from then on.
        """
        await throttles.count("begin", _visitor(request, throttles))
        browser, level = request.cookies.get(FLOW_COOKIE), max(level, 0)
        binds = await provide_session(request) if bind else None
        begun = await sign_in.begin(
            provider, return_to, browser=browser, lang=_language(request), level=level, binds=binds
        )
        return _go(begun.location, _cookie(FLOW_COOKIE, begun.browser, max_age=int(FLOW_LIFE.total_seconds())))

    @get(
        "/callback",
        operation_id="finishSignIn",
        status_code=HTTP_303_SEE_OTHER,
        opt={"public": True, "refusals": (401, 403, 409, 422, 429, 502, 504)},
    )
    async def finish(
        self,
        request: Request[Any, Any, Any],
        sign_in: NamedDependency[SignIn],
        throttles: NamedDependency[Throttles],
    ) -> Response[None]:
        """Take the provider's answer, open the session and go on to where the person wanted to go."""
        visitor = _visitor(request, throttles)
        await throttles.count("callback", visitor)
        try:
            finished = await sign_in.finish(
                request.scope["query_string"],
                browser=request.cookies.get(FLOW_COOKIE),
                replaces=request.cookies.get(SESSION_COOKIE),
                device=device_of(request.headers.get("user-agent", "")),
            )
        except (Malformed, Unauthenticated):
            await throttles.count("failures", visitor)
            raise
        answer = _go(finished.return_to, _cookie(SESSION_COOKIE, finished.secret))
        if throttles.known_device(request.cookies.get(DEVICE_COOKIE)) is None:
            answer.cookies.append(_cookie(DEVICE_COOKIE, throttles.new_device(), max_age=DEVICE_LIFE_S))
        return answer

    @post(
        "/sign-out",
        operation_id="signOut",
        status_code=HTTP_303_SEE_OTHER,
        opt={"public": True, "replies": {204: "An app's token has ended"}},
    )
    async def sign_out(self, request: Request[Any, Any, Any], sign_in: NamedDependency[SignIn]) -> Response[None]:
        """End the session here and at the provider; an app's token is ended with 204 and no redirect."""
        session = session_of(request)
        location = "/" if session is None else await sign_in.sign_out(session)
        if session is not None and session.kind == "bearer":
            return Response(None, status_code=HTTP_204_NO_CONTENT)
        return _go(location, _cookie(SESSION_COOKIE, "", max_age=0))

    @get("/jwks.json", operation_id="getKeys", opt={"public": True})
    async def keys(self, sessions: NamedDependency[Sessions]) -> Response[dict[str, Any]]:
        """The public keys onestop's bearer tokens are checked with."""
        return Response(sessions.jwks(), headers={"cache-control": "public, max-age=300"})

    @get("/client-jwks.json", operation_id="getClientKeys", opt={"public": True})
    async def client_keys(self, sign_in: NamedDependency[SignIn]) -> Response[dict[str, Any]]:
        """The public keys onestop signs its requests to sign-in providers with, and is written to with."""
        return Response(sign_in.client_jwks(), headers={"cache-control": "public, max-age=300"})


class MeController(Controller):
    """The one who asks."""

    path = "/v1/me"
    tags = ("identity",)
    opt = {"roles": EVERY_ROLE}  # noqa: RUF012 - litestar's name and type

    @get("/", operation_id="getMe", opt={"express": True, "acting": True})
    async def me(self, sessions: NamedDependency[Sessions], session: NamedDependency[Session]) -> Me:
        """Who you are to onestop; your number is masked."""
        return await sessions.me(session)

    @get("/sessions", operation_id="listMySessions")
    async def own(self, sessions: NamedDependency[Sessions], session: NamedDependency[Session]) -> OwnSessions:
        """Where you are signed in, newest first."""
        return await sessions.list_own(session)

    @delete("/sessions/{session_id:str}", operation_id="endMySession")
    async def end(
        self, sessions: NamedDependency[Sessions], session: NamedDependency[Session], session_id: FromPath[str]
    ) -> None:
        """End one of your own sessions; it is refused everywhere within two seconds."""
        await sessions.revoke_own(session, session_id)

    @delete("/sessions", operation_id="endMyOtherSessions", status_code=200)
    async def end_others(self, sessions: NamedDependency[Sessions], session: NamedDependency[Session]) -> Ended:
        """End all your sessions but this one; they are refused everywhere within two seconds."""
        return Ended(ended=await sessions.revoke_others(session))

    @get("/links", operation_id="listMyLinks")
    async def links(self, sign_in: NamedDependency[SignIn], session: NamedDependency[Session]) -> LinkList:
        """The network numbers bound to you."""
        return await sign_in.links.own(session)

    @delete("/links/{link_id:str}", operation_id="endMyLink")
    async def unbind(
        self, sign_in: NamedDependency[SignIn], session: NamedDependency[Session], link_id: FromPath[str]
    ) -> None:
        """End a binding: that network number is an account of its own again."""
        await sign_in.links.unbind(session, link_id)


class TokenController(Controller):
    """Tokens of apps: by name, for developers of the demo and the sandbox, and refreshed."""

    path = "/v1/auth"
    tags = ("identity",)

    @post(
        "/tokens",
        operation_id="askToken",
        status_code=HTTP_201_CREATED,
        opt={"public": True, "refusals": (404, 429)},
    )
    async def ask(
        self,
        request: Request[Any, Any, Any],
        token_desk: NamedDependency[TokenDesk],
        throttles: NamedDependency[Throttles],
        data: JSONBody[AskToken],
    ) -> Token:
        """Get a bearer token for a demo person; refused in production."""
        await throttles.count("tokens", _visitor(request, throttles))
        return await token_desk.ask(data)

    @post("/refreshes", operation_id="refreshToken", status_code=200, opt={"public": True, "refusals": (401, 429)})
    async def refresh(
        self,
        request: Request[Any, Any, Any],
        app_sessions: NamedDependency[AppSessions],
        throttles: NamedDependency[Throttles],
        data: JSONBody[Refresh],
    ) -> Response[Token]:
        """Change a refresh token, which is used once, for the next pair.

        The same one within 30 seconds brings the same successor, for a reply that was lost. One that was used before
        ends the session: somebody else has it.
        """
        visitor = _visitor(request, throttles)
        await throttles.count("refreshes", visitor)
        try:
            pair = await app_sessions.refresh(data.refresh_token)
        except Unauthenticated:
            await throttles.count("failures", visitor)
            raise
        return Response(pair, headers={"cache-control": "no-store"})


# SignInController is for browsers: the pages take it, so that its refusals are pages.
CONTROLLERS = [MeController, TokenController]


def _visitor(request: Request[Any, Any, Any], throttles: Throttles) -> str:
    client = request.scope.get("client")
    forwarded = request.headers.getall("x-forwarded-for", [])
    return throttles.visitor(client[0] if client else None, forwarded, request.cookies.get(DEVICE_COOKIE))


def _cookie(name: str, value: str, max_age: int | None = None) -> Cookie:
    # SameSite=Lax: the provider's redirect back is a top-level GET from another site and must bring the flow's cookie.
    return Cookie(key=name, value=value, max_age=max_age, secure=True, httponly=True, samesite="lax")


def _go(location: str, cookie: Cookie) -> Response[None]:
    headers = {"location": location, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(None, status_code=HTTP_303_SEE_OTHER, headers=headers, cookies=[cookie])


def _language(request: Request[Any, Any, Any]) -> str:
    wanted = request.headers.get("accept-language", "").lower()
    return "en" if wanted.startswith("en") else "zh-CN"
