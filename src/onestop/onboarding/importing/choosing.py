"""Which operations to take, under which ids, and which belong together."""

import re
from typing import Final

from onestop.onboarding.importing.drafts import Draft, success
from onestop.onboarding.importing.models import Described
from onestop.onboarding.importing.replies import place_of
from onestop.onboarding.importing.requests import KEY_HEADERS, KEY_NAMES
from onestop.onboarding.importing.rules_kind import guess
from onestop.onboarding.importing.rules_names import snake, unique, words_of
from onestop.onboarding.importing.rules_pace import keeps_from_repeating
from onestop.onboarding.importing.rules_personal import recognise
from onestop.onboarding.importing.vocabulary import known

_MOST_QUERIES: Final = 3
_MOST_TAKEN: Final = 6
LOOKED_AT: Final = 60  # operations of a large document whose parameters are read to choose among them
_ASIDE: Final = known("choice.aside")
REFERENCES: Final = KEY_NAMES | {"reference", "ref", "externalref", "referencenumber", "clientid", "orderno", "bizno"}


def drafts_of(described: list[Described]) -> list[Draft]:
    """Return a draft of every operation, each with an id of its own."""
    drafts: list[Draft] = []
    taken: set[str] = set()
    for one in described:
        id_ = unique(_id_of(one), taken)
        taken.add(id_)
        told = guess(one)
        drafts.append(Draft(id=id_, described=one, guess=told, kind=told.kind))
    _relate(drafts)
    return drafts


def _id_of(one: Described) -> str:
    name = re.sub(r"(?i)using(get|post|put|delete|patch)(_\d+)?$", "", one.name)
    told = snake(name, "")
    if not told:
        words = [snake(segment, "") for segment in one.path.split("/") if segment and not segment.startswith("{")]
        told = snake("_".join([one.method.lower(), *words[-2:]]), "operation")
    return told


def _owner(path: str) -> tuple[str, str]:
    """Return the collection that a path's last place belongs to, and what stands behind that place."""
    head, brace, tail = path.rstrip("/").rpartition("{")
    return (head.rstrip("/"), tail.partition("}")[2].strip("/")) if brace else (path.rstrip("/"), "")


def _relate(drafts: list[Draft]) -> None:
    """Find the status, look-up and cancellation of every submission."""
    submits = {d.described.path.rstrip("/"): d for d in drafts if d.kind == "submit" and d.described.soap is None}
    for draft in drafts:
        owner, tail = _owner(draft.described.path)
        submit = submits.get(owner)
        if submit is None or submit is draft or draft.described.soap is not None:
            continue
        ends_in_place = draft.described.path.rstrip("/").endswith("}")
        if draft.kind == "query" and draft.described.method == "GET" and ends_in_place:
            draft.kind, draft.partner = "status", submit.id
        elif draft.kind in ("status", "cancel") and "{" in draft.described.path and "/" not in tail:
            draft.partner = submit.id
    _relate_by_words(drafts)


def relate_by_members(drafts: list[Draft]) -> None:
    """Take a read by a number that a submission's 202 gives out for its state, on whatever path it lies.

    It needs answers that were looked at. Only by 202, which promises a later answer: what a 201 names besides, a
    customer say, is no state of what was sent.
    """
    for submit in (d for d in drafts if d.kind == "submit" and d.described.soap is None):
        answer, accept = success(submit.described.answers)
        if 202 not in accept or answer is None or not answer.media:
            continue
        given = {"".join(words_of(name)) for name in place_of(answer.media[0].shape).shape.members} - {"id"}
        for draft in drafts:
            read = draft.described.method == "GET" and draft.kind in ("query", "status") and draft.partner is None
            places = re.findall(r"\{([^{}]+)\}", draft.described.path)
            if read and len(places) == 1 and "".join(words_of(places[0])) in given:
                draft.kind, draft.partner = "status", submit.id


def _relate_by_words(drafts: list[Draft]) -> None:
    submits = [d for d in drafts if d.kind == "submit"]
    for draft in drafts:
        if draft.kind in ("status", "cancel") and draft.partner is None and submits:
            own = set(words_of(draft.described.name + " " + draft.described.path))
            near = max(submits, key=lambda s: len(own & set(words_of(s.described.name + " " + s.described.path))))
            if draft.described.soap is not None or len(submits) == 1:
                draft.partner = near.id
    for draft in drafts:  # a state that belongs to nothing that was sent is a question like any other
        if draft.kind == "status" and draft.partner is None:
            draft.kind = "query"


def lookup_candidate(submit: Draft, drafts: list[Draft]) -> tuple[Draft, str, str] | None:
    """Return what could find a submission by our reference: operation, its parameter, and the submission's member."""
    members = {}
    for media in submit.described.bodies[:1]:
        members = {"".join(words_of(name)): name for name, part in media.shape.members.items() if part.kind == "value"}
    for draft in drafts:
        if draft.described.method != "GET" or draft.described.path.rstrip("/") != submit.described.path.rstrip("/"):
            continue
        for parameter in draft.described.parameters:
            plain = "".join(words_of(parameter.name))
            if parameter.place == "query" and plain in REFERENCES and plain in members:
                return draft, parameter.name, members[plain]
    return None


def key_header(draft: Draft) -> str | None:
    """Return the header in which an operation takes an idempotency key: by its name, or by what is said of it."""
    headers = [parameter for parameter in draft.described.parameters if parameter.place == "header"]
    for parameter in headers:
        if parameter.name.lower() in KEY_HEADERS:
            return parameter.name
    for parameter in headers:
        if keeps_from_repeating(f"{parameter.text} {parameter.shape.text}"):
            return parameter.name
    return None


def key_member(draft: Draft) -> str | None:
    """Return the member or parameter of which the document says that the same value twice is one effect."""
    told = [(p.name, p.shape, p.text) for p in draft.described.parameters if p.place == "query"]
    for media in draft.described.bodies[:1]:
        told += [(name, part, "") for name, part in media.shape.members.items() if part.kind == "value"]
    named = next((name for name, shape, text in told if keeps_from_repeating(f"{text} {shape.text}")), None)
    if named is None and keeps_from_repeating(draft.described.about):
        named = next((name for name, _, _ in told if "".join(words_of(name)) in KEY_NAMES), None)
    return named


# --- the choice that is proposed ------------------------------------------------------------------------------------


def worth(draft: Draft) -> float:
    """Return how likely it is that a one-stop portal wants this operation; more is better."""
    one = draft.described
    score = {"query": 10.0, "submit": 12.0}.get(draft.kind, 4.0)
    words = set(words_of(one.path)) | set(words_of(one.name))
    score -= 8 * bool(words & _ASIDE) + 20 * one.deprecated
    score -= 0.5 * one.path.count("/") + 2 * max(0, one.path.count("{") - 1)
    named = [(p.name, p.shape) for p in one.parameters]
    for media in one.bodies[:1]:
        named += list(media.shape.members.items())
    matches = [match for name, shape in named if (match := recognise(name, shape)) is not None]
    score += 12 * any(match.what == "id_number" for match in matches) + min(3, len(matches))
    return score


def propose(drafts: list[Draft]) -> list[str]:
    """Return the ids of a sensible few, in the document's order: a submission with its kin, and the best queries."""
    ranked = sorted(drafts, key=worth, reverse=True)
    chosen: list[str] = []
    submits = [d for d in ranked if d.kind == "submit" and worth(d) > 0][:2]
    for submit in submits:
        kin = [d for d in drafts if d.partner == submit.id and d.kind in ("status", "cancel")]
        best = [next((d for d in kin if d.kind == kind), None) for kind in ("status", "cancel")]
        chosen += [submit.id, *(d.id for d in best if d is not None)]
    queries = [d for d in ranked if d.kind == "query" and worth(d) > 0]
    seen: set[str] = set()
    for query in queries:
        place = query.described.path + query.described.method
        if len(seen) < (_MOST_QUERIES if submits else _MOST_QUERIES + 1) and place not in seen:
            seen.add(place)
            chosen.append(query.id)
    if not chosen:
        chosen = [d.id for d in ranked if d.kind != "probe"][:1] or [ranked[0].id]
    kept = set(chosen[: _MOST_TAKEN + 2])
    return [d.id for d in drafts if d.id in kept]
