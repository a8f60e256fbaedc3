"""Answers that come sealed: compact JWE or JWS texts, as the whole body or as a member of it, into `protection`."""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from onestop.onboarding.importing.drafts import Draft, Sealed, best_media, media_kind, success
from onestop.onboarding.importing.interview import Interview
from onestop.onboarding.importing.models import Media, Shape
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.replies import CODES, MESSAGES, ORDER
from onestop.onboarding.importing.rules_names import words_of
from onestop.onboarding.importing.rules_paging import path_to
from onestop.onboarding.importing.vocabulary import known

_MEDIA: Final = re.compile(r"application/(?:[\w.+-]*\+)?(?:jose|jwt|jwe|jws)\b")
_COMPACT: Final = re.compile(r"eyJ[\w-]+(?:\.[\w-]*){2}(?:(?:\.[\w-]*){2})?")
_SPOKEN: Final = re.compile(r"\b(?:JWE|JWS|JOSE|(?i:signed|encrypted) JWT)\b")
_FORMATS: Final = ("jwt", "jwe", "jws", "jose", "jose-compact", "jwe-compact", "jws-compact")
_LAYERS: Final = {"jwe": ["jwe"], "jws": ["jws"], "jwe_jws": ["jwe", "jws"], "jws_jwe": ["jws", "jwe"]}
_NAMES: Final = known("sealed.names")
_ALGORITHMS: Final = re.compile(r"\b(?:HS(?:256|384|512)|RS256|PS256|ES(?:256|384)|EdDSA)\b")
_KEYS: Final = re.compile(r"\b(?:ECDH-ES(?:\+A(?:128|192|256)KW)?|RSA-OAEP(?:-256)?)(?![\w+-])")
_CONTENT: Final = re.compile(r"\bA(?:(?:128|192|256)GCM|128CBC-HS256|192CBC-HS384|256CBC-HS512)\b")
_MAX_DEPTH: Final = 2
_SECRETS: Final = {
    "jwe": ("decrypt_key", "our private key that opens answers (PEM, JWK or JWKS)"),
    "jws": ("verify_key", "the department's public key (PEM, JWK or JWKS)"),
}


class _Member(NamedTuple):
    path: tuple[str, ...]
    shape: Shape
    alone: bool  # beside it stand only a code and a message


class SealFinder:
    """Finds whether the answers of one operation are sealed; `about` is what the document says of itself."""

    def __init__(self, draft: Draft, interview: Interview, notes: Notes, spot: Any, about: str) -> None:
        self.draft, self.interview, self.notes, self._spot = draft, interview, notes, spot
        self._about = about

    def find(self) -> dict[str, str]:
        """Set the draft's `sealed` where its answers are; return what the environment must tell for it."""
        answer, _ = success(self.draft.described.answers)
        media = best_media(answer.media, ORDER) if answer is not None else None
        if answer is None or media is None or self.draft.soap:
            return {}
        told = " ".join((answer.text, self.draft.described.text, self.draft.described.about, self._about))
        if _MEDIA.match(media.type):
            return self._sealed(media.shape, (), f"{media.shape.text} {told}", _shown(media), likely=True)
        if media_kind(media.type) != "json":
            return {}
        for member in _members(media.shape):
            if _is_compact(member.shape, member.path[-1]):
                shown = str(member.shape.example or "")
                text = f"{member.shape.text} {told}"
                return self._sealed(member.shape, member.path, text, shown, likely=member.alone)
        return {}

    def _sealed(self, shape: Shape, path: tuple[str, ...], text: str, shown: str, *, likely: bool) -> dict[str, str]:
        layers = _layers(shape.text, shape.pattern, shown) or _layers(text, "", "")
        chosen = self.interview.ask(
            f"protection.{self.draft.id}", "choice", about=shape.pointer, choices=(*_LAYERS, "none"),
            default=layers if likely else "none", required=True, say="protection", operation=self.draft.id,
            where=path_to(path) if path else "—",
        )  # fmt: skip
        if chosen not in _LAYERS:
            return {}
        protection: dict[str, Any] = {"kind": "jose", "layers": _LAYERS[chosen]}
        if "jwe" in _LAYERS[chosen]:
            protection |= _listed("key_management", _KEYS, text) | _listed("content_encryption", _CONTENT, text)
        if "jws" in _LAYERS[chosen]:
            protection |= _algorithms(text)
        if path:
            protection["member"] = path_to(path)
        inner = shape.content or (shape if shape.kind == "object" else Shape(pointer=shape.pointer))
        self.draft.sealed = Sealed(protection=protection, inner=inner)
        self.draft.whys["reply.protection"] = "the answer is a compact JOSE text; its algorithms as far as told"
        self.notes.add("sealed", self._spot(shape.pointer), "note", operation=self.draft.id)
        return dict(_SECRETS[layer] for layer in _LAYERS[chosen])


def outer(draft: Draft) -> Shape | None:
    """Return the shape around a sealed member, in which refusals stand; None where nothing is around."""
    if draft.sealed is None or "member" not in draft.sealed.protection or draft.reply_media is None:
        return None
    return draft.reply_media.shape


def _members(shape: Shape, path: tuple[str, ...] = ()) -> Iterator[_Member]:
    """Yield the texts of a reply that could be sealed ones, the outermost first; never those of a list."""
    beside = [name for name, part in shape.members.items() if "".join(words_of(name)) not in CODES | MESSAGES]
    for name, part in shape.members.items():
        if part.kind == "value" and part.type == "string" and '"' not in name:
            yield _Member((*path, name), part, beside == [name] or "".join(words_of(name)) in _NAMES)
    for name, part in shape.members.items():
        if part.kind == "object" and len(path) < _MAX_DEPTH and '"' not in name:
            yield from _members(part, (*path, name))


def _is_compact(shape: Shape, name: str) -> bool:
    """Tell whether a member is said or shown to be a compact text; a token to be carried on is none of ours to open."""
    if "token" in words_of(name) or "assertion" in words_of(name):
        return False
    shown = isinstance(shape.example, str) and _COMPACT.fullmatch(shape.example) is not None
    said = shape.format.lower() in _FORMATS or _MEDIA.match(shape.content_type) is not None
    return shown or said or _SPOKEN.search(shape.text) is not None or _by_pattern(shape.pattern) is not None


def _by_pattern(pattern: str) -> str | None:
    """Return the layer whose count of segments a pattern asks for."""
    if not re.search(r"A-Za-z0-9|\\w", pattern):
        return None
    repeated = re.search(r"\\\.[^{}]*\)\{(\d)\}", pattern)
    dots = int(repeated[1]) if repeated else len(re.findall(r"\\\.|\[\.\]", pattern))
    return {2: "jws", 4: "jwe"}.get(dots)


def _layers(text: str, pattern: str, shown: str) -> str | None:
    """Return which layers a text, a pattern or an example tells; the outer one alone where only that is seen."""
    encrypted = re.search(r"\bJWE\b|\b(?i:encrypted) JWT\b", text) is not None
    signed = re.search(r"\bJWS\b|\b(?i:signed) JWT\b", text) is not None
    if encrypted and signed:
        return "jwe_jws"
    if encrypted or signed:
        return "jwe" if encrypted else "jws"
    if _COMPACT.fullmatch(shown):
        return "jwe" if shown.count(".") == 4 else "jws"
    return _by_pattern(pattern)


def _shown(media: Media) -> str:
    told = media.examples[0][1] if media.examples else media.shape.example
    return told.strip() if isinstance(told, str) else ""


def _listed(name: str, pattern: re.Pattern[str], text: str) -> dict[str, Any]:
    found = list(dict.fromkeys(pattern.findall(text)))
    return {name: found} if found else {}


def _algorithms(text: str) -> dict[str, Any]:
    """Return the algorithms named; a shared secret's never beside those of key pairs, which would open a hole."""
    found = list(dict.fromkeys(_ALGORITHMS.findall(text)))
    pairs = [name for name in found if not name.startswith("HS")]
    return {"algorithms": pairs or found} if found else {}


def with_protection(draft: Draft) -> None:
    """Write what was found into the draft's reply."""
    if draft.sealed is not None:
        draft.table["reply"]["protection"] = msgspec.to_builtins(draft.sealed.protection)
