"""Tokens that are fetched: OAuth 2 client credentials, and logins as departments have them.

A token is fetched once for all who wait, renewed in the background before it ends, and dropped when it is refused.
"""

import asyncio
import base64
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import structlog

from onestop.gateway.auth.body import add_members
from onestop.gateway.auth.credentials import Credentials, Exchange, TokenRefused
from onestop.gateway.auth.jwt import assertion, jwt_signer
from onestop.gateway.auth.keys import secret
from onestop.gateway.auth.recipes import Attempt, Kitchen, Outgoing
from onestop.gateway.manifest_auth import ClientCredentials, Login, Tls
from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.language import MappingFailed, expression
from onestop.outbound.decoding import decode_json
from onestop.outbound.errors import BadBody

log = structlog.get_logger(__name__)

_FORM = "application/x-www-form-urlencoded"
_TOKEN = frozenset(("token",))
# One that is refused again so soon after it was fetched anew is not the reason; no flood of fetching for that.
_BELIEVED_S = 10.0
_AGAIN_S = 5.0  # between attempts to renew in the background
_MOST_TOKEN = 16_384
_LONGEST_S = 30 * 86400.0


class Tokens(Credentials, ABC):
    """Holds one token; what is below says how it is fetched and carried."""

    def __init__(self) -> None:
        self._token = ""
        self._renew_at = self._until = self._believed_until = 0.0  # monotonic
        self._fetching: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:  # type: ignore[override]  # a fixed fact of the others, a state here
        return time.monotonic() < self._until

    async def prepare(self) -> None:
        # Shielded: one caller's end of time does not take the token from the others.
        await asyncio.shield(self._fetch_once())

    def spoiled(self, mark: int) -> bool:
        if mark != self.mark or not self.ready:
            return True  # a newer one is here, or on its way
        now = time.monotonic()
        if now < self._believed_until:
            return False
        self._until, self._believed_until = 0.0, now + _BELIEVED_S
        return True

    def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()

    @abstractmethod
    async def _fetch(self) -> tuple[str, float]:
        """Return a token and its life in seconds."""

    def _renew_in_time(self) -> None:
        """Begin to renew where it is time to; asked at every use, so that an unused token is let go."""
        now = time.monotonic()
        if now >= self._renew_at and (self._fetching is None or self._fetching.done()):
            self._renew_at = now + _AGAIN_S
            self._fetch_once().add_done_callback(_heard)

    def _fetch_once(self) -> "asyncio.Task[None]":
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.get_running_loop().create_task(self._take())
        return self._fetching

    async def _take(self) -> None:
        token, life_s = await self._fetch()
        now = time.monotonic()
        life_s = min(max(life_s, 1.0), _LONGEST_S) if life_s == life_s else 1.0
        self._token = token
        self._until = now + life_s - min(5.0, life_s / 10)
        self._renew_at = now + life_s - min(60.0, life_s / 4)
        self.mark += 1


def _heard(task: "asyncio.Task[None]") -> None:
    """Take note of a renewal that failed; the present token serves on."""
    if not task.cancelled() and (fault := task.exception()) is not None:
        log.warning("token_not_renewed", fault=type(fault).__name__)


class _TokenAnswer(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a word, not a secret
    expires_in: float | str = 300.0  # some tell it as text


class OAuthTokens(Tokens):
    """A bearer token by client credentials (RFC 6749, 7523, 8705)."""

    def __init__(
        self, spec: ClientCredentials, kitchen: Kitchen, tls: Tls, exchange: Exchange, address: str, token_url: str
    ) -> None:
        super().__init__()
        self._target = _target(token_url) or spec.token_path
        self._exchange = exchange
        self._form = {"grant_type": "client_credentials", **spec.extra}
        told = {"scope": spec.scope, "audience": spec.audience, "resource": spec.resource}
        self._form |= {name: value for name, value in told.items() if value}
        self._prove = _client_auth(spec, kitchen, tls, token_url or address + spec.token_path)
        self._headers: list[tuple[str, str]] = []

    def apply(self, out: Outgoing) -> None:
        out.headers += self._headers
        self._renew_in_time()

    async def _fetch(self) -> tuple[str, float]:
        headers = [("Content-Type", _FORM), ("Accept", "application/json")]
        form = dict(self._form)
        self._prove(headers, form)
        status, body = await self._exchange("POST", self._target, headers, urlencode(form).encode())
        try:
            answer = decode_json(body, _TokenAnswer) if status == 200 else None
            life_s = float(answer.expires_in) if answer is not None else 0.0
        except (BadBody, ValueError):
            raise TokenRefused("the token endpoint's answer cannot be read") from None
        if answer is None or answer.token_type.lower() != "bearer" or not 0 < len(answer.access_token) <= _MOST_TOKEN:
            raise TokenRefused(f"the token endpoint answered {status}")
        self._headers = [("Authorization", f"Bearer {answer.access_token}")]
        return answer.access_token, life_s


def _target(token_url: str) -> str:
    told = urlsplit(token_url)
    return f"{told.path or '/'}{'?' if told.query else ''}{told.query}" if token_url else ""


Prove = Callable[[list[tuple[str, str]], dict[str, str]], None]


def _client_auth(spec: ClientCredentials, kitchen: Kitchen, tls: Tls, endpoint: str) -> Prove:
    told, client_id = kitchen.told, secret(kitchen.told, "client_id")
    if spec.client_auth == "basic":
        value = basic(quote(client_id, safe=""), quote(secret(told, "client_secret"), safe=""))
        return lambda headers, _: headers.append(("Authorization", value))
    if spec.client_auth == "post":
        members = {"client_id": client_id, "client_secret": secret(told, "client_secret")}
        return lambda _, form: form.update(members)
    if spec.client_auth == "tls":
        if not tls.client_certificate:
            raise BadManifest('auth.client_auth is "tls" but [tls] has no client_certificate')
        return lambda _, form: form.update({"client_id": client_id})
    shared = spec.client_auth == "client_secret_jwt"
    algorithm = "HS256" if shared and not spec.algorithm.startswith("HS") else spec.algorithm
    sign = jwt_signer(algorithm, told, "client_secret" if shared else "client_key")
    audience = spec.assertion_audience or endpoint
    return lambda _, form: form.update(assertion(sign, client_id, audience, int(time.time())))


def basic(user: str, password: str) -> str:
    """Return the value of an Authorization header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class LoginTokens(Tokens):
    """A token by a declared call, carried as declared."""

    def __init__(self, spec: Login, kitchen: Kitchen, exchange: Exchange, address: str, token_url: str) -> None:
        super().__init__()
        if not (spec.headers or spec.query or spec.body):
            raise BadManifest("auth: a login says by headers, query or body how a request carries the {token}")
        self._spec, self._exchange = spec, exchange
        at = urlsplit(token_url or address)
        self._origin, self._path = f"{at.scheme}://{at.netloc}", at.path if token_url else spec.path
        self._ask_headers = kitchen.table(spec.request_headers, "auth.request_headers")
        self._ask_query = kitchen.table(spec.request_query, "auth.request_query")
        self._ask_body = kitchen.table(spec.request_body, "auth.request_body")
        self._headers = kitchen.table(spec.headers, "auth.headers", _TOKEN)
        self._query = kitchen.table(spec.query, "auth.query", _TOKEN)
        self._body = kitchen.table(spec.body, "auth.body", _TOKEN)
        self._find = expression(spec.token, {})
        self._life = expression(spec.expires_in, {}) if spec.expires_in is not None else None

    def apply(self, out: Outgoing) -> None:
        at = Attempt(out, self._token)
        if self._query:
            out.add_query(urlencode([(name, recipe.fill(at)) for name, recipe in self._query]))
        if self._body:
            add_members(out, [(name, recipe.fill(at)) for name, recipe in self._body])
        out.headers += [(name, recipe.fill(at)) for name, recipe in self._headers]
        self._renew_in_time()

    async def _fetch(self) -> tuple[str, float]:
        out = self._question()
        status, body = await self._exchange(out.method, out.target, out.headers, out.body)
        if status not in (200, 201):
            raise TokenRefused(f"the login answered {status}")
        try:
            answer = decode_json(body)
            token = self._find(answer)
            told = self._life(answer) if self._life is not None else None
            life_s = self._spec.expires_s if told in (None, "") else float(told)
        except (BadBody, MappingFailed, TypeError, ValueError):
            raise TokenRefused("the login's answer cannot be read") from None
        if isinstance(token, bool) or not isinstance(token, str | int) or not 0 < len(str(token)) <= _MOST_TOKEN:
            raise TokenRefused("the login's answer holds no token")
        return str(token), life_s

    def _question(self) -> Outgoing:
        spec = self._spec
        out = Outgoing(spec.method, self._origin, self._path, "", [("Accept", "application/json")], b"")
        at = Attempt(out)
        out.query = urlencode([(name, recipe.fill(at)) for name, recipe in self._ask_query])
        if spec.codec != "none":
            out.headers.append(("Content-Type", "application/json" if spec.codec == "json" else _FORM))
            members: Any = [(name, recipe.fill(at)) for name, recipe in self._ask_body]
            add_members(out, members)
        out.headers += [(name, recipe.fill(at)) for name, recipe in self._ask_headers]
        return out
