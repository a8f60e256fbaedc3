"""What ends by itself and must be replaced before: secrets and certificates of the environments, machine keys.

Owners are told thirty days, seven days and one day before, and when it is over; each once, whatever process looks.
"""

import hashlib
import re
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from cryptography import x509

from onestop import clock
from onestop.db import Db, Pool
from onestop.gateway.places import environment_of
from onestop.gateway.service import places
from onestop.identity import service_machine_keys as machine_keys
from onestop.onboarding import rules, store, store_terms
from onestop.settings import Settings

LOOK_AHEAD: Final = timedelta(days=max(rules.WARN_DAYS))
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Something that ends within thirty days, or is over."""

    adapter: str
    kind: Literal["secret", "file", "machine_key"]  # file: told by the environment file
    id: str
    name: str
    environment: str
    ends: datetime


async def endings(db: Db, settings: Settings) -> list[Ending]:
    """Return what ends within thirty days or is over, the first to end first; what has a successor is left out."""
    ahead = LOOK_AHEAD.days
    found = [
        Ending(
            adapter=row.adapter, kind="secret", id=row.id, name=row.name, environment=row.environment,
            ends=row.not_after,
        )
        for row in await store_terms.expiring(db, ahead)
    ]  # fmt: skip
    found += of_file(settings)
    keys = await machine_keys.ending(db, settings, LOOK_AHEAD)
    owned = await store.adapters_of(db, sorted({key.department for key in keys}))
    for key in keys:
        # A department that lives by its file alone has no row; its adapter bears its name.
        for adapter in owned.get(key.department) or [key.department]:
            found.append(
                Ending(
                    adapter=adapter, kind="machine_key", id=key.id, name=f"{key.label} …{key.hint}",
                    environment=key.environment, ends=key.expires_at,
                )
            )  # fmt: skip
    return sorted(found, key=lambda one: (one.ends, one.adapter, one.name))


def of_file(settings: Settings) -> list[Ending]:
    """Return the certificates of the environment file that end within thirty days; needs no database."""
    last = clock.real_now() + LOOK_AHEAD
    return [
        Ending(
            adapter=adapter, kind="file", id=hashlib.sha256(pem.encode()).hexdigest()[:16], name=name,
            environment=environment_of(settings), ends=ends,
        )
        for adapter, where in places(settings).items()
        for name, value in sorted(where.secrets.items())
        for pem in _CERTIFICATE.findall(value)
        if (ends := _end(pem)) is not None and ends <= last
    ]  # fmt: skip


def _end(pem: str) -> datetime | None:
    """Return when a certificate ends; None where it cannot be read, which a line says when it is opened."""
    try:
        return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    except ValueError:
        return None


async def warn_of_expiry(pool: Pool, settings: Settings) -> int:
    """Write the notices that are due, each once; return how many were new."""
    now, told = clock.real_now(), 0
    for one in await endings(pool, settings):
        days = rules.warning_days(one.ends, now)
        if days is None:
            continue
        mark = f"{one.adapter}:{one.kind}:{one.id}:{days}"
        params: dict[str, Any] = {
            "name": one.name, "environment": one.environment, "ends": one.ends.date().isoformat(), "days": days,
        }  # fmt: skip
        kind = ("key_" if one.kind == "machine_key" else "") + ("expired" if days == 0 else "expiring")
        id_ = "expiry:" + hashlib.sha256(mark.encode()).hexdigest()[:32]
        told += await store.insert_notice(pool, id_, one.adapter, None, kind, params)
    return told
