"""The relying party's side: what is asked of OpenID providers over the network, and what is believed of the answers.

Requests are prepared by authlib, which also checks the providers' metadata; they go out through onestop's one door,
and every token is checked in `tokens`.
"""

import asyncio
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import get_well_known_url
from msgspec import Meta

from onestop import clock
from onestop.identity import client_keys, client_proof, provider_metadata, rules, tokens
from onestop.identity.dpop import Prover
from onestop.identity.encrypted_tokens import open_encrypted
from onestop.identity.errors import LevelNotReached, ProviderFailed, ProviderSilent, ProviderUnknown, SignInRefused
from onestop.identity.models import Provider
from onestop.identity.provider_calls import Answer, Calls, Client
from onestop.identity.provider_metadata import Metadata
from onestop.settings import BadSettings

_METADATA_LIFE_S = 3600.0
_METADATA_GRACE_S = 86_400.0  # a provider whose metadata cannot be read today is taken at yesterday's
_KEYS_LIFE_S = 3600.0
_REFETCH_STEP_S = 10.0  # a stranger who invents key ids makes us ask the provider no more often than this
_JSON = {"Accept": "application/json"}


class TokenReply(msgspec.Struct, frozen=True):
    """What the token endpoint gives for a code."""

    access_token: str
    token_type: str
    id_token: str

    def __repr__(self) -> str:
        return "TokenReply()"


class PushedReply(msgspec.Struct, frozen=True):
    """What a pushed request is called."""

    request_uri: Annotated[str, Meta(min_length=1, max_length=512)]


class _Refusal(msgspec.Struct, frozen=True):
    error: str


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
    for provider in told:
        if fault := client_proof.fault(provider):
            raise BadSettings(f"identity_file {path.name}: {provider.name}: {fault}")
    return told


class Connection(Calls):
    """One provider, with what it published kept for a while."""

    def __init__(self, provider: Provider, client: Client) -> None:
        super().__init__(provider, client)
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, tokens.Keyring] | None = None
        self._lock = asyncio.Lock()
        self._client_auth = client_proof.ClientProof(provider)
        self._id_token_key = client_keys.read_decrypting(provider.id_token_key) if provider.id_token_key else None
        self._nonces: dict[str, str] = {}  # what the provider's two sides want to see in the next DPoP proof

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
        prover: Prover | None = None,
    ) -> str:
        """Return where the browser goes to sign in: code flow, PKCE S256; pushed beforehand where that is agreed.

        `level` and `max_age_s` ask for how surely, and how lately, the person proves who they are. `prover` holds the
        key the code is bound to.
        """
        metadata = await self.metadata()
        methods = metadata.code_challenge_methods_supported
        if methods is not None and "S256" not in methods:
            raise ProviderFailed(f"{self.provider.name} does not offer PKCE S256")
        told = {
            "client_id": self.provider.client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.provider.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
            "ui_locales": lang,
            "acr_values": " ".join(rules.acr_values(self.provider, level)) or None,
            "max_age": None if max_age_s is None else str(max_age_s),
            "dpop_jkt": prover.thumbprint() if prover else None,
        }
        asked = [(name, value) for name, value in told.items() if value is not None]
        if self.provider.par or metadata.require_pushed_authorization_requests:
            pushed = await self._push(metadata, asked, prover)
            asked = [("client_id", self.provider.client_id), ("request_uri", pushed.request_uri)]
        url: str = add_params_to_uri(metadata.authorization_endpoint, asked)
        return url

    async def _push(self, metadata: Metadata, asked: list[tuple[str, str]], prover: Prover | None) -> PushedReply:
        """Hand the request over beforehand (RFC 9126), so that no browser carries what it says."""
        endpoint = metadata.pushed_authorization_request_endpoint
        if endpoint is None:
            raise ProviderFailed(f"{self.provider.name} takes no pushed requests")
        answer = await self._authenticated(endpoint, metadata.issuer, urlencode(asked), prover)
        if answer.status_code != 201:
            raise ProviderFailed(f"{self.provider.name} answered a pushed request with {answer.status_code}")
        return self._read(answer, PushedReply)

    async def redeem(self, code: str, *, redirect_uri: str, verifier: str, prover: Prover | None = None) -> TokenReply:
        """Change a code for tokens.

        Raises:
            SignInRefused: the provider no longer takes the code.
            ProviderSilent, ProviderFailed: anything else; among it a token that is not bound to the prover's key.
        """
        metadata = await self.metadata()
        body = prepare_token_request("authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=verifier)
        answer = await self._authenticated(metadata.token_endpoint, metadata.issuer, body, prover)
        if answer.status_code in (400, 401, 403):
            refusal = self._read(answer, _Refusal)
            if refusal.error == "invalid_grant":
                raise SignInRefused(f"{self.provider.name} no longer takes the code")
            raise ProviderFailed(f"{self.provider.name} refused the client")
        reply = self._read(self._ok(answer), TokenReply)
        if reply.token_type.lower() != ("bearer" if prover is None else "dpop"):
            raise ProviderFailed(f"{self.provider.name} gave a token of another type")
        return reply

    async def _authenticated(self, url: str, issuer: str, body: str, prover: Prover | None) -> Answer:
        """Send a form with the client's own proof of itself; once more where the server wants its nonce in the DPoP."""
        for attempt in (1, 2):
            # Both proofs are good for one request.
            target, headers, signed = self._client_auth.prepare(url, issuer, body)
            if prover is not None:
                headers["DPoP"] = prover.proof("POST", url, nonce=self._nonces.get("server"))
            answer = await self._ask("POST", target, headers, signed.encode())
            if prover is None or not self._new_nonce("server", answer) or attempt == 2:
                break
            if answer.status_code not in (400, 401) or self._read(answer, _Refusal).error != "use_dpop_nonce":
                break
        return answer

    def _new_nonce(self, whose: str, answer: Answer) -> bool:
        """Keep the nonce a server wants to see next; tell whether it is another than the one before."""
        told = answer.headers.get("dpop-nonce")
        if told is None or len(told) > 512 or told == self._nonces.get(whose):
            return False
        self._nonces[whose] = told
        return True

    async def claims(
        self, reply: TokenReply, nonce: str, max_age_s: int | None = None, code: str | None = None
    ) -> tokens.Claims:
        """Return the claims of the ID token, opened and checked; a key not yet seen is fetched once.

        `max_age_s` as the request asked for it.

        Raises:
            BadToken: the token was refused.
        """
        metadata = await self.metadata()
        id_token = self.opened(reply.id_token)

        def check(keys: tokens.Keyring) -> tokens.Claims:
            return tokens.check_id_token(
                id_token,
                keys,
                issuer=metadata.issuer,
                client_id=self.provider.client_id,
                nonce=nonce,
                access_token=reply.access_token,
                code=code,
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

    def opened(self, id_token: str) -> str:
        """Return the signed ID token: as it came, or opened where it is agreed that it comes encrypted.

        Raises:
            BadToken: it came in the clear, or cannot be opened.
        """
        return id_token if self._id_token_key is None else open_encrypted(id_token, self._id_token_key)

    async def userinfo(self, access_token: str, subject: str, prover: Prover | None = None) -> tokens.Claims:
        """Return what the userinfo endpoint says of the subject of the ID token; nothing where there is none.

        Raises:
            ProviderFailed: it speaks of somebody else.
        """
        metadata = await self.metadata()
        if metadata.userinfo_endpoint is None:
            return {}
        answer = await self._resource(metadata.userinfo_endpoint, access_token, prover)
        told = self._read(self._ok(answer), dict[str, Any])
        if told.get("sub") != subject:
            raise ProviderFailed(f"{self.provider.name} told of another subject")
        return told

    async def _resource(self, url: str, access_token: str, prover: Prover | None) -> Answer:
        if prover is None:
            return await self._ask("GET", url, {**_JSON, "Authorization": f"Bearer {access_token}"})
        for _ in range(2):
            proof = prover.proof("GET", url, nonce=self._nonces.get("resource"), access_token=access_token)
            answer = await self._ask("GET", url, {**_JSON, "Authorization": f"DPoP {access_token}", "DPoP": proof})
            if not self._new_nonce("resource", answer) or answer.status_code != 401:
                break
        return answer

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
            return provider_metadata.read(document, issuer)
        except ValueError as cause:
            raise ProviderFailed(f"{self.provider.name} publishes metadata that do not hold: {cause}") from cause

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


class Providers:
    """All providers of this installation, by name."""

    def __init__(self, configured: Sequence[Provider], client: Client) -> None:
        self._connections = {provider.name: Connection(provider, client) for provider in configured}

    def __iter__(self) -> Iterator[Provider]:
        return iter([connection.provider for connection in self._connections.values()])

    def get(self, name: str | None, level: int = 0, tells: str | None = None) -> Connection:
        """Return one provider; without a name the first of the file that can vouch for `level` and tells what is asked.

        Raises:
            ProviderUnknown: none is set up, or none of that name.
            LevelNotReached: that one, or each of them, can only vouch for less.
        """
        if not self._connections or (name is not None and name not in self._connections):
            raise ProviderUnknown
        asked = list(self._connections.values()) if name is None else [self._connections[name]]
        for connection in asked:
            told = tells is None or connection.provider.tells == tells
            if told and rules.reaches(connection.provider, level):
                return connection
        raise LevelNotReached(level=level)
