"""`onestop licence`: the catalogue of licence types; and a shown licence checked with the published keys alone."""

from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from onestop.cli.place import json_option, settings_of, state_option
from onestop.cli.speech import Exit, Halt, Speaker

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


@licence.command("check")
@click.argument("file", type=click.File("r"), default="-")
@click.option("--keys", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=True)
@json_option
@click.pass_obj
def check(speaker: Speaker, file: TextIO, keys: Path, as_json: bool) -> int:
    import json
    import time

    from onestop.certificates.service import opened
    from onestop.certificates.service_showing import LIFE_S, SHOW_TYPE

    token = file.read(8192).strip().rpartition("#")[2]
    try:
        jwks = json.loads(keys.read_text("utf-8"))
        claims = opened(token, SHOW_TYPE, jwks)
    except (ValueError, KeyError, TypeError) as fault:
        raise Halt("not_keys", Exit.USAGE, file=keys) from fault
    if claims is None:
        raise Halt("show_not_genuine")
    over_s = int(time.time() - claims["exp"])
    if over_s >= 0:
        raise Halt("show_expired", Exit.FINDINGS, seconds=over_s, life=LIFE_S)
    if as_json:
        speaker.show(claims)
        return Exit.OK
    speaker.tell("licence.genuine", licence=claims["licence"], seconds=-over_s)
    for code, value in claims["fields"].items():
        speaker.line(f"  {code}  {value}")
    return Exit.OK


def _catalogue(state: Path | None) -> "tuple[Types, Directory]":
    from onestop.cases.office import departments
    from onestop.certificates.service_types import load
    from onestop.gateway import manifest
    from onestop.resources import shipped

    settings = settings_of(state)
    known = load([settings.licence_types_dir] if settings.licence_types_dir else [])
    return known, departments(manifest.load(settings.adapters_dir or shipped("adapters")))
