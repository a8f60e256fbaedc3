"""Purposes and retention classes, read from TOML; and which purpose a release is for."""

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from onestop.basis.errors import BadPurposes
from onestop.basis.models import ANY, Covers, Law, Purpose, Release, Words
from onestop.texts import LANGUAGES

T = TypeVar("T")
DATA: Final = Path(__file__).parent / "data"


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"counted": "from"}):
    """How long a class of record is kept, counted from what, and by which law."""

    code: str
    name: Words
    days: int | None = None  # None: for good
    counted: Words
    law: Law


class _PurposesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    purposes: list[Purpose]


class _RetentionFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    classes: list[Retention]


class Purposes:
    """Every purpose of this installation, by code and by release."""

    def __init__(self, purposes: Iterable[Purpose], classes: Iterable[Retention]) -> None:
        self.all = {purpose.code: purpose for purpose in purposes}
        self.classes = {one.code: one for one in classes}
        self._found: dict[Release, Purpose | None] = {}

    def of(self, release: Release) -> Purpose | None:
        """Return what a release is for: the purpose that names it most closely; None where none does.

        One that names the consumer goes before one that names the operation, that before the adapter.
        """
        if release not in self._found:
            if len(self._found) > 10_000:  # consumers are as many as agreements and items
                self._found.clear()
            fitting = [
                (_closeness(covers), purpose)
                for purpose in self.all.values()
                for covers in purpose.covers
                if _fits(covers, release)
            ]
            self._found[release] = max(fitting, key=lambda pair: pair[0])[1] if fitting else None
        return self._found[release]


def _fits(covers: Covers, release: Release) -> bool:
    return covers.room == release.room and all(
        told in (ANY, there)
        for told, there in (
            (covers.adapter, release.adapter),
            (covers.operation, release.operation),
            (covers.consumer, release.consumer),
        )
    )


def _closeness(covers: Covers) -> tuple[bool, bool, bool]:
    return covers.consumer != ANY, covers.operation != ANY, covers.adapter != ANY


def notice_hash(purpose: Purpose, lang: str) -> str:
    """Return the SHA-256 (hex) of a notice as it is shown in one language, with what it says of law and recipients."""
    shown = [
        purpose.code,
        str(purpose.version),
        purpose.title.say(lang),
        purpose.notice.say(lang),
        purpose.law.article.say(lang),
        *(one.say(lang) for one in (*purpose.categories, *purpose.recipients)),
    ]
    return hashlib.sha256("\n".join(shown).encode()).hexdigest()


def hashes(purpose: Purpose) -> dict[str, str]:
    """Return the notice's hash in each language."""
    return {lang: notice_hash(purpose, lang) for lang in LANGUAGES}


def load(own: Path | None = None) -> Purposes:
    """Read what onestop ships and, over it, an installation's own file.

    Raises:
        BadPurposes: a file is no TOML, has an unknown or wrong member, or says what cannot be.
    """
    classes = _read(DATA / "retention.toml", _RetentionFile).classes
    found: dict[str, Purpose] = {}
    for path in (DATA / "purposes.toml", *([own] if own else [])):
        for purpose in _read(path, _PurposesFile).purposes:
            found[purpose.code] = purpose
    fault = _fault(list(found.values()), {one.code for one in classes})
    if fault:
        raise BadPurposes(fault)
    return Purposes(found.values(), classes)


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise BadPurposes(f"{path.name}: {fault}") from fault


def _fault(purposes: list[Purpose], classes: set[str]) -> str | None:
    """Return what is wrong with purposes that each can be read; None: nothing."""
    seen: dict[Covers, str] = {}
    for purpose in purposes:
        if purpose.retention not in classes:
            return f"{purpose.code}: there is no retention class {purpose.retention}"
        if purpose.holds_from > purpose.version:
            return f"{purpose.code}: holds_from is a version that is not there yet"
        if purpose.kind != "consent" and (purpose.separate or purpose.days):
            return f"{purpose.code}: only a consent is given separately, or for some days"
        for covers in purpose.covers:
            if seen.setdefault(covers, purpose.code) != purpose.code:
                return f"{purpose.code} and {seen[covers]} are for the same release"
    return None
