"""Signing somebody in at a client: a request is read, the session looked at, a code given (RFC 6749, 9126, 9207).

A request whose person must sign in first is kept, and its reference goes to the sign-in page as the way back; so no
parameter of it stands in an address twice, and it can be used once.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from authlib.common.urls import add_params_to_uri

from onestop import clock
from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.identity.models import Session
from onestop.identity.service import Sessions
from onestop.ids import new_id
from onestop.provider import rules, store
from onestop.provider.errors import RequestRefused, RequestUnusable
from onestop.provider.issuer import Issuer
from onestop.provider.models import Asked, Client, Purpose, Pushed
from onestop.provider.service_clients import Clients
from onestop.provider.service_notices import Notices


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A request under way: by what it is kept, since when its person is."""

    asked: Asked
    reference: str | None = None  # None: it came in the address and is kept nowhere yet
    begun_at: datetime | None = None


class Authorizing:
    """The authorization endpoint of one process."""

    def __init__(
        self, pool: Pool, keys: Keys, region: str, clients: Clients, issuer: Issuer, sessions: Sessions,
        notices: Notices,
    ) -> None:  # fmt: skip
        self._pool, self._keys, self._region, self._notices = pool, keys, region, notices
        self._clients, self._issuer, self._sessions = clients, issuer, sessions

    async def push(self, client: Client, form: Mapping[str, str], jkt: str | None) -> Pushed:
        """Keep a request that a client sends itself, and return its reference (RFC 9126).

        Raises:
            RequestRefused: it breaks a rule; nothing is kept.
        """
        if "request_uri" in form:
            raise RequestRefused("invalid_request", "request_uri")
        redirect_uri = form.get("redirect_uri", "")
        if redirect_uri not in client.redirect_uris:
            raise RequestRefused("invalid_request", "redirect_uri")
        asked = await self._with_hint(rules.read_request(form, client, redirect_uri), form)
        if jkt is not None:
            if asked.bound_to not in (None, f"jkt:{jkt}"):
                raise RequestRefused("invalid_dpop_proof", "dpop_jkt")
            asked = msgspec.structs.replace(asked, bound_to=f"jkt:{jkt}")
        reference = await self._keep(asked, pushed=True)
        return Pushed(request_uri=reference, expires_in=int(rules.PUSHED_LIFE.total_seconds()))

    async def answer(self, query: Mapping[str, Any], session: Session | None) -> str:
        """Return where the browser goes: back to the client with a code or a refusal, or to sign in first.

        Raises:
            RequestUnusable: who asks, or where the answer may go, cannot be said; the person is told.
        """
        told, client = await self._asker(query)
        reference = told.get("request_uri", "")
        kept = await self._kept(reference, client) if reference.startswith(rules.REQUEST_URI) else None
        redirect_uri = kept.asked.redirect_uri if kept else told.get("redirect_uri", "")
        if redirect_uri not in client.redirect_uris:  # compared as it is written: nothing is made equal
            raise RequestUnusable("redirect_uri")
        state = kept.asked.state if kept else told.get("state")
        try:
            if kept is None:
                if reference:
                    raise RequestRefused("request_uri_not_supported", "request_uri")
                asked = rules.read_request(told, client, redirect_uri)
                kept = _Kept(asked=await self._with_hint(asked, told))
            return await self._answer(kept, client, session)
        except RequestRefused as refused:
            if kept is not None and kept.reference is not None:
                await store.take_request(self._pool, self._region, rules.hash_of(kept.reference))
            answered = {"error": refused.error, "error_description": refused.reason}
            return self._back(redirect_uri, answered, None if refused.reason == "state" else state)

    async def _answer(self, kept: _Kept, client: Client, session: Session | None) -> str:
        asked = kept.asked
        span = None if session is None or session.kind != "cookie" else await self._sessions.span(session.id)
        signed_in_at = None if span is None else span.created_at
        found = rules.stand(asked, session, signed_in_at, kept.begun_at, clock.real_now())
        if found is rules.Stand.SIGN_IN:
            return await self._send_to_sign_in(kept)
        assert session is not None
        assert span is not None
        self._check_hint(asked, session, client)
        if await self._notices.missing(session.subject_id, client, rules.purposes_of(client, asked.scope)):
            if asked.silent:
                raise RequestRefused("interaction_required", "notice")
            return await self._held(kept, "/oauth/notice")
        grant = store.GrantRow(
            id=new_id("grt"),
            client=client.id,
            subject_id=session.subject_id,
            session_id=session.id,
            scope=list(asked.scope),
            level=session.level,
            auth_time=span.created_at,
            bound_to=None,
            expires_at=span.expires_at,
        )
        code = await self._give(kept, client, grant)
        return self._back(asked.redirect_uri, {"code": code}, asked.state)

    async def _give(self, kept: _Kept, client: Client, grant: store.GrantRow) -> str:
        """Write grant and code, and that the person signed in there; a kept request is used up by it."""
        asked, code = kept.asked, secrets.token_urlsafe(32)
        row = store.CodeRow(
            grant_id=grant.id,
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            nonce=asked.nonce,
            bound_to=asked.bound_to,
        )
        async with self._pool.acquire() as db, db.transaction():
            if kept.reference is not None and not await store.take_request(
                db, self._region, rules.hash_of(kept.reference)
            ):
                raise RequestRefused("invalid_request_uri", "used")
            await store.insert_grant(db, self._region, grant)
            await store.insert_code(db, self._region, rules.hash_of(code), client.id, row, rules.CODE_LIFE)
            await audit.record(
                db, self._region, actor=client.actor, subject=grant.subject_id, action="client.signed_in",
                object=grant.id, detail={"client": client.id, "scope": grant.scope}, uses=[sign_in_use(client)],
            )  # fmt: skip
        return code

    async def _send_to_sign_in(self, kept: _Kept) -> str:
        back = await self._held(kept, "/oauth/authorize")
        return f"/sign-in?return_to={quote(back, safe='')}&why=needed"

    async def _held(self, kept: _Kept, path: str) -> str:
        """Keep a request while its person is elsewhere, and return the address that goes on with it."""
        reference = kept.reference
        if reference is None:
            reference = await self._keep(kept.asked, pushed=False)
        else:
            await store.begin_request(self._pool, self._region, rules.hash_of(reference), rules.SIGN_IN_LIFE)
        return f"{path}?" + urlencode({"client_id": kept.asked.client, "request_uri": reference})

    # ---- the notice

    async def notice(self, query: Mapping[str, Any]) -> tuple[Client, list[Purpose]]:
        """Return which site will learn what for which purposes, for the page that says so.

        Raises:
            RequestUnusable: there is no such request under way.
        """
        kept, client = await self._under_way(query)
        return client, rules.purposes_of(client, kept.asked.scope)

    async def go_on(self, form: Mapping[str, Any], session: Session) -> str:
        """Note that a person read the notice, and return the address at which the sign-in goes on.

        Raises:
            RequestUnusable: there is no such request under way.
        """
        kept, client = await self._under_way(form)
        await self._notices.note(session.subject_id, client, rules.purposes_of(client, kept.asked.scope))
        return await self._held(kept, "/oauth/authorize")

    async def turn_back(self, form: Mapping[str, Any]) -> str:
        """End a request whose person does not want to go on, and return where the site hears of it.

        Raises:
            RequestUnusable: there is no such request under way.
        """
        kept, _ = await self._under_way(form)
        await store.take_request(self._pool, self._region, rules.hash_of(kept.reference or ""))
        told = {"error": "access_denied", "error_description": "notice"}
        return self._back(kept.asked.redirect_uri, told, kept.asked.state)

    async def _under_way(self, told: Mapping[str, Any]) -> tuple[_Kept, Client]:
        named, client = await self._asker(told)
        kept = await self._kept(named.get("request_uri", ""), client)
        if kept.asked.redirect_uri not in client.redirect_uris:
            raise RequestUnusable("redirect_uri")
        return kept, client

    # ---- reading

    async def _asker(self, query: Mapping[str, Any]) -> tuple[dict[str, str], Client]:
        try:
            told = rules.single(query)
        except RequestRefused as refused:
            raise RequestUnusable(refused.reason) from refused
        client = await self._clients.find(told.get("client_id", ""))
        if client is None:
            raise RequestUnusable("client")
        return told, client

    async def _kept(self, reference: str, client: Client) -> _Kept:
        id_hash = rules.hash_of(reference)
        row = await store.request(self._pool, self._region, id_hash, client.id)
        if row is None:
            raise RequestUnusable("request_uri")
        asked = msgspec.json.decode(self._keys.unseal(row.asked, _context(id_hash)), type=Asked)
        return _Kept(asked=asked, reference=reference, begun_at=row.begun_at)

    async def _keep(self, asked: Asked, *, pushed: bool) -> str:
        reference = rules.REQUEST_URI + secrets.token_urlsafe(32)
        id_hash = rules.hash_of(reference)
        sealed = self._keys.seal(msgspec.json.encode(asked), _context(id_hash))
        life = rules.PUSHED_LIFE if pushed else rules.SIGN_IN_LIFE
        await store.insert_request(self._pool, self._region, id_hash, asked.client, sealed, pushed, life)
        return reference

    async def _with_hint(self, asked: Asked, told: Mapping[str, str]) -> Asked:
        hint = told.get("id_token_hint")
        if hint is None:
            return asked
        claims = await self._issuer.read_hint(hint)
        if claims is None or claims.get("aud") != asked.client:
            raise RequestRefused("invalid_request", "id_token_hint")
        return msgspec.structs.replace(asked, hint=str(claims["sub"]))

    def _check_hint(self, asked: Asked, session: Session, client: Client) -> None:
        """Rule: OpenID Connect Core, 3.1.2.2: another person than the one hinted at is not answered for."""
        if asked.hint is not None and asked.hint != self._issuer.pairwise(session.subject_id, client.sector):
            raise RequestRefused("login_required", "id_token_hint")

    # ---- answering

    def _back(self, redirect_uri: str, told: dict[str, str], state: str | None) -> str:
        """Rule: RFC 9207: the answer names who gives it."""
        if state is not None:
            told["state"] = state
        location: str = add_params_to_uri(redirect_uri, [*told.items(), ("iss", self._issuer.name)])
        return location


def sign_in_use(client: Client) -> str:
    """Return, as the person's data use tells it, that a site was told they signed in."""
    use = Use(
        adapter=client.department,
        basis=rules.SIGN_IN_BASIS,
        fields=("sub",),
        operation=client.id,
        outcome="signed_in",
        purpose=client.name_zh,
        version="oidc",
    )
    return audit.use_entry(use)


def _context(id_hash: bytes) -> str:
    return f"authorization_requests.asked:{id_hash.hex()}"
