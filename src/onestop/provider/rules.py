"""Decisions of the provider: what an authorization request asks for, and whether a session answers it."""

import base64
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256
from typing import Any, Final

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from onestop.identity.models import Session
from onestop.provider.errors import RequestRefused
from onestop.provider.models import Asked, Claim, Client, Purpose

CODE_LIFE: Final = timedelta(seconds=60)
PUSHED_LIFE: Final = timedelta(seconds=90)  # RFC 9126: between 5 and 600 s
SIGN_IN_LIFE: Final = timedelta(minutes=10)  # of a request whose person is on the way through sign-in
ACCESS_LIFE_S: Final = 300
ID_TOKEN_LIFE_S: Final = 300
ACR: Final = "urn:onestop:level:"
REQUEST_URI: Final = "urn:ietf:params:oauth:request_uri:"
# Rule: R-150, signing in once holds everywhere (一次认证、全网通办).
SIGN_IN_BASIS: Final = "国务院令第716号第五条"
LEVELS: Final = (0, 1, 2, 3)

_TEXT = re.compile(r"[\x20-\x7e]*")
_S256 = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_NUMBER = re.compile(r"\d{1,9}")
_PROMPTS: Final = frozenset(("none", "login", "consent", "select_account"))
# RFC 9101 and OpenID Connect Core name their own refusals for what a provider does not offer.
_NOT_OFFERED: Final = {"request": "request_not_supported", "registration": "registration_not_supported"}
_MOST: Final = {"state": 512, "nonce": 512, "login_hint": 128, "ui_locales": 128, "acr_values": 256, "scope": 1000}


class Stand(Enum):
    """What becomes of an authorization request in view of a session."""

    GRANT = "grant"
    SIGN_IN = "sign_in"


def single(form: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as text; an empty one counts as left out.

    Rule: RFC 6749, 3.1: none may come more than once.

    Raises:
        RequestRefused: one did.
    """
    if any(not isinstance(value, str) for value in form.values()):
        raise RequestRefused("invalid_request", "parameter_twice")
    return {name: value for name, value in form.items() if value}


def read_request(told: Mapping[str, str], client: Client, redirect_uri: str) -> Asked:
    """Return what an authorization request asks for; that its redirect URI is the client's was checked before.

    Raises:
        RequestRefused: it breaks a rule; with the word it is answered by.
    """
    for name, error in _NOT_OFFERED.items():
        if name in told:
            raise RequestRefused(error, name)
    for name, most in _MOST.items():
        text = told.get(name, "")
        # A hint may be a name in any script; it is bounded and looked at no further.
        if len(text) > most or (name != "login_hint" and not _TEXT.fullmatch(text)):
            raise RequestRefused("invalid_request", name)
    if told.get("response_type") != "code":
        raise RequestRefused("unsupported_response_type", "response_type")
    if told.get("response_mode", "query") != "query":
        raise RequestRefused("invalid_request", "response_mode")
    prompts = _prompts(told.get("prompt", ""))
    return Asked(
        client=client.id,
        redirect_uri=redirect_uri,
        scope=_scope(told.get("scope", ""), client),
        challenge=_challenge(told),
        state=told.get("state"),
        nonce=told.get("nonce"),
        level=max(client.level, _level(told.get("acr_values", ""))),
        max_age_s=_max_age(told.get("max_age")),
        silent="none" in prompts,
        anew=bool({"login", "select_account"} & prompts),
        bound_to=_bound_to(told.get("dpop_jkt")),
    )


def _prompts(text: str) -> set[str]:
    prompts = set(text.split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise RequestRefused("invalid_request", "prompt")
    return prompts


def _scope(text: str, client: Client) -> tuple[str, ...]:
    asked = tuple(dict.fromkeys(text.split()))
    if "openid" not in asked:
        raise RequestRefused("invalid_scope", "openid")
    known = {purpose.code for purpose in client.purposes}
    if not set(asked) <= known | {"openid"}:
        raise RequestRefused("invalid_scope", "purpose")  # no basis is registered for it: said, not passed over
    return asked


def _challenge(told: Mapping[str, str]) -> str:
    challenge = told.get("code_challenge", "")
    if told.get("code_challenge_method") != "S256" or not _S256.fullmatch(challenge):
        raise RequestRefused("invalid_request", "pkce")
    return challenge


def _level(acr_values: str) -> int:
    """Return the lowest level among those asked for, 0 where none of them is ours."""
    asked = acr_values.split()
    levels = [level for level in LEVELS if f"{ACR}{level}" in asked]
    return min(levels, default=0)


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise RequestRefused("invalid_request", "max_age")
    return int(text)


def _bound_to(thumbprint: str | None) -> str | None:
    if thumbprint is None:
        return None
    if not _S256.fullmatch(thumbprint):
        raise RequestRefused("invalid_request", "dpop_jkt")
    return f"jkt:{thumbprint}"


def stand(
    asked: Asked, session: Session | None, signed_in_at: datetime | None, begun_at: datetime | None, now: datetime
) -> Stand:
    """Say whether a session answers a request, or its person has to sign in first.

    `signed_in_at` is when the session was opened, `begun_at` when this request's person was sent to sign in; None: was
    not. Who was sent once and comes back without what is asked for is refused, so that nobody goes in circles.

    Raises:
        RequestRefused: neither will do; with OpenID Connect's word for it.
    """
    if session is not None and session.kind == "cookie" and session.role != "citizen":
        raise RequestRefused("access_denied", "role")
    sent = begun_at is not None and signed_in_at is not None and signed_in_at >= begun_at
    if session is None or session.kind != "cookie" or signed_in_at is None:
        return _sign_in(asked, "login_required", sent=False)
    if session.level < asked.level:
        return _sign_in(asked, "unmet_authentication_requirements", sent=sent)
    old = asked.max_age_s is not None and now - signed_in_at > timedelta(seconds=asked.max_age_s)
    if (asked.anew or old) and not sent:
        return _sign_in(asked, "login_required", sent=False)
    return Stand.GRANT


def _sign_in(asked: Asked, error: str, *, sent: bool) -> Stand:
    if asked.silent or sent:
        raise RequestRefused(error, "session")
    return Stand.SIGN_IN


def verifies(verifier: str, challenge: str) -> bool:
    """Tell whether a code verifier is that of the challenge (RFC 7636, S256)."""
    return bool(_VERIFIER.fullmatch(verifier)) and create_s256_code_challenge(verifier) == challenge


def purposes_of(client: Client, scope: list[str] | tuple[str, ...]) -> list[Purpose]:
    """Return the purposes a grant's scope names, as the client is registered now."""
    return [purpose for purpose in client.purposes if purpose.code in scope]


def claims_of(purposes: list[Purpose]) -> tuple[Claim, ...]:
    """Return which claims these purposes allow, each once, in order of name.

    Rule: R-151, nothing beyond them is told.
    """
    allowed: set[Claim] = set()
    for purpose in purposes:
        allowed.update(purpose.claims)
    return tuple(sorted(allowed))


def hash_of(secret: str) -> bytes:
    """Return the SHA-256 of what is kept as a hash only."""
    return sha256(secret.encode()).digest()


def thumbprint(der: bytes) -> str:
    """Return a certificate's `x5t#S256` (RFC 8705, 3.1)."""
    return base64.urlsafe_b64encode(sha256(der).digest()).rstrip(b"=").decode()
