"""Every chosen operation through its makers, then what only shows between them: polling, look-ups, repetition."""

import re
from typing import Any, Final

import msgspec

from onestop.gateway.manifest import Words
from onestop.onboarding.importing import choosing, outcomes
from onestop.onboarding.importing.answering import Answering
from onestop.onboarding.importing.drafts import Draft, success
from onestop.onboarding.importing.interview import Interview
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.pages import PageFinder
from onestop.onboarding.importing.replies import Place, ReplyMaker, place_of
from onestop.onboarding.importing.requests import RequestMaker
from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.sealed import SealFinder, outer, with_protection

_KINDS: Final = ("query", "submit", "status", "lookup", "cancel")
_LONGEST_PATH: Final = 200


def title_of(draft: Draft) -> Words:
    """Return a title as far as the document gives one; one language serves both where there is only one."""
    told = draft.described.text or draft.described.name
    first = re.split(r"(?<=[.。!?])\s|[\n]", told, maxsplit=1)[0].rstrip(".。")
    short = first if len(first) <= 80 else first[:80].rpartition(" ")[0] or first[:80]
    return Words(zh=short, en=short)


class Drafting:
    """The makers of one import, and the code lists they share."""

    def __init__(
        self,
        taken: list[Draft],
        every: list[Draft],
        interview: Interview,
        notes: Notes,
        spot: Any,
        spoken_for: set[str],
        about: str = "",
    ) -> None:
        self.taken, self.every = taken, every
        self.interview, self.notes, self.spot, self.spoken_for = interview, notes, spot, spoken_for
        self.about = about
        self.secrets: dict[str, str] = {}  # that opening answers needs
        self.codes: dict[str, dict[str, str]] = {}
        self._places: dict[str, Place | None] = {}
        self.answering = Answering(taken, every, interview, notes, spot)
        self._forget_absent()
        self._claim_lookups()
        for draft in taken:
            draft.reference_name = self._reference_of(draft)
            if draft.polled and draft.reference_name is None:
                draft.key_member = self._own_number(draft)

    def _forget_absent(self) -> None:
        """Take the state of something that is not submitted here for the plain query that it is."""
        ids = {draft.id for draft in self.taken}
        for draft in self.taken:
            if draft.kind == "status" and draft.partner not in ids:
                draft.kind, draft.partner = "query", None

    def _reference_of(self, draft: Draft) -> str | None:
        """Return which of a state's parameters names what was sent: its last place, else one that the answer told."""
        partner = next((d for d in self.every if d.id == draft.partner), None)
        if draft.kind not in ("status", "cancel") or partner is None:
            return None
        places = re.findall(r"\{([^{}]+)\}", draft.described.path)
        if places:
            return str(places[-1])
        answer, _ = success(partner.described.answers)
        told = place_of(answer.media[0].shape).shape if answer is not None and answer.media else None
        known = {"".join(words_of(name)) for name in told.members} if told is not None else set()
        names = [p.name for p in draft.described.parameters if p.place == "query"]
        for media in draft.described.bodies[:1]:
            names += list(media.shape.members)
        return next((name for name in names if "".join(words_of(name)) in known), None)

    def _own_number(self, draft: Draft) -> str | None:
        """Return what a state's request calls the key that its submission sent; None where it asks for no such."""
        partner = next(one for one in self.every if one.id == draft.partner)
        sent = {name for media in partner.described.bodies[:1] for name in media.shape.members}
        plain = {"".join(words_of(name)) for name in (partner.key_member, *sent) if name} & choosing.REFERENCES
        names = [parameter.name for parameter in draft.described.parameters]
        names += [name for media in draft.described.bodies[:1] for name in media.shape.members]
        return next((name for name in names if "".join(words_of(name)) in plain), None)

    def _claim_lookups(self) -> None:
        """Before anything is drafted: a search by our reference becomes the look-up of a submission without a key."""
        for draft in self.taken:
            if draft.kind != "submit":
                continue
            draft.key_header = choosing.key_header(draft)
            draft.key_member = None if draft.key_header else choosing.key_member(draft)
            draft.key_told = bool(draft.key_header or draft.key_member)
            found = None if draft.key_told else choosing.lookup_candidate(draft, self.taken)
            if found is not None and found[0].kind == "query":
                other, parameter, member = found
                other.kind, other.partner, other.key_member = "lookup", draft.id, parameter
                draft.key_member = member

    def draft(self, draft: Draft) -> None:
        """Fill the table of one operation."""
        self._kind(draft)
        table = draft.table
        title = self.interview.told(f"title.{draft.id}", "words") or msgspec.to_builtins(title_of(draft))
        table |= {
            "id": draft.id,
            "kind": draft.kind,
            "title": title,
            "method": draft.described.method,
            "path": draft.described.path[:_LONGEST_PATH],
        }
        self.secrets |= SealFinder(draft, self.interview, self.notes, self.spot, self.about).find()
        PageFinder(draft, self.interview, self.notes, self.spot).find()
        RequestMaker(draft, self.interview, self.notes, self.spot, self.spoken_for).make()
        self.answering.prepare(draft)
        replies = ReplyMaker(draft, self.notes, self.spot, self.codes)
        replies.make()
        with_protection(draft)
        self._places[draft.id] = replies.place
        around = outer(draft)
        told_by = place_of(around) if around is not None else replies.place
        table["errors"] = outcomes.error_cases(draft, told_by, self.interview, self.notes, self.spot)
        if draft.kind == "query":
            table["want"] = self.interview.ask(
                f"want.{draft.id}", "text", about=draft.described.pointer, default=draft.id,
                pattern=r"[a-z][a-z0-9_]{1,39}", say="want", operation=draft.id,
            )  # fmt: skip
        else:
            self._effect(draft, replies.place)
        self._sensitivity(draft)

    def _kind(self, draft: Draft) -> None:
        if draft.kind == "submit" and not draft.guess.sure and self._asks_like_a_get(draft):
            draft.kind = "query"
        if draft.guess.sure or draft.partner is not None:
            told = self.interview.told(f"kind.{draft.id}", "text")
            draft.kind = told if told in _KINDS else draft.kind
            return
        draft.kind = self.interview.ask(
            f"kind.{draft.id}", "choice", about=draft.described.pointer, default=draft.kind, choices=_KINDS,
            say="kind", operation=draft.id, method=draft.described.method, path=draft.described.path,
        )  # fmt: skip

    def _asks_like_a_get(self, draft: Draft) -> bool:
        """Tell whether a POST answers with what the GET of the same address answers: a search too large for a query."""
        answers = [a for a in draft.described.answers if a.status.startswith("2")]
        if [a.status for a in answers] != ["200"] or not answers[0].media:
            return False
        shape = answers[0].media[0].shape
        for other in self.every:
            if other.described.method == "GET" and other.described.path == draft.described.path:
                same = [a.media[0].shape for a in other.described.answers if a.status == "200" and a.media]
                return bool(same) and same[0].pointer == shape.pointer
        return False

    def _effect(self, draft: Draft, place: Place | None) -> None:
        """Fill what only submissions, states, look-ups and cancellations have."""
        reply = draft.table["reply"]
        outcome = outcomes.outcome_map(draft, place, self.notes, self.spot) or self._told_outcome(draft, place)
        if outcome is not None and draft.kind != "cancel":
            reply["outcome"] = outcome
        if draft.kind in ("submit", "lookup"):
            wanted = self._wanted_reference(draft.partner if draft.kind == "lookup" else draft.id)
            headers = draft.answer.headers if draft.answer is not None else ()
            found = outcomes.reference(place, headers, wanted)
            if found is not None:
                reply[found[0]] = found[1]
                draft.whys[f"reply.{found[0]}"] = "the department's own number; later calls name it"
        if reply.get("fields") == {}:
            reply.pop("fields")

    def _told_outcome(self, draft: Draft, place: Place | None) -> dict[str, Any] | None:
        """Ask what the values of a state mean where the document lists none."""
        path = outcomes.has_state(place)
        if path is None or draft.kind == "cancel":
            return None
        told = self.interview.ask(
            f"outcome.{draft.id}", "text", about=draft.described.pointer, say="outcome", path=path, operation=draft.id,
            pattern=outcomes.OUTCOME_PAIRS, required=draft.polled,
        )  # fmt: skip
        if told is None:
            return None
        return {"path": path, "map": outcomes.outcome_pairs(told)}

    def _wanted_reference(self, submit: str | None) -> str | None:
        """Return what the state's address calls the number of what was sent."""
        for other in self.every:
            if other.partner == submit and (named := self._reference_of(other)) is not None:
                return named
        return None

    def _sensitivity(self, draft: Draft) -> None:
        kinds = {field.sensitivity for field in draft.personal}
        inner = draft.table["reply"].pop("sensitivity", {})
        if "sensitive" in kinds:
            draft.table["sensitivity"] = "sensitive"
            named = sorted({f"{p.path} ({p.what})" for p in draft.personal if p.sensitivity == "sensitive"})
            draft.whys["sensitivity"] = f"holds {', '.join(named[:4])}"
            milder = {name: level for name, level in inner.items() if level == "personal"}
            if milder:
                draft.table["reply"]["sensitivity"] = milder

    # --- between operations ---------------------------------------------------------------------------------------

    def join(self) -> None:
        """Fill polling, look-ups and whether sending twice is safe."""
        for draft in self.taken:
            if draft.kind == "submit":
                self._idempotent(draft)
                self.answering.settle(draft, self._places[draft.id])
            elif draft.kind == "cancel":
                told = self.interview.told(f"idempotent.{draft.id}", "text")
                safe = draft.described.method == "DELETE"
                draft.table["idempotent"] = told if told in ("key", "none") else "key" if safe else "none"
                if safe:
                    draft.whys["idempotent"] = "DELETE may be repeated: HTTP says that it does the same once or twice"
            else:
                draft.table["idempotent"] = "safe"

    def _idempotent(self, draft: Draft) -> None:
        table, lookups = draft.table, [d for d in self.taken if d.kind == "lookup" and d.partner == draft.id]
        about = draft.described.pointer
        if draft.key_told:
            told = self.interview.told(f"idempotent.{draft.id}", "text")
            table["idempotent"] = told if told in ("key", "none") else "key"
            named = f"the header {draft.key_header}" if draft.key_header else f"of `{draft.key_member}`"
            draft.whys["idempotent"] = f"the document says so {named}: the same key twice is one effect"
            return
        choices = ("key", "lookup", "none") if lookups else ("key", "none")
        default, say = ("lookup", "idempotent_lookup") if lookups else (None, "idempotent")
        if draft.described.method == "PUT":
            default, say = "key", "idempotent_put"
        told = self.interview.ask(
            f"idempotent.{draft.id}", "choice", about=about, default=default, required=True, choices=choices, say=say,
            operation=draft.id, other=lookups[0].id if lookups else "", member=draft.key_member or "",
        )  # fmt: skip
        table["idempotent"] = told
        if told == "lookup" and lookups:
            table["lookup"] = lookups[0].id
            draft.whys["idempotent"] = (
                f"`{lookups[0].id}` finds what was sent by our own reference `{draft.key_member}`"
            )

    def grounds(self) -> None:
        """Ask for the legal basis and purpose, and the time limit: one answer for all, or one for each."""
        basis = self._each("basis")
        purpose = self._each("purpose")
        total = self.interview.ask("total_s", "number", default=5.0, within=(0.1, 60))
        for draft in self.taken:
            own = self.interview.told(f"total_s.{draft.id}", "number", (0.1, 60))
            draft.table |= {"basis": basis[draft.id], "purpose": purpose[draft.id], "total_s": own or total}

    def _each(self, what: str) -> dict[str, Any]:
        own = {draft.id: self.interview.told(f"{what}.{draft.id}", "words") for draft in self.taken}
        names = ", ".join(draft.id for draft in self.taken)
        needed = not all(own.values())
        told = self.interview.ask(what, "words", required=needed, operations=names)
        return {id_: answer or told for id_, answer in own.items()}
