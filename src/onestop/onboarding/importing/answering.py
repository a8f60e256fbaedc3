"""How a department tells what became of a submission: at once, when asked, of itself, when it fetches, or by a person.

An answer that only says "received" must never count as done: where the document leaves that open, it is asked.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from onestop.onboarding.importing.drafts import Draft, best_media, success
from onestop.onboarding.importing.interview import Interview
from onestop.onboarding.importing.models import Media, Shape
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.outcomes import OUTCOME_PAIRS, has_state, outcome_pairs
from onestop.onboarding.importing.replies import ORDER, Place
from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.rules_paging import path_to
from onestop.onboarding.importing.vocabulary import known

_POLL: Final = "poll "
_MOST_CHOICES: Final = 60
_KEYS: Final = known("request.key_names")
_CALLBACK_KINDS: Final = ("signed", "standard_webhooks", "token")
_WITHOUT_BODY: Final = ("xml", "soap", "soap12")  # their request is a template, which nobody can fetch
_DEFAULTS: Final = {"callback": "callback", "told": "at_once"}
_PATH: Final = r"[^\x00-\x1f']{1,100}"


class Way(NamedTuple):
    """One way to hear of an answer."""

    kind: str  # at_once, poll, callback, pull or desk
    operation: str = ""  # that is asked, of a poll


def way_of(told: Any) -> Way | None:
    """Return the way that an answer names; None where it names none."""
    if not isinstance(told, str):
        return None
    if told.startswith(_POLL):
        return Way("poll", told.removeprefix(_POLL).strip())
    return Way(told)


def take_asked(drafts: list[Draft], interview: Interview) -> None:
    """Take the operations by which an answer will be asked for as states of what was submitted."""
    by_id = {draft.id: draft for draft in drafts}
    for draft in [one for one in drafts if one.taken]:
        way = way_of(interview.given(f"answer.{draft.id}"))
        asked = by_id.get(way.operation) if way is not None and way.kind == "poll" else None
        if asked is not None and asked is not draft and draft.kind == "submit" and _can_tell(asked):
            asked.taken, asked.kind, asked.partner, asked.polled = True, "status", draft.id, True


def _can_tell(draft: Draft) -> bool:
    return draft.kind in ("query", "status", "lookup")


class Answering:
    """The ways of one import's submissions, and the one table `[callback]` that they share."""

    def __init__(self, taken: list[Draft], every: list[Draft], interview: Interview, notes: Notes, spot: Any) -> None:
        self.taken, self.every = taken, every
        self.interview, self.notes, self._spot = interview, notes, spot
        self.callback: dict[str, Any] = {}
        self.secrets: dict[str, str] = {}

    def prepare(self, draft: Draft) -> None:
        """Let a submission that answers nothing itself be read as the callback that brings its answer."""
        draft.called_back = best_media(draft.described.callbacks, ORDER)
        given = way_of(self.interview.given(f"answer.{draft.id}"))
        calls = given.kind == "callback" if given is not None else draft.called_back is not None
        answer, _ = success(draft.described.answers)
        if draft.kind == "submit" and calls and (answer is None or not answer.media):
            draft.heard = draft.called_back or Media(type="application/json", shape=Shape())

    def settle(self, draft: Draft, place: Place | None) -> None:
        """Fill `answer`, `poll` and what else of a submission's table its way needs; `place`: its record's."""
        given = self.interview.given(f"answer.{draft.id}") is not None
        status = self._state_of(draft)
        if status is not None and not given and self._pollable(draft, status):
            self._poll(draft, status)
            return
        why = self._left_open(draft, place) or ("told" if given else None)
        way = way_of(self._asked(draft, why)) if why is not None else None
        if way is not None:
            self._go(draft, way)

    def _state_of(self, draft: Draft) -> Draft | None:
        mine = [one for one in self.taken if one.kind == "status" and one.partner == draft.id]
        return next((one for one in mine if one.polled), next(iter(mine), None))

    @staticmethod
    def _pollable(draft: Draft, status: Draft) -> bool:
        return "reference" in draft.table["reply"] and "outcome" in status.table["reply"]

    def _left_open(self, draft: Draft, place: Place | None) -> str | None:
        """Return what keeps the document from saying when a submission is done; None where it does say."""
        answer, accept = success(draft.described.answers)
        outcome = draft.table["reply"].get("outcome")
        if draft.described.callbacks:
            return "callback"
        if outcome is not None:
            later = "pending" in outcome["map"].values() and "lookup" not in draft.table
            return "later" if later else None
        if 202 in accept:
            return "accepted"
        if answer is None or not answer.media:
            return "empty"
        return "state" if has_state(place) is not None else None

    def _asked(self, draft: Draft, why: str) -> Any:
        return self.interview.ask(
            f"answer.{draft.id}", "choice", about=draft.described.pointer, required=True, say=f"answer_{why}",
            default=_DEFAULTS.get(why), choices=self._choices(draft), operation=draft.id,
        )  # fmt: skip

    def _choices(self, draft: Draft) -> tuple[str, ...]:
        own = set(words_of(f"{draft.described.name} {draft.described.path}"))

        def near(one: Draft) -> tuple[bool, int]:
            return not one.taken, -len(own & set(words_of(f"{one.described.name} {one.described.path}")))

        asked = sorted((one for one in self.every if one is not draft and _can_tell(one)), key=near)
        polls = tuple(f"{_POLL}{one.id}" for one in asked[:_MOST_CHOICES])
        fetched = () if draft.table["request_codec"] in _WITHOUT_BODY else ("pull",)
        return ("at_once", *polls, "callback", *fetched, "desk")

    def _go(self, draft: Draft, way: Way) -> None:
        draft.whys["answer"] = f"answered as {' '.join(part for part in way if part)}"
        if way.kind == "poll":
            status = next((one for one in self.taken if one.id == way.operation), None)
            if status is not None:
                self._poll(draft, status)
        elif way.kind == "callback":
            self._call_back(draft)
        elif way.kind == "pull":
            draft.table["answer"] = "pull"
        elif way.kind == "desk":
            # Received and no more: after `answer_within_s` a person finds out what became of it.
            received = {"path": "'received'", "map": {"received": "pending"}}
            draft.table["reply"].setdefault("outcome", received).setdefault("default", "pending")
            draft.whys["reply.outcome"] = "what is received is not done: a person finds out what became of it"
        within = self.interview.told(f"answer_within_s.{draft.id}", "number", (1, 315_360_000))
        if within is not None and way.kind != "at_once":
            draft.table["answer_within_s"] = within

    def _poll(self, draft: Draft, status: Draft) -> None:
        draft.table["answer"] = "poll"
        draft.table["poll"] = {"operation": status.id, "first_s": 2.0, "every_s": 10.0}
        draft.whys["answer"] = f"`{status.id}` tells the state of what was sent"
        if "outcome" in draft.table["reply"]:  # a first answer that tells no state yet
            draft.table["reply"]["outcome"].setdefault("default", "pending")
        if not self._named(draft, status):
            spot = self._spot(draft.described.pointer)
            self.notes.add("poll_unnamed", spot, "warning", operation=draft.id, other=status.id)

    @staticmethod
    def _named(draft: Draft, status: Draft) -> bool:
        """Tell whether the question for an answer names what was sent."""
        sources = [source for source, _ in status.places]
        by_number = "reference" in sources and {"reference", "reference_header"} & draft.table["reply"].keys()
        return bool(by_number) or any(source.startswith("key") for source in sources)

    # --- callbacks ------------------------------------------------------------------------------------------------

    def _call_back(self, draft: Draft) -> None:
        reply, about = draft.table["reply"], draft.described.pointer
        draft.table["answer"] = "callback"
        shape = draft.called_back.shape if draft.called_back is not None else Shape()
        reply["key"] = self.interview.ask(
            f"callback.key.{draft.id}", "text", about=about, required=True, default=_key_in(shape), pattern=_PATH,
            say="callback_key", operation=draft.id,
        )  # fmt: skip
        if "outcome" not in reply:
            path = self.interview.ask(
                f"callback.state.{draft.id}", "text", about=about, required=True, default=_state_in(shape),
                pattern=_PATH, say="callback_state", operation=draft.id,
            )  # fmt: skip
            told = self.interview.ask(
                f"outcome.{draft.id}", "text", about=about, required=True, pattern=OUTCOME_PAIRS,
                say="callback_outcome", operation=draft.id, path=path or "—",
            )  # fmt: skip
            reply["outcome"] = {"path": path, "map": outcome_pairs(told) if told else {}}
        # The first answer says no more than "received", and so has no state.
        reply["outcome"].setdefault("default", "pending")
        if not self.callback:
            kind = self.interview.ask(
                "callback.kind", "choice", about=about, default="signed", choices=_CALLBACK_KINDS, say="callback_kind"
            )
            self.callback = {"kind": kind, "operation": draft.id}
            self.secrets |= {"callback_secret": "what proves that a callback is theirs"}


def _key_in(shape: Shape) -> str | None:
    """Return where a callback surely names our key: a member called so."""
    named = [path for path, plain in _members(shape) if plain in _KEYS]
    return path_to(named[0]) if len(named) == 1 else None


def _state_in(shape: Shape) -> str | None:
    states = known("outcome.members")
    named = [path for path, plain in _members(shape) if plain in states]
    return path_to(named[0]) if len(named) == 1 else None


def _members(shape: Shape) -> Iterable[tuple[tuple[str, ...], str]]:
    for name, part in shape.members.items():
        if part.kind == "value":
            yield (name,), "".join(words_of(name))
        for inner, below in part.members.items():
            if below.kind == "value":
                yield (name, inner), "".join(words_of(inner))
