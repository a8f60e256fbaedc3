"""`onestop client`: sites and front ends that sign people in here, registered and ended by operators.

The commands work on the database itself; gateways that run follow within five seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli.place import database, json_option, settings_of, state_option
from onestop.cli.speech import Speaker
from onestop.cli.told import document, told

if TYPE_CHECKING:
    from onestop.db import Connection
    from onestop.provider.models import ClientMade
    from onestop.settings import Settings

_as_option = click.option("--as", "who", required=True)
_MOST = 200


@click.group("client", no_args_is_help=True)
def client() -> None:
    """The words of every command stand in the catalogue `cli`."""


def _in_one(state: Path | None, verb: "Callable[[Connection, Settings], Awaitable[Any]]") -> Any:
    """Run a verb in one transaction on the database of this installation."""
    settings = settings_of(state)

    async def run() -> Any:
        async with database(settings) as pool, pool.acquire() as db, db.transaction():
            return await verb(db, settings)

    return asyncio.run(run())


@client.command("list")
@click.option("--after")
@state_option
@json_option
@click.pass_obj
def list_clients(speaker: Speaker, after: str | None, state: Path | None, as_json: bool) -> None:
    from onestop.provider import service_clients

    found = _in_one(state, lambda db, _: service_clients.listed(db, after=after, limit=_MOST))
    if as_json:
        speaker.show(found)
        return
    rows = [
        (one.id, getattr(one, f"name_{speaker.lang}"), one.department, one.auth_method, str(one.revoked_at or ""))
        for one in found.data
    ]
    speaker.table(("id", "name", "department", "method", "revoked"), rows)


@client.command("add")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@_as_option
@state_option
@json_option
@click.pass_obj
def add(speaker: Speaker, file: Any, who: str, state: Path | None, as_json: bool) -> None:
    from onestop.provider import service_clients
    from onestop.provider.models import NewClient

    new = told(NewClient, **document(file.read(), file.name))
    made = _in_one(state, lambda db, settings: service_clients.register(db, settings, new, by=f"cli:{who}"))
    _tell(speaker, made, as_json)


@client.command("rotate")
@click.argument("name", metavar="ID")
@click.option("--overlap", type=int)
@_as_option
@state_option
@json_option
@click.pass_obj
def rotate(speaker: Speaker, name: str, overlap: int | None, who: str, state: Path | None, as_json: bool) -> None:
    from onestop.provider import service_clients
    from onestop.provider.models import NewSecret

    wish = told(NewSecret, overlap_h=overlap)
    made = _in_one(state, lambda db, settings: service_clients.rotate(db, settings, name, wish, by=f"cli:{who}"))
    _tell(speaker, made, as_json)


@client.command("revoke")
@click.argument("name", metavar="ID")
@_as_option
@state_option
@click.pass_obj
def revoke(speaker: Speaker, name: str, who: str, state: Path | None) -> None:
    from onestop.provider import service_clients

    _in_one(state, lambda db, settings: service_clients.revoke(db, settings, name, by=f"cli:{who}"))
    speaker.tell("client.revoked", client=name)


@client.command("signing-key")
@state_option
@json_option
@click.pass_obj
def signing_key(speaker: Speaker, state: Path | None, as_json: bool) -> None:
    from onestop.crypto import Keys
    from onestop.provider.issuer import PUBLIC_S, Issuer

    settings = settings_of(state)

    async def run() -> str:
        async with database(settings) as pool:
            signing = Issuer(pool, Keys.load(settings.state_dir, settings.crypto_suite), settings).signing
            await signing.load()
            return await signing.rotate()

    kid = asyncio.run(run())
    if as_json:
        speaker.show({"kid": kid, "signs_in_s": PUBLIC_S})
    else:
        speaker.tell("client.key", kid=kid, seconds=int(PUBLIC_S))


def _tell(speaker: Speaker, made: "ClientMade", as_json: bool) -> None:
    if as_json:
        speaker.show(made)
        return
    speaker.tell("client.made", client=made.id)
    if made.secret is not None:
        speaker.tell("client.secret", secret=made.secret)
    if made.old_secret_until is not None:
        speaker.tell("client.until", until=made.old_secret_until.isoformat(timespec="minutes"))
