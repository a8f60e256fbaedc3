"""The manifest's `[limits]` and the headers that name a call: what documents tell of how often, and of which call."""

from typing import Any

from onestop.onboarding.importing import rules_pace as rules
from onestop.onboarding.importing.drafts import Draft
from onestop.onboarding.importing.interview import Interview
from onestop.onboarding.importing.models import Described
from onestop.onboarding.importing.notes import Notes


def limits(
    about: str, drafts: list[Draft], interview: Interview, notes: Notes, spot: Any
) -> tuple[dict[str, Any], str]:
    """Return `[limits]` and why; fills `per_second` and `concurrency` of operations that tell their own.

    Asks where the document says that there is a limit and not which.
    """
    told, found = rules.pace(about), {}
    why = "as the document says of the whole system"
    limited = False
    for draft in drafts:
        own = rules.pace(_said(draft.described))
        limited = limited or _is_limited(draft.described)
        for name, value in (("per_second", own.per_second), ("concurrency", own.at_once)):
            if value is not None:
                draft.table[name] = value
                draft.whys[name] = "as the document says of this operation; of several the strictest"
        per_day = own.per_day or told.per_day
        if per_day is not None:
            pointer = draft.described.pointer
            notes.add("limit_by_day", spot(pointer), "warning", operation=draft.id, count=per_day)
    if told.per_second is not None:
        found["per_second"] = told.per_second
    elif limited and not any("per_second" in draft.table for draft in drafts):
        answer = interview.ask("limits.per_second", "number", within=(0.001, 10_000))
        if answer is not None:
            found["per_second"], why = float(answer), "as was answered; the document says only that there is a limit"
    if told.at_once is not None:
        found["concurrency"] = told.at_once
    return found, why


def _said(described: Described) -> str:
    """Return everything that an operation says of itself, of its limits' headers and of being asked too often."""
    parts = [described.text, described.about, described.extensions]
    for answer in described.answers:
        parts += [f"{name} {told}" for name, told in answer.header_notes.items() if rules.is_limit_header(name)]
        if answer.status == "429":
            parts.append(answer.text)
    return " . ".join(part for part in parts if part)


def _is_limited(described: Described) -> bool:
    return any(
        answer.status == "429" or any(rules.is_limit_header(name) for name in answer.headers)
        for answer in described.answers
    )


def trace_headers(drafts: list[Draft]) -> dict[str, str]:
    """Return the headers by which each call is to be named, with a recipe for it; only those that must be there.

    One that keeps an effect from being made twice is none of them: it stays the same when a call is repeated.
    """
    found: dict[str, str] = {}
    for draft in drafts:
        for parameter in draft.described.parameters:
            text = f"{parameter.text} {parameter.shape.text}"
            named = parameter.place == "header" and parameter.required and rules.is_trace(parameter.name)
            if named and not rules.keeps_from_repeating(text):
                found.setdefault(parameter.name, "{uuid}")
    own = {draft.key_header for draft in drafts}
    return {name: recipe for name, recipe in found.items() if name not in own}
