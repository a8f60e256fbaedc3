"""Nouns: purposes with their law, what releases they cover, consents, guardians, and what was decided."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Room = Literal["lookups", "cases", "exchange", "certificates"]  # who releases
# The seven of PIPL art. 13.
Kind = Literal["consent", "contract", "statutory_duty", "emergency", "public_interest", "made_public", "other_law"]
# Why PIPL asks for a consent of its own (art. 23, 25, 29, 31, 39).
Separate = Literal["handed_over", "published", "sensitive", "minor", "abroad"]
Confidence = Literal["found", "high", "medium", "low"]
ConsentState = Literal["none", "given", "withdrawn", "expired", "outdated"]
Why = Literal["duty", "consent", "no_purpose", "not_in_force", "no_consent", "expired", "outdated", "guardian_needed"]
PurposeCode = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{2,39}$", examples=["housing-fund-handover"])]
ANY = "*"


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text in both languages."""

    zh: str
    en: str

    def say(self, lang: str) -> str:
        """Return it in one language."""
        return self.en if lang == "en" else self.zh


class Law(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The article a purpose rests on, where it was read, and how far that is to be trusted."""

    article: Words
    source: str  # the text that was read, e.g. `PIPL 29`
    in_force: date  # since when the article is
    confidence: Confidence


class Covers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which releases a purpose is for; what is not told is any."""

    room: Room
    adapter: str = ANY
    operation: str = ANY
    consumer: str = ANY


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One thing about to be released: by which room, from where, for whom."""

    room: Room
    adapter: str
    operation: str
    consumer: str


class Purpose(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What data is used for, by what right, and what its person is told of that."""

    code: PurposeCode
    version: Annotated[int, Meta(ge=1)]  # of the notice; one more with each change of its words
    holds_from: Annotated[int, Meta(ge=1)] = 1  # the oldest notice whose consents still count, PIPL 14
    kind: Kind
    separate: tuple[Separate, ...] = ()
    since: date
    until: date | None = None  # the first day on which it is over; None: no end is known
    days: Annotated[int, Meta(ge=1, le=3660)] | None = None  # how long a consent holds; None: until it is withdrawn
    title: Words
    notice: Words
    law: Law
    categories: tuple[Words, ...]
    recipients: tuple[Words, ...]
    retention: str  # a class of `retention.toml`
    covers: tuple[Covers, ...]


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """One giving of consent, as it lies in its table."""

    id: str
    subject: str
    purpose: str
    version: int
    notice_hash: str
    lang: str
    given_by: str  # the subject, or for a child under 14 a guardian
    given_at: datetime
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    ended_why: Literal["withdrawn", "replaced"] | None = None


class Guardian(msgspec.Struct, frozen=True, kw_only=True):
    """Who may consent for a child, from when until when."""

    id: str
    ward: str
    guardian: str
    begins_at: datetime
    ends_at: datetime | None = None


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data it is; `subject` None: nobody known here, who then has consented to nothing."""

    subject: str | None
    born_on: date | None = None  # None: an organisation, or a number that tells no birth


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether something may be released, and by what right or for want of which."""

    allowed: bool
    why: Why
    purpose: str | None = None
    consent: str | None = None
