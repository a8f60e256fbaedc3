"""One provider over the network: every call bounded in time and size, and read as what it should be."""

import asyncio
from collections.abc import Mapping
from typing import Protocol, TypeVar

import msgspec

from onestop.identity.errors import ProviderFailed, ProviderSilent
from onestop.identity.models import Provider
from onestop.outbound.errors import OutboundError

_TOTAL_S = 5.0  # for each call as a whole
_MAX_DOCUMENT = 256 * 1024
T = TypeVar("T")


class Answer(Protocol):
    """What is used of an httpx response."""

    @property
    def status_code(self) -> int: ...
    @property
    def content(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Client(Protocol):
    """What is used of the httpx client that `onestop.outbound` opens."""

    async def request(
        self, method: str, url: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer: ...


class Calls:
    """The calls to one provider."""

    def __init__(self, provider: Provider, client: Client) -> None:
        self.provider = provider
        self._client = client

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None) -> Answer:
        try:
            async with asyncio.timeout(_TOTAL_S):
                answer = await self._client.request(method, url, content=content, headers=headers)
        except TimeoutError as cause:
            raise ProviderSilent(f"{self.provider.name} did not answer in {_TOTAL_S:g} s") from cause
        except Exception as fault:
            # httpx is named in one module of onestop only; its errors are known here by what caused them.
            if isinstance(fault.__cause__, OutboundError):
                raise ProviderSilent(f"{self.provider.name}: {fault.__cause__.reason}") from fault
            raise
        if len(answer.content) > _MAX_DOCUMENT:
            raise ProviderFailed(f"{self.provider.name} answered with too much")
        return answer

    def _ok(self, answer: Answer) -> Answer:
        if answer.status_code != 200:
            raise ProviderFailed(f"{self.provider.name} answered {answer.status_code}")
        return answer

    def _read(self, answer: Answer, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
            raise ProviderFailed(f"{self.provider.name} answered with something else than asked for") from cause
