"""`onestop adapter key`, `secret` and `window`: what surrounds a version, as an operator sets it."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from onestop.cli.adapter_life import actor_named, as_option, in_life
from onestop.cli.adapters import adapter
from onestop.cli.place import json_option, state_option
from onestop.cli.speech import Speaker
from onestop.cli.told import document, told

if TYPE_CHECKING:
    from onestop.db import Connection
    from onestop.onboarding.service import Life

_environment_option = click.option("--environment", type=click.Choice(["sandbox", "live"]))


@adapter.group("key", no_args_is_help=True)
def key() -> None:
    """The words of every command stand in the catalogue `cli`."""


@key.command("list")
@click.argument("name", metavar="ID")
@state_option
@json_option
@click.pass_obj
def list_keys(speaker: Speaker, name: str, state: Path | None, as_json: bool) -> None:
    from onestop.identity import service_machine_keys as machine_keys

    async def work(life: "Life") -> Any:
        known = await life.find(life.pool, actor_named("-"), name)
        return await machine_keys.listed(life.pool, known.owner, limit=200)

    found = in_life(state, work)
    if as_json:
        speaker.show(found)
        return
    rows = [
        (k.id, k.label, f"…{k.hint}", "revoked" if k.revoked_at else f"{k.expires_at:%Y-%m-%d}") for k in found.data
    ]  # fmt: skip
    speaker.table(("id", "label", "key", "ends"), rows)


@key.command("make")
@click.argument("name", metavar="ID")
@click.argument("label", metavar="LABEL")
@click.option("--days", type=click.IntRange(1, 730), default=365)
@as_option
@state_option
@json_option
@click.pass_obj
def make_key(
    speaker: Speaker, name: str, label: str, days: int, who: str, state: Path | None, as_json: bool
) -> None:  # fmt: skip
    from onestop.identity import service_machine_keys as machine_keys

    async def work(life: "Life") -> Any:
        async def verb(db: "Connection") -> Any:
            known = await life.find(db, actor_named(who), name)
            new = machine_keys.NewMachineKey(label=label, days=days)
            made = await machine_keys.make(db, life.settings, known.owner, new, by=f"cli:{who}")
            await life.notify(db, name, None, "machine_key", label=label, by=f"cli:{who}")
            return made

        return await life.commit(verb)

    made = in_life(state, work)
    if as_json:
        speaker.show(made)
    else:
        speaker.tell("life.key", id=made.id, secret=made.key, ends=f"{made.expires_at:%Y-%m-%d}")


@key.command("revoke")
@click.argument("name", metavar="ID")
@click.argument("key_id", metavar="KEY")
@as_option
@state_option
@click.pass_obj
def revoke_key(speaker: Speaker, name: str, key_id: str, who: str, state: Path | None) -> None:
    from onestop.identity import service_machine_keys as machine_keys

    async def work(life: "Life") -> None:
        async def verb(db: "Connection") -> None:
            known = await life.find(db, actor_named(who), name)
            await machine_keys.revoke(db, life.settings, known.owner, key_id, by=f"cli:{who}")
            await life.notify(db, name, None, "machine_key_revoked", key=key_id, by=f"cli:{who}")

        await life.commit(verb)

    in_life(state, work)
    speaker.tell("life.done", what=key_id)


@adapter.group("secret", no_args_is_help=True)
def secret() -> None:
    """The words of every command stand in the catalogue `cli`."""


@secret.command("list")
@click.argument("name", metavar="ID")
@state_option
@json_option
@click.pass_obj
def list_secrets(speaker: Speaker, name: str, state: Path | None, as_json: bool) -> None:
    from onestop.onboarding import service_secrets

    found = in_life(state, lambda life: service_secrets.listed(life, actor_named("-"), name))
    if as_json:
        speaker.show(found)
        return
    for place in found.places:
        speaker.line(f"{place.environment}: {' '.join([place.url, *(place.replicas or ())])}")
        if place.token_url:
            speaker.line(f"  token_url: {place.token_url}")
        for key, value in sorted(place.config.items()):
            speaker.line(f"  config.{key}: {value}")
    rows = [
        (s.id, s.environment, s.name, s.fingerprint, f"{s.not_after:%Y-%m-%d}" if s.not_after else "-")
        for s in found.data
    ]
    speaker.table(("id", "environment", "name", "fingerprint", "ends"), rows)


@secret.command("set")
@click.argument("name", metavar="ID")
@click.argument("secret_name", metavar="NAME")
@click.option("--file", "source", type=click.File("r"), default="-")
@_environment_option
@as_option
@state_option
@json_option
@click.pass_obj
def set_secret(
    speaker: Speaker, name: str, secret_name: str, source: Any, environment: Any, who: str, state: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    from onestop.gateway.places import environment_of
    from onestop.onboarding import service_secrets

    # From a file or standard input: an argument would stand in the shell's history and the list of processes.
    value = source.read().strip("\r\n")

    async def work(life: "Life") -> Any:
        there = environment or environment_of(life.settings)
        new = service_secrets.NewSecret(environment=there, name=secret_name, value=value)
        return await life.commit(lambda db: service_secrets.add_secret(life, db, actor_named(who), name, new))

    made = in_life(state, work)
    if as_json:
        speaker.show(made)
    else:
        speaker.tell("life.secret", id=made.id, name=made.name, fingerprint=made.fingerprint)


@secret.command("place")
@click.argument("name", metavar="ID")
@click.argument("url", metavar="URL")
@click.option("--replica", "replicas", multiple=True, metavar="URL")
@click.option("--token-url", default=None, metavar="URL")
@click.option("--config", multiple=True, metavar="NAME=VALUE")
@_environment_option
@as_option
@state_option
@click.pass_obj
def set_place(
    speaker: Speaker, name: str, url: str, replicas: tuple[str, ...], token_url: str | None, config: tuple[str, ...],
    environment: Any, who: str, state: Path | None,
) -> None:  # fmt: skip
    from onestop.gateway.places import environment_of
    from onestop.onboarding import service_secrets

    async def work(life: "Life") -> None:
        told, there = _told_place(url, replicas, token_url, config), environment or environment_of(life.settings)
        await service_secrets.check_places(life, told)
        await life.commit(lambda db: service_secrets.set_place(life, db, actor_named(who), name, there, told))

    in_life(state, work)
    speaker.tell("life.done", what=url)


def _told_place(url: str, replicas: tuple[str, ...], token_url: str | None, config: tuple[str, ...]) -> Any:
    """Return what was told, checked as the API checks it.

    Raises:
        BadParameter: it would not be taken over the API either.
    """
    from onestop.onboarding.service_secrets import SetPlace

    pairs = [one.partition("=") for one in config]
    told = {
        "url": url, "replicas": list(replicas) or None, "token_url": token_url,
        "config": {key: value for key, _, value in pairs},
    }  # fmt: skip
    try:
        return msgspec.convert(told, SetPlace)
    except msgspec.ValidationError as fault:
        raise click.BadParameter(str(fault)) from fault


@secret.command("remove")
@click.argument("name", metavar="ID")
@click.argument("secret_id", metavar="SECRET")
@as_option
@state_option
@click.pass_obj
def remove_secret(speaker: Speaker, name: str, secret_id: str, who: str, state: Path | None) -> None:
    from onestop.onboarding import service_secrets

    async def work(life: "Life") -> None:
        await life.commit(lambda db: service_secrets.remove_secret(life, db, actor_named(who), name, secret_id))

    in_life(state, work)
    speaker.tell("life.done", what=secret_id)


@adapter.group("signing-key", no_args_is_help=True)
def signing_key() -> None:
    """The words of every command stand in the catalogue `cli`."""


@signing_key.command("add")
@click.argument("name", metavar="ID")
@click.argument("kid", metavar="KID")
@click.option("--jwk", "source", type=click.File("r"), default="-")
@as_option
@state_option
@click.pass_obj
def add_signing_key(speaker: Speaker, name: str, kid: str, source: Any, who: str, state: Path | None) -> None:
    from onestop.onboarding import service_secrets

    new = told(service_secrets.NewSigningKey, kid=kid, jwk=document(source.read(), "--jwk"))

    async def work(life: "Life") -> None:
        await life.commit(lambda db: service_secrets.add_signing_key(life, db, actor_named(who), name, new))

    in_life(state, work)
    speaker.tell("life.done", what=kid)


@signing_key.command("remove")
@click.argument("name", metavar="ID")
@click.argument("kid", metavar="KID")
@as_option
@state_option
@click.pass_obj
def remove_signing_key(speaker: Speaker, name: str, kid: str, who: str, state: Path | None) -> None:
    from onestop.onboarding import service_secrets

    async def work(life: "Life") -> None:
        await life.commit(lambda db: service_secrets.remove_signing_key(life, db, actor_named(who), name, kid))

    in_life(state, work)
    speaker.tell("life.done", what=kid)


@adapter.group("window", no_args_is_help=True)
def window() -> None:
    """The words of every command stand in the catalogue `cli`."""


@window.command("list")
@click.argument("name", metavar="ID")
@state_option
@json_option
@click.pass_obj
def list_windows(speaker: Speaker, name: str, state: Path | None, as_json: bool) -> None:
    from onestop.onboarding import service_terms

    found = in_life(state, lambda life: service_terms.windows(life, actor_named("-"), name))
    if as_json:
        speaker.show(found)
        return
    rows = [(w.id, w.begins.isoformat(), w.ends.isoformat(), getattr(w, f"note_{speaker.lang}")) for w in found.data]
    speaker.table(("id", "begins", "ends", "remark"), rows)


@window.command("add")
@click.argument("name", metavar="ID")
@click.argument("begins", metavar="BEGINS", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]))
@click.argument("ends", metavar="ENDS", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]))
@click.option("--note", default="")
@as_option
@state_option
@json_option
@click.pass_obj
def add_window(
    speaker: Speaker, name: str, begins: datetime, ends: datetime, note: str, who: str, state: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    from onestop.onboarding import service_terms

    new = service_terms.NewWindow(begins=begins, ends=ends, note_zh=note, note_en=note)

    async def work(life: "Life") -> Any:
        return await life.commit(lambda db: service_terms.add_window(life, db, actor_named(who), name, new))

    made = in_life(state, work)
    if as_json:
        speaker.show(made)
    else:
        speaker.tell("life.window", id=made.id, begins=made.begins.isoformat(), ends=made.ends.isoformat())


@window.command("end")
@click.argument("name", metavar="ID")
@click.argument("window_id", metavar="WINDOW")
@as_option
@state_option
@click.pass_obj
def end_window(speaker: Speaker, name: str, window_id: str, who: str, state: Path | None) -> None:
    from onestop.onboarding import service_terms

    async def work(life: "Life") -> None:
        await life.commit(lambda db: service_terms.end_window(life, db, actor_named(who), name, window_id))

    in_life(state, work)
    speaker.tell("life.done", what=window_id)
