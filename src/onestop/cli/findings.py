"""What `onestop doctor` looks at: each check returns one finding and never raises for what it was made to find."""

import asyncio
import os
import shutil
import socket
import stat
import sys
import tomllib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import asyncpg
import msgspec

from onestop import clock, embedded, migrate
from onestop.cli import adapters, store
from onestop.cli.place import database, dsn_of, without_password
from onestop.cli.speech import Halt
from onestop.errors import OnestopError
from onestop.settings import Settings

if TYPE_CHECKING:
    from onestop.onboarding.service_expiry import Ending

State = Literal["good", "warn", "bad"]
_SKEW_S = 2.0
_LEAST_FREE_GB = 1
_PATIENCE_S = 2.0
_MOST = 10  # things named in one line


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at; its words stand under `cli.doctor.<check>.<says>`, the cure under `…<says>_fix`."""

    check: str
    state: State
    says: str = "good"
    facts: dict[str, str] = {}


def _good(check: str, **facts: object) -> Finding:
    return Finding(check=check, state="good", facts=_text(facts))


def _bad(check: str, says: str, **facts: object) -> Finding:
    return Finding(check=check, state="bad", says=says, facts=_text(facts))


def _warn(check: str, says: str, **facts: object) -> Finding:
    return Finding(check=check, state="warn", says=says, facts=_text(facts))


def _text(facts: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in facts.items()}


async def python(_: Settings) -> Finding:
    """The interpreter is one onestop runs on."""
    version = ".".join(map(str, sys.version_info[:3]))
    return _good("python", version=version) if sys.version_info >= (3, 11) else _bad("python", "old", version=version)


async def postgresql(settings: Settings) -> Finding:
    """There are PostgreSQL binaries, where none are needed it says so."""
    if settings.database_url is not None and not settings.database_url.endswith(str(_socket_dir(settings))):
        return _good("postgresql", where=without_password(settings.database_url))
    try:
        return _good("postgresql", where=embedded.binaries())
    except OnestopError as fault:
        return _bad("postgresql", "none", reason=fault)


def _socket_dir(settings: Settings) -> Path:
    return embedded.Server(settings.state_dir).socket_dir


async def reachable(settings: Settings) -> Finding:
    """The database answers."""
    where = without_password(dsn_of(settings))
    try:
        async with asyncio.timeout(5), database(settings) as pool:
            return _good("database", where=where, version=await store.server_version(pool))
    except Halt as halt:
        return _bad("database", "silent", where=where, reason=halt.params.get("reason", ""))
    except (OSError, TimeoutError, asyncpg.PostgresError) as fault:
        return _bad("database", "silent", where=where, reason=fault)


async def schema(settings: Settings) -> Finding:
    """The schema is this release's."""
    try:
        found = await migrate.status(dsn_of(settings))
    except OnestopError as fault:
        return _bad("schema", "misfit", reason=fault)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return _warn("schema", "unknown")
    if found.pending:
        return _bad("schema", "pending", count=len(found.pending))
    return _good("schema", count=len(found.applied))


async def manifests(settings: Settings) -> Finding:
    """Every adapter's manifest can be used."""
    try:
        known, faults = adapters.read_all(settings.adapters_dir)
    except Halt as halt:
        return _bad("adapters", "none", folder=halt.params["folder"])
    if faults:
        return _bad("adapters", "bad", names=", ".join(name for name, _ in faults))
    return _good("adapters", count=len(known))


async def environment(settings: Settings) -> Finding:
    """Every adapter with a system has its address and secrets, and nobody else can read them."""
    path = settings.environment_file
    if path is None:
        return _warn("environment", "none")
    try:
        told = tomllib.loads(path.read_text("utf-8")).get("adapters", {})
        known, _ = adapters.read_all(settings.adapters_dir)
    except (OSError, tomllib.TOMLDecodeError) as fault:
        return _bad("environment", "unreadable", path=path, reason=fault)
    except Halt:
        known = []
    missing = [m.id for m in known if not m.desk and not told.get(m.id, {}).get("url")]
    if missing:
        return _warn("environment", "missing", path=path, names=", ".join(missing))
    if _others_may_read(path):
        return _bad("environment", "open", path=path)
    return _good("environment", path=path)


def _others_may_read(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


async def expiry(settings: Settings) -> Finding:
    """No secret, certificate or machine key ends soon, or is over without a successor."""
    from onestop.onboarding.service_expiry import endings, of_file

    heard = True
    try:
        async with asyncio.timeout(5), database(settings) as pool:
            found = await endings(pool, settings)
    except (Halt, OSError, TimeoutError, asyncpg.PostgresError, OnestopError):
        heard = False
        try:
            found = of_file(settings)
        except (OSError, ValueError, OnestopError):  # what is wrong with the file `environment` says
            found = []
    now = clock.real_now()
    over = [one for one in found if one.ends <= now]
    if over:
        return _bad("expiry", "over", names=_ends(over))
    if found:
        return _warn("expiry", "soon", names=_ends(found))
    return _good("expiry") if heard else _warn("expiry", "unknown")


def _ends(found: "list[Ending]") -> str:
    return ", ".join(f"{one.adapter} {one.name} ({one.environment}, {one.ends:%Y-%m-%d})" for one in found[:_MOST])


async def port(settings: Settings) -> Finding:
    """The gateway's port is free, or it is the gateway that answers there."""
    where = f"{settings.host}:{settings.port}"
    if await _serves(f"http://{where}/livez"):
        return _good("port", where=where)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as fault:
            return _bad("port", "taken", where=where, port=settings.port, reason=fault.strerror)
    return Finding(check="port", state="good", says="free", facts={"where": where})


async def _serves(url: str) -> bool:
    from onestop.demo.children import answers

    return await answers(url)


async def sign_in(settings: Settings) -> Finding:
    """The sign-in providers are told, and answer."""
    from onestop.identity.providers import read_providers

    if settings.identity_file is None:
        return _warn("sign_in", "none")
    try:
        providers = read_providers(settings.identity_file)
    except OnestopError as fault:
        return _bad("sign_in", "unreadable", reason=fault)
    silent = [provider.issuer for provider in providers if not await _listens(provider.issuer)]
    if silent:
        return _bad("sign_in", "silent", issuers=", ".join(silent))
    return _good("sign_in", issuers=", ".join(provider.issuer for provider in providers))


async def departments(settings: Settings) -> Finding:
    """The departments' systems can be reached."""
    path = settings.environment_file
    if path is None:
        return _warn("departments", "none")
    try:
        told = tomllib.loads(path.read_text("utf-8")).get("adapters", {})
    except (OSError, tomllib.TOMLDecodeError):
        return _warn("departments", "none")
    named = {name: str(entry["url"]) for name, entry in told.items() if entry.get("url")}
    heard = await asyncio.gather(*(_listens(url) for url in named.values()))
    silent = [name for name, answered in zip(named, heard, strict=True) if not answered]
    if silent:
        return _bad("departments", "silent", names=", ".join(silent), count=len(silent))
    return _good("departments", count=len(named))


async def _listens(url: str) -> bool:
    """Tell whether somebody takes a connection at an address; says nothing to them."""
    parts = urlsplit(url)
    number = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            _, writer = await asyncio.open_connection(parts.hostname, number)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def time(settings: Settings) -> Finding:
    """This machine's clock and the database's agree, and the calendar covers the present."""
    from onestop.directory.service import calendar

    until = calendar().published_until
    if clock.real_now().date() > until:
        return _warn("clock", "calendar", until=until)
    try:
        async with asyncio.timeout(5), database(settings) as pool:
            skew = abs((await store.now(pool) - clock.real_now()).total_seconds())
    except (Halt, OSError, TimeoutError, asyncpg.PostgresError):
        return _warn("clock", "unknown")
    if skew > _SKEW_S:
        return _bad("clock", "skewed", skew_s=round(skew, 1))
    return _good("clock", skew_ms=round(skew * 1000))


async def folder(settings: Settings) -> Finding:
    """The state folder can be written, has room, and keeps its keys to itself."""
    path = settings.state_dir
    top = next(p for p in (path, *path.resolve().parents) if p.exists())
    if not os.access(top, os.W_OK):
        return _bad("folder", "readonly", path=path)
    for key in sorted((path / "keys").glob("*.key")):
        if _others_may_read(key):
            return _bad("folder", "key_open", path=key)
    free_gb = shutil.disk_usage(top).free / 1e9
    if free_gb < _LEAST_FREE_GB:
        return _bad("folder", "full", path=path, free_gb=round(free_gb, 1))
    return _good("folder", path=path, free_gb=round(free_gb))


CHECKS: tuple[Callable[[Settings], Awaitable[Finding]], ...] = (
    python,
    folder,
    postgresql,
    reachable,
    schema,
    manifests,
    environment,
    expiry,
    port,
    sign_in,
    departments,
    time,
)
