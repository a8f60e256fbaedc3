"""The demo's national identity platform (国家政务服务平台统一身份认证): a small OpenID provider, a process of its own.

`python -m onestop.demo.identity_provider --port N --state DIR --portal URL`. The code flow is a real one: exact
redirect address, PKCE S256, codes used once, ES256 ID tokens. Only the asking is missing: whoever opens the page
picks a person.
"""

import argparse
import hashlib
import hmac
import os
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
import uvicorn
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749.util import extract_basic_authorization
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core.util import create_half_hash
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State

from onestop.demo.accounts import Account, Registration, accounts, register
from onestop.demo.identity_page import frame, people_page, say
from onestop.texts import Language

_PENDING_S, _CODE_S, _TOKEN_S = 600, 60, 300
ACRS = ("level1", "level2", "level3")  # weakest first
_SCOPES = ("openid", "profile", "id_number", "staff")
T = TypeVar("T")
Call = Request[Any, Any, State]


class Shelf(Generic[T]):
    """Things kept under a random name for a while, at most 1,000 of them."""

    def __init__(self, life_s: float) -> None:
        self._life_s = life_s
        self._kept: dict[str, tuple[float, T]] = {}

    def put(self, thing: T) -> str:
        """Keep a thing and return its name; the oldest makes room."""
        while len(self._kept) >= 1000:
            del self._kept[next(iter(self._kept))]
        name = secrets.token_urlsafe(32)
        self._kept[name] = (time.monotonic() + self._life_s, thing)
        return name

    def get(self, name: str | None, *, take: bool = False) -> T | None:
        """Return a thing by its name, taking it away where wanted; None where it is not or no more."""
        found = self._kept.pop(name or "", None) if take else self._kept.get(name or "")
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def drop(self, name: str) -> None:
        """Take a thing away."""
        self._kept.pop(name, None)


class Asked(msgspec.Struct, frozen=True):
    """An authorization request whose parameters hold."""

    client: Registration
    redirect_uri: str
    state: str
    nonce: str | None
    challenge: str
    scopes: tuple[str, ...]
    acrs: tuple[str, ...] = ACRS  # the ways to prove oneself that are good enough


class Granted(msgspec.Struct):
    """What a code stands for; `token` is set once it was used."""

    asked: Asked
    account: Account
    auth_time: int
    acr: str
    token: str | None = None


class Refused(Exception):
    """An error in the words of RFC 6749; without `back` it is shown, not sent to the client."""

    def __init__(self, error: str, why: str, back: str | None = None, status: int = 400) -> None:
        super().__init__(why)
        self.error, self.why, self.back, self.status = error, why, back, status


class Platform:
    """The identity provider of the portal's clients, all in memory but its key."""

    def __init__(self, registrations: Sequence[Registration], portal: str, key: ECKey) -> None:
        self.clients = {one.client_id: one for one in registrations}
        self.issuer, self.key = registrations[0].issuer, key
        self.portal = portal.rstrip("/")
        self.redirect_uri = self.portal + "/auth/callback"
        self.home = self.portal + "/"
        self.pending: Shelf[Asked] = Shelf(_PENDING_S)
        self.codes: Shelf[Granted] = Shelf(_CODE_S)
        self.tokens: Shelf[Granted] = Shelf(_TOKEN_S)

    def metadata(self) -> dict[str, Any]:
        """Return the discovery document."""
        at = self.issuer
        return {
            "issuer": at,
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/token",
            "jwks_uri": f"{at}/jwks",
            "userinfo_endpoint": f"{at}/userinfo",
            "end_session_endpoint": f"{at}/end_session",
            "scopes_supported": list(_SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["pairwise"],
            "acr_values_supported": list(ACRS),
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "ui_locales_supported": ["zh-CN", "en"],
        }

    def ask(self, told: Mapping[str, str]) -> str:
        """Check an authorization request and return the name it is kept under.

        Raises:
            Refused: with `back` only once client and redirect address are known to be right.
        """
        client = self.clients.get(told.get("client_id", ""))
        if client is None or told.get("redirect_uri") != self.redirect_uri:
            raise Refused("invalid_request", "unknown client or redirect address")
        state = told.get("state", "")

        def refuse(error: str, why: str) -> Refused:
            return Refused(error, why, self.answer(state, error=error))

        if told.get("response_type") != "code":
            raise refuse("unsupported_response_type", "only the code flow is offered")
        scopes = tuple(s for s in told.get("scope", "").split() if s in client.scopes)
        if "openid" not in scopes:
            raise refuse("invalid_scope", "openid is missing")
        if told.get("code_challenge_method") != "S256" or len(told.get("code_challenge", "")) != 43:
            raise refuse("invalid_request", "PKCE with S256 is required")
        asked = told.get("acr_values", "").split()
        acrs = tuple(acr for acr in ACRS if not asked or acr in asked)
        if not acrs:
            raise refuse("unmet_authentication_requirements", "none of these acr_values is offered")
        return self.pending.put(
            Asked(client, self.redirect_uri, state, told.get("nonce"), told["code_challenge"], scopes, acrs)
        )

    def answer(self, state: str, **told: str) -> str:
        """Return the redirect back to the portal."""
        url: str = add_params_to_uri(self.redirect_uri, [*told.items(), ("state", state), ("iss", self.issuer)])
        return url

    def choose(self, told: Mapping[str, str]) -> str:
        """Take the person picked for a kept request and return the redirect back."""
        asked = self.pending.get(told.get("request"), take=True)
        if asked is None:
            raise Refused("invalid_request", "this page is over; begin again")
        account = next((a for a in accounts() if a.key == told.get("person")), None)
        if account is None:
            return self.answer(asked.state, error="access_denied")
        # The page offers only what is good enough; whoever sends something else has proved the least of it.
        acr = told.get("acr", asked.acrs[-1])
        granted = Granted(asked, account, int(time.time()), acr if acr in asked.acrs else asked.acrs[0])
        return self.answer(asked.state, code=self.codes.put(granted))

    def redeem(self, told: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """Change a code for tokens.

        Raises:
            Refused: in the words of RFC 6749, 5.2.
        """
        client = self._authenticate(told, headers)
        if told.get("grant_type") != "authorization_code":
            raise Refused("unsupported_grant_type", "only codes are taken")
        granted = self.codes.get(told.get("code"))
        if granted is None or granted.asked.client.client_id != client.client_id:
            raise Refused("invalid_grant", "no such code")
        if granted.token is not None:
            self.tokens.drop(granted.token)  # a code shown twice was stolen: what it bought is worthless
            raise Refused("invalid_grant", "the code was used")
        granted.token = ""  # used, whatever comes of it
        verifier = told.get("code_verifier", "")
        if told.get("redirect_uri") != granted.asked.redirect_uri or not verifier.isascii():
            raise Refused("invalid_grant", "another redirect address")
        if not hmac.compare_digest(create_s256_code_challenge(verifier), granted.asked.challenge):
            raise Refused("invalid_grant", "the code verifier does not fit")
        granted.token = self.tokens.put(granted)
        return {
            "access_token": granted.token,
            "token_type": "Bearer",
            "expires_in": _TOKEN_S,
            "scope": " ".join(granted.asked.scopes),
            "id_token": self._id_token(granted, granted.token),
        }

    def claims(self, granted: Granted) -> dict[str, Any]:
        """Return what the scopes asked for tell of the person."""
        account, scopes = granted.account, granted.asked.scopes
        told: dict[str, Any] = {"sub": _subject(granted.asked.client, account)}
        if "profile" in scopes:
            told["name"] = account.name
        if "id_number" in scopes and account.id_number is not None:
            told["id_number"] = {"type": "citizen_id", "number": account.id_number}
        if "staff" in scopes and account.role != "citizen":
            told |= {"role": account.role, "department": account.department}
        return told

    def signed_out(self, told: Mapping[str, str]) -> str | None:
        """Return where to go after signing out; None where the portal did not ask for its registered address."""
        hint = told.get("id_token_hint")
        if hint is None or told.get("post_logout_redirect_uri") != self.home:
            return None
        try:
            audience = jwt.decode(hint, self.key, algorithms=["ES256"]).claims.get("aud")
        except (JoseError, ValueError):
            return None
        return self.home if audience in self.clients else None

    def _authenticate(self, told: Mapping[str, str], headers: Mapping[str, str]) -> Registration:
        client, secret = extract_basic_authorization({"Authorization": headers.get("authorization", "")})
        if client is None:
            client, secret = told.get("client_id"), told.get("client_secret")
        right = self.clients.get(client or "")
        if right is None or not hmac.compare_digest((secret or "").encode(), right.client_secret.encode()):
            raise Refused("invalid_client", "unknown client or wrong secret", status=401)
        return right

    def _id_token(self, granted: Granted, access_token: str) -> str:
        now = int(time.time())
        claims = self.claims(granted) | {
            "iss": self.issuer,
            "aud": granted.asked.client.client_id,
            "iat": now,
            "exp": now + _TOKEN_S,
            "auth_time": granted.auth_time,
            "acr": granted.acr,
            "at_hash": create_half_hash(access_token, "ES256").decode(),
        }
        if granted.asked.nonce is not None:
            claims["nonce"] = granted.asked.nonce
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key, ["ES256"])


def _subject(client: Registration, account: Account) -> str:
    """Return a name for the person that means nothing to anybody but this client."""
    material = f"{client.client_id}\0{account.key}".encode()
    return urlsafe_b64encode(hmac.digest(client.client_secret.encode(), material, hashlib.sha256)).rstrip(b"=").decode()


@get("/.well-known/openid-configuration")
async def metadata(state: State) -> dict[str, Any]:
    """Serve the discovery document."""
    told: dict[str, Any] = state.platform.metadata()
    return told


@get("/jwks")
async def jwks(state: State) -> dict[str, Any]:
    """Serve the public key."""
    return {"keys": [state.platform.key.as_dict(private=False, use="sig", alg="ES256")]}


@get("/authorize")
async def authorize(request: Call, state: State) -> Response[str]:
    """Show the page on which a person is picked."""
    told = _pairs(request.scope["query_string"])
    return _page(_people(state.platform, told, request), state.platform)


def _people(platform: Platform, told: Mapping[str, str], request: Call) -> str:
    name = platform.ask(told)
    asked = platform.pending.get(name)
    return people_page(name, asked.acrs if asked else ACRS, _lang(told, request))


@post("/authorize", status_code=303)
async def choose(request: Call, state: State) -> Response[None]:
    """Send the browser back with a code for the person picked."""
    return _redirect(state.platform.choose(_pairs(await request.body())))


@post("/token", status_code=200)
async def token(request: Call, state: State) -> Response[dict[str, Any]]:
    """Change a code for tokens."""
    told = state.platform.redeem(_pairs(await request.body()), dict(request.headers))
    return Response(told, headers={"cache-control": "no-store", "pragma": "no-cache"})


@get("/userinfo")
async def userinfo(request: Call, state: State) -> Response[dict[str, Any]]:
    """Tell the bearer of an access token whom it is about."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    granted = state.platform.tokens.get(shown) if scheme.lower() == "bearer" else None
    if granted is None:
        return Response({"error": "invalid_token"}, status_code=401, headers={"www-authenticate": "Bearer"})
    return Response(state.platform.claims(granted), headers={"cache-control": "no-store"})


@get("/end_session")
async def end_session(request: Call, state: State) -> Response[Any]:
    """Sign out: there is no session here, so only the way back matters."""
    told = _pairs(request.scope["query_string"])
    back = state.platform.signed_out(told)
    if back is not None:
        return _redirect(back)
    lang = _lang(told, request)
    return _page(frame(lang, f"<h1>{say('signed_out', lang)}</h1>"), state.platform)


def _refused(request: Call, fault: Refused) -> Response[Any]:
    if fault.back is not None:
        return _redirect(fault.back)
    if request.url.path == "/token":
        headers = {"www-authenticate": "Basic"} if fault.status == 401 else {}
        told = {"error": fault.error, "error_description": fault.why}
        return Response(told, status_code=fault.status, headers=headers | {"cache-control": "no-store"})
    lang = _lang({}, request)
    body = f"<h1>{say('refused', lang)}</h1><p>{escape(fault.why)}</p>"
    return _page(frame(lang, body), request.app.state.platform, status=fault.status)


def _pairs(encoded: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(encoded.decode("ascii"), max_num_fields=40)
    except ValueError as cause:
        raise Refused("invalid_request", "unreadable parameters") from cause
    told = dict(pairs)
    if len(told) != len(pairs):
        raise Refused("invalid_request", "a parameter stands twice")
    return told


def _lang(told: Mapping[str, str], request: Call) -> Language:
    wanted = told.get("ui_locales") or request.headers.get("accept-language") or ""
    return "en" if wanted.lower().startswith("en") else "zh"


def _page(html: str, platform: Platform, status: int = 200) -> Response[str]:
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(platform.portal))
    # A browser holds the redirect after a form to form-action as well, so the portal is named there.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {origin}; frame-ancestors 'none'"
    headers = {"content-security-policy": policy, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return Response(html, status_code=status, media_type="text/html", headers=headers)


def _redirect(location: str) -> Response[None]:
    return Response(None, status_code=303, headers={"location": location, "cache-control": "no-store"})


def create_app(platform: Platform) -> Litestar:
    """Return the platform as an application."""
    return Litestar(
        [metadata, jwks, authorize, choose, token, userinfo, end_session],
        state=State({"platform": platform}),
        exception_handlers={Refused: _refused},
        openapi_config=None,
        request_max_body_size=65_536,
    )


def load_key(state: Path) -> ECKey:
    """Read the platform's signing key, making it at the first start."""
    path = state / "identity-provider.key"
    if not path.exists():
        fresh = ECKey.generate_key("P-256", private=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(fresh.as_dict(private=True)))
    key = ECKey.import_key(msgspec.json.decode(path.read_bytes()))
    key.ensure_kid()
    return key


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m onestop.demo.identity_provider")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--portal", required=True)
    told = parser.parse_args()
    registration = register(told.state, told.port)
    app = create_app(Platform(registration, told.portal, load_key(told.state)))
    uvicorn.run(app, host="127.0.0.1", port=told.port, log_level="warning", access_log=False, server_header=False)


if __name__ == "__main__":
    main()
