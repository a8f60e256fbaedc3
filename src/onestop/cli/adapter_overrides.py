"""`onestop adapter override`: an operator stops a department's line, or lets it pass, for a while."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli.adapter_life import actor_named, as_option, in_life
from onestop.cli.adapters import adapter
from onestop.cli.place import json_option, state_option
from onestop.cli.speech import Speaker

if TYPE_CHECKING:
    from onestop.onboarding.service import Life

_operation_option = click.option("--operation", default=None)


@adapter.group("override", no_args_is_help=True)
def override() -> None:
    """The words of every command stand in the catalogue `cli`."""


@override.command("list")
@click.argument("name", metavar="ID")
@state_option
@json_option
@click.pass_obj
def list_overrides(speaker: Speaker, name: str, state: Path | None, as_json: bool) -> None:
    from onestop.onboarding import service_overrides

    found = in_life(state, lambda life: service_overrides.overrides(life, actor_named("-"), name))
    if as_json:
        speaker.show(found)
        return
    rows = [(o.operation or "*", o.state, o.until.isoformat(timespec="minutes"), o.reason) for o in found.data]
    speaker.table(("operation", "state", "ends", "remark"), rows)


@override.command("set")
@click.argument("name", metavar="ID")
@click.argument("told", metavar="STATE", type=click.Choice(["stopped", "passing"]))
@_operation_option
@click.option("--reason", required=True)
@click.option("--for", "hours", type=click.FloatRange(0, 24, min_open=True), required=True)
@as_option
@state_option
@json_option
@click.pass_obj
def set_override(
    speaker: Speaker, name: str, told: Any, operation: str | None, reason: str, hours: float, who: str,
    state: Path | None, as_json: bool,
) -> None:  # fmt: skip
    from onestop.onboarding import service_overrides

    until = datetime.now(UTC) + timedelta(hours=hours)
    new = service_overrides.SetOverride(state=told, reason=reason, until=until, operation=operation)

    async def work(life: "Life") -> Any:
        return await life.commit(lambda db: service_overrides.set_override(life, db, actor_named(who), name, new))

    made = in_life(state, work)
    if as_json:
        speaker.show(made)
    else:
        speaker.tell(
            "life.override", line=f"{name}.{made.operation or '*'}", state=made.state,
            until=made.until.isoformat(timespec="minutes"),
        )  # fmt: skip


@override.command("end")
@click.argument("name", metavar="ID")
@_operation_option
@as_option
@state_option
@click.pass_obj
def end_override(speaker: Speaker, name: str, operation: str | None, who: str, state: Path | None) -> None:
    from onestop.onboarding import service_overrides

    async def work(life: "Life") -> None:
        await life.commit(lambda db: service_overrides.end_override(life, db, actor_named(who), name, operation))

    in_life(state, work)
    speaker.tell("life.done", what=f"{name}.{operation or '*'}")
