"""`onestop db`: the schema, and the embedded server."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from onestop.cli.place import demo_folder, dsn_of, json_option, settings_of, state_option, without_password
from onestop.cli.speech import Exit, Halt, Speaker

T = TypeVar("T")


@click.group("db", no_args_is_help=True)
def db() -> None:
    """The words of every command stand in the catalogue `cli`."""


@db.command("upgrade")
@state_option
@json_option
@click.pass_obj
def upgrade(speaker: Speaker, state: Path | None, as_json: bool) -> None:
    from onestop import embedded, migrate

    settings = settings_of(state)
    if settings.database_url is None:
        embedded.ensure(settings.state_dir)
    applied = _reach(dsn_of(settings), migrate.upgrade(dsn_of(settings)))
    if as_json:
        speaker.show({"applied": applied})
    elif not applied:
        speaker.tell("db.nothing")
    for name in [] if as_json else applied:
        speaker.tell("db.applied", name=name)


@db.command("status")
@state_option
@json_option
@click.pass_obj
def status(speaker: Speaker, state: Path | None, as_json: bool) -> int:
    from onestop import migrate

    settings = settings_of(state)
    found = _reach(dsn_of(settings), migrate.status(dsn_of(settings)))
    if as_json:
        speaker.show(found)
    else:
        say = speaker.say
        rows = [(name, say("db.is_applied")) for name in found.applied]
        rows += [(name, say("db.is_pending")) for name in found.pending]
        speaker.table(("migration", "state"), rows)
    return Exit.FINDINGS if found.pending else Exit.OK


@db.command("stop")
@state_option
@click.pass_obj
def stop(speaker: Speaker, state: Path | None) -> None:
    from onestop import embedded
    from onestop.demo.folder import Folder

    folder = state or settings_of(None).state_dir
    if Folder(demo_folder(folder)).running() is not None:
        raise Halt("db_in_use", Exit.FAILED, folder=folder)
    speaker.tell("db.stopped" if embedded.stop(folder) else "db.not_running", folder=folder)


def _reach(dsn: str, work: Coroutine[Any, Any, T]) -> T:
    import asyncpg

    try:
        return asyncio.run(work)
    except (OSError, asyncpg.PostgresError, TimeoutError) as fault:
        raise Halt("database_silent", Exit.UNREACHABLE, where=without_password(dsn), reason=fault) from fault
