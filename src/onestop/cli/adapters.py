"""`onestop adapter`: what adapters there are, and what is wrong with their manifests."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from onestop.cli.place import json_option
from onestop.cli.speech import Exit, Halt, Speaker

if TYPE_CHECKING:
    from onestop.gateway.manifest import Manifest

_folder = click.option("--adapters", "folder", type=click.Path(path_type=Path, file_okay=False, exists=True))


@click.group("adapter", no_args_is_help=True)
def adapter() -> None:
    """The words of every command stand in the catalogue `cli`."""


@adapter.command("list")
@_folder
@json_option
@click.pass_obj
def list_adapters(speaker: Speaker, folder: Path | None, as_json: bool) -> int:
    known, faults = read_all(folder)
    if as_json:
        speaker.show([_summary(manifest) for manifest in known])
    else:
        rows = [(m.id, m.version, getattr(m.department.name, speaker.lang), _does(speaker, m)) for m in known]
        speaker.table(("adapter", "version", "department", "does"), rows)
        for name, fault in faults:
            speaker.complain(fault, speaker.say("adapter.lint_it", name=name))
    return Exit.FINDINGS if faults else Exit.OK


@adapter.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@_folder
@json_option
@click.pass_obj
def lint(speaker: Speaker, paths: tuple[Path, ...], folder: Path | None, as_json: bool) -> int:
    from onestop.gateway.manifest import BadManifest

    checked = [path / "manifest.toml" if path.is_dir() else path for path in paths] or _manifests(folder)
    findings: list[tuple[str, str]] = []
    for path in checked:
        try:
            _read(path)
        except BadManifest as fault:
            findings.append((path.parent.name, str(fault)))
    if as_json:
        speaker.show({"checked": len(checked), "findings": [{"adapter": a, "says": s} for a, s in findings]})
    else:
        for _, says in findings:
            speaker.line(speaker.paint("bad", "✗ ") + says)
        speaker.tell("adapter.linted", checked=len(checked), findings=len(findings))
    return Exit.FINDINGS if findings else Exit.OK


def read_all(folder: Path | None) -> tuple[list["Manifest"], list[tuple[str, str]]]:
    """Return every adapter that can be read, and the name and fault of every other."""
    from onestop.gateway.manifest import BadManifest

    known, faults = [], []
    for path in _manifests(folder):
        try:
            known.append(_read(path))
        except BadManifest as fault:
            faults.append((path.parent.name, str(fault)))
    return known, faults


def _manifests(folder: Path | None) -> list[Path]:
    from onestop.resources import shipped

    top = folder or _told_folder() or shipped("adapters")
    found = sorted(top.glob("*/manifest.toml"))
    if not found:
        raise Halt("no_adapters", Exit.CONFIGURATION, folder=top)
    return found


def _told_folder() -> Path | None:
    import os

    told = os.environ.get("ONESTOP_ADAPTERS_DIR")
    return Path(told) if told else None


def _read(path: Path) -> "Manifest":
    from onestop.gateway.manifest import BadManifest, parse

    manifest = parse(path.read_bytes(), f"{path.parent.name}/{path.name}")
    if manifest.id != path.parent.name:
        raise BadManifest(f"{path.parent.name}/{path.name}: id {manifest.id} is not the folder's name")
    return manifest


def _summary(manifest: "Manifest") -> dict[str, object]:
    return {
        "id": manifest.id,
        "version": manifest.version,
        "department": {"zh": manifest.department.name.zh, "en": manifest.department.name.en},
        "desk": manifest.desk,
        "operations": [{"id": o.id, "kind": o.kind, "want": o.want} for o in manifest.operations],
    }


def _does(speaker: Speaker, manifest: "Manifest") -> str:
    names = [operation.id for operation in manifest.operations if operation.kind in ("query", "submit")]
    return (speaker.say("adapter.desk") + " " if manifest.desk else "") + ", ".join(names)
