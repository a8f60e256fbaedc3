"""The provider of one process, put together."""

import asyncio
import contextlib
from typing import Self

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.identity.service import Sessions
from onestop.provider.callers import Callers
from onestop.provider.certificates import Certificates
from onestop.provider.issuer import Issuer
from onestop.provider.proofs import Proofs
from onestop.provider.service_authorize import Authorizing
from onestop.provider.service_claims import Telling
from onestop.provider.service_clients import Clients
from onestop.provider.service_exchange import Agreed, Exchanging, nothing_agreed
from onestop.provider.service_logout import Leaving
from onestop.provider.service_notices import Notices
from onestop.provider.service_tokens import Tokens
from onestop.rounds import repeat
from onestop.settings import Settings

_LOOK_S = 5.0  # how often the signing keys are looked at: others may have made a new one


class Provider:
    """Every part of the provider that a process needs, sharing clients, keys and proofs."""

    def __init__(
        self, pool: Pool, keys: Keys, settings: Settings, sessions: Sessions, agreed: Agreed = nothing_agreed
    ) -> None:
        """`agreed` says what departments agreed on. Raises BadSettings: `trusted_proxies` cannot be read."""
        region = settings.region
        self.clients = Clients(pool)
        self.issuer = Issuer(pool, keys, settings)
        self.proofs = Proofs(pool, keys, region)
        self.certificates = Certificates(settings)
        self.callers = Callers(self.clients, self.proofs, self.issuer.name)
        exchanging = Exchanging(pool, region, self.callers, self.issuer, self.clients, sessions, agreed)
        self.tokens = Tokens(pool, region, self.callers, self.issuer, exchanging)
        self.notices = Notices(pool, region)
        self.authorizing = Authorizing(pool, keys, region, self.clients, self.issuer, sessions, self.notices)
        self.telling = Telling(
            pool, region, self.clients, self.callers, self.proofs, self.issuer, self.tokens, sessions
        )  # fmt: skip
        self.leaving = Leaving(self.clients, self.issuer, sessions)
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the signing keys, and look for others' new ones from now on."""
        await self.issuer.signing.load()
        self._watch = asyncio.create_task(
            repeat("provider_keys", self.issuer.signing.load, _LOOK_S, at_once=False), name="provider keys"
        )

    async def close(self) -> None:
        """Stop looking."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
