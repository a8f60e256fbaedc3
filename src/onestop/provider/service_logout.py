"""Signing out: sent by a site (RP-Initiated Logout), and told to sites by the worker (Back-Channel Logout).

A notice is kept until its site has taken it, at most a day; tokens hold no longer in any case, as the session is over.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

import structlog
from authlib.common.urls import add_params_to_uri

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.identity.models import Session
from onestop.identity.provider_calls import Client as Http
from onestop.identity.service import Sessions
from onestop.provider import rules
from onestop.provider import store_logout as store
from onestop.provider.errors import RequestRefused, RequestUnusable
from onestop.provider.issuer import Issuer
from onestop.provider.models import Client
from onestop.provider.service_clients import Clients
from onestop.provider.store import delete_old_proofs
from onestop.rounds import attempt, repeat
from onestop.settings import Settings

log = structlog.get_logger(__name__)

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_EVERY_S: Final = 2.0
_FORGET_EVERY_S: Final = 60.0
_TOKEN_LIFE_S: Final = 120
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"}


class Leaving:
    """The end-session endpoint of one process."""

    def __init__(self, clients: Clients, issuer: Issuer, sessions: Sessions) -> None:
        self._clients, self._issuer, self._sessions = clients, issuer, sessions

    async def end(self, query: Mapping[str, Any], session: Session | None) -> tuple[str, bool]:
        """Return where the browser goes, and whether its session was ended.

        It is ended where the site shows an ID token of this very session. Anybody else could have sent the person
        here; they come to the start page, where they can sign out themselves.

        Raises:
            RequestUnusable: no known site, or a way back that is not registered.
        """
        try:
            told = rules.single(query)
        except RequestRefused as refused:
            raise RequestUnusable(refused.reason) from refused
        hint = await self._issuer.read_hint(told["id_token_hint"]) if "id_token_hint" in told else None
        client = await self._client(told, hint)
        back = self._back(told, client)
        if session is None or session.kind != "cookie":
            return back, False
        if client is None or hint is None or hint["sid"] != self._issuer.sid(session.id, client.id):
            return "/", False
        await self._sessions.revoke(session.id)
        return back, True

    async def _client(self, told: Mapping[str, str], hint: dict[str, Any] | None) -> Client | None:
        named = [name for name in (told.get("client_id"), hint and hint.get("aud")) if name]
        if not named:
            return None
        client = await self._clients.find(str(named[0]))
        if client is None or any(name != client.id for name in named):
            raise RequestUnusable("client")
        return client

    def _back(self, told: Mapping[str, str], client: Client | None) -> str:
        uri = told.get("post_logout_redirect_uri")
        if uri is None:
            return "/"
        if client is None or uri not in client.logout_uris:
            raise RequestUnusable("post_logout_redirect_uri")
        state = told.get("state")
        back: str = uri if state is None else add_params_to_uri(uri, [("state", state)])
        return back


class Telling:
    """Tells sites who signed out; one for a worker."""

    def __init__(self, pool: Pool, region: str, issuer: Issuer, http: Http) -> None:
        self._pool, self._region, self._issuer, self._http = pool, region, issuer, http

    async def round(self) -> None:
        """Owe what is new, and send what is due."""
        async with self._pool.acquire() as db, db.transaction():
            await store.write_notices(db, self._region)
        due = await store.claim_notices(self._pool, self._region)
        if due:
            await self._issuer.signing.load()  # another process may have made a new key since
        for notice in due:
            await attempt("logout_notice", partial(self._tell, notice), client=notice.client)

    async def _tell(self, notice: store.DueNotice) -> None:
        if notice.backchannel_logout is None:
            await self._settle(notice, "given_up")
            return
        if await self._taken(notice, notice.backchannel_logout):
            await self._settle(notice, "taken")
        elif notice.over:
            log.warning("logout_notice_given_up", client=notice.client, attempts=notice.attempts)
            await self._settle(notice, "given_up")

    async def _taken(self, notice: store.DueNotice, url: str) -> bool:
        body = urlencode({"logout_token": self._token(notice)}).encode()
        try:
            answer = await self._http.request("POST", url, content=body, headers=_FORM)
        except Exception as fault:  # httpx is named in one module of onestop only
            log.info("logout_notice_not_sent", client=notice.client, fault=type(fault).__name__)
            return False
        return answer.status_code in (200, 204)

    def _token(self, notice: store.DueNotice) -> str:
        """Rule: OpenID Connect Back-Channel Logout, 2.4: a type of its own, the event, and no nonce."""
        now = int(time.time())
        claims = {
            "iss": self._issuer.name,
            "aud": notice.client,
            "iat": now,
            "exp": now + _TOKEN_LIFE_S,
            "jti": secrets.token_urlsafe(16),
            "sub": self._issuer.pairwise(notice.subject_id, notice.sector),
            "sid": self._issuer.sid(notice.session_id, notice.client),
            "events": {EVENT: {}},
        }
        return self._issuer.sign(claims, "logout+jwt")

    async def _settle(self, notice: store.DueNotice, state: str) -> None:
        await store.settle_notice(self._pool, self._region, notice.client, notice.session_id, state)


async def logouts(pool: Pool, keys: Keys, settings: Settings, http: Http) -> NoReturn:
    """Tell sites who signed out, and forget proofs that are too old, for as long as the worker lives."""
    telling = Telling(pool, settings.region, Issuer(pool, keys, settings), http)
    proofs = asyncio.create_task(
        repeat("used_proofs", partial(delete_old_proofs, pool, settings.region), _FORGET_EVERY_S)
    )  # fmt: skip
    try:
        await repeat("logouts", telling.round, _EVERY_S)
    finally:
        proofs.cancel()
