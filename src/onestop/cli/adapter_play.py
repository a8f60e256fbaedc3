"""`onestop adapter simulate`, `conform`, `record` and `drift`: a department played, examined, recorded, watched."""

import asyncio
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onestop.cli.adapters import adapter
from onestop.cli.place import json_option, state_option
from onestop.cli.speech import Exit, Halt, Speaker

if TYPE_CHECKING:
    from onestop.gateway.line import Where
    from onestop.gateway.manifest import Manifest
    from onestop.onboarding.conformance import Telling
    from onestop.onboarding.conformance_models import Report, ReportShown, Target
    from onestop.onboarding.drift import DriftView
    from onestop.onboarding.service import Life
    from onestop.onboarding.simulator import Simulator

_TARGETS: "dict[str, Target]" = {"simulator": "simulator", "sandbox": "sandbox", "live": "live"}
_environment = click.option("--environment", type=click.Path(path_type=Path, exists=True, dir_okay=False))


def found(told: str) -> tuple["Manifest", Path | None]:
    """Return the manifest at a path, or of an id among the adapters of this installation, and its examples' folder.

    Raises:
        Halt: there is none.
    """
    import os

    from onestop.gateway.manifest import parse
    from onestop.resources import shipped

    path = Path(told)
    if not path.exists():
        path = Path(os.environ.get("ONESTOP_ADAPTERS_DIR") or shipped("adapters")) / told
    file = path / "manifest.toml" if path.is_dir() else path
    if not file.is_file():
        raise Halt("no_such_adapter", Exit.CONFIGURATION, name=told)
    folder = file.parent / "examples"
    return parse(file.read_bytes(), f"{file.parent.name}/{file.name}"), folder if folder.is_dir() else None


def told_place(manifest: "Manifest", environment: Path | None) -> "Where | None":
    """Return what an environment file tells about an adapter."""
    from onestop.gateway.line import environment as read

    if environment is None:
        return None
    return read(tomllib.loads(environment.read_text("utf-8"))).get(manifest.id)


@adapter.command("simulate")
@click.argument("name", metavar="PATH|ID")
@click.option("--port", type=click.IntRange(0, 65_535), default=0)
@click.option("--faults", default="")
@click.option("--callbacks", metavar="URL")
@_environment
@click.pass_obj
def simulate(
    speaker: Speaker, name: str, port: int, faults: str, callbacks: str | None, environment: Path | None
) -> int:
    from onestop.onboarding.simulator import Simulator
    from onestop.onboarding.simulator_scenario import Scenario, parse_faults
    from onestop.onboarding.simulator_server import SimulatorApp, serve

    manifest, examples = found(name)
    place = told_place(manifest, environment)
    try:
        scenario = Scenario(parse_faults(faults))
    except ValueError as fault:
        raise click.BadParameter(str(fault), param_hint="--faults") from fault
    simulator = Simulator(manifest, examples=examples, told=place.secrets if place else None, scenario=scenario)
    serve(SimulatorApp(simulator, callbacks), port, lambda bound: _ready(speaker, simulator, bound))
    return Exit.OK


def _ready(speaker: Speaker, simulator: "Simulator", port: int) -> None:
    """Say where it listens, and the environment entry to paste."""
    from onestop.gateway.auth.needs import needs

    speaker.tell("play.ready", name=simulator.manifest.id, url=f"http://127.0.0.1:{port}")
    speaker.line(f"[adapters.{simulator.manifest.id}]")
    speaker.line(f'url = "http://127.0.0.1:{port}"')
    for key in sorted(needs(simulator.manifest).secrets):
        speaker.line(f'{key} = "{simulator.secrets.get(key, "")}"')


@adapter.command("conform")
@click.argument("name", metavar="PATH|ID")
@click.option("--against", metavar="URL")
@click.option("--allow-effects", is_flag=True)
@click.option("--person", "persons", multiple=True)
@click.option("--listen", type=click.IntRange(1, 65_535))
@click.option("--calls", type=click.IntRange(1, 200), default=10)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False))
@_environment
@json_option
@click.pass_obj
def conform(
    speaker: Speaker,
    name: str,
    against: str | None,
    allow_effects: bool,
    persons: tuple[str, ...],
    listen: int | None,
    calls: int,
    report: Path | None,
    environment: Path | None,
    as_json: bool,
) -> int:
    from onestop.onboarding.conformance import Telling
    from onestop.onboarding.conformance_models import shown

    manifest, examples = found(name)
    telling = Telling(
        against=_TARGETS.get(against or "", "address"),
        effects=allow_effects or against == "simulator",
        examples=examples,
        persons=_test_persons(persons),
        calls=calls,
        listen=listen,
    )
    if against == "simulator":
        made = asyncio.run(_against_simulator(manifest, examples, telling))
    else:
        made = asyncio.run(_against(manifest, _where(manifest, against, environment), telling))
    told = shown(made)
    if report is not None:
        _write_report(speaker, told, report)
    if as_json:
        speaker.show(told)
    else:
        _tell_report(speaker, told)
    return Exit.OK if told.passed else Exit.FINDINGS


def _test_persons(persons: tuple[str, ...]) -> tuple[str, ...]:
    for number in persons:
        if not (number.startswith("99") and len(number) == 18 and number[:17].isdigit()):
            raise click.BadParameter("only test persons, numbers beginning with 99", param_hint="--person")
    return persons


def _where(manifest: "Manifest", against: str | None, environment: Path | None) -> "Where":
    from onestop.gateway.line import Where
    from onestop.onboarding.simulator_secrets import sandbox_secrets

    place = told_place(manifest, environment)
    if against is None or against in ("sandbox", "live"):
        if place is None:
            raise Halt("no_place", Exit.CONFIGURATION, name=manifest.id)
        return place
    return Where(against, place.secrets if place else sandbox_secrets(manifest))


async def _against(manifest: "Manifest", where: "Where", telling: "Telling") -> "Report":
    from onestop.onboarding.conformance import conform as examine
    from onestop.outbound.addresses import AllowList

    return await examine(manifest, where, AllowList(_allowed()), telling)


def _allowed() -> tuple[str, ...]:
    """Return which networks may be called: those of the settings, and this host."""
    import os

    told = tuple(part for part in os.environ.get("ONESTOP_OUTBOUND_ALLOW", "").replace(",", " ").split() if part)
    return (*told, "127.0.0.0/8")


async def _against_simulator(manifest: "Manifest", examples: Path | None, telling: "Telling") -> "Report":
    from onestop.gateway.line import Where
    from onestop.onboarding.simulator import Simulator
    from onestop.onboarding.simulator_server import SimulatorApp, serving

    simulator = Simulator(manifest, examples=examples)
    async with serving(SimulatorApp(simulator)) as url:
        return await _against(manifest, Where(url, simulator.secrets), telling)


def _write_report(speaker: Speaker, told: "ReportShown", path: Path) -> None:
    import msgspec

    from onestop.onboarding.conformance_report import html

    if path.suffix == ".html":
        path.write_text(html(told, speaker.lang), "utf-8")
    else:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(told)))


def _tell_report(speaker: Speaker, told: "ReportShown") -> None:
    from onestop.onboarding.conformance_report import verdict

    marks = {"passed": speaker.paint("good", "✓"), "failed": speaker.paint("bad", "✗"), "skipped": "–"}
    for check in told.checks:
        sentence, fix = (check.zh, check.fix_zh) if speaker.lang == "zh" else (check.en, check.fix_en)
        speaker.line(f"{marks[check.result]} {sentence}")
        if fix:
            speaker.line(f"  → {fix}")
    speaker.line(verdict(told, speaker.lang))


@adapter.command("record")
@click.argument("name", metavar="PATH|ID")
@click.option("--against", metavar="URL")
@click.option("--person", "persons", multiple=True)
@click.option("--allow-effects", is_flag=True)
@click.option("--into", type=click.Path(path_type=Path, file_okay=False))
@_environment
@click.pass_obj
def record(
    speaker: Speaker,
    name: str,
    against: str | None,
    persons: tuple[str, ...],
    allow_effects: bool,
    into: Path | None,
    environment: Path | None,
) -> int:
    from onestop.onboarding.recorder import RealNumberLeft
    from onestop.onboarding.recorder import record as listen
    from onestop.outbound.addresses import AllowList

    manifest, examples = found(name)
    folder = into or examples
    if folder is None:
        folder = (Path(name) if Path(name).is_dir() else Path(name).parent) / "examples"
    where, told = _where(manifest, against, environment), _test_persons(persons)
    try:
        files = asyncio.run(
            listen(manifest, where, AllowList(_allowed()), examples=examples, persons=told, effects=allow_effects)
        )
    except RealNumberLeft as fault:
        raise Halt("real_number", Exit.FAILED, operation=fault.params.get("operation", "")) from fault
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).write_bytes(file.data)
    speaker.tell("play.written", count=sum(".response." in file.name for file in files), folder=folder)
    return Exit.OK


@adapter.command("drift")
@click.argument("name", metavar="ID")
@click.option("--days", type=click.IntRange(1, 365), default=30)
@state_option
@json_option
@click.pass_obj
def drift(speaker: Speaker, name: str, days: int, state: Path | None, as_json: bool) -> int:
    from onestop.cli.adapter_life import actor_named, in_life
    from onestop.onboarding.drift import view

    async def work(life: "Life") -> "DriftView":
        return await view(life, actor_named("-"), name, days)

    told: DriftView = in_life(state, work)
    if as_json:
        speaker.show(told)
    else:
        _tell_drift(speaker, told)
    return Exit.FINDINGS if any(finding.breaking for finding in told.findings) else Exit.OK


def _tell_drift(speaker: Speaker, told: "DriftView") -> None:
    for f in told.findings:
        mark = speaker.paint("bad", "✗ ") if f.breaking else "  "
        facts = {"operation": f.operation, "path": f.path, "kind": f.kind, "expected": f.expected, "got": f.got}
        speaker.line(mark + speaker.say("play.drift", **facts, count=f.seen, last=f"{f.last_at:%Y-%m-%d %H:%M}"))
    for probe in told.probes:
        if probe.failures:
            facts = {"operation": probe.operation, "outcome": probe.outcome, "failures": str(probe.failures)}
            speaker.line(speaker.paint("warn", "! ") + speaker.say("play.probe", **facts))
    for end in told.expiring:
        facts = {"name": end.name, "environment": end.environment, "ends": f"{end.not_after:%Y-%m-%d}"}
        speaker.line(speaker.paint("warn", "! ") + speaker.say("play.expiring", **facts))
    if not told.findings and not any(probe.failures for probe in told.probes) and not told.expiring:
        speaker.tell("play.no_drift", adapter=told.adapter)
