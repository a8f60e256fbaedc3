"""`onestop doctor`: everything that could be wrong with an installation, each with the way to put it right."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onestop.cli.place import json_option, settings_of, state_option
from onestop.cli.speech import Exit, Speaker
from onestop.cli.widths import pad

if TYPE_CHECKING:
    from onestop.cli.findings import Finding
    from onestop.settings import Settings

_MARKS = {"good": "✓", "warn": "!", "bad": "✗"}


@click.command("doctor")
@state_option
@json_option
@click.pass_obj
def doctor(speaker: Speaker, state: Path | None, as_json: bool) -> int:
    settings = settings_of(state)
    findings = asyncio.run(_look(settings))
    bad = [finding for finding in findings if finding.state == "bad"]
    if as_json:
        shown = [_document(speaker, finding) for finding in findings]
        speaker.show({"profile": settings.profile, "findings": len(bad), "checks": shown})
    else:
        speaker.tell("doctor.head", profile=settings.profile, folder=os.path.relpath(settings.state_dir))
        for finding in findings:
            _line(speaker, finding)
        speaker.tell("doctor.sum", count=len(findings), bad=len(bad))
    return Exit.FINDINGS if bad else Exit.OK


async def _look(settings: "Settings") -> list["Finding"]:
    from onestop.cli.findings import CHECKS

    return [await check(settings) for check in CHECKS]


def _line(speaker: Speaker, finding: "Finding") -> None:
    mark = speaker.paint(finding.state, _MARKS[finding.state])
    name = pad(speaker.say(f"doctor.{finding.check}.name"), 12)
    speaker.line(f"{mark} {name} {speaker.say(f'doctor.{finding.check}.{finding.says}', **finding.facts)}")
    if finding.state != "good":
        speaker.line(f"  → {speaker.say(f'doctor.{finding.check}.{finding.says}_fix', **finding.facts)}")


def _document(speaker: Speaker, finding: "Finding") -> dict[str, object]:
    key = f"doctor.{finding.check}.{finding.says}"
    fix = {} if finding.state == "good" else {"fix": speaker.say(f"{key}_fix", **finding.facts)}
    says = speaker.say(key, **finding.facts)
    return {"check": finding.check, "state": finding.state, "code": finding.says, "says": says, **fix}
