"""My affairs as cards: what a department said, who said it, how fresh it is; or why it is not there."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from onestop import clock
from onestop.gateway.explain import Explanation
from onestop.gateway.models import Part
from onestop.gateway.parts import Record
from onestop.texts import Language, text
from onestop.web import words

# Whom a record is about is known to the one who reads it; the heading of the page says it once.
_OWN: Final = frozenset(("id_number", "name", "total"))
_MOST_ROWS: Final = 20
_COLOURS: Final = {
    "ok": "green",
    "stale": "yellow",
    "pending": "blue",
    "maintenance": "yellow",
    "not_applicable": "grey",
}


class Group(msgspec.Struct, frozen=True):
    """A list inside a record: its name and its entries."""

    label: str
    entries: list[list[tuple[str, str]]]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One department's part of my affairs."""

    want: str
    title: str
    department: str
    system: str
    state: str
    state_name: str
    colour: str
    as_of: str
    age: str
    took_ms: int
    none: bool  # the department answered that it holds nothing
    values: list[tuple[str, str]]
    groups: list[Group]
    why: str  # where there is nothing: what happened, who acts
    who_acts: str
    again_in_s: int | None


def card(part: Part, lang: Language) -> Card:
    """Return a part as a card."""
    data: dict[str, Any] = part.data or {}
    fields = {name: given for name, given in data.items() if name not in _OWN}
    groups = [
        Group(words.label(part.want, name, lang), [words.record(part.want, one, lang) for one in given[:_MOST_ROWS]])
        for name, given in fields.items()
        if isinstance(given, list) and given and all(isinstance(one, dict) for one in given)
    ]
    values = words.record(part.want, fields, lang)
    problem = part.problem
    return Card(
        want=part.want,
        title=text(f"web.want.{part.want}", lang),
        department=part.source.department,
        system=part.source.system,
        state=part.state,
        state_name=text(f"web.part.{part.state}", lang),
        colour=_COLOURS.get(part.state, "red"),
        as_of=words.instant(part.as_of, lang),
        age=words.age(part.age_s, lang),
        took_ms=round(part.took_ms),
        none=part.state in ("ok", "stale") and not values and not groups,
        values=values,
        groups=groups,
        why=words.masked(problem.detail) if problem else "",
        who_acts=text(f"http.actor.{problem.who_acts}", lang) if problem else "",
        again_in_s=round(problem.retry_after_s) if problem and problem.retry_after_s else None,
    )


def cards(parts: Sequence[Part], lang: Language) -> list[Card]:
    """Return every part as a card; those that hold something first, in the order they came."""
    told = [card(part, lang) for part in parts]
    return sorted(told, key=lambda one: one.state in ("ok", "stale") and one.none)


def explained(records: Sequence[Record], trace_id: str, took_ms: float, names: dict[str, str]) -> Explanation:
    """Return what the waterfall picture draws of a fan-out that has just ended."""
    bars = [{**msgspec.to_builtins(one), "department": names.get(one.adapter, one.adapter)} for one in records]
    for bar in bars:
        for name in ("queue_ms", "connect_ms", "wait_ms", "read_ms"):
            bar.setdefault(name, 0.0)
    return Explanation(
        trace_id=trace_id, at=clock.now(), route="GET /me", outcome="", took_ms=took_ms, links=[], waterfall=bars
    )
