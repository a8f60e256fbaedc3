"""`onestop status`: what everybody may see of a running installation, asked of its own public address."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onestop.cli.place import json_option, settings_of, state_option
from onestop.cli.speech import Exit, Halt, Speaker

if TYPE_CHECKING:
    from onestop.settings import Settings
    from onestop.texts import Language


@click.command("status")
@state_option
@json_option
@click.pass_obj
def status(speaker: Speaker, state: Path | None, as_json: bool) -> int:
    found = _ask(settings_of(state), speaker.lang)
    if as_json:
        speaker.show(found)
    else:
        speaker.table(
            ("department", "state", "since", "open", "share", "last"),
            [_row(speaker, one) for one in found["departments"]],
        )
        oldest = found["oldest_unknown_s"]
        speaker.tell(
            "status.sum",
            orphans=found["orphans"]["count"],
            statement=found["orphans"]["statement"],
            unknown=found["unknown"],
            oldest="-" if oldest is None else round(oldest),
            overdue=found["overdue_tasks"],
            as_of=_time(found["as_of"]),
        )
    return Exit.FINDINGS if found["orphans"]["count"] else Exit.OK


def _row(speaker: Speaker, one: dict[str, Any]) -> tuple[str, ...]:
    how = one["condition"]
    waiting = sum(how[name] for name in ("to_send", "unknown", "at_desk", "awaited"))
    state = speaker.say(f"status.{how['state']}")
    share = "-" if how["share"] is None else f"{how['share']}/{how['declared']}"
    last = _time(how["last_done"]) if how["last_done"] else "-"
    return one["name"], state, _time(how["since"]), str(waiting), share, last


def _time(told: str) -> str:
    return told[:19].replace("T", " ")


def _ask(settings: "Settings", lang: "Language") -> dict[str, Any]:
    """Ask the gateway of this installation.

    Raises:
        Halt: it does not answer.
    """
    from onestop.demo.visitor import Unreachable, Visitor

    url = f"http://{settings.host}:{settings.port}"
    try:
        answer = Visitor(url, lang=lang).get("/v1/public/status")
    except Unreachable as fault:
        raise Halt("gateway_silent", Exit.UNREACHABLE, url=url) from fault
    if answer.status != 200:
        raise Halt("gateway_silent", Exit.UNREACHABLE, url=url)
    found: dict[str, Any] = answer.json()
    return found
