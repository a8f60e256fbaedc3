"""The token endpoint: a code for tokens, a refresh token for the next ones. Each is taken once.

A code or refresh token that comes a second time was seen by somebody else: its grant ends, and with it every token.
"""

import secrets
from typing import Final

from onestop.audit import service as audit
from onestop.db import Pool
from onestop.provider import rules, store
from onestop.provider.callers import Callers, Shown
from onestop.provider.errors import RequestRefused
from onestop.provider.issuer import Issuer
from onestop.provider.models import Client, TokenAnswer
from onestop.provider.service_exchange import EXCHANGE, Exchanging

GRANTS: Final = ("authorization_code", "refresh_token", EXCHANGE)


class Tokens:
    """The token endpoint of one process."""

    def __init__(self, pool: Pool, region: str, callers: Callers, issuer: Issuer, exchanging: Exchanging) -> None:
        self._pool, self._region = pool, region
        self._callers, self._issuer, self._exchanging = callers, issuer, exchanging

    async def give(self, shown: Shown) -> TokenAnswer:
        """Answer a token request.

        Raises:
            ClientRefused: the client did not prove who it is.
            NonceNeeded: its proof lacks our nonce; nothing was used up.
            RequestRefused: there is nothing to give for what it shows.
        """
        if shown.form.get("grant_type") == EXCHANGE:
            return await self._exchanging.give(shown)
        client = await self._callers.identify(shown)
        bound_to = await self._callers.binding(client, shown)
        match shown.form.get("grant_type"):
            case "authorization_code":
                return await self._for_code(client, shown, bound_to)
            case "refresh_token":
                return await self._for_refresh(client, shown, bound_to)
        raise RequestRefused("unsupported_grant_type", "grant_type")

    async def _for_code(self, client: Client, shown: Shown, bound_to: str | None) -> TokenAnswer:
        code = shown.form.get("code", "")
        row = await store.take_code(self._pool, self._region, rules.hash_of(code), client.id)
        if row is None:
            used = await store.used_code(self._pool, self._region, rules.hash_of(code), client.id)
            if used is not None:
                await self.end(used, client, "code_twice")
            raise RequestRefused("invalid_grant", "code")
        # The code is spent, whatever comes of this: nobody gets a second guess at its verifier.
        if shown.form.get("redirect_uri") != row.redirect_uri:
            raise RequestRefused("invalid_grant", "redirect_uri")
        if not rules.verifies(shown.form.get("code_verifier", ""), row.challenge):
            raise RequestRefused("invalid_grant", "code_verifier")
        if row.bound_to is not None and row.bound_to != bound_to:
            raise RequestRefused("invalid_dpop_proof", "dpop_jkt")
        if bound_to is not None:
            await store.bind_grant(self._pool, self._region, row.grant_id, bound_to)
        return await self._answer(client, row.grant_id, bound_to, row.nonce)

    async def _for_refresh(self, client: Client, shown: Shown, bound_to: str | None) -> TokenAnswer:
        hashed = rules.hash_of(shown.form.get("refresh_token", ""))
        known = await store.refresh_grant(self._pool, self._region, hashed, client.id)
        grant = None if known is None else await store.grant(self._pool, self._region, known)
        if known is None or grant is None:
            raise RequestRefused("invalid_grant", "refresh_token")
        # Before it is used up: who has the token and not the key can do no more than be refused.
        if grant.bound_to != bound_to:
            raise RequestRefused("invalid_grant", "binding")
        asked = shown.form.get("scope")
        if asked is not None and not set(asked.split()) <= set(grant.scope):
            raise RequestRefused("invalid_scope", "scope")
        if await store.take_refresh(self._pool, self._region, hashed, client.id) is None:
            await self.end(known, client, "refresh_twice")
            raise RequestRefused("invalid_grant", "refresh_token")
        return await self._answer(client, known, bound_to, None)

    async def _answer(self, client: Client, grant_id: str, bound_to: str | None, nonce: str | None) -> TokenAnswer:
        grant = await store.grant(self._pool, self._region, grant_id)
        if grant is None or grant.bound_to != bound_to:
            raise RequestRefused("invalid_grant", "ended")
        refresh = secrets.token_urlsafe(32)
        await store.insert_refresh(
            self._pool, self._region, rules.hash_of(refresh), grant.id, client.id, grant.expires_at
        )
        access = self._issuer.access_token(client, grant)
        return TokenAnswer(
            access_token=access,
            token_type="DPoP" if (bound_to or "").startswith("jkt:") else "Bearer",
            expires_in=rules.ACCESS_LIFE_S,
            scope=" ".join(grant.scope),
            id_token=self._issuer.id_token(client, grant, access, nonce),
            refresh_token=refresh,
        )

    async def end(self, grant_id: str, client: Client, why: str) -> None:
        """End a client's grant and write that down; nothing happens where it had ended."""
        async with self._pool.acquire() as db, db.transaction():
            subject = await store.end_grant(db, self._region, grant_id, client.id, why)
            if subject is not None:
                await audit.record(
                    db, self._region, actor=client.actor, subject=subject, action="client.grant_ended",
                    object=grant_id, detail={"why": why},
                )  # fmt: skip
