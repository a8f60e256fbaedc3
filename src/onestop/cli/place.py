"""Where a command looks: the folder of a demo, or the settings of this installation."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onestop.cli.speech import Exit, Halt

if TYPE_CHECKING:
    from onestop.db import Pool
    from onestop.demo.folder import Record
    from onestop.settings import Settings

DEMO_FOLDER = Path("onestop-demo")

state_option = click.option("--state", type=click.Path(path_type=Path, file_okay=False))
json_option = click.option("--json", "as_json", is_flag=True)


# Who says one of these means an installation of their own, not a demo that lies here.
_TOLD = ("ONESTOP_DATABASE_URL", "ONESTOP_DATABASE_URL_FILE", "ONESTOP_PROFILE")


def demo_folder(told: Path | None) -> Path:
    """Return the folder of the demo: as told, as ONESTOP_STATE_DIR says, or `./onestop-demo`."""
    return told or Path(os.environ.get("ONESTOP_STATE_DIR") or DEMO_FOLDER)


def running_demo(told: Path | None) -> "Record":
    """Return the record of the demo that runs in the folder.

    Raises:
        Halt: none runs there.
    """
    from onestop.demo.folder import Folder

    folder = demo_folder(told)
    record = Folder(folder).running()
    if record is None:
        raise Halt("no_demo", Exit.UNREACHABLE, folder=folder)
    return record


def settings_of(told: Path | None) -> "Settings":
    """Return the settings to work with: a demo's own where its folder is there, else those of the environment.

    Raises:
        BadSettings: the environment's cannot be read.
    """
    from onestop.demo.folder import Folder
    from onestop.settings import load

    if told is None and any(os.environ.get(name) for name in _TOLD):
        return load(os.environ)
    folder = demo_folder(told)
    record = Folder(folder).read()
    if record is not None:
        return load(record.settings)
    return load(os.environ, **({"state_dir": str(told)} if told is not None else {}))


def dsn_of(settings: "Settings") -> str:
    """Return the address of the database; the embedded server's where none was told. Starts nothing."""
    from onestop.embedded import Server

    return settings.database_url or Server(settings.state_dir).dsn


@asynccontextmanager
async def database(settings: "Settings", name: str = "onestop cli") -> AsyncIterator["Pool"]:
    """Open a small pool for one command.

    Raises:
        Halt: the database does not answer, or is not onestop's yet.
    """
    import asyncpg

    from onestop.db import open_pool

    dsn = dsn_of(settings)
    try:
        pool = await open_pool(dsn, size=2, name=name)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, ValueError) as fault:
        raise Halt("database_silent", Exit.UNREACHABLE, where=without_password(dsn), reason=fault) from fault
    try:
        yield pool
    except asyncpg.UndefinedTableError as fault:
        raise Halt("no_schema", Exit.FAILED, where=without_password(dsn)) from fault
    finally:
        await pool.close()


def without_password(dsn: str) -> str:
    """Return a database address that may be shown."""
    head, at, tail = dsn.rpartition("@")
    scheme, _, user = head.partition("://")
    return f"{scheme}://{user.split(':')[0]}@{tail}" if at else dsn
