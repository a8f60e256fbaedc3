"""How a request shows a department who is calling, as the manifest declares it.

Signing never waits; only a missing OAuth 2 token does, and that is fetched once for all who wait.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote, urlencode

import msgspec

from onestop.gateway.manifest import ApiKey, BadManifest, Basic, Callback, ClientCredentials, Manifest, Signed

Headers = list[tuple[str, str]]
Secrets = Mapping[str, str]
# (method, path, headers, body) -> (status, body): one call to the department that is not itself authenticated
Exchange = Callable[[str, str, Headers, bytes], Awaitable[tuple[int, bytes]]]

_RENEW_BEFORE_S = 30.0


class TokenRefused(Exception):
    """The department's token endpoint gave no token."""


class Credentials:
    """Makes the headers and the query of each request; `ready` is False while a token must be fetched first."""

    ready = True

    def apply(self, method: str, path: str, query: str, body: bytes) -> tuple[Headers, str]:
        """Return the headers to add and the query string to send."""
        return [], query

    async def prepare(self) -> None:
        """Fetch what `apply` needs.

        Raises:
            TokenRefused: the department would not.
        """

    def spoiled(self) -> None:
        """Note that the department no longer takes what `apply` gives."""


class _Fixed(Credentials):
    def __init__(self, headers: Headers, query: str = "") -> None:
        self._headers, self._query = headers, query

    def apply(self, method: str, path: str, query: str, body: bytes) -> tuple[Headers, str]:
        return self._headers, f"{query}&{self._query}" if query and self._query else query or self._query


class _Signing(Credentials):
    def __init__(self, recipe: Signed, app_key: str, secret: str) -> None:
        self._recipe, self._app_key, self._secret = recipe, app_key, secret.encode()
        # Hashing the body and encoding it as text are paid only where the recipe names them.
        text = recipe.base + "".join(recipe.headers.values())
        self._hash_body, self._whole_body = "{body_sha256}" in text, "{body}" in text

    def apply(self, method: str, path: str, query: str, body: bytes) -> tuple[Headers, str]:
        now = time.time()
        places = {
            "app_key": self._app_key,
            "timestamp": str(int(now)),
            "timestamp_ms": str(int(now * 1000)),
            "nonce": secrets.token_hex(12),
            "method": method,
            "path": path,
            "body": body.decode("utf-8", "surrogateescape") if self._whole_body else "",
            "body_sha256": hashlib.sha256(body).hexdigest() if self._hash_body else "",
        }
        base = self._recipe.base.format_map(places).encode("utf-8", "surrogateescape")
        mac = hmac.digest(self._secret, base, "sha256")
        places["signature"] = mac.hex() if self._recipe.encoding == "hex" else base64.b64encode(mac).decode()
        return [(name, value.format_map(places)) for name, value in self._recipe.headers.items()], query


class _Tokens(Credentials):
    """A bearer token by client credentials, kept until shortly before it expires."""

    def __init__(self, recipe: ClientCredentials, secrets_: Secrets, exchange: Exchange) -> None:
        self._recipe, self._secrets, self._exchange = recipe, secrets_, exchange
        self._headers: Headers = []
        self._until = 0.0
        self._fetching: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:  # type: ignore[override]  # a fixed fact of the others, a state here
        return time.monotonic() < self._until

    def apply(self, method: str, path: str, query: str, body: bytes) -> tuple[Headers, str]:
        return self._headers, query

    async def prepare(self) -> None:
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        # Shielded: one caller's end of time does not take the token from the others.
        await asyncio.shield(self._fetching)

    def spoiled(self) -> None:
        self._until = 0.0

    async def _fetch(self) -> None:
        form = {"grant_type": "client_credentials"}
        if self._recipe.scope:
            form["scope"] = self._recipe.scope
        headers: Headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
        client, secret = self._secrets["client_id"], self._secrets["client_secret"]
        if self._recipe.client_auth == "basic":
            headers.append(("Authorization", _basic(quote(client, safe=""), quote(secret, safe=""))))
        else:
            form |= {"client_id": client, "client_secret": secret}
        status, body = await self._exchange("POST", self._recipe.token_path, headers, urlencode(form).encode())
        try:
            answer = msgspec.json.decode(body, type=_TokenAnswer) if status == 200 else None
        except msgspec.DecodeError as fault:
            raise TokenRefused("the token endpoint's answer cannot be read") from fault
        if answer is None or answer.token_type.lower() != "bearer":
            raise TokenRefused(f"the token endpoint answered {status}")
        self._headers = [("Authorization", f"Bearer {answer.access_token}")]
        self._until = time.monotonic() + max(answer.expires_in - _RENEW_BEFORE_S, 1.0)


class _TokenAnswer(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - a word, not a secret
    expires_in: float = 300.0


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def credentials(manifest: Manifest, told: Secrets, exchange: Exchange) -> Credentials:
    """Make what the manifest's `[auth]` asks for from the secrets told for this environment.

    Raises:
        BadManifest: a secret is missing; says which.
    """
    auth = manifest.auth
    try:
        if isinstance(auth, ApiKey):
            if auth.place == "query":
                return _Fixed([], urlencode({auth.name: told["api_key"]}))
            return _Fixed([(auth.name, told["api_key"])])
        if isinstance(auth, Basic):
            return _Fixed([("Authorization", _basic(told["username"], told["password"]))])
        if isinstance(auth, Signed):
            return _Signing(auth, told["app_key"], told["app_secret"])
        if isinstance(auth, ClientCredentials):
            _ = told["client_id"], told["client_secret"]
            return _Tokens(auth, told, exchange)
    except KeyError as missing:
        raise BadManifest(f"adapter {manifest.id}: the environment file lacks the secret {missing}") from missing
    return Credentials()


def callback_is_genuine(
    rules: Callback, secret: str, timestamp: str, nonce: str, signature: str, body: bytes, now: float
) -> bool:
    """Tell whether a callback was signed with the shared secret within the allowed skew."""
    if not timestamp.isdigit() or len(timestamp) > 12 or abs(now - int(timestamp)) > rules.max_skew_s:
        return False
    places = {"timestamp": timestamp, "nonce": nonce, "body": body.decode("utf-8", "surrogateescape")}
    base = rules.base.format_map(places).encode("utf-8", "surrogateescape")
    return hmac.compare_digest(hmac.digest(secret.encode(), base, "sha256").hex(), signature.lower())
