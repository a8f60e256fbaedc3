"""`onestop case` and `onestop trace`: what became of an application and of a request, for an operator.

They read the database itself, so they work in every profile and while the gateway is down; nothing sealed is opened.
"""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli import store
from onestop.cli.place import database, json_option, settings_of, state_option
from onestop.cli.speech import Exit, Halt, Speaker
from onestop.texts import has, text

if TYPE_CHECKING:
    from onestop.gateway.explain import Link
    from onestop.settings import Settings

_FINAL = ("decided", "withdrawn")
_EVERY_S = 0.5
_COLOURS = {"completed": "good", "declined": "bad", "at_desk": "warn", "correcting": "warn", "waiting": "dim"}


@click.group("case", no_args_is_help=True)
def case() -> None:
    """The words of every command stand in the catalogue `cli`."""


@case.command("show")
@click.argument("wanted", metavar="ID|latest")
@state_option
@json_option
@click.pass_obj
def show(speaker: Speaker, wanted: str, state: Path | None, as_json: bool) -> None:
    asyncio.run(_show(speaker, settings_of(state), wanted, as_json))


@case.command("watch")
@click.argument("wanted", metavar="ID|latest")
@state_option
@json_option
@click.pass_obj
def watch(speaker: Speaker, wanted: str, state: Path | None, as_json: bool) -> None:
    asyncio.run(_watch(speaker, settings_of(state), wanted, as_json))


@click.command("trace")
@click.argument("wanted", metavar="ID")
@state_option
@json_option
@click.pass_obj
def trace(speaker: Speaker, wanted: str, state: Path | None, as_json: bool) -> None:
    asyncio.run(_trace(speaker, settings_of(state), wanted, as_json))


async def _show(speaker: Speaker, settings: "Settings", wanted: str, as_json: bool) -> None:
    async with database(settings) as pool:
        found = await _found(pool, settings.region, wanted)
        steps = await store.steps(pool, settings.region, found.id)
        events = await store.events_after(pool, settings.region, found.id, 0)
    if as_json:
        speaker.show({"case": found, "steps": steps, "events": events})
        return
    _head(speaker, found)
    speaker.line()
    _steps(speaker, steps)
    speaker.line()
    for event in events:
        speaker.line(_event(speaker, event))


async def _watch(speaker: Speaker, settings: "Settings", wanted: str, as_json: bool) -> None:
    seen = 0
    async with database(settings) as pool:
        found = await _found(pool, settings.region, wanted)
        if not as_json:
            _head(speaker, found)
        while True:
            for event in await store.events_after(pool, settings.region, found.id, seen):
                seen = event.seq
                speaker.show({"case": found.id, "event": event}) if as_json else speaker.line(_event(speaker, event))
            now = await _found(pool, settings.region, found.id)
            if now.state in _FINAL:
                break
            await asyncio.sleep(_EVERY_S)
        steps = await store.steps(pool, settings.region, found.id)
    if as_json:
        speaker.show({"case": now, "steps": steps})
    else:
        _head(speaker, now)
        _steps(speaker, steps)


async def _found(pool: Any, region: str, wanted: str) -> store.CaseRow:
    found = await store.case(pool, region, wanted)
    if found is None:
        raise Halt("no_cases" if wanted == "latest" else "no_such_case", Exit.FAILED, wanted=wanted)
    return found


def _head(speaker: Speaker, found: store.CaseRow) -> None:
    state = _word(speaker, "case.state", found.state)
    speaker.line(speaker.paint("strong", f"{found.number}  {found.item}  {state}"))
    speaker.tell("case.head", id=found.id, opened=_time(found.opened_at), due=found.due_on or "-")


def _steps(speaker: Speaker, steps: list[store.StepRow]) -> None:
    rows = [(s.code, s.department, _word(speaker, "case.step", s.state), _remark(speaker, s)) for s in steps]
    speaker.table(("step", "department", "state", "remark"), rows)


def _remark(speaker: Speaker, step: store.StepRow) -> str:
    if step.reference:
        return step.reference
    problem = (step.problem or {}).get("code")
    if problem and step.next_at is not None:
        return speaker.say("case.again", code=problem, at=_time(step.next_at), attempt=step.attempt)
    return str(problem or (speaker.say("case.due", due=step.due_on) if step.due_on else ""))


def _event(speaker: Speaker, event: store.EventRow) -> str:
    step = f"  {event.step}" if event.step else ""
    return f"{_time(event.at)}  {event.type}{step}  {speaker.paint('dim', event.by_whom)}"


def _word(speaker: Speaker, group: str, value: str) -> str:
    key = f"cli.{group}.{value}"
    return text(key, speaker.lang) if has(key) else value


def _time(at: datetime) -> str:
    from onestop.clock import CHINA

    return at.astimezone(CHINA).strftime("%m-%d %H:%M:%S")


async def _trace(speaker: Speaker, settings: "Settings", wanted: str, as_json: bool) -> None:
    from onestop.cli.adapters import read_all
    from onestop.gateway.explain import Viewer, explain

    manifests = {m.id: m for m in read_all(settings.adapters_dir)[0]}
    viewer = Viewer(principal=None, curl=True)
    async with database(settings) as pool:
        found = await explain(
            pool, settings.region, wanted, viewer=viewer, lang=speaker.lang, manifests=manifests
        )  # fmt: skip
    if as_json:
        speaker.show(found)
        return
    for entry in found:
        speaker.line(speaker.paint("strong", f"{entry.route}  {entry.outcome}  {entry.took_ms} ms  {_time(entry.at)}"))
        for link in entry.links:
            _link(speaker, link)
        for bar in entry.waterfall:
            start, took = round(float(bar.get("start_ms", 0))), round(float(bar.get("took_ms", 0)))
            line = f"  {bar['department']}  {bar['operation']}  +{start} ms  {took} ms  {bar['outcome']}"
            speaker.line(line)


def _link(speaker: Speaker, link: "Link") -> None:
    mark = {"passed": "✓", "failed": "✗", "noted": "!"}.get(link.state, "·")
    colour = {"passed": "good", "failed": "bad", "noted": "warn"}.get(link.state, "dim")
    where = " ".join(filter(None, (link.department, link.operation)))
    speaker.line(f"  {speaker.paint(colour, mark)} {_word(speaker, 'link', link.link)}  {where}".rstrip())
    for words in filter(None, (link.says, link.detail)):
        speaker.line(f"      {words}")
    if link.fix:
        who = text(f"http.actor.{link.who_acts}", speaker.lang)
        speaker.line(f"      → {who}: {link.fix}")
    if link.curl:
        speaker.line(f"      $ {link.curl}")
