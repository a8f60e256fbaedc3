"""`onestop adapter`: what adapters there are, and what is wrong with their manifests."""

import asyncio
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from onestop.cli.place import database, json_option, settings_of
from onestop.cli.speech import Exit, Halt, Speaker

if TYPE_CHECKING:
    from onestop.gateway.lint.linter import Finding
    from onestop.gateway.manifest import Manifest

_PATIENCE_S: Final = 2.0
_COLOURS: Final = {"error": "bad", "warning": "warn", "hint": "dim"}

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
        for words in asyncio.run(_ending(speaker)):
            speaker.line(speaker.paint("warn", "! ") + words)
    return Exit.FINDINGS if faults else Exit.OK


async def _ending(speaker: Speaker) -> list[str]:
    """Return what ends soon, in words; of the environment file alone where the database does not answer."""
    import asyncpg

    from onestop.errors import OnestopError
    from onestop.onboarding.service_expiry import endings, of_file

    try:
        settings = settings_of(None)
    except OnestopError:  # a list of manifests needs no settings
        return []
    try:
        async with asyncio.timeout(_PATIENCE_S), database(settings) as pool:
            found = await endings(pool, settings)
    except (Halt, OSError, TimeoutError, asyncpg.PostgresError, OnestopError):
        try:
            found = of_file(settings)
        except (OSError, ValueError, OnestopError):  # `doctor` says what is wrong with the file
            found = []
    return [
        speaker.say(
            "adapter.ending", adapter=one.adapter, name=one.name, environment=one.environment,
            ends=f"{one.ends:%Y-%m-%d}",
        )
        for one in found
    ]  # fmt: skip


@adapter.command("lint")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@_folder
@click.option("--environment", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--strict", is_flag=True)
@json_option
@click.pass_obj
def lint(
    speaker: Speaker,
    paths: tuple[Path, ...],
    folder: Path | None,
    environment: Path | None,
    strict: bool,
    as_json: bool,
) -> int:
    checked = [path / "manifest.toml" if path.is_dir() else path for path in paths] or _manifests(folder)
    told = _environment(environment) if environment else None
    findings = {path: _findings(path, told) for path in checked}
    counts: Counter[str] = Counter(one.severity for found in findings.values() for one in found)
    if as_json:
        shown = [_told(path, one, speaker) for path, found in findings.items() for one in found]
        speaker.show({"checked": len(checked), "findings": shown})
    else:
        for path, found in findings.items():
            _print(speaker, path, found)
        speaker.tell("adapter.linted", checked=len(checked), **{name: counts[name] for name in _COLOURS})
    return Exit.FINDINGS if counts["error"] or (strict and counts["warning"]) else Exit.OK


@adapter.command("schema")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def schema(speaker: Speaker, out: Path | None) -> None:
    from onestop.gateway.schema import schema_text

    if out is None:
        speaker.line(schema_text().rstrip("\n"))
    else:
        out.write_text(schema_text(), "utf-8")
        speaker.tell("adapter.schema_written", file=out)


def _findings(path: Path, environment: dict[str, Any] | None) -> list["Finding"]:
    from onestop.gateway.lint.linter import lint

    return lint(path.read_bytes(), f"{path.resolve().parent.name}/{path.name}", environment=environment)


def _environment(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise Halt("bad_environment", Exit.CONFIGURATION, file=path, reason=str(fault)) from fault


def _told(path: Path, one: "Finding", speaker: Speaker) -> dict[str, object]:
    return {
        "file": str(path),
        "line": one.line,
        "rule": one.rule,
        "severity": one.severity,
        "where": one.where,
        "says": one.says(speaker.lang),
        "fix": one.fix(speaker.lang),
    }


def _print(speaker: Speaker, path: Path, found: list["Finding"]) -> None:
    if found:
        speaker.line(speaker.paint("strong", str(path)))
    for one in found:
        mark = speaker.paint(_COLOURS[one.severity], speaker.say(f"adapter.severity.{one.severity}"))
        place = speaker.paint("dim", f"{one.line or '-'}: {one.where}")
        speaker.line(f"  {mark} {one.rule}  {place}")
        speaker.line(f"      {one.says(speaker.lang)}")
        speaker.line(f"      → {one.fix(speaker.lang)}")


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
    from onestop.gateway.manifest import parse

    return parse(path.read_bytes(), f"{path.parent.name}/{path.name}")


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
