"""What is told of a person: userinfo, by purpose; and what a token is worth: introspection and revocation.

Whatever is told stands in the person's data use before it leaves; what cannot be written is not told.
"""

from typing import Any, Final

from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.db import Pool
from onestop.identity.models import Subject
from onestop.identity.rules import mask_number
from onestop.identity.service import Sessions
from onestop.provider import rules, store
from onestop.provider.callers import Callers, Shown
from onestop.provider.errors import ClientRefused, NonceNeeded, RequestRefused, TokenRefused
from onestop.provider.issuer import AccessToken, Issuer
from onestop.provider.models import Claim, Client, Introspection, Purpose
from onestop.provider.proofs import Proofs
from onestop.provider.service_clients import Clients
from onestop.provider.service_exchange import audience_of
from onestop.provider.service_tokens import Tokens

_MOST: Final = 8192


class Telling:
    """Userinfo, introspection and revocation of one process."""

    def __init__(
        self, pool: Pool, region: str, clients: Clients, callers: Callers, proofs: Proofs, issuer: Issuer,
        tokens: Tokens, sessions: Sessions,
    ) -> None:  # fmt: skip
        self._pool, self._region, self._clients = pool, region, clients
        self._callers, self._proofs, self._issuer = callers, proofs, issuer
        self._tokens, self._sessions = tokens, sessions

    async def userinfo(self, shown: Shown, trace_id: str) -> dict[str, Any]:
        """Return the claims a token's purposes allow, and write that they were told.

        Raises:
            TokenRefused: the token does not hold, or its key was not shown.
            NonceNeeded: the proof lacks our nonce.
        """
        scheme, token = _presented(shown.authorization)
        told = await self._issuer.read(token, self._issuer.audience)
        await self._check_key(told, scheme, token, shown)
        grant = await store.grant(self._pool, self._region, told.grant)
        client = await self._clients.find(told.client_id)
        if grant is None or client is None or grant.client != client.id:
            raise TokenRefused("ended", scheme=scheme)
        purposes = rules.purposes_of(client, grant.scope)
        claims: dict[str, Any] = {"sub": self._issuer.pairwise(grant.subject_id, client.sector)}
        if purposes:
            uses = [_use(client, purpose) for purpose in purposes]
            await audit.data_used(
                self._pool, self._region, uses, subject=grant.subject_id, actor=client.actor, object=grant.id,
                trace_id=trace_id,
            )  # fmt: skip
            subject = await self._sessions.person(grant.subject_id)
            claims |= {claim: _value(claim, subject) for claim in rules.claims_of(purposes)}
        return claims

    async def _check_key(self, told: AccessToken, scheme: str, token: str, shown: Shown) -> None:
        """Check that whoever shows a bound token holds its key (RFC 9449, 7.1; RFC 8705, 3)."""
        jkt, x5t = told.cnf.get("jkt"), told.cnf.get("x5t#S256")
        if (jkt is not None) != (scheme == "DPoP"):
            raise TokenRefused("scheme", scheme="DPoP" if jkt else "Bearer")
        if x5t is not None and (shown.certificate is None or rules.thumbprint(shown.certificate) != x5t):
            raise TokenRefused("certificate")
        if jkt is None:
            return
        if shown.proof is None:
            raise TokenRefused("proof", "invalid_dpop_proof", "DPoP")
        try:
            holder = await self._proofs.check(
                shown.proof, method=shown.method, url=shown.url, access_token=token
            )  # fmt: skip
        except NonceNeeded as refused:
            raise TokenRefused("nonce", "use_dpop_nonce", "DPoP", refused.nonce) from refused
        except RequestRefused as refused:
            raise TokenRefused(refused.reason, refused.error, "DPoP") from refused
        if holder != jkt:
            raise TokenRefused("key", "invalid_dpop_proof", "DPoP")

    async def introspect(self, shown: Shown) -> Introspection:
        """Return what a token is worth now (RFC 7662), to the client it was given to or the one it is for.

        Raises:
            ClientRefused: the client did not prove who it is, or is one that cannot.
        """
        client = await self._callers.identify(shown)
        if client.auth_method == "none":
            raise ClientRefused("public")
        token = shown.form.get("token", "")
        try:
            told = await self._issuer.read(token[:_MOST])
        except TokenRefused:
            return await self._introspect_refresh(client, token)
        grant = await store.grant(self._pool, self._region, told.grant)
        for_it = told.client_id == client.id or told.aud == audience_of(client.department)
        if grant is None or grant.client != told.client_id or not for_it:
            return Introspection(active=False)
        return Introspection(
            active=True, client_id=told.client_id, sub=told.sub, scope=told.scope, exp=told.exp, iat=told.iat,
            iss=told.iss, aud=told.aud, acr=told.acr, token_type="DPoP" if "jkt" in told.cnf else "Bearer",
            **({"cnf": told.cnf} if told.cnf else {}), **({"act": told.act} if told.act else {}),
        )  # fmt: skip

    async def _introspect_refresh(self, client: Client, token: str) -> Introspection:
        known = await store.unused_refresh(self._pool, self._region, rules.hash_of(token), client.id)
        grant = None if known is None else await store.grant(self._pool, self._region, known)
        if grant is None:
            return Introspection(active=False)
        return Introspection(
            active=True, client_id=client.id, sub=self._issuer.pairwise(grant.subject_id, client.sector),
            scope=" ".join(grant.scope), exp=int(grant.expires_at.timestamp()), iss=self._issuer.name,
        )  # fmt: skip

    async def revoke(self, shown: Shown) -> None:
        """End the grant behind a token of the client's own (RFC 7009); a token that is nobody's is passed over.

        It holds nowhere from this moment: every look at a token looks at its grant.

        Raises:
            ClientRefused: the client did not prove who it is.
        """
        client = await self._callers.identify(shown)
        token = shown.form.get("token", "")
        grant = await store.refresh_grant(self._pool, self._region, rules.hash_of(token), client.id)
        if grant is None:
            try:
                told = await self._issuer.read(token[:_MOST])
            except TokenRefused:
                return
            grant = told.grant if told.client_id == client.id else None
        if grant is not None:
            await self._tokens.end(grant, client, "revoked")


def _presented(authorization: str | None) -> tuple[str, str]:
    scheme, _, token = (authorization or "").partition(" ")
    known = {"bearer": "Bearer", "dpop": "DPoP"}.get(scheme.lower())
    if known is None or not token:
        raise TokenRefused("missing")
    return known, token


def _value(claim: Claim, subject: Subject) -> Any:
    match claim:
        case "name":
            return subject.name
        case "id_number":
            return {"type": subject.number_type, "number": subject.number}
        case "id_number_masked":
            return mask_number(subject.number)
        case "subject_kind":
            return subject.kind


def _use(client: Client, purpose: Purpose) -> str:
    """Return, as the person's data use tells it, what a site was told, for what and on what basis."""
    use = Use(
        adapter=client.department,
        basis=purpose.basis_zh,
        fields=tuple(sorted(purpose.claims)),
        operation=client.id,
        outcome="site_told",
        purpose=purpose.zh,
        version="oidc",
    )
    return audit.use_entry(use)
