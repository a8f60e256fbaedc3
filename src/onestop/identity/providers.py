"""The relying party's side: what is asked of OpenID providers over the network, and what is believed of the answers.

Requests are prepared by authlib, which also checks the providers' metadata; they go out through onestop's one door,
and every token is checked in `tokens`.
"""

import asyncio
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from authlib.common.security import is_secure_transport
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oauth2.rfc9207 import AuthorizationServerMetadata as IssParameterMetadata
from authlib.oidc import rpinitiated
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url

from onestop import clock
from onestop.identity import rules, tokens
from onestop.identity.errors import LevelNotReached, ProviderFailed, ProviderSilent, ProviderUnknown, SignInRefused
from onestop.identity.models import Provider
from onestop.outbound.errors import OutboundError
from onestop.settings import BadSettings

_TOTAL_S = 5.0  # for each call as a whole
_METADATA_LIFE_S = 3600.0
_METADATA_GRACE_S = 86_400.0  # a provider whose metadata cannot be read today is taken at yesterday's
_KEYS_LIFE_S = 3600.0
_REFETCH_STEP_S = 10.0  # a stranger who invents key ids makes us ask the provider no more often than this
_MAX_DOCUMENT = 256 * 1024
_JSON = {"Accept": "application/json"}
T = TypeVar("T")


class Answer(Protocol):
    """What is used of an httpx response."""

    @property
    def status_code(self) -> int: ...
    @property
    def content(self) -> bytes: ...


class Client(Protocol):
    """What is used of the httpx client that `onestop.outbound` opens."""

    async def request(
        self, method: str, url: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer: ...


class Metadata(msgspec.Struct, frozen=True):
    """What onestop uses of a provider's discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    authorization_response_iss_parameter_supported: bool = False
    code_challenge_methods_supported: list[str] | None = None


class TokenReply(msgspec.Struct, frozen=True):
    """What the token endpoint gives for a code."""

    access_token: str
    token_type: str
    id_token: str

    def __repr__(self) -> str:
        return "TokenReply()"


class _Refusal(msgspec.Struct, frozen=True):
    error: str


class _CheckedMetadata(OpenIDProviderMetadata):  # type: ignore[misc]  # authlib has no types
    """authlib's checks of those members that onestop uses; RS256 need not be among a provider's algorithms."""

    REGISTRY_KEYS = [  # noqa: RUF012 - authlib's name and type
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "code_challenge_methods_supported",
    ]


class _IdentityFile(msgspec.Struct, forbid_unknown_fields=True):
    provider: list[Provider]


def read_providers(path: Path) -> list[Provider]:
    """Read the identity file: one `[[provider]]` table for each.

    Raises:
        BadSettings: it cannot be read, or two providers share a name.
    """
    try:
        told = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _IdentityFile).provider
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as cause:
        raise BadSettings(f"identity_file {path.name}: {cause}") from cause
    if len({provider.name for provider in told}) != len(told):
        raise BadSettings(f"identity_file {path.name}: two providers share a name")
    return told


class Connection:
    """One provider, with what it published kept for a while."""

    def __init__(self, provider: Provider, client: Client) -> None:
        self.provider = provider
        self._client = client
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, tokens.Keyring] | None = None
        self._lock = asyncio.Lock()

    async def metadata(self) -> Metadata:
        """Return the discovery document, at most an hour old, or a day where the provider is silent.

        Raises:
            ProviderSilent, ProviderFailed: it cannot be had, or it is not this issuer's.
        """
        async with self._lock:
            kept = self._metadata
            if kept is not None and clock.monotonic() - kept[0] < _METADATA_LIFE_S:
                return kept[1]
            try:
                fresh = await self._discover()
            except (ProviderSilent, ProviderFailed):
                if kept is not None and clock.monotonic() - kept[0] < _METADATA_GRACE_S:
                    return kept[1]
                raise
            self._metadata = (clock.monotonic(), fresh)
            return fresh

    async def authorization_url(
        self,
        *,
        redirect_uri: str,
        state: str,
        nonce: str,
        verifier: str,
        lang: str | None = None,
        level: int = 0,
        max_age_s: int | None = None,
    ) -> str:
        """Return where the browser goes to sign in: code flow, PKCE S256.

        `level` and `max_age_s` ask for how surely, and how lately, the person proves who they are.
        """
        metadata = await self.metadata()
        methods = metadata.code_challenge_methods_supported
        if methods is not None and "S256" not in methods:
            raise ProviderFailed(f"{self.provider.name} does not offer PKCE S256")
        url: str = prepare_grant_uri(
            metadata.authorization_endpoint,
            client_id=self.provider.client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=list(self.provider.scopes),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            ui_locales=lang,
            acr_values=" ".join(rules.acr_values(self.provider, level)) or None,
            max_age=None if max_age_s is None else str(max_age_s),
        )
        return url

    async def redeem(self, code: str, *, redirect_uri: str, verifier: str) -> TokenReply:
        """Change a code for tokens.

        Raises:
            SignInRefused: the provider no longer takes the code.
            ProviderSilent, ProviderFailed: anything else.
        """
        metadata = await self.metadata()
        body = prepare_token_request("authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=verifier)
        auth = ClientAuth(self.provider.client_id, self.provider.client_secret, self.provider.auth_method)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        url, headers, body = auth.prepare("POST", metadata.token_endpoint, headers, body)
        answer = await self._ask("POST", url, headers, body.encode())
        if answer.status_code in (400, 401, 403):
            refusal = self._read(answer, _Refusal)
            if refusal.error == "invalid_grant":
                raise SignInRefused(f"{self.provider.name} no longer takes the code")
            raise ProviderFailed(f"{self.provider.name} refused the client")
        reply = self._read(self._ok(answer), TokenReply)
        if reply.token_type.lower() != "bearer":
            raise ProviderFailed(f"{self.provider.name} gave a token of another type")
        return reply

    async def claims(self, reply: TokenReply, nonce: str, max_age_s: int | None = None) -> tokens.Claims:
        """Return the claims of the ID token, checked; a key not yet seen is fetched once.

        `max_age_s` as the request asked for it.

        Raises:
            BadToken: the token was refused.
        """
        metadata = await self.metadata()

        def check(keys: tokens.Keyring) -> tokens.Claims:
            return tokens.check_id_token(
                reply.id_token,
                keys,
                issuer=metadata.issuer,
                client_id=self.provider.client_id,
                nonce=nonce,
                access_token=reply.access_token,
                max_age_s=max_age_s,
            )

        fetched_at, keys = await self._keyring(metadata, max_age_s=_KEYS_LIFE_S)
        try:
            return check(keys)
        except tokens.UnknownKey:
            again_at, keys = await self._keyring(metadata, max_age_s=_REFETCH_STEP_S)
            if again_at == fetched_at:
                raise
            return check(keys)

    async def userinfo(self, access_token: str, subject: str) -> tokens.Claims:
        """Return what the userinfo endpoint says of the subject of the ID token; nothing where there is none.

        Raises:
            ProviderFailed: it speaks of somebody else.
        """
        metadata = await self.metadata()
        if metadata.userinfo_endpoint is None:
            return {}
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        told = self._read(self._ok(await self._ask("GET", metadata.userinfo_endpoint, headers)), dict[str, Any])
        if told.get("sub") != subject:
            raise ProviderFailed(f"{self.provider.name} told of another subject")
        return told

    async def sign_out_url(self, id_token: str | None, back: str) -> str | None:
        """Return where the browser goes to sign out there too; None where the provider has no such place."""
        metadata = await self.metadata()
        if metadata.end_session_endpoint is None:
            return None
        # The client's id is for a provider that can no longer read the hint.
        params = [("client_id", self.provider.client_id), ("post_logout_redirect_uri", back)]
        if id_token is not None:
            params.append(("id_token_hint", id_token))
        url: str = add_params_to_uri(metadata.end_session_endpoint, params)
        return url

    async def _discover(self) -> Metadata:
        issuer = self.provider.issuer
        answer = self._ok(await self._ask("GET", get_well_known_url(issuer, external=True), _JSON))
        document = self._read(answer, dict[str, Any])
        try:
            checked = _CheckedMetadata(document)
            checked.validate(metadata_classes=[IssParameterMetadata, rpinitiated.OpenIDProviderMetadata])
            metadata = msgspec.convert(document, Metadata)
        except (ValueError, TypeError, AttributeError) as cause:  # authlib on members of a wrong type
            raise ProviderFailed(f"{self.provider.name} publishes metadata that do not hold: {cause}") from cause
        if metadata.issuer != issuer:
            raise ProviderFailed(f"{self.provider.name} names another issuer")
        # authlib knows this member's name but does not look at it.
        if metadata.userinfo_endpoint is not None and not is_secure_transport(metadata.userinfo_endpoint):
            raise ProviderFailed(f"{self.provider.name} tells of people in the clear")
        return metadata

    async def _keyring(self, metadata: Metadata, *, max_age_s: float) -> tuple[float, tokens.Keyring]:
        async with self._lock:
            if self._keys is not None and clock.monotonic() - self._keys[0] < max_age_s:
                return self._keys
            answer = self._ok(await self._ask("GET", metadata.jwks_uri, _JSON))
            try:
                self._keys = (clock.monotonic(), tokens.Keyring.read(answer.content))
            except ValueError as cause:
                raise ProviderFailed(f"{self.provider.name} publishes no keys") from cause
            return self._keys

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None) -> Answer:
        try:
            async with asyncio.timeout(_TOTAL_S):
                answer = await self._client.request(method, url, content=content, headers=headers)
        except TimeoutError as cause:
            raise ProviderSilent(f"{self.provider.name} did not answer in {_TOTAL_S:g} s") from cause
        except Exception as fault:
            # httpx is named in one module of onestop only; its errors are known here by what caused them.
            if isinstance(fault.__cause__, OutboundError):
                raise ProviderSilent(f"{self.provider.name}: {fault.__cause__.reason}") from fault
            raise
        if len(answer.content) > _MAX_DOCUMENT:
            raise ProviderFailed(f"{self.provider.name} answered with too much")
        return answer

    def _ok(self, answer: Answer) -> Answer:
        if answer.status_code != 200:
            raise ProviderFailed(f"{self.provider.name} answered {answer.status_code}")
        return answer

    def _read(self, answer: Answer, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
            raise ProviderFailed(f"{self.provider.name} answered with something else than asked for") from cause


class Providers:
    """All providers of this installation, by name."""

    def __init__(self, configured: Sequence[Provider], client: Client) -> None:
        self._connections = {provider.name: Connection(provider, client) for provider in configured}

    def __iter__(self) -> Iterator[Provider]:
        return iter([connection.provider for connection in self._connections.values()])

    def get(self, name: str | None, level: int = 0) -> Connection:
        """Return one provider; without a name the first of the file that can vouch for `level`.

        Raises:
            ProviderUnknown: none is set up, or none of that name.
            LevelNotReached: that one, or each of them, can only vouch for less.
        """
        if not self._connections or (name is not None and name not in self._connections):
            raise ProviderUnknown
        asked = list(self._connections.values()) if name is None else [self._connections[name]]
        for connection in asked:
            if rules.reaches(connection.provider, level):
                return connection
        raise LevelNotReached(level=level)
