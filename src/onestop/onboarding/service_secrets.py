"""Verbs of places and secrets: told once, sealed, never shown again; two values hold at once while keys change."""

from datetime import datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from msgspec import Meta

from onestop import clock
from onestop.db import Connection
from onestop.gateway.line import Where
from onestop.gateway.places import environment_of, secret_context
from onestop.gateway.service import places
from onestop.ids import new_id
from onestop.onboarding import rules, signatures, store, store_terms
from onestop.onboarding.errors import (
    PlaceIsLive,
    PlaceNotAllowed,
    SecretUnreadable,
    SignatureWrong,
    ThingAbsent,
    TooManySecrets,
)
from onestop.onboarding.models import Actor, Environment, SecretName
from onestop.onboarding.service import Life
from onestop.outbound.addresses import AllowList, look_up
from onestop.outbound.errors import AddressRefused, OutboundError

_MOST_AT_ONCE: Final = 2
_PEM: Final = "-----BEGIN CERTIFICATE-----"


Address = Annotated[str, Meta(min_length=8, max_length=500, examples=["https://api.gongan.example.com"])]
ConstantName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]

_Address = tuple[str, str, int, str]


class SetPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a department's system is; what is not told stays as the environment file says."""

    url: Address
    replicas: Annotated[list[Address], Meta(max_length=16)] | None = None  # that do the same; an empty list: none
    token_url: Address | None = None  # the token endpoint, where it is on another host
    config: Annotated[dict[ConstantName, Annotated[str, Meta(max_length=1000)]], Meta(max_length=50)] = {}


class NewSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of one secret; it is not shown again."""

    environment: Environment
    name: SecretName
    value: Annotated[str, Meta(min_length=1, max_length=16_384)]
    not_before: datetime | None = None  # from when we sign with it; none: at once
    not_after: datetime | None = None  # until when it is good; a certificate says so itself


class SecretView(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as it may be shown."""

    id: str
    environment: Environment
    name: str
    fingerprint: str
    age_days: int
    not_before: datetime
    not_after: datetime | None
    expires_in_days: int | None
    warning: bool  # it ends within sixty days, or is over
    certificate: bool
    set_by: str


class PlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """Where an adapter's system is in one environment."""

    environment: Environment
    url: str
    replicas: list[str] | None
    token_url: str | None
    config: dict[str, str]
    set_by: str
    set_at: datetime


class SecretList(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter's places and secrets; no value is ever among them."""

    places: list[PlaceView]
    data: list[SecretView]


class NewSigningKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public half of a key that a department signs its manifests with, as a JWK: P-256 or Ed25519."""

    kid: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    jwk: dict[str, str]


async def check_places(life: Life, told: SetPlace) -> None:
    """Check every address of a place as `check_place` does.

    Raises:
        PlaceNotAllowed: one is no http address, or leads outside the allowed networks.
    """
    for url in (told.url, *(told.replicas or ())):
        await check_place(life, url)
    if told.token_url is not None:
        await check_place(life, told.token_url, query=True)


async def check_place(life: Life, url: str, *, query: bool = False) -> None:
    """Check an address against what this installation may call; looks the name up, so outside any transaction.

    `query`: it may have one, as token endpoints have.

    Raises:
        PlaceNotAllowed: it is no http address, or leads outside the allowed networks; `reason` says which.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as fault:
        raise PlaceNotAllowed(reason="form", host=url[:80]) from fault
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.username
        or parts.fragment
        or (parts.query and not query)
    ):
        raise PlaceNotAllowed(reason="form", host=host or url[:80])
    try:
        AllowList(life.settings.outbound_allow).choose(await look_up(host, port), port)
    except AddressRefused as fault:
        raise PlaceNotAllowed(reason="outside", host=f"{host}:{port}") from fault
    except OutboundError as fault:
        raise PlaceNotAllowed(reason="unknown_name", host=host) from fault


async def _elsewhere(life: Life, db: Connection, adapter_id: str, environment: Environment) -> set[_Address]:
    """Return the addresses of an adapter's system in the other environment, of the environment file too."""
    found = {
        address
        for row in await store_terms.places(db, adapter_id)
        if row.environment != environment
        for address in _addresses(row)
    }
    filed = places(life.settings).get(adapter_id) if environment_of(life.settings) != environment else None
    return found | (_addresses(filed) if filed is not None else set())


def _addresses(told: "SetPlace | store_terms.PlaceRow | Where") -> set[_Address]:
    """Return what is called at a place, however it is written: scheme, host, port, path."""
    found: set[_Address] = set()
    for url in (told.url, *(told.replicas or ())):
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found.add((parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/")))
    return found


async def set_place(
    life: Life, db: Connection, actor: Actor, adapter_id: str, environment: Environment, told: SetPlace
) -> PlaceView:
    """Say where an adapter's system is; the caller has asked `check_places` before.

    Raises:
        AdapterAbsent: there is none, or it is somebody else's.
        PlaceIsLive: the sandbox and the live system would have one address.
    """
    await life.hold(db, actor, adapter_id)
    both = _addresses(told) & await _elsewhere(life, db, adapter_id, environment)
    if both:
        raise PlaceIsLive(host=sorted(both)[0][1])
    await store_terms.set_place(
        db, adapter_id, environment, told.url, told.replicas, told.token_url, told.config, actor.id
    )  # fmt: skip
    await store.changed(db)
    host = urlsplit(told.url).hostname or ""
    hosts = [urlsplit(url).hostname or "" for url in (*(told.replicas or ()), told.token_url or "") if url]
    await life.record(
        db, actor, "adapter.place", adapter_id,
        {"environment": environment, "host": host, "others": hosts, "config": sorted(told.config)},
    )  # fmt: skip
    await life.notify(db, adapter_id, None, "place", environment=environment, host=host, by=actor.id)
    row = next(row for row in await store_terms.places(db, adapter_id) if row.environment == environment)
    return _view(row)


def _view(row: store_terms.PlaceRow) -> PlaceView:
    return PlaceView(
        environment=row.environment, url=row.url, replicas=row.replicas, token_url=row.token_url, config=row.config,
        set_by=row.set_by, set_at=row.set_at,
    )  # fmt: skip


async def add_secret(life: Life, db: Connection, actor: Actor, adapter_id: str, new: NewSecret) -> SecretView:
    """Take one value of a secret, sealed; an older value of that name holds beside it until it is removed.

    Raises:
        AdapterAbsent: there is none, or it is somebody else's.
        SecretUnreadable: a certificate cannot be read, or is over.
        TooManySecrets: two values of that name hold already.
    """
    await life.hold(db, actor, adapter_id)
    now = clock.real_now()
    ends = certificate_end(new.value) if _PEM in new.value else None
    begins = rules.instant(new.not_before) if new.not_before else now
    told = rules.instant(new.not_after) if new.not_after else None
    if begins is None or (new.not_after and told is None):
        raise SecretUnreadable(reason="time", name=new.name)
    not_after = min((moment for moment in (ends, told) if moment is not None), default=None)
    if not_after is not None and not_after <= now:
        raise SecretUnreadable(reason="over", name=new.name)
    rows = await store_terms.secrets(db, adapter_id)
    same = [row for row in rows if (row.environment, row.name) == (new.environment, new.name)]
    if len(same) >= _MOST_AT_ONCE:
        raise TooManySecrets(name=new.name, ids=", ".join(row.id for row in same))
    id_ = new_id("sec")
    sealed = life.keys.seal(new.value.encode(), secret_context(adapter_id, new.environment, id_))
    print_ = _fingerprint(life, new.value)
    await store_terms.insert_secret(
        db, adapter_id, new.environment, id_, new.name, sealed, print_, begins, not_after, ends is not None, actor.id
    )  # fmt: skip
    await store.changed(db)
    await life.record(db, actor, "adapter.secret", adapter_id, {"environment": new.environment, "name": new.name})
    await life.notify(
        db, adapter_id, None, "secret", name=new.name, environment=new.environment, fingerprint=print_, by=actor.id
    )  # fmt: skip
    return next(_shown(row, now) for row in await store_terms.secrets(db, adapter_id) if row.id == id_)


def _fingerprint(life: Life, value: str) -> str:
    """Return what tells two values apart and gives neither away: a certificate's own, else a keyed digest."""
    if _PEM in value:
        return x509.load_pem_x509_certificate(value.encode()).fingerprint(hashes.SHA256()).hex()[:32]
    return life.keys.blind_index(value, "adapter_secrets.fingerprint").hex()[:16]


def certificate_end(pem: str) -> datetime:
    """Return when the first certificate of a PEM text ends.

    Raises:
        SecretUnreadable: it cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    except ValueError as fault:
        raise SecretUnreadable(reason="certificate", name="") from fault


async def remove_secret(life: Life, db: Connection, actor: Actor, adapter_id: str, id_: str) -> None:
    """Forget a value; the sealed bytes go too.

    Raises:
        AdapterAbsent, ThingAbsent: there is none.
    """
    await life.hold(db, actor, adapter_id)
    if not await store_terms.remove_secret(db, adapter_id, id_):
        raise ThingAbsent(what=id_)
    await store.changed(db)
    await life.record(db, actor, "adapter.secret_removed", adapter_id, {"secret": id_})
    await life.notify(db, adapter_id, None, "secret_removed", secret=id_, by=actor.id)


async def listed(life: Life, actor: Actor, adapter_id: str) -> SecretList:
    """Return an adapter's places and secrets: name, fingerprint, age, end.

    Raises:
        AdapterAbsent: there is none, or it is somebody else's.
    """
    await life.find(life.pool, actor, adapter_id)
    now = clock.real_now()
    rows = await store_terms.places(life.pool, adapter_id)
    return SecretList(
        places=[_view(row) for row in rows],
        data=[_shown(row, now) for row in await store_terms.secrets(life.pool, adapter_id)],
    )


def _shown(row: store_terms.SecretRow, now: datetime) -> SecretView:
    left = None if row.not_after is None else (row.not_after - now) // timedelta(days=1)
    return SecretView(
        id=row.id,
        environment=row.environment,
        name=row.name,
        fingerprint=row.fingerprint,
        age_days=max((now - row.set_at) // timedelta(days=1), 0),
        not_before=row.not_before,
        not_after=row.not_after,
        expires_in_days=left,
        warning=row.not_after is not None and rules.warning_days(row.not_after, now) is not None,
        certificate=row.certificate,
        set_by=row.set_by,
    )


# ---- keys that manifests are signed with


async def add_signing_key(life: Life, db: Connection, actor: Actor, adapter_id: str, new: NewSigningKey) -> None:
    """Register the public half of a key for the department behind an adapter.

    Raises:
        AdapterAbsent: there is none, or it is somebody else's.
        SignatureWrong: it is no public P-256 or Ed25519 key, or another key has that name.
    """
    known = await life.find(db, actor, adapter_id)
    signatures.read_key(new.jwk)
    if not await store_terms.insert_department_key(db, known.owner, new.kid, new.jwk, actor.id):
        raise SignatureWrong(reason="kid")
    await life.record(db, actor, "adapter.signing_key", adapter_id, {"kid": new.kid})
    await life.notify(db, adapter_id, None, "signing_key", kid=new.kid, by=actor.id)


async def remove_signing_key(life: Life, db: Connection, actor: Actor, adapter_id: str, kid: str) -> None:
    """Take a signing key back: what it signed before stays, nothing new is taken by it.

    Raises:
        AdapterAbsent, ThingAbsent: there is none.
    """
    known = await life.find(db, actor, adapter_id)
    if not await store_terms.remove_department_key(db, known.owner, kid):
        raise ThingAbsent(what=kid)
    await life.record(db, actor, "adapter.signing_key_removed", adapter_id, {"kid": kid})
