"""`onestop keys`: another root key, which one seals, and sealing anew what the one before sealed."""

import asyncio
from pathlib import Path

import click

from onestop.cli.place import database, json_option, settings_of, state_option
from onestop.cli.speech import Speaker


@click.group("keys", no_args_is_help=True)
def keys() -> None:
    """The words of every command stand in the catalogue `cli`."""


@keys.command("list")
@state_option
@json_option
@click.pass_obj
def list_keys(speaker: Speaker, state: Path | None, as_json: bool) -> None:
    from onestop.rootkeys import RootFolder

    folder = RootFolder.open(settings_of(state).state_dir / "keys")
    if as_json:
        speaker.show({"keys": sorted(folder.roots), "current": folder.current})
        return
    rows = [
        (str(number), speaker.say("keys.seals" if number == folder.current else "keys.opens"))
        for number in sorted(folder.roots)
    ]
    speaker.table(("key", "use"), rows)


@keys.command("add")
@state_option
@click.pass_obj
def add(speaker: Speaker, state: Path | None) -> None:
    from onestop.rootkeys import RootFolder, path_of

    folder = RootFolder.open(settings_of(state).state_dir / "keys")
    number = folder.add()
    speaker.tell("keys.added", number=number, path=path_of(folder.folder, number))


@keys.command("use")
@click.argument("number", type=int)
@state_option
@click.pass_obj
def use(speaker: Speaker, number: int, state: Path | None) -> None:
    from onestop.rootkeys import RootFolder

    RootFolder.open(settings_of(state).state_dir / "keys").use(number)
    speaker.tell("keys.used", number=number)


@keys.command("reseal")
@state_option
@json_option
@click.pass_obj
def reseal(speaker: Speaker, state: Path | None, as_json: bool) -> None:
    from onestop.crypto import Keys
    from onestop.key_rotation import SEALED
    from onestop.resealing import reseal as anew

    settings = settings_of(state)

    async def run() -> dict[str, int]:
        async with database(settings) as pool:
            return await anew(pool, Keys.load(settings.state_dir, settings.crypto_suite), settings.region, SEALED)

    moved = asyncio.run(run())
    if as_json:
        speaker.show(moved)
    else:
        speaker.table(("table", "rows"), [(table, str(count)) for table, count in moved.items()])
