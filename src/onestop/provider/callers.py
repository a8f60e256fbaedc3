"""Who calls an endpoint: a client that proves itself in the one way it is registered for (RFC 6749, 2.3; 7523; 8705).

What a request shows is gathered first, so that a client that shows two proofs at once is refused for that.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import unquote_plus

import msgspec
from cryptography import x509

from onestop.identity import tokens
from onestop.identity.errors import BadToken
from onestop.identity.models import Session
from onestop.provider import rules
from onestop.provider.errors import ClientRefused, RequestRefused
from onestop.provider.models import AuthMethod, Client
from onestop.provider.proofs import Proofs
from onestop.provider.service_clients import Clients

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_TYPES: Final = frozenset((None, "jwt", "client-authentication+jwt"))
_LONGEST_S: Final = 600  # how far ahead an assertion may end, and so how long its name is kept


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What one request to an endpoint shows of who sends it."""

    method: str
    url: str  # of the endpoint, by the public address, without query
    form: Mapping[str, str]
    authorization: str | None = None
    proof: str | None = None  # the DPoP header
    certificate: bytes | None = None  # DER; the one of the connection, or the one a trusted proxy told
    machine: Session | None = None  # a department's own system that showed its machine key

    def __repr__(self) -> str:
        return f"Shown({self.method} {self.url})"


class _Assertion(msgspec.Struct, frozen=True):
    iss: str
    sub: str
    aud: str | list[str]
    exp: int | float
    jti: str
    iat: int | float | None = None
    nbf: int | float | None = None


class Callers:
    """Finds out which client calls."""

    def __init__(self, clients: Clients, proofs: Proofs, issuer: str) -> None:
        self._clients, self._proofs, self._issuer = clients, proofs, issuer

    async def identify(self, shown: Shown) -> Client:
        """Return the client that a request proves to come from.

        Raises:
            ClientRefused: it proves nothing, not in the way it is registered for, or is no client.
            RequestRefused: it shows two proofs at once.
        """
        way, client_id, proof = _told(shown)
        client = await self._clients.find(client_id)
        if client is None:
            raise ClientRefused("unknown")
        if way == "none" and client.auth_method == "tls_client_auth":
            way = "tls_client_auth"  # its proof is the connection's, not the request's
        if client.auth_method != way:
            raise ClientRefused("method")
        match way:
            case "client_secret_basic":
                _check_secret(client, proof)
            case "private_key_jwt":
                await self._check_assertion(client, proof, shown.url)
            case "tls_client_auth":
                _check_certificate(client, shown.certificate)
        return client

    async def binding(self, client: Client | None, shown: Shown) -> str | None:
        """Return the key a request's tokens are bound to: that of its proof, or of its certificate; None: to none.

        Raises:
            NonceNeeded: its proof lacks our nonce.
            RequestRefused: its proof does not hold, or its client must prove a key and does not.
        """
        if shown.proof is not None:
            return "jkt:" + await self._proofs.check(shown.proof, method=shown.method, url=shown.url)
        if client is None or client.binding == "none":
            return None
        if client.binding == "tls" and shown.certificate is not None:
            return "x5t:" + rules.thumbprint(shown.certificate)
        raise RequestRefused("invalid_dpop_proof" if client.binding == "dpop" else "invalid_request", "binding")

    async def _check_assertion(self, client: Client, assertion: str, url: str) -> None:
        keys = tokens.Keyring.read(client.keys or {"keys": []})
        try:
            told = msgspec.convert(tokens.open_signed(assertion, keys, _TYPES), _Assertion)
        except BadToken as refused:
            raise ClientRefused(refused.reason) from refused
        except msgspec.ValidationError as refused:
            raise ClientRefused("claims") from refused
        _check_assertion(told, client.id, (self._issuer, url))
        kept = timedelta(seconds=_LONGEST_S + 2 * tokens.LEEWAY_S)
        try:
            await self._proofs.once("assertion", client.id, told.jti, kept, "invalid_client")
        except RequestRefused as refused:
            raise ClientRefused(refused.reason) from refused


def _told(shown: Shown) -> tuple[AuthMethod, str, str]:
    """Return the one way a request proves its client, the client's id, and the proof."""
    form, header = shown.form, shown.authorization or ""
    basic = header[:6].lower() == "basic "
    assertion = form.get("client_assertion")
    if "client_secret" in form:
        raise ClientRefused("method")  # a secret in a form ends in logs: not offered
    if basic and assertion:
        raise RequestRefused("invalid_request", "two_proofs")
    if basic:
        client_id, secret = _basic(header[6:])
        _same(form.get("client_id"), client_id)
        return "client_secret_basic", client_id, secret
    if assertion:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise ClientRefused("assertion_type")
        client_id = form.get("client_id") or _claimed_client(assertion)
        return "private_key_jwt", client_id, assertion
    client_id = form.get("client_id", "")
    if not client_id:
        raise ClientRefused("missing")
    return "none", client_id, ""


def _same(told: str | None, client_id: str) -> None:
    if told is not None and told != client_id:
        raise ClientRefused("client_id")


def _basic(encoded: str) -> tuple[str, str]:
    """Read HTTP Basic with form-encoded parts (RFC 6749, 2.3.1)."""
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError) as cause:
        raise ClientRefused("basic") from cause
    if not colon:
        raise ClientRefused("basic")
    return unquote_plus(client_id), unquote_plus(secret)


def _claimed_client(assertion: str) -> str:
    """Return whom an assertion says it is of, before anything of it is believed: its keys are looked up by that."""
    claimed = tokens.peek_issuer(assertion)
    if claimed is None:
        raise ClientRefused("form")
    return claimed


def _check_secret(client: Client, secret: str) -> None:
    told = rules.hash_of(secret)
    known = [each for each in (client.secret_hash, client.old_secret_hash) if each is not None]
    matches = [hmac.compare_digest(told, each) for each in known]  # both are compared: no time tells which one held
    if True not in matches:
        raise ClientRefused("secret")


def _check_assertion(told: _Assertion, client_id: str, audiences: tuple[str, ...]) -> None:
    """Rule: RFC 7523, 3; one audience and that ours, so that what another server got is no use here."""
    if told.iss != client_id or told.sub != client_id:
        raise ClientRefused("iss")
    audience = [told.aud] if isinstance(told.aud, str) else told.aud
    if len(audience) != 1 or audience[0] not in audiences:
        raise ClientRefused("aud")
    now = time.time()
    if told.exp <= now - tokens.LEEWAY_S:
        raise ClientRefused("expired")
    if told.exp > now + _LONGEST_S:
        raise ClientRefused("far_future")
    for moment in (told.iat, told.nbf):
        if moment is not None and moment > now + tokens.LEEWAY_S:
            raise ClientRefused("iat")
    if not 0 < len(told.jti) <= 256:
        raise ClientRefused("jti")


def _check_certificate(client: Client, der: bytes | None) -> None:
    """Rule: RFC 8705, 2.1: that the certificate is of a trusted authority was for the TLS endpoint to check."""
    if der is None:
        raise ClientRefused("certificate")
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject = certificate.subject.rfc4514_string()
    except ValueError as cause:
        raise ClientRefused("certificate") from cause
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise ClientRefused("certificate_time")
    if subject != client.tls_subject:
        raise ClientRefused("certificate_subject")
