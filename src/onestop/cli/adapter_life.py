"""`onestop adapter push`, `approve`, `live`, `return` and the rest: an adapter's life, as an operator leads it.

They work on the database itself, also while no gateway runs; `--as` names who acts and is what the history shows.
Gateways that run follow within five seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli.adapters import adapter
from onestop.cli.place import database, json_option, settings_of, state_option
from onestop.cli.speech import Exit, Halt, Speaker

if TYPE_CHECKING:
    from onestop.db import Connection
    from onestop.onboarding.models import Actor, VersionView
    from onestop.onboarding.service import Life

as_option = click.option("--as", "who", required=True)
_why_option = click.option("--why", default="")


@asynccontextmanager
async def _life(state: Path | None) -> AsyncIterator["Life"]:
    from onestop.crypto import Keys
    from onestop.gateway.service import read_files
    from onestop.http.wake import Announcer
    from onestop.onboarding.service import Life
    from onestop.resources import shipped

    settings = settings_of(state)
    async with database(settings) as pool:
        _, files, _, _ = read_files(settings.adapters_dir or shipped("adapters"))
        announce = Announcer(pool)
        try:
            yield Life(pool, Keys.load(settings.state_dir, settings.crypto_suite), settings, files, announce)
        finally:
            await announce.close()


def actor_named(who: str) -> "Actor":
    """Return the operator that `--as` names."""
    from onestop.onboarding.models import Actor

    return Actor(id=f"cli:{who}", role="operator")


def in_life(state: Path | None, work: Callable[["Life"], Awaitable[Any]]) -> Any:
    """Do some work on the database of this installation."""

    async def run() -> Any:
        async with _life(state) as life:
            return await work(life)

    return asyncio.run(run())


def tell_version(speaker: Speaker, view: "VersionView", as_json: bool) -> None:
    """Say where a version stands and what comes next."""
    if as_json:
        speaker.show(view)
        return
    speaker.tell("life.version", adapter=view.adapter, version=view.version, state=view.state, by=view.made_by)
    speaker.line("  → " + view.next)


# ---- versions


@adapter.command("push")
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@as_option
@click.option("--owner")
@click.option("--signature", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@state_option
@json_option
@click.pass_obj
def push(
    speaker: Speaker, path: Path, who: str, owner: str | None, signature: Path | None, state: Path | None, as_json: bool
) -> None:
    from onestop.onboarding.models import Push

    file = path / "manifest.toml" if path.is_dir() else path
    told = Push(
        manifest=file.read_text("utf-8"), signature=signature.read_text("ascii").strip() if signature else None
    )  # fmt: skip

    async def work(life: "Life") -> "VersionView":
        async def verb(db: "Connection") -> "VersionView":
            made = await life.push(db, actor_named(who), told, owner=owner)
            return await life.view(db, actor_named(who), made.adapter, made.version, speaker.lang)

        return await life.commit(verb)

    tell_version(speaker, in_life(state, work), as_json)


@adapter.command("show")
@click.argument("name", metavar="ID")
@click.argument("version", metavar="VERSION")
@state_option
@json_option
@click.pass_obj
def show(speaker: Speaker, name: str, version: str, state: Path | None, as_json: bool) -> None:
    async def work(life: "Life") -> "VersionView":
        return await life.view(life.pool, actor_named("-"), name, version, speaker.lang)

    view: VersionView = in_life(state, work)
    tell_version(speaker, view, as_json)
    if not as_json:
        for check in view.checks:
            speaker.line(("  ✓ " if check.passed else "  ✗ ") + check.sentence)
        rows = [(f"{m.at:%Y-%m-%d %H:%M}", m.move, m.to_state, m.by_whom, m.why) for m in view.history]
        speaker.table(("at", "move", "state", "by", "remark"), rows)


@adapter.command("versions")
@click.argument("name", metavar="ID")
@state_option
@json_option
@click.pass_obj
def versions(speaker: Speaker, name: str, state: Path | None, as_json: bool) -> None:
    found = in_life(state, lambda life: life.versions(actor_named("-"), name, limit=200))
    if as_json:
        speaker.show(found)
        return
    rows = [(v.version, v.state, v.digest[:12], v.made_by, f"{v.state_at:%Y-%m-%d %H:%M}") for v in found.data]
    speaker.table(("version", "state", "digest", "by", "at"), rows)


@adapter.command("diff")
@click.argument("name", metavar="ID")
@click.argument("version", metavar="VERSION")
@click.option("--against")
@state_option
@json_option
@click.pass_obj
def diff(
    speaker: Speaker, name: str, version: str, against: str | None, state: Path | None, as_json: bool
) -> int:  # fmt: skip
    from onestop.onboarding.differences import as_text

    found = in_life(state, lambda life: life.diff(life.pool, actor_named("-"), name, version, against, speaker.lang))
    if as_json:
        speaker.show(found)
    else:
        speaker.line(as_text(found, speaker.lang))
        speaker.tell("life.digest", digest=found.digest)
    return Exit.FINDINGS if found.breaking else Exit.OK


@adapter.command("notices")
@click.argument("name", metavar="ID")
@click.option("--before")
@state_option
@json_option
@click.pass_obj
def notices(speaker: Speaker, name: str, before: str | None, state: Path | None, as_json: bool) -> None:
    found = in_life(state, lambda life: life.notices(actor_named("-"), name, speaker.lang, before=before, limit=200))
    if as_json:
        speaker.show(found)
        return
    rows = [(f"{n.at:%Y-%m-%d %H:%M}", n.version or "-", n.sentence) for n in found.data]
    speaker.table(("at", "version", "remark"), rows)
    if found.next_cursor is not None:
        speaker.tell("life.earlier", before=found.next_cursor)


def _move(
    speaker: Speaker,
    name: str,
    version: str,
    move: Any,
    who: str,
    why: str,
    state: Path | None,
    as_json: bool,
    *,
    diff_digest: str | None = None,
    numbers: tuple[str, ...] = (),
    no_test_system: str | None = None,
) -> None:
    from onestop.onboarding.models import Moving, Submitting
    from onestop.onboarding.service_moves import move as make

    async def work(life: "Life") -> "VersionView":
        async def verb(db: "Connection") -> "VersionView":
            moving = Moving(why=why, diff_digest=diff_digest)
            if move == "submit":
                moving = Submitting(why=why, no_test_system=no_test_system)
            await make(life, db, actor_named(who), name, version, move, moving, numbers=numbers)
            return await life.view(db, actor_named(who), name, version, speaker.lang)

        return await life.commit(verb)

    tell_version(speaker, in_life(state, work), as_json)


def _moving(command: str, move: str) -> None:
    """Make the command of one move."""

    @adapter.command(command)
    @click.argument("name", metavar="ID")
    @click.argument("version", metavar="VERSION")
    @as_option
    @_why_option
    @state_option
    @json_option
    @click.pass_obj
    def run(
        speaker: Speaker, name: str, version: str, who: str, why: str, state: Path | None, as_json: bool
    ) -> None:  # fmt: skip
        _move(speaker, name, version, move, who, why, state, as_json)


for _command, _name in (
    ("withdraw", "withdraw"),
    ("reject", "reject"),
    ("live", "publish"),
    ("return", "return"),
    ("quarantine", "quarantine"),
    ("release", "release"),
    ("deprecate", "deprecate"),
    ("retire", "retire"),
):
    _moving(_command, _name)


@adapter.command("submit")
@click.argument("name", metavar="ID")
@click.argument("version", metavar="VERSION")
@click.option("--no-test-system", metavar="REASON")
@as_option
@_why_option
@state_option
@json_option
@click.pass_obj
def submit(
    speaker: Speaker,
    name: str,
    version: str,
    no_test_system: str | None,
    who: str,
    why: str,
    state: Path | None,
    as_json: bool,
) -> None:
    _move(speaker, name, version, "submit", who, why, state, as_json, no_test_system=no_test_system)


@adapter.command("approve")
@click.argument("name", metavar="ID")
@click.argument("version", metavar="VERSION")
@click.option("--diff", "diff_digest", required=True)
@as_option
@_why_option
@state_option
@json_option
@click.pass_obj
def approve(
    speaker: Speaker, name: str, version: str, diff_digest: str, who: str, why: str, state: Path | None, as_json: bool
) -> None:
    _move(speaker, name, version, "approve", who, why, state, as_json, diff_digest=diff_digest)


@adapter.command("trial")
@click.argument("name", metavar="ID")
@click.argument("version", metavar="VERSION")
@click.option("--subjects", type=click.File("r"), required=True)
@as_option
@_why_option
@state_option
@json_option
@click.pass_obj
def trial(
    speaker: Speaker, name: str, version: str, subjects: Any, who: str, why: str, state: Path | None, as_json: bool
) -> None:
    # From a file or standard input: a person's number in the arguments would stand in everybody's list of processes.
    numbers = tuple(line.strip() for line in subjects if line.strip())
    if not numbers:
        raise Halt("no_subjects", Exit.USAGE)
    _move(speaker, name, version, "trial", who, why, state, as_json, numbers=numbers)
