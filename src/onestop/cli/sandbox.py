"""`onestop sandbox`: play with the demo city: who lives there, what fails, what day it is, anybody's token."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli import store
from onestop.cli.moved_clock import BadStep, advanced
from onestop.cli.place import database, json_option, running_demo, settings_of, state_option
from onestop.cli.speech import Exit, Halt, Speaker

if TYPE_CHECKING:
    from onestop.demo.folder import Record
    from onestop.settings import Settings

_MODES = ("timeout", "error", "drop-after-effect", "garbage", "slow")
_ROLES = ("citizen", "clerk", "department", "governance", "operator")
_LASTS = re.compile(r"(\d{1,5})(s|m|h)?")


@click.group("sandbox", no_args_is_help=True)
def sandbox() -> None:
    """The words of every command stand in the catalogue `cli`."""


@sandbox.command("people")
@json_option
@click.pass_obj
def people(speaker: Speaker, as_json: bool) -> None:
    from onestop.demo import people as world

    if as_json:
        speaker.show([{"key": p.key, "name": p.name, "id_number": p.id_number, "why": p.why} for p in world.people()])
        return
    rows = [(p.key, p.name, p.id_number, p.why) for p in world.people()]
    speaker.table(("person", "name", "id_number", "why"), rows)


@sandbox.command("fail")
@click.argument("department", metavar="DEPT")
@click.option("--mode", type=click.Choice(_MODES), default="timeout", show_default=True)
@click.option("--for", "lasts", default="2m", show_default=True)
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), default=1.0)
@state_option
@json_option
@click.pass_obj
def fail(
    speaker: Speaker, department: str, mode: str, lasts: str, share: float, state: Path | None, as_json: bool
) -> None:
    for_s = seconds(lasts)
    manners = control(running_demo(state), department, "/_fail", {"mode": mode, "for_s": for_s, "share": share})
    if as_json:
        speaker.show({"department": department, **manners})
    else:
        speaker.tell("sandbox.fails", department=department, mode=mode, lasts=lasts, share=round(share * 100))


@sandbox.command("heal")
@click.argument("departments", metavar="[DEPT]...", nargs=-1)
@state_option
@json_option
@click.pass_obj
def heal(speaker: Speaker, departments: tuple[str, ...], state: Path | None, as_json: bool) -> None:
    record = running_demo(state)
    healed = departments or tuple(record.departments)
    for department in healed:
        control(record, department, "/_heal")
    if as_json:
        speaker.show({"healed": healed})
    else:
        speaker.tell("sandbox.healed", departments=", ".join(healed))


@sandbox.command("clock")
@click.argument("what", type=click.Choice(["advance", "reset"]), required=False)
@click.argument("step", required=False)
@state_option
@json_option
@click.pass_obj
def move_clock(speaker: Speaker, what: str | None, step: str | None, state: Path | None, as_json: bool) -> None:
    if (what == "advance") != (step is not None):
        raise click.UsageError(speaker.say("usage.clock"))
    told = asyncio.run(_clock(settings_of(state), what, step))
    if as_json:
        speaker.show(told)
    else:
        speaker.tell("sandbox.clock", **told)


@sandbox.command("token")
@click.argument("person", metavar="PERSON")
@click.option("--role", type=click.Choice(_ROLES), default="citizen", show_default=True)
@click.option("--department", default=None)
@state_option
@json_option
@click.pass_obj
def token(speaker: Speaker, person: str, role: str, department: str | None, state: Path | None, as_json: bool) -> None:
    given = ask_token(speaker, running_demo(state).url, person, role, department)
    if as_json:
        speaker.show(given)
    else:
        speaker.line(given["access_token"])


def ask_token(speaker: Speaker, url: str, person: str, role: str, department: str | None) -> dict[str, Any]:
    """Ask the demo for a bearer token in somebody's name.

    Raises:
        Halt: the demo does not answer, or refuses.
    """
    from onestop.demo.visitor import Unreachable, Visitor

    wanted = {"person": person, "role": role} | ({"department": department} if department else {})
    try:
        answer = Visitor(url, lang=speaker.lang).post("/v1/auth/tokens", wanted)
    except Unreachable as fault:
        raise Halt("gateway_silent", Exit.UNREACHABLE, url=url) from fault
    if answer.status != 201:
        problem = answer.json() or {}
        raise Halt("no_token", Exit.FAILED, person=person, reason=str(problem.get("detail") or answer).rstrip(".。"))
    given: dict[str, Any] = answer.json()
    return given


def control(record: "Record", department: str, path: str, order: dict[str, Any] | None = None) -> Any:
    """Give an order at a department's control door; GET where the path is one that is read.

    Raises:
        Halt: there is no such department, or it does not answer.
    """
    from onestop.demo.secrets import control_door
    from onestop.demo.visitor import Unreachable, Visitor

    if department not in record.departments:
        raise Halt("no_department", Exit.USAGE, department=department, known=", ".join(record.departments))
    url, secret = control_door(Path(record.secrets).parent, department)
    visitor = Visitor(url)
    try:
        if path == "/_ledger":
            answer = visitor.get(path, x_sandbox_control=secret)
        else:
            answer = visitor.post(path, order, x_sandbox_control=secret)
    except Unreachable as fault:
        raise Halt("department_silent", Exit.UNREACHABLE, department=department) from fault
    if answer.status != 200:
        raise Halt("department_refused", Exit.FAILED, department=department, reason=answer)
    return answer.json()


def seconds(lasts: str) -> float:
    """Return `90`, `90s`, `2m` or `1h` in seconds.

    Raises:
        click.UsageError: it is none of these.
    """
    match = _LASTS.fullmatch(lasts)
    if match is None or not int(match[1]):
        raise click.BadParameter(lasts, param_hint="--for")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


async def _clock(settings: "Settings", what: str | None, step: str | None) -> dict[str, Any]:
    from onestop import clock
    from onestop.directory.service import calendar

    if settings.profile == "production":
        raise Halt("clock_production", Exit.CONFIGURATION)
    async with database(settings) as pool:
        offset = timedelta(seconds=await store.clock_offset_s(pool))
        if what == "reset":
            offset = timedelta(0)
        elif step is not None:
            try:
                offset = advanced(clock.real_now() + offset, step, calendar()) - clock.real_now()
            except BadStep as fault:
                raise Halt("clock_step", Exit.USAGE, step=step) from fault
        if what is not None:
            await store.move_clock(pool, offset.total_seconds())
    now = (clock.real_now() + offset).astimezone(clock.CHINA)
    return {"now": now.isoformat(timespec="seconds"), "offset_s": round(offset.total_seconds())}
