"""Signing in at a provider and out again: the code flow from onestop's side, and tokens by name for the demo."""

import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from onestop.crypto import Keys, digest
from onestop.db import Pool
from onestop.errors import UpstreamFailed, UpstreamTimeout
from onestop.identity import client_keys, dpop, numbers, rules, store
from onestop.identity.dpop import Prover
from onestop.identity.errors import (
    BadNumber,
    DemoOnly,
    FlowUnknown,
    LevelNotReached,
    NothingToBind,
    PersonUnknown,
    ProviderUnknown,
    SignInRefused,
)
from onestop.identity.models import AskToken, Begun, Finished, Identified, ProviderChoice, Session, Token
from onestop.identity.providers import Connection, Providers
from onestop.identity.service import Sessions
from onestop.identity.service_links import Links
from onestop.identity.service_refresh import AppSessions
from onestop.identity.throttles import Throttles
from onestop.settings import Settings

FindPerson = Callable[[str], Identified | None]


class _FlowSecrets(msgspec.Struct, frozen=True):
    nonce: str
    verifier: str
    return_to: str
    level: int = 0  # the least that was asked for
    max_age_s: int | None = None
    dpop_key: str | None = None  # private, of this sign-in alone
    binds: str | None = None  # the account that becomes the person's who signs in

    def prover(self) -> Prover | None:
        """Return what proves that this sign-in holds its key; None where its provider does without."""
        return None if self.dpop_key is None else Prover(self.dpop_key)


class SignIn:
    """The way in through OpenID providers."""

    def __init__(
        self, pool: Pool, keys: Keys, settings: Settings, providers: Providers, sessions: Sessions, throttles: Throttles
    ) -> None:
        self._throttles = throttles
        self.links = Links(pool, settings.region)
        self._pool, self._keys, self._settings = pool, keys, settings
        self._providers, self._sessions = providers, sessions
        self._redirect_uri = settings.public_url.rstrip("/") + "/auth/callback"

    def choices(self, level: int = 0, *, binding: bool = False) -> list[ProviderChoice]:
        """Return the providers that can vouch for `level`, in the order of the identity file, for the sign-in page.

        `binding`: only those that tell who somebody is, by which a network number can be bound.
        """
        able = [provider for provider in self._providers if rules.reaches(provider, level)]
        if binding:
            able = [provider for provider in able if provider.tells == "number"]
        return [ProviderChoice(provider.name, provider.label) for provider in able]

    def client_jwks(self) -> dict[str, Any]:
        """Return the public halves of onestop's own keys as a client, for providers that fetch them."""
        keys: dict[str, dict[str, Any]] = {}
        for provider in self._providers:
            if provider.client_key:
                key = client_keys.read_signing(provider.client_key)
                keys[client_keys.kid(key)] = client_keys.public(key, "sig")
            if provider.id_token_key:
                opener = client_keys.read_decrypting(provider.id_token_key)
                keys[client_keys.kid(opener)] = client_keys.public(opener, "enc")
        return {"keys": list(keys.values())}

    async def begin(
        self,
        provider: str | None,
        return_to: str | None,
        *,
        browser: str | None = None,
        lang: str | None = None,
        level: int = 0,
        binds: Session | None = None,
    ) -> Begun:
        """Remember a sign-in and return where the browser goes; `browser` is its flow cookie where it has one.

        `level`: the least surely the person may prove who they are, 0 for no matter how. `binds`: the session of a
        network number that is bound to the person who signs in now.

        Raises:
            NothingToBind: that session is not of a network number which is nobody's yet.
            BadReturn: the way back is not onestop's own.
            LevelNotReached: no provider, or not this one, can vouch for that level.
            ProviderUnknown, ProviderSilent, ProviderFailed: it cannot be begun there.
        """
        back = rules.local_path(return_to)
        if binds is not None:
            level = max(level, rules.BIND_LEVEL)
            await self._check_bindable(binds)
        connection = self._providers.get(provider, level, tells="number" if binds else None)
        state = secrets.token_urlsafe(32)
        held = _FlowSecrets(
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            return_to=back,
            level=level,
            max_age_s=rules.STEP_UP_AGE_S if level else None,
            dpop_key=dpop.new_key() if connection.provider.dpop else None,
            binds=None if binds is None else binds.subject_id,
        )
        # Two tabs of one browser share its cookie, so that the second does not undo the first.
        bound = browser if browser is not None and len(browser) == 43 else secrets.token_urlsafe(32)
        location = await connection.authorization_url(
            redirect_uri=self._redirect_uri,
            state=state,
            nonce=held.nonce,
            verifier=held.verifier,
            lang=lang,
            level=level,
            max_age_s=held.max_age_s,
            prover=held.prover(),
        )
        state_hash = digest(state.encode())
        await store.insert_flow(
            self._pool,
            self._settings.region,
            state_hash,
            digest(bound.encode()),
            connection.provider.name,
            self._keys.seal(msgspec.json.encode(held), _flow_context(state_hash)),
            rules.FLOW_LIFE,
        )
        return Begun(location, bound)

    async def finish(
        self, query: bytes, *, browser: str | None, replaces: str | None = None, device: str = ""
    ) -> Finished:
        """Take the provider's answer and open a session; `replaces`, an older session's cookie, ends with it.

        `device` is what the person will know the session by.

        Raises:
            BadCallback, FlowUnknown, IssuerMixed: the answer does not belong to a sign-in of this browser.
            SignInRefused: the provider or the person said no.
            BadToken: the ID token does not hold.
            TooManyAttempts: this person signed in too often.
            AlreadyBound, NothingToBind: the network number cannot become this person's; nobody is signed in.
            LevelNotReached: the person proved less than was asked for; an older session stays as it was.
            BadNumber: the person's number must not be taken here; nothing is stored.
        """
        told = rules.read_callback(query)
        connection, held = await self._take(told.state, browser)
        metadata = await connection.metadata()
        rules.check_issuer(told.iss, metadata.issuer, promised=metadata.authorization_response_iss_parameter_supported)
        if told.code is None:
            raise SignInRefused(f"{connection.provider.name} said no")
        prover = held.prover()
        reply = await connection.redeem(
            told.code, redirect_uri=self._redirect_uri, verifier=held.verifier, prover=prover
        )
        claims = await connection.claims(reply, held.nonce, held.max_age_s, told.code)
        if "id_number" not in claims and connection.provider.tells == "number":
            # The ID token's own members stand; userinfo only adds.
            claims = {**await connection.userinfo(reply.access_token, claims["sub"], prover), **claims}
        who = rules.identify(connection.provider, claims, self._settings.profile)
        if who.level < held.level:
            raise LevelNotReached(level=held.level)
        await self._throttles.count("sign_ins", f"{who.number_type} {who.number}")
        who, subject_id = await self._whose(connection, who, held, replaces)
        if who.level < held.level:
            raise LevelNotReached(level=held.level)
        secret, session = await self._sessions.open_cookie(
            who,
            provider=connection.provider.name,
            id_token=connection.opened(reply.id_token),
            replaces=replaces,
            device=device,
            subject_id=subject_id,
        )
        return Finished(secret, session, held.return_to)

    async def _whose(
        self, connection: Connection, who: Identified, held: _FlowSecrets, cookie: str | None
    ) -> tuple[Identified, str]:
        """Return the subject who signed in, and how surely; binds a network number where that was begun."""
        provider, subject_id = connection.provider, await self._sessions.know(who)
        if provider.tells == "pseudonym":
            link = await self.links.of(subject_id)
            level = rules.bound_level(who.level, link.level if link else None)
            return msgspec.structs.replace(who, level=level), link.subject_id if link else subject_id
        if held.binds is not None:
            # The browser must still be signed in by that number: a sign-in that was left open binds nothing later.
            session = await self._sessions.resolve(None, cookie)
            if session is None or session.subject_id != held.binds or who.number_type == "account":
                raise NothingToBind
            pseudonym = await self._check_bindable(session)
            await self.links.bind(held.binds, subject_id, provider=pseudonym, proved_by=provider.name, level=who.level)
        return who, subject_id

    async def _check_bindable(self, session: Session) -> str:
        """Return the provider whose pseudonym this session is of.

        Raises:
            NothingToBind: it is none, or is somebody's already.
        """
        provider = await self._sessions.provider_of(session)
        pseudonyms = {one.name for one in self._providers if one.tells == "pseudonym"}
        if provider not in pseudonyms or session.level != 0 or session.role != "citizen":
            raise NothingToBind
        return provider

    async def sign_out(self, session: Session) -> str:
        """End the session and return where the browser goes: to the provider's sign-out, or home."""
        home = self._settings.public_url.rstrip("/") + "/"
        ended = await self._sessions.sign_out(session)
        if ended is None:
            return "/"
        provider, id_token = ended
        try:
            return await self._providers.get(provider).sign_out_url(id_token, home) or "/"
        except (ProviderUnknown, UpstreamFailed, UpstreamTimeout):
            return "/"  # signed out here; the provider cannot be told now

    async def _take(self, state: str, browser: str | None) -> tuple[Connection, _FlowSecrets]:
        if not browser:
            raise FlowUnknown
        state_hash = digest(state.encode())
        flow = await store.take_flow(self._pool, self._settings.region, state_hash, digest(browser.encode()))
        if flow is None:
            raise FlowUnknown
        opened = self._keys.unseal(flow.secrets, _flow_context(state_hash))
        return self._providers.get(flow.provider), msgspec.json.decode(opened, type=_FlowSecrets)


class TokenDesk:
    """Bearer tokens by name, for developers: the demo and sandbox profiles only."""

    def __init__(
        self, sessions: Sessions, apps: AppSessions, settings: Settings, find: FindPerson, throttles: Throttles
    ) -> None:
        self._throttles = throttles
        self._sessions, self._apps, self._settings, self._find = sessions, apps, settings, find

    async def ask(self, wish: AskToken) -> Token:
        """Return a token for a demo person, by key, name or number, in the role asked for.

        Raises:
            DemoOnly: in production.
            PersonUnknown: nobody of that name.
            TooManyAttempts: as many tokens for this person as there may be.
            BadNumber: a number that is not of the demo world.
        """
        if self._settings.profile == "production":
            raise DemoOnly
        who = self._find(wish.person) or self._by_number(wish.person)
        await self._throttles.count("tokens_of_one", f"{who.number_type} {who.number}")
        chosen = msgspec.structs.replace(
            who, role=wish.role, department=wish.department or who.department, level=wish.level
        )
        if wish.refresh:
            return await self._apps.open(chosen, provider="demo", device=wish.device)
        life = rules.DEMO_BEARER_LIFE
        bearer = await self._sessions.issue_bearer(chosen, life=life, device=wish.device)
        return Token(access_token=bearer.token, expires_in=int(life.total_seconds()))

    def _by_number(self, text: str) -> Identified:
        try:
            number = numbers.check_number(text, self._settings.profile)
        except BadNumber:
            if any(c.isdigit() for c in text):
                raise
            raise PersonUnknown from None
        return Identified(
            number_type=numbers.number_type(number), number=number, name=rules.mask_number(number), level=3
        )


def _flow_context(state_hash: bytes) -> str:
    return f"sign_in_flows.secrets:{state_hash.hex()}"
