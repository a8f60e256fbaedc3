"""The departments' state, as a strip on the start page: honest about who cannot be asked at the moment."""

import msgspec

from onestop.directory.models import Directory
from onestop.gateway.service import Gateway
from onestop.texts import Language, text


class LineState(msgspec.Struct, frozen=True):
    """One department."""

    name: str
    state: str  # ok | degraded | down | desk
    says: str


def lines(gateway: Gateway, directory: Directory, lang: Language) -> list[LineState]:
    """Return every department of this installation and how it can be reached now, in order of id."""
    told = {str(line["adapter"]): line["breakers"] for line in gateway.health()}
    return [
        LineState(directory.name(name, lang), "down", text("web.line.stopped", lang))
        if gateway.stop(name)
        else _line(name, told, directory, lang)
        for name in sorted(gateway.manifests)
    ]


def _line(name: str, told: dict[str, dict[str, dict[str, object]]], directory: Directory, lang: Language) -> LineState:
    broken = told.get(name)
    if broken is None:
        state = "desk" if name in directory.departments and directory.departments[name].desk else "down"
    elif not broken:
        state = "ok"
    else:
        state = "down" if all(one["state"] == "open" for one in broken.values()) else "degraded"
    return LineState(directory.name(name, lang), state, text(f"web.line.{state}", lang))
