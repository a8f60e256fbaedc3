"""Token exchange (RFC 8693): a site's or a department's system gets a token with which it calls another department.

The token says for whom (`sub`), who calls (`act`), whom (`aud`), what (`scope`), for which purpose, case and agreement,
and lives three minutes. The department checks it offline with the JWKS. It goes no further: it cannot be exchanged.
"""

import re
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.db import Pool
from onestop.identity.service import Sessions
from onestop.provider import rules, store
from onestop.provider.callers import Callers, Shown
from onestop.provider.errors import RequestRefused, TokenRefused
from onestop.provider.issuer import Issuer, confirmation
from onestop.provider.models import Client, Purpose, TokenAnswer
from onestop.provider.service_clients import Clients

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a word, not a secret
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"
ANY: Final = "*"
LIFE_S: Final = 180

_ADAPTER = re.compile(r"[a-z][a-z0-9-]{1,63}")
_OPERATION = re.compile(r"[a-z][a-z0-9_]{0,63}|\*")
_CASE = re.compile(r"[!-~]{1,120}")


class Terms(msgspec.Struct, frozen=True):
    """The agreement a call falls under."""

    agreement: str
    purpose_zh: str


# (department that asks, adapter that is asked, its operation or *) → the agreement that holds now, None where none does
Agreed = Callable[[str, str, str], Terms | None]


def nothing_agreed(department: str, adapter: str, operation: str) -> Terms | None:
    """Tell that no department may ask another anything."""
    return None


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a call is to be made for."""

    adapter: str
    operation: str
    purpose: str
    case: str


class _Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who exchanges: a client, or a department's system by its machine key."""

    actor: str
    department: str
    client: Client | None  # None: a machine, which may exchange tokens of every site of its department


class Exchanging:
    """The exchange of one process."""

    def __init__(
        self, pool: Pool, region: str, callers: Callers, issuer: Issuer, clients: Clients, sessions: Sessions,
        agreed: Agreed,
    ) -> None:  # fmt: skip
        self._pool, self._region = pool, region
        self._callers, self._issuer, self._clients = callers, issuer, clients
        self._sessions, self._agreed = sessions, agreed

    async def give(self, shown: Shown) -> TokenAnswer:
        """Return a token for one department, for the person whose access token is shown.

        The person's data use tells of it before it leaves.

        Raises:
            ClientRefused: nobody proved who calls.
            RequestRefused: the token shown does not hold, or there is no agreement; `invalid_target` for the latter.
        """
        wish = _read(shown.form)
        caller = await self._caller(shown)
        bound_to = await self._callers.binding(caller.client, shown)
        grant, client = await self._subject(shown.form.get("subject_token", ""), caller, bound_to)
        purpose = _purpose(client, grant, wish)
        terms = self._agreed(caller.department, wish.adapter, wish.operation)
        if terms is None:
            raise RequestRefused("invalid_target", "agreement")
        person = await self._sessions.person(grant.subject_id)
        claims = self._claims(wish, caller, client, grant, terms) | confirmation(bound_to)
        claims["sub"] = self._issuer.for_department(person.number, wish.adapter)
        if "id_number" in purpose.claims:
            claims["id_number"] = {"type": person.number_type, "number": person.number}
        await self._record(wish, caller, grant, purpose, terms)
        return TokenAnswer(
            access_token=self._issuer.sign(claims, "at+jwt"),
            token_type="DPoP" if (bound_to or "").startswith("jkt:") else "Bearer",
            expires_in=LIFE_S,
            scope=wish.operation,
            issued_token_type=shown.form.get("requested_token_type", ACCESS_TOKEN),
        )

    async def _caller(self, shown: Shown) -> _Caller:
        if shown.machine is not None and shown.machine.department is not None:
            return _Caller(actor=shown.machine.actor_id, department=shown.machine.department, client=None)
        client = await self._callers.identify(shown)
        return _Caller(actor=client.actor, department=client.department, client=client)

    async def _subject(self, token: str, caller: _Caller, bound_to: str | None) -> tuple[store.GrantRow, Client]:
        """Return whose token is shown, and the site it was given to: the caller's own, or one of its department."""
        try:
            told = await self._issuer.read(token, self._issuer.audience)
        except TokenRefused as refused:
            raise RequestRefused("invalid_request", f"subject_token_{refused.reason}") from refused
        grant = await store.grant(self._pool, self._region, told.grant)
        client = await self._clients.find(told.client_id)
        if grant is None or client is None or grant.client != client.id:
            raise RequestRefused("invalid_request", "subject_token_ended")
        own = caller.client.id == client.id if caller.client else caller.department == client.department
        if not own:
            raise RequestRefused("invalid_request", "subject_token_client")
        # Who took a bound token and lacks its key gets nothing for it here either.
        if grant.bound_to != bound_to:
            raise RequestRefused("invalid_request", "subject_token_binding")
        return grant, client

    def _claims(
        self, wish: _Wish, caller: _Caller, client: Client, grant: store.GrantRow, terms: Terms
    ) -> dict[str, Any]:  # fmt: skip
        now = int(time.time())
        return {
            "iss": self._issuer.name,
            "aud": audience_of(wish.adapter),
            "client_id": client.id,
            "act": {"sub": caller.actor, "department": caller.department},
            "iat": now,
            "exp": now + LIFE_S,
            "jti": secrets.token_urlsafe(16),
            "grant": grant.id,
            "scope": wish.operation,
            "purpose": wish.purpose,
            "case": wish.case,
            "agreement": terms.agreement,
            "acr": f"{rules.ACR}{grant.level}",
            "auth_time": int(grant.auth_time.timestamp()),
        }

    async def _record(
        self, wish: _Wish, caller: _Caller, grant: store.GrantRow, purpose: Purpose, terms: Terms
    ) -> None:  # fmt: skip
        use = Use(
            adapter=wish.adapter,
            basis=purpose.basis_zh,
            fields=("id_number", "sub") if "id_number" in purpose.claims else ("sub",),
            operation=wish.operation,
            outcome="vouched",
            purpose=terms.purpose_zh,
            version="oidc",
        )
        detail = {"agreement": terms.agreement, "client": grant.client, "purpose": wish.purpose}
        async with self._pool.acquire() as db, db.transaction():
            await audit.record(
                db, self._region, actor=caller.actor, subject=grant.subject_id, action="client.token_exchanged",
                object=wish.case, detail=detail, uses=[audit.use_entry(use)],
            )  # fmt: skip


def audience_of(adapter: str) -> str:
    """Return what a token for a department's system names as its audience."""
    return f"urn:onestop:department:{adapter}"


def _read(form: Any) -> _Wish:
    """Read what an exchange asks for (RFC 8693, 2.1), and two members of our own: `purpose` and `case`."""
    if form.get("subject_token_type") != ACCESS_TOKEN:
        raise RequestRefused("invalid_request", "subject_token_type")
    if form.get("requested_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
        raise RequestRefused("invalid_request", "requested_token_type")
    for name in ("actor_token", "actor_token_type", "resource"):
        if name in form:
            raise RequestRefused("invalid_request", name)  # who acts is who calls; the audience is a department
    adapter = form.get("audience", "").removeprefix("urn:onestop:department:")
    if not _ADAPTER.fullmatch(adapter):
        raise RequestRefused("invalid_target", "audience")
    operation = form.get("scope", ANY)
    if not _OPERATION.fullmatch(operation):
        raise RequestRefused("invalid_scope", "scope")
    if not _CASE.fullmatch(form.get("case", "")):
        raise RequestRefused("invalid_request", "case")
    return _Wish(adapter=adapter, operation=operation, purpose=form.get("purpose", ""), case=form["case"])


def _purpose(client: Client, grant: store.GrantRow, wish: _Wish) -> Purpose:
    """Return the purpose a call is made for: one that the person signed in for."""
    for purpose in rules.purposes_of(client, grant.scope):
        if purpose.code == wish.purpose:
            return purpose
    raise RequestRefused("invalid_scope", "purpose")
