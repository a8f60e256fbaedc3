"""`onestop adapter template`: one manifest for many departments alike, and the drafts that are made from it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli.adapter_life import actor_named, as_option, in_life, tell_version
from onestop.cli.adapters import adapter
from onestop.cli.place import json_option, state_option
from onestop.cli.speech import Speaker
from onestop.cli.told import document, told

if TYPE_CHECKING:
    from onestop.db import Connection
    from onestop.onboarding.models import VersionView
    from onestop.onboarding.service import Life

_MOST = 200
_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@adapter.group("template", no_args_is_help=True)
def template() -> None:
    """The words of every command stand in the catalogue `cli`."""


@template.command("list")
@click.option("--after")
@state_option
@json_option
@click.pass_obj
def list_templates(speaker: Speaker, after: str | None, state: Path | None, as_json: bool) -> None:
    from onestop.onboarding import service_templates

    found = in_life(state, lambda life: service_templates.listed(life, after=after, limit=_MOST))
    if as_json:
        speaker.show(found)
        return
    rows = [(t.name, str(t.version), " ".join(sorted(t.parameters)), t.made_by) for t in found.data]
    speaker.table(("name", "version", "parameters", "by"), rows)
    if found.next_cursor is not None:
        speaker.tell("life.more", after=found.next_cursor)


@template.command("write")
@click.argument("name", metavar="TEMPLATE")
@click.argument("body", metavar="FILE", type=_file)
@click.option("--parameters", type=_file, required=True)
@as_option
@state_option
@json_option
@click.pass_obj
def write(
    speaker: Speaker, name: str, body: Path, parameters: Path, who: str, state: Path | None, as_json: bool
) -> None:  # fmt: skip
    from onestop.onboarding import service_templates

    kinds = document(parameters.read_text("utf-8"), str(parameters))
    new = told(service_templates.NewTemplate, name=name, body=body.read_text("utf-8"), parameters=kinds)

    async def work(life: "Life") -> Any:
        return await life.commit(lambda db: service_templates.write(life, db, actor_named(who), new))

    made = in_life(state, work)
    if as_json:
        speaker.show(made)
        return
    speaker.tell("life.template", name=name, version=made.template.version)
    rows = [(p.adapter, p.version or "-", str(p.changes), p.problem or "") for p in made.proposals]
    if rows:
        speaker.table(("adapter", "version", "changes", "remark"), rows)


@template.command("instantiate")
@click.argument("name", metavar="TEMPLATE")
@click.option("--values", type=_file, required=True)
@click.option("--owner")
@as_option
@state_option
@json_option
@click.pass_obj
def instantiate(
    speaker: Speaker, name: str, values: Path, owner: str | None, who: str, state: Path | None, as_json: bool
) -> None:  # fmt: skip
    from onestop.onboarding import service_templates

    new = told(service_templates.NewInstance, values=document(values.read_text("utf-8"), str(values)))

    async def work(life: "Life") -> "VersionView":
        async def verb(db: "Connection") -> "VersionView":
            made = await service_templates.instantiate(life, db, actor_named(who), name, new, owner=owner)
            return await life.view(db, actor_named(who), made.adapter, made.version, speaker.lang)

        return await life.commit(verb)

    tell_version(speaker, in_life(state, work), as_json)
