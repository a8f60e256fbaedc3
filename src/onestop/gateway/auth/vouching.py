"""The portal's own tokens (`onestop_token`): made for each call, checked by the department with the portal's JWKS.

Whoever signs is told to a process once (`provide`): the keys are the portal's, not a department's, and no secret of
the environment. A simulator, and a system that is tried without a portal, are told a key of their own as `onestop_key`.
"""

import asyncio
import secrets
import time
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from onestop.gateway.auth.credentials import Credentials, TokenRefused
from onestop.gateway.auth.jwt import jwt_signer
from onestop.gateway.auth.keys import Secrets
from onestop.gateway.auth.recipes import Outgoing
from onestop.gateway.manifest_auth import OnestopToken
from onestop.provider.service_exchange import audience_of

KEY: Final = "onestop_key"
SANDBOX: Final = "sandbox"  # who issues where a key is told
TYPE: Final = "at+jwt"


class Voucher(Protocol):
    """Who signs in the portal's name."""

    @property
    def name(self) -> str:
        """The issuer."""

    @property
    def fresh(self) -> bool:
        """Whether the keys were looked at lately."""

    async def load(self) -> None:
        """Look at the keys."""

    def for_department(self, number: str, adapter: str) -> str:
        """Return by what name a department knows a person."""

    def sign(self, claims: dict[str, Any], typ: str) -> str:
        """Return the claims as a signed token."""


_vouchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Voucher] = WeakKeyDictionary()


def provide(loop: asyncio.AbstractEventLoop, voucher: Voucher) -> None:
    """Let the lines of this process's loop have their tokens signed by `voucher`."""
    _vouchers[loop] = voucher


class Vouching(Credentials):
    """A fresh token of the portal for each request."""

    def __init__(self, spec: OnestopToken, adapter: str, told: Secrets) -> None:
        """Raises BadManifest: `onestop_key` is told and is no key for ES256."""
        self._spec, self._adapter = spec, adapter
        self._told: Voucher | None = _Told(told) if KEY in told else None

    @property
    def _voucher(self) -> Voucher | None:
        return self._told or _vouchers.get(asyncio.get_running_loop())

    @property
    def ready(self) -> bool:  # type: ignore[override]  # a fixed fact of the others, a state here
        voucher = self._voucher
        return voucher is not None and voucher.fresh

    async def prepare(self) -> None:
        voucher = self._voucher
        if voucher is None:
            raise TokenRefused("this process has no keys of the portal, and no onestop_key is told")
        await voucher.load()

    def apply(self, out: Outgoing) -> None:
        voucher = self._voucher
        assert voucher is not None  # `ready` comes first
        token = voucher.sign(self._claims(out, voucher), TYPE)
        out.headers.append((self._spec.header, self._spec.prefix + token))

    def _claims(self, out: Outgoing, voucher: Voucher) -> dict[str, Any]:
        """Say for whom, what and why: nothing that the request would not tell as well, but where `subject` says so."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": voucher.name,
            "aud": audience_of(self._adapter),
            "sub": "onestop",
            "client_id": "onestop",
            "iat": now,
            "exp": now + self._spec.life_s,
            "jti": secrets.token_urlsafe(16),
        }
        if out.operation is not None:
            claims |= {"scope": out.operation.id, "purpose": out.operation.purpose.zh}
        case = out.values.get("case")
        if isinstance(case, dict) and case.get("number"):
            claims["case"] = case["number"]
        subject = out.values.get("subject")
        number = subject.get("number") if isinstance(subject, dict) else None
        if number:
            claims |= {"sub": voucher.for_department(number, self._adapter), "act": {"sub": "onestop"}}
            if self._spec.subject == "number":
                claims["id_number"] = {"number": number}
        return claims


class _Told:
    """Signs with a key that the environment tells."""

    name = SANDBOX
    fresh = True

    def __init__(self, told: Secrets) -> None:
        self._sign = jwt_signer("ES256", told, KEY)

    async def load(self) -> None:
        """Do nothing: there is one key."""

    def for_department(self, number: str, adapter: str) -> str:
        """Return the number itself: in a sandbox it is nobody's."""
        return number

    def sign(self, claims: dict[str, Any], typ: str) -> str:
        """Return the claims as a signed token."""
        return self._sign({"typ": typ}, claims)
