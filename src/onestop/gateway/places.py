"""Where an adapter's system is now, with which secrets: the environment file's word, overridden by the database's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from onestop import clock
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import store_registry as store
from onestop.gateway.line import Where
from onestop.gateway.service import places
from onestop.settings import Settings

Environment = Literal["sandbox", "live"]


def environment_of(settings: Settings) -> Environment:
    """Return which places and secrets this installation uses."""
    return "sandbox" if settings.profile == "sandbox" else "live"


def secret_context(adapter: str, environment: str, id_: str) -> str:
    """Return what a secret's value is sealed for."""
    return f"adapter_secrets.value:{adapter}:{environment}:{id_}"


class Value(msgspec.Struct, frozen=True):
    """One opened value of one secret, and when it holds."""

    name: str
    value: str
    not_before: datetime
    not_after: datetime | None


def choose(values: Sequence[Value], now: datetime) -> dict[str, str]:
    """Return the value of each secret that we sign with; one that is believed besides stands as `next_<name>`.

    We sign with the newest that has begun and is not over; what has not begun is believed already, because the other
    side may begin first. Where all are over the newest stands: a refusal by the department says more than a gap here.
    """
    current: dict[str, str] = {}
    for name in dict.fromkeys(value.name for value in values):
        own = sorted((v for v in values if v.name == name), key=lambda v: v.not_before)
        good = [v for v in own if v.not_after is None or v.not_after > now]
        begun = [v for v in good if v.not_before <= now]
        first = (begun or good or own)[-1] if begun or not good else good[0]
        current[name] = first.value
        others = [v.value for v in good if v is not first]
        if others:
            current[f"next_{name}"] = others[-1]
    return current


def opened(keys: Keys, environment: Environment, secret: store.Secret) -> Value:
    """Open one value of one secret."""
    clear = keys.unseal(secret.value, secret_context(secret.adapter, environment, secret.id)).decode()
    return Value(secret.name, clear, secret.not_before, secret.not_after)


async def place_of(pool: Pool, keys: Keys, settings: Settings, adapter: str, environment: Environment) -> Where | None:
    """Return where an adapter's system is in one environment and the secrets for it; None where nobody told.

    The environment file counts for the environment this installation runs in.
    """
    told = places(settings).get(adapter) if environment == environment_of(settings) else None
    known = {place.adapter: place for place in await store.places(pool, environment)}
    values = [opened(keys, environment, secret) for secret in await store.secrets(pool, environment, adapter)]
    return placed(told, known.get(adapter), choose(values, clock.real_now()))


def placed(told: Where | None, place: store.Place | None, secrets: dict[str, str]) -> Where | None:
    """Return the environment file's place, overridden by what the database tells; None where neither has an address.

    What the database does not tell stays as the file says; constants and secrets are overridden one by one.
    """
    if place is None:
        return msgspec.structs.replace(told, secrets={**told.secrets, **secrets}) if told is not None else None
    before = told or Where("", {})
    return Where(
        place.url,
        {**before.secrets, **secrets},
        {**before.config, **place.config},
        place.token_url or before.token_url,
        before.replicas if place.replicas is None else tuple(place.replicas),
    )
