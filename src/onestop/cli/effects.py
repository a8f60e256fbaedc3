"""`onestop effect`: what departments are owed, and what a person does about what is unclear.

They work on the database itself, also while no gateway runs; `--as` names who acts and stands in the audit.
A worker takes what is sent again within seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli.adapter_life import as_option
from onestop.cli.place import database, dsn_of, json_option, settings_of, state_option
from onestop.cli.speech import Speaker
from onestop.cli.told import document, told

if TYPE_CHECKING:
    from onestop.gateway.watch import EffectChanged, Watch
    from onestop.parts import Parts

_MOST = 200


@click.group("effect", no_args_is_help=True)
def effect() -> None:
    """The words of every command stand in the catalogue `cli`."""


@effect.command("list")
@click.option("--which", type=click.Choice(["unknown", "desk", "overdue", "waiting"]), default="unknown")
@click.option("--after")
@state_option
@json_option
@click.pass_obj
def list_effects(speaker: Speaker, which: Any, after: str | None, state: Path | None, as_json: bool) -> None:
    from onestop.gateway import watch

    found = _with_parts(
        state,
        lambda on: watch.watched(
            on.pool, on.gateway, on.settings.region, which, speaker.lang, after=after, limit=_MOST
        ),
    )
    if as_json:
        speaker.show(found)
        return
    for one in found.data:  # no table: it would cut the ids, and they are what one goes on with
        told_of = one.effect
        speaker.line(f"{told_of.id}  {told_of.adapter}.{told_of.operation}  {told_of.state}  {_time(told_of)}")
        speaker.line(f"  {told_of.case_id}  {one.says or ''}".rstrip())
    if found.next_cursor is not None:
        speaker.tell("life.more", after=found.next_cursor)


@effect.command("show")
@click.argument("effect_id", metavar="ID")
@state_option
@json_option
@click.pass_obj
def show(speaker: Speaker, effect_id: str, state: Path | None, as_json: bool) -> None:
    from onestop.gateway import watch

    found = _with_parts(
        state, lambda on: watch.shown(on.pool, on.gateway, on.settings.region, effect_id, speaker.lang)
    )  # fmt: skip
    if as_json:
        speaker.show(found)
        return
    one = found.effect
    speaker.tell("life.effect", id=one.id, state=one.state, outcome=f"({one.answer})")
    facts = (
        ("case", f"{one.case_id} {one.step}"),
        ("operation", f"{one.adapter}.{one.operation}"),
        ("key", one.key),
        ("next", _time(one)),
        ("department", " ".join(word for word in (found.department, found.officer, found.contact) if word)),
        ("why", found.says or "-"),
    )
    for name, fact in facts:
        speaker.line(f"  {speaker.say(f'heading.{name}')}: {fact}")


@effect.command("retry")
@click.argument("effect_id", metavar="ID")
@click.option("--reason", required=True)
@as_option
@state_option
@json_option
@click.pass_obj
def retry(speaker: Speaker, effect_id: str, reason: str, who: str, state: Path | None, as_json: bool) -> None:
    from onestop.gateway.watch import SendAgain

    asked = told(SendAgain, reason=reason)

    async def act(desk: "Watch", db: Any) -> "EffectChanged":
        return await desk.send_again_by(db, f"cli:{who}", None, effect_id, asked)

    _tell(speaker, _change(state, act), as_json)


@effect.command("resolve")
@click.argument("effect_id", metavar="ID")
@click.argument("outcome", metavar="OUTCOME", type=click.Choice(["completed", "declined"]))
@click.option("--reason", required=True)
@click.option("--reference")
@click.option("--fields", type=click.File("r"))
@as_option
@state_option
@json_option
@click.pass_obj
def resolve(
    speaker: Speaker, effect_id: str, outcome: str, reason: str, reference: str | None, fields: Any, who: str,
    state: Path | None, as_json: bool,
) -> None:  # fmt: skip
    from onestop.gateway.watch import Resolve

    # From a file or standard input: a result may name people, and arguments stand in the list of processes.
    result = document(fields.read(), "--fields") if fields is not None else None
    found = told(Resolve, outcome=outcome, reason=reason, reference=reference, fields=result)

    async def act(desk: "Watch", db: Any) -> "EffectChanged":
        return await desk.resolve_by(db, f"cli:{who}", None, effect_id, found)

    _tell(speaker, _change(state, act), as_json)


def _tell(speaker: Speaker, changed: "EffectChanged", as_json: bool) -> None:
    if as_json:
        speaker.show(changed)
    else:
        outcome = f"({changed.outcome})" if changed.outcome else ""
        speaker.tell("life.effect", id=changed.id, state=changed.state, outcome=outcome)


def _time(one: Any) -> str:
    return f"{one.next_at:%Y-%m-%d %H:%M}" if one.next_at else "-"


def _with_parts(state: Path | None, work: "Callable[[Parts], Awaitable[Any]]") -> Any:
    """Do some work with the lines and the case room of this installation; nothing is started or migrated."""
    from onestop import logs
    from onestop.parts import parts_on

    logs.only_errors()

    async def run() -> Any:
        settings = settings_of(state)
        async with database(settings) as pool, parts_on(settings, dsn_of(settings), pool) as parts:
            return await work(parts)

    return asyncio.run(run())


def _change(state: Path | None, act: "Callable[[Watch, Any], Awaitable[EffectChanged]]") -> Any:
    """Do one of the operator's verbs in a transaction, with its case told as the gateway tells it."""

    async def work(parts: "Parts") -> "EffectChanged":
        from onestop.cases.service import outcome_handler
        from onestop.gateway.watch import Watch

        region, handler = parts.settings.region, outcome_handler(parts.office)
        desk = Watch(parts.pool, parts.keys, parts.gateway, region, handler)
        async with parts.pool.acquire() as db, db.transaction():
            return await act(desk, db)

    return _with_parts(state, work)
