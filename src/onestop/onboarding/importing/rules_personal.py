"""Which members hold something about a person: by name in several languages, by form, by what the document says."""

import re
from typing import Final, Literal, NamedTuple

from onestop.onboarding.importing.models import Shape
from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.vocabulary import known, personal


class Kind(NamedTuple):
    """One kind of personal data."""

    what: str
    sensitivity: Literal["personal", "sensitive"]
    names: frozenset[str]  # names joined without separators, lower case
    parts: tuple[str, ...]  # texts within the joined name that are enough
    forms: frozenset[str]  # `format` values
    patterns: tuple[str, ...]  # within `pattern`
    text: re.Pattern[str] | None  # in what the document says of it


class Match(NamedTuple):
    """What a member was recognised as, and by what."""

    what: str
    sensitivity: Literal["personal", "sensitive"]
    by: Literal["name", "format", "pattern", "text"]
    evidence: str


def _kinds() -> tuple[Kind, ...]:
    made = []
    for told in personal():
        names, forms = (frozenset(told.get(name, "").split()) for name in ("names", "forms"))
        text = re.compile(told["text"], re.IGNORECASE) if "text" in told else None
        parts, patterns = tuple(told.get("parts", "").split()), tuple(told.get("patterns", ()))
        made.append(Kind(told["what"], told["sensitivity"], names, parts, forms, patterns, text))
    return tuple(made)


KINDS: Final = _kinds()
_PLAIN_NAME: Final = known("names.plain")
_PERSONS: Final = known("names.persons")
_ORGANISATION: Final = re.compile(r"^\^?(?:\[0-9\]|\\d)\{11\}\$?$")  # Italian fiscal codes of people have 16 letters
_NOT_PERSONS: Final = (
    "file",
    "host",
    "user",
    "class",
    "type",
    "service",
    "display",
    "server",
    "domain",
    "event",
    "bank",
)


def recognise(name: str, shape: Shape, above: str = "") -> Match | None:
    """Return what a member holds about a person; None where nothing says so. `above` is the name of its owner."""
    words = words_of(name)
    joined = "".join(words)
    if shape.kind in ("object", "list") or shape.type == "boolean":
        return None
    for kind in KINDS:
        if kind.what == "id_number" and _ORGANISATION.search(shape.pattern):
            continue
        if joined in kind.names:
            return Match(kind.what, kind.sensitivity, "name", name)
        for part in kind.parts:
            if part in joined or (not part.isascii() and part in name):
                return Match(kind.what, kind.sensitivity, "name", part)
        if shape.format.lower() in kind.forms and shape.format:
            return Match(kind.what, kind.sensitivity, "format", shape.format)
        for pattern in kind.patterns:
            if pattern in shape.pattern:
                return Match(kind.what, kind.sensitivity, "pattern", shape.pattern)
    if joined in _PLAIN_NAME and _PERSONS & set(words_of(above)):
        return Match("name", "personal", "name", f"{above}.{name}")
    if len(words) > 1 and words[-1] in _PLAIN_NAME and _PERSONS & set(words) and words[0] not in _NOT_PERSONS:
        return Match("name", "personal", "name", name)
    for kind in KINDS if shape.text and len(shape.text) <= 60 else ():
        found = kind.text.search(shape.text) if kind.text is not None else None
        if found is not None:
            return Match(kind.what, kind.sensitivity, "text", found[0])
    return None
