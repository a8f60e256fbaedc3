"""How often one may try to sign in, ask for a token, refresh one: counted in the database, for all instances together.

Strangers are counted by address block; a browser that signed in before proves it with a cookie and is counted by
itself, so that an attack from its neighbourhood does not lock it out. What did not hold is counted apart, and what
holds goes through whatever that count says.
"""

import hmac
import ipaddress
import secrets
import tomllib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from importlib import resources
from time import monotonic
from typing import Any, Final, Literal

import msgspec

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.identity import store_throttles
from onestop.identity.errors import TooManyAttempts
from onestop.settings import Settings

Kind = Literal["begin", "callback", "tokens", "refreshes", "failures", "sign_ins", "tokens_of_one", "refreshes_of_one"]
DEVICE_COOKIE: Final = "__Host-onestop-device"
DEVICE_LIFE_S: Final = 180 * 86_400
_HELD: Final = 10_000
_NAME_BYTES: Final = 16
# A household or a hall has as many addresses of a block as it likes.
_BLOCKS: Final = {4: 24, 6: 56}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many tries one may have within a window."""

    most: int
    within_s: float


def read_limits(text: str) -> dict[Kind, Limit]:
    """Return the limits of a TOML text, one table for each kind of try."""
    return msgspec.convert(tomllib.loads(text), dict[Kind, Limit])


LIMITS: Final = read_limits((resources.files("onestop.identity") / "data/throttles.toml").read_text("utf-8"))


class Throttles:
    """The throttles of one process."""

    def __init__(self, pool: Pool, keys: Keys, settings: Settings, limits: Mapping[Kind, Limit] = LIMITS) -> None:
        self._pool, self._keys, self._region = pool, keys, settings.region
        self._limits = limits
        self._proxies = settings.proxies()
        # Who is over their limit need not be asked for again before their window ends: a flood costs no statement.
        self._over: dict[tuple[Kind, bytes], float] = {}
        self.clean = partial(store_throttles.delete_old_tries, pool, self._region)

    async def count(self, kind: Kind, who: str) -> None:
        """Count one try.

        Raises:
            TooManyAttempts: there were as many as there may be; `retry_after_s` is when the window ends.
        """
        limit, key = self._limits[kind], self._keys.mac(f"throttle\0{kind}\0{who}".encode())
        now = monotonic()
        until = self._over.get((kind, key), 0.0)
        if until > now:
            raise TooManyAttempts(retry_after_s=until - now)
        row = await store_throttles.count_try(
            self._pool, self._region, kind, key, timedelta(seconds=limit.within_s), limit.most
        )
        if row.count > limit.most:
            self._remember((kind, key), now + row.left_s)
            raise TooManyAttempts(retry_after_s=row.left_s)

    def _remember(self, key: tuple[Kind, bytes], until: float) -> None:
        while len(self._over) >= _HELD:
            del self._over[next(iter(self._over))]
        self._over[key] = until

    # ---- who tries

    def visitor(self, peer: str | None, forwarded: Sequence[str], device: str | None) -> str:
        """Return whom a request is counted as: a device that proves it signed in before, else an address block.

        `forwarded` are the X-Forwarded-For headers; only what a trusted proxy wrote into them is believed.
        """
        known = self.known_device(device)
        return f"device {known}" if known else f"block {block_of(client_of(peer, forwarded, self._proxies))}"

    def new_device(self) -> str:
        """Return a cookie's value for a browser that has just signed in: a random name and our proof of it."""
        name = urlsafe_b64encode(secrets.token_bytes(_NAME_BYTES)).rstrip(b"=").decode()
        return f"{name}.{self._proof(name)}"

    def known_device(self, cookie: str | None) -> str | None:
        """Return the name in a device's cookie; None where there is none or it is not ours."""
        if cookie is None or len(cookie) > 100 or not cookie.isascii():
            return None
        name, _, proof = cookie.partition(".")
        return name if name and hmac.compare_digest(proof, self._proof(name)) else None

    def _proof(self, name: str) -> str:
        return urlsafe_b64encode(self._keys.mac(f"device\0{name}".encode())).rstrip(b"=").decode()


def client_of(peer: str | None, forwarded: Sequence[str], proxies: Sequence[Any]) -> Address | None:
    """Return the address a request comes from; None where it has none.

    That is the peer's, unless the peer is a trusted proxy: then the last address it was told that is no such proxy.
    Whatever stands further left is the client's own word.
    """
    found = _address(peer)
    for told in reversed([part for header in forwarded for part in header.split(",")][-20:]):
        if found is None or not any(found in network for network in proxies):
            break
        found = _address(told.strip()) or found
    return found


def block_of(address: Address | None) -> str:
    """Return the block an address lies in, as text: /24 or /56."""
    if address is None:
        return "-"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, _BLOCKS[address.version]), strict=False))


def _address(text: str | None) -> Address | None:
    try:
        return ipaddress.ip_address(text or "")
    except ValueError:
        return None
