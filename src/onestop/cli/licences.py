"""`onestop licence`: the catalogue of licence types, as this installation knows it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from onestop.cli.place import json_option, settings_of, state_option
from onestop.cli.speech import Speaker

if TYPE_CHECKING:
    from onestop.certificates.service_types import Types
    from onestop.directory.models import Directory


@click.group("licence", no_args_is_help=True)
def licence() -> None:
    """The words of every command stand in the catalogue `licences`."""


@licence.command("types")
@state_option
@json_option
@click.pass_obj
def types(speaker: Speaker, state: Path | None, as_json: bool) -> None:
    from onestop.certificates.service_types import list_types

    known, directory = _catalogue(state)
    listed = list_types(known, directory, speaker.lang).data
    if as_json:
        speaker.show(listed)
        return
    rows = [(one.code, one.name, one.issuer["name"]) for one in listed]
    speaker.table(("licence_type", "licence_name", "licence_issuer"), rows)


@licence.command("type")
@click.argument("code")
@state_option
@json_option
@click.pass_obj
def type_(speaker: Speaker, code: str, state: Path | None, as_json: bool) -> None:
    from onestop.certificates.service_types import show_type

    known, directory = _catalogue(state)
    shown = show_type(known.get(code), directory, speaker.lang)
    if as_json:
        speaker.show(shown)
        return
    speaker.tell("licence.type", name=shown.name, code=shown.type_code, issuer=shown.issuer["name"], basis=shown.basis)
    for field in shown.fields:
        speaker.tell("licence.field", label=field["label"], code=field["code"], sensitivity=field["sensitivity"])
    for seen, key in ((shown.scenes, "scene"), (shown.purposes, "purpose")):
        for one in seen:
            speaker.tell(f"licence.{key}", name=one.name, code=one.code, fields=", ".join(one.fields))


def _catalogue(state: Path | None) -> "tuple[Types, Directory]":
    from onestop.cases.office import departments
    from onestop.certificates.service_types import load
    from onestop.gateway import manifest
    from onestop.resources import shipped

    settings = settings_of(state)
    known = load([settings.licence_types_dir] if settings.licence_types_dir else [])
    return known, departments(manifest.load(settings.adapters_dir or shipped("adapters")))
