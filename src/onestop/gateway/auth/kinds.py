"""How a request shows a department who is calling, as the manifest's `[auth]` and `[always]` declare it.

Signing never waits; only a missing token does. What a manifest or an environment lacks is said when a line is opened.
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from onestop.gateway.auth.body import add_members
from onestop.gateway.auth.credentials import Credentials, Exchange, TokenRefused
from onestop.gateway.auth.http_signature import MessageSigning
from onestop.gateway.auth.jwt import SelfSigning
from onestop.gateway.auth.keys import Secrets, naming, secret
from onestop.gateway.auth.recipes import Attempt, Headers, Kitchen, Outgoing
from onestop.gateway.auth.signed import Signing
from onestop.gateway.auth.tokens import LoginTokens, OAuthTokens, basic
from onestop.gateway.auth.vouching import Vouching
from onestop.gateway.auth.ws_security import UsernameToken
from onestop.gateway.manifest import Manifest
from onestop.gateway.manifest_auth import (
    ApiKey,
    Basic,
    ClientCredentials,
    HttpSignature,
    Login,
    OnestopToken,
    SelfSigned,
    Signed,
    WsSecurity,
)

__all__ = ("Credentials", "Exchange", "Outgoing", "Secrets", "TokenRefused", "always", "credentials")


class _Fixed(Credentials):
    def __init__(self, headers: Headers, query: str = "") -> None:
        self._headers, self._query = headers, query

    def apply(self, out: Outgoing) -> None:
        out.headers += self._headers
        if self._query:
            out.add_query(self._query)


class _Member(Credentials):
    def __init__(self, name: str, value: str) -> None:
        self._members = [(name, value)]

    def apply(self, out: Outgoing) -> None:
        add_members(out, self._members)


def credentials(
    manifest: Manifest,
    told: Secrets,
    exchange: Exchange,
    *,
    config: Mapping[str, str] | None = None,
    address: str = "",
    token_url: str = "",
) -> Credentials:
    """Make what the manifest's `[auth]` asks for from what is told for this environment.

    `exchange` asks for tokens: at `token_url` where the environment tells one, else below the department's `address`.

    Raises:
        BadManifest: a secret or a constant is missing, a recipe names an unknown place, or a key is of the wrong
            kind; says which, and for which adapter.
    """
    kitchen = Kitchen(told, config or {})
    with naming(manifest.id):
        return _made(manifest, kitchen, exchange, address, token_url)


def _made(manifest: Manifest, kitchen: Kitchen, exchange: Exchange, address: str, token_url: str) -> Credentials:
    auth, told = manifest.auth, kitchen.told
    match auth:
        case ApiKey():
            return _api_key(auth, told)
        case Basic():
            return _Fixed([("Authorization", basic(secret(told, "username"), secret(told, "password")))])
        case ClientCredentials():
            return OAuthTokens(auth, kitchen, manifest.tls, exchange, address, token_url)
        case Login():
            return LoginTokens(auth, kitchen, exchange, address, token_url)
        case SelfSigned():
            return SelfSigning(auth, kitchen)
        case Signed():
            return Signing(auth, kitchen)
        case HttpSignature():
            return MessageSigning(auth, kitchen)
        case WsSecurity():
            return UsernameToken(auth, kitchen)
        case OnestopToken():
            return Vouching(auth, manifest.id, told)
    return Credentials()


def _api_key(auth: ApiKey, told: Secrets) -> Credentials:
    value = auth.prefix + secret(told, "api_key")
    if auth.place == "header":
        return _Fixed([(auth.name, value)])
    if auth.place == "query":
        return _Fixed([], urlencode({auth.name: value}))
    return _Member(auth.name, value)


def always(
    manifest: Manifest, told: Secrets, config: Mapping[str, str] | None = None
) -> Callable[[Outgoing], None] | None:
    """Return what adds the headers and the query that every request carries; None where there are none.

    Raises:
        BadManifest: as `credentials`.
    """
    kitchen = Kitchen(told, config or {})
    with naming(manifest.id):
        headers = kitchen.table(manifest.always.headers, "always.headers")
        query = kitchen.table(manifest.always.query, "always.query")
    if not headers and not query:
        return None

    def add(out: Outgoing) -> None:
        at = Attempt(out)
        out.headers += [(name, recipe.fill(at)) for name, recipe in headers]
        if query:
            out.add_query(urlencode([(name, recipe.fill(at)) for name, recipe in query]))

    return add
