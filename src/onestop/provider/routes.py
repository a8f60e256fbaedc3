"""Controllers of the provider's endpoints; they are handed `provider` by name.

What a client reads follows RFC 6749, 5.2; what a person reads, who was sent here by a site that cannot be answered, is
a page like any other refusal.
"""

from typing import Any
from urllib.parse import urlencode

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import URLEncodedBody
from litestar.status_codes import HTTP_201_CREATED, HTTP_303_SEE_OTHER

from onestop.http.models import Context
from onestop.identity.access import session_of
from onestop.identity.models import SESSION_COOKIE
from onestop.provider import metadata, rules
from onestop.provider.callers import Shown
from onestop.provider.errors import RequestRefused
from onestop.provider.models import Introspection, Pushed, TokenAnswer
from onestop.provider.refusals import HANDLERS
from onestop.provider.service import Provider

_OPEN: dict[str, Any] = {"public": True}
_ENDPOINT: dict[str, Any] = {**_OPEN, "max_body": 32_768}
_BY_FORM: dict[str, Any] = {**_OPEN, "max_body": 8192}
_KEPT_AN_HOUR = {"cache-control": "public, max-age=3600"}


class SignInAtController(Controller):
    """Where sites send people: the browser's side of the provider."""

    path = "/oauth"
    include_in_schema = False  # discovery describes them, and their refusals are OAuth's

    @get("/authorize", operation_id="authorize", status_code=HTTP_303_SEE_OTHER, opt=_OPEN)
    async def authorize(self, request: Request[Any, Any, Any], op: NamedDependency[Provider]) -> Response[None]:
        """Sign somebody in at a site: back there with a code, or to sign in here first."""
        query = request.query_params.dict()
        told = {name: values[0] if len(values) == 1 else values for name, values in query.items()}
        return _go(await op.authorizing.answer(told, session_of(request)))

    @post("/authorize", operation_id="authorizeByForm", status_code=HTTP_303_SEE_OTHER, opt=_BY_FORM)
    async def authorize_by_form(self, data: URLEncodedBody[dict[str, Any]]) -> Response[None]:
        """The same from a form (OpenID Connect Core, 3.1.2.1): asked for again by GET, with which the cookie comes."""
        return _by_get("/oauth/authorize", data)

    @get("/end-session", operation_id="endSession", status_code=HTTP_303_SEE_OTHER, opt=_OPEN)
    async def end_session(
        self, request: Request[Any, Any, Any], op: NamedDependency[Provider]
    ) -> Response[None]:  # fmt: skip
        """Sign out at onestop and every site, when a site sends somebody for it (RP-Initiated Logout)."""
        query = request.query_params.dict()
        told = {name: values[0] if len(values) == 1 else values for name, values in query.items()}
        location, ended = await op.leaving.end(told, session_of(request))
        gone = _go(location)
        if ended:
            gone.delete_cookie(SESSION_COOKIE)
        return gone

    @post("/end-session", operation_id="endSessionByForm", status_code=HTTP_303_SEE_OTHER, opt=_BY_FORM)
    async def end_session_by_form(self, data: URLEncodedBody[dict[str, Any]]) -> Response[None]:
        """The same from a form."""
        return _by_get("/oauth/end-session", data)


class ProviderController(Controller):
    """Endpoints that sites' own programs call."""

    path = "/oauth"
    include_in_schema = False  # discovery describes them, and their refusals are OAuth's
    exception_handlers = HANDLERS

    @post("/par", operation_id="pushRequest", status_code=HTTP_201_CREATED, opt=_ENDPOINT)
    async def push(
        self,
        request: Request[Any, Any, Any],
        op: NamedDependency[Provider],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Pushed]:
        """Tell a request before sending somebody with it; it is known by `request_uri` for 90 seconds, once."""
        shown = _shown(request, op, data)
        client = await op.callers.identify(shown)
        jkt = None
        if shown.proof is not None:
            jkt = await op.proofs.check(shown.proof, method=shown.method, url=shown.url)
        return Response(await op.authorizing.push(client, shown.form, jkt), headers=_headers(op, shown))

    @post("/token", operation_id="giveTokens", status_code=200, opt=_ENDPOINT)
    async def token(
        self,
        request: Request[Any, Any, Any],
        op: NamedDependency[Provider],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[TokenAnswer]:
        """Change a code, a refresh token or somebody's access token for tokens; the first two are taken once."""
        shown = _shown(request, op, data)
        return Response(await op.tokens.give(shown), headers=_headers(op, shown))

    @get("/userinfo", operation_id="getUserinfo", opt=_OPEN)
    async def userinfo(
        self, request: Request[Any, Any, Any], context: NamedDependency[Context], op: NamedDependency[Provider]
    ) -> Response[dict[str, Any]]:
        """What a site may know of the person, by the purposes it asked for; each answer stands in their data use."""
        shown = _shown(request, op, {})
        told = await op.telling.userinfo(shown, context.trace_id)
        return Response(told, headers=_headers(op, shown))

    @post("/userinfo", operation_id="getUserinfoByPost", status_code=200, opt=_OPEN)
    async def userinfo_by_post(
        self, request: Request[Any, Any, Any], context: NamedDependency[Context], op: NamedDependency[Provider]
    ) -> Response[dict[str, Any]]:
        """The same by POST (OpenID Connect Core, 5.3); the token is in the header there too."""
        shown = _shown(request, op, {})
        told = await op.telling.userinfo(shown, context.trace_id)
        return Response(told, headers=_headers(op, shown))

    @post("/introspect", operation_id="introspectToken", status_code=200, opt=_ENDPOINT)
    async def introspect(
        self,
        request: Request[Any, Any, Any],
        op: NamedDependency[Provider],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Introspection:
        """What a token is worth now, for the client it was given to or the department it is for."""
        return await op.telling.introspect(_shown(request, op, data))

    @post("/revoke", operation_id="revokeToken", status_code=200, opt=_ENDPOINT)
    async def revoke(
        self,
        request: Request[Any, Any, Any],
        op: NamedDependency[Provider],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[None]:
        """End a token, and with it all that came of the same sign-in; it holds nowhere from then on."""
        await op.telling.revoke(_shown(request, op, data))
        return Response(None, headers={"cache-control": "no-store"})

    @get("/jwks.json", operation_id="getProviderKeys", opt=_OPEN)
    async def keys(self, op: NamedDependency[Provider]) -> Response[dict[str, Any]]:
        """The public keys that tokens given to sites are checked with."""
        return Response(op.issuer.signing.jwks(), headers={"cache-control": "public, max-age=300"})


@get("/.well-known/openid-configuration", operation_id="getProviderMetadata", include_in_schema=False, opt=_OPEN)
async def discover(op: NamedDependency[Provider]) -> Response[dict[str, Any]]:
    """What the provider offers, and where (OpenID Connect Discovery)."""
    return Response(metadata.document(op.issuer.name), headers=_KEPT_AN_HOUR)


@get("/.well-known/oauth-authorization-server", operation_id="getServerMetadata", include_in_schema=False, opt=_OPEN)
async def discover_server(op: NamedDependency[Provider]) -> Response[dict[str, Any]]:
    """The same for clients that know only RFC 8414."""
    return Response(metadata.document(op.issuer.name), headers=_KEPT_AN_HOUR)


def _shown(request: Request[Any, Any, Any], op: Provider, form: dict[str, Any]) -> Shown:
    session = session_of(request)
    proofs = request.headers.getall("dpop", [])
    if len(proofs) > 1:
        raise RequestRefused("invalid_dpop_proof", "proof_twice")
    return Shown(
        method=str(request.method),
        url=op.issuer.name + request.url.path,
        form=rules.single(form),
        authorization=request.headers.get("authorization"),
        proof=proofs[0] if proofs else None,
        certificate=op.certificates.shown(request.scope),
        machine=session if session is not None and session.kind == "machine" else None,
    )


def _headers(op: Provider, shown: Shown) -> dict[str, str]:
    """Return the headers of an answer that holds tokens or claims; who proved a key gets the next nonce with it."""
    headers = {"cache-control": "no-store"}
    return headers if shown.proof is None else headers | {"dpop-nonce": op.proofs.nonce()}


def _by_get(path: str, form: dict[str, Any]) -> Response[None]:
    # A form from a site comes without the session's cookie (SameSite=Lax); going somewhere by GET brings it.
    return _go(f"{path}?{urlencode(form, doseq=True)}")


def _go(location: str) -> Response[None]:
    headers = {"location": location, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(None, status_code=HTTP_303_SEE_OTHER, headers=headers)


CONTROLLERS = [ProviderController, discover, discover_server]
