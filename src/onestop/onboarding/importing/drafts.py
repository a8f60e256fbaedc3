"""An operation on its way from the document into the manifest."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import field

from onestop.onboarding.importing.models import Answer, Described, Media, OperationKind, PersonalField, Shape
from onestop.onboarding.importing.rules_kind import Guess


class Sealed(msgspec.Struct, kw_only=True):
    """An answer that is opened before it is read."""

    protection: dict[str, Any]  # as the manifest has it
    inner: Shape  # what is inside


class Draft(msgspec.Struct, kw_only=True):
    """One operation: what the document says, what it is taken for, and what its table in the manifest will hold."""

    id: str
    described: Described
    guess: Guess
    kind: OperationKind
    taken: bool = False
    partner: str | None = None  # of a status, look-up or cancellation: the submission it belongs to
    key_member: str | None = None  # the parameter or member that carries our key
    key_header: str | None = None
    key_told: bool = False  # the document says that the same key twice is one effect
    reference_name: str | None = None  # of a status or cancellation: what it calls the department's own number
    table: dict[str, Any] = field(default_factory=dict)  # the operation as the manifest will have it
    whys: dict[str, str] = field(default_factory=dict)  # key of `table` to why it is so
    personal: list[PersonalField] = field(default_factory=list)
    paged: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)  # place and path of what turns pages
    turned: dict[tuple[str, ...], str] = field(default_factory=dict)  # path of those to their names below `page`
    sealed: Sealed | None = None
    polled: bool = False  # of a state: an answer to a question says that it is asked for what became of a submission
    called_back: Media | None = None  # of a submission: what the document says that its callback holds
    heard: Media | None = None  # what stands for its reply where the reply itself says nothing
    reply_media: Media | None = None
    request_media: Media | None = None
    answer: Answer | None = None
    values: dict[str, Any] = field(default_factory=dict)  # what an example's request is made from
    places: list[tuple[str, Shape]] = field(default_factory=list)  # expression of ours, and the shape of theirs

    @property
    def soap(self) -> bool:
        return self.described.soap is not None


def success(answers: list[Answer]) -> tuple[Answer | None, list[int]]:
    """Return the answer that carries the result, and every status that stands for success."""
    order = {"200": 0, "201": 1, "202": 2, "2XX": 3, "default": 9}
    good = [a for a in answers if a.status.startswith("2")] or [a for a in answers if a.status == "default"]
    good.sort(key=lambda a: (not a.media, order.get(a.status, 5)))
    accept: set[int] = set()
    for answer in good:
        if answer.status.isdigit() and len(answer.status) == 3:
            accept.add(int(answer.status))
        elif answer.status == "2XX":
            accept |= {200, 201, 202}
    return (good[0] if good else None), sorted(accept) or [200]


def not_ready(draft: Draft) -> bool:
    """Tell whether a read answers 200 with what is asked for and 202 while there is none yet."""
    statuses = {answer.status for answer in draft.described.answers}
    return draft.kind in ("query", "status", "lookup") and {"200", "202"} <= statuses


def refusals(answers: list[Answer]) -> Iterator[tuple[int, Answer]]:
    """Yield the documented answers from 400 on, in order of status."""
    found = [(int(a.status), a) for a in answers if a.status.isdigit() and 400 <= int(a.status) <= 599]
    yield from sorted(found, key=lambda entry: entry[0])


def media_kind(type_: str) -> str:
    """Return which codec a media type needs: json, form, multipart, xml, csv, text or binary."""
    plain = type_.partition(";")[0].strip()
    if plain in ("*/*", "application/*", "", "text/json") or plain.endswith(("json", "+json")) or "json" in plain:
        return "json"
    if plain == "application/x-www-form-urlencoded":
        return "form"
    if plain.startswith("multipart/"):
        return "multipart"
    if plain.endswith(("/xml", "+xml")):
        return "xml"
    if plain == "text/csv":
        return "csv"
    return "text" if plain.startswith("text/") else "binary"


def reply_kind(draft: Draft, media: Media) -> str:
    """Return which codec reads an answer: of what is sealed, that of what is inside."""
    return "soap" if draft.soap else "json" if draft.sealed is not None else media_kind(media.type)


def best_media(media: list[Media], order: tuple[str, ...]) -> Media | None:
    """Return the body's form that we speak best."""
    known = [(order.index(media_kind(m.type)), i, m) for i, m in enumerate(media) if media_kind(m.type) in order]
    return min(known)[2] if known else (media[0] if media else None)
