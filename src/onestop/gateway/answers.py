"""What a department said, in our words, and the small rules by which a reply is read."""

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from onestop.gateway.facts import Fact
from onestop.gateway.manifest import ErrorCase
from onestop.gateway.mapping.language import Getter, MappingFailed, Value, expression, path_of
from onestop.gateway.models import Outcome
from onestop.outbound.models import Reply

AnswerKind = Literal["ok", "not_found", "denied", "invalid", "declined", "correction", "busy", "down", "bad_reply"]
OUTCOMES: Final = frozenset(("completed", "pending", "declined", "correction", "extended", "transferred"))


class Heard(NamedTuple):
    """What a callback names, and its body as decoded; its key, or where none is declared its reference."""

    key: str | None
    reference: str | None  # the department's own number
    value: Value


class Answer:
    """What a department said, in our words."""

    __slots__ = (
        "as_of", "body", "fact", "fields", "kind", "later", "outcome", "own_id", "reason", "reference", "reply",
        "retry_after_s",
    )  # fmt: skip

    def __init__(self, kind: AnswerKind, reply: Reply | None = None) -> None:
        self.kind = kind
        self.reply = reply
        self.body: Value = None  # as decoded, of an accepted reply
        self.fields: dict[str, Any] | None = None
        self.as_of: str | None = None
        self.outcome: Outcome | None = None  # of a submission, a status or a look-up
        self.reference: str | None = None
        self.own_id: str | None = None  # what the department itself calls the person asked about
        self.reason: str | None = None  # the department's own sentence, or what cannot be read
        self.retry_after_s: float | None = None
        self.fact: Fact | None = None  # what decided, where there is no answer
        self.later: Value = None  # when the department says that its answer will be there: an instant, or seconds


def names_path(source: str) -> Callable[[Value], bool]:
    """Return what tells whether a body names the path of an expression at all, whatever stands there."""
    path = path_of(source)
    if not path:
        return lambda _: True
    *parents, last = path

    def names(body: Value) -> bool:
        for step in parents:
            body = body.get(step) if isinstance(body, dict) else None
        return isinstance(body, dict) and last in body

    return names


def sentence_of(reason: Getter | None, body: Value) -> str | None:
    """Return the department's own sentence, if it can be read."""
    try:
        return optional_text(reason(body)) if reason is not None else None
    except MappingFailed:
        return None


def holds(case: ErrorCase, value: Value) -> bool:
    """Tell whether every condition that an error case sets for a value is met."""
    if case.exists is not None and (value not in (None, "")) != case.exists:
        return False
    if case.one_of and not any(_same(value, wanted) for wanted in case.one_of):
        return False
    only_those = case.equals is None and (case.exists is not None or bool(case.one_of))
    return only_those or _same(value, case.equals)


def _same(value: Value, wanted: str | int | bool | None) -> bool:
    return value == wanted or (
        value is not None and not isinstance(value, (dict, list)) and text_of(value) == text_of(wanted)
    )


def maybe(source: str | None, codes: dict[str, dict[str, str]]) -> Getter | None:
    """Compile an expression that need not be there; None where it is not."""
    return None if source is None else expression(source, codes)


def text_of(value: Value) -> str:
    """Write a value as text: nothing as the empty text, yes and no as `true` and `false`."""
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    return str(value)


def optional_text(value: Value) -> str | None:
    """Return a value as text of at most 500 characters; None where there is nothing."""
    return None if value in (None, "") else text_of(value)[:500]


def kind_of_status(status: int) -> AnswerKind:
    """Return what a status means that is neither accepted nor in the error map."""
    if status == 429:
        return "busy"
    if status in (401, 403):
        return "denied"
    if 500 <= status <= 599:
        return "down"
    return "invalid" if 400 <= status <= 499 else "bad_reply"
