"""Whether something may be released: one pure function, which every room that releases asks."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from onestop.basis.models import About, Consent, ConsentState, Decision, Guardian, Purpose, Why
from onestop.clock import CHINA

OF_AGE: Final = 14  # years, PIPL 31
_TELL_BIRTH: Final = ("citizen_id", "hmt_permit", "foreigner_card")


def decide(
    purpose: Purpose | None,
    about: About,
    consents: Sequence[Consent],
    guardians: Sequence[Guardian],
    now: datetime,
) -> Decision:
    """Decide on one release for one purpose at one moment (UTC).

    `consents` and `guardians` may hold anybody's and for anything: only those of this person and purpose count.

    Rule: R-130, what no purpose covers is not released; a duty needs no consent; a consent counts while it is neither
    withdrawn nor over, was given to a notice that says what is done today, and by one who may give it.
    """
    if purpose is None:
        return Decision(allowed=False, why="no_purpose")
    today = now.astimezone(CHINA).date()
    if today < purpose.since or (purpose.until is not None and today >= purpose.until):
        return Decision(allowed=False, why="not_in_force", purpose=purpose.code)
    if purpose.kind != "consent":
        return Decision(allowed=True, why="duty", purpose=purpose.code)
    own = [
        one for one in consents if one.purpose == purpose.code and one.subject == about.subject and one.ended_at is None
    ]
    for consent in own:
        if _holds(purpose, about, consent, guardians, now):
            return Decision(allowed=True, why="consent", purpose=purpose.code, consent=consent.id)
    return Decision(allowed=False, why=_lacking(purpose, about, own, now), purpose=purpose.code)


def _holds(purpose: Purpose, about: About, consent: Consent, guardians: Sequence[Guardian], now: datetime) -> bool:
    return (
        consent.version >= purpose.holds_from
        and (consent.expires_at is None or now < consent.expires_at)
        and may_consent(about, consent.given_by, guardians, now)
    )


def _lacking(purpose: Purpose, about: About, own: Sequence[Consent], now: datetime) -> Why:
    """Return what is wrong with the consents there are: what the person can do something about."""
    if not own:
        child = is_child(about.born_on, now.astimezone(CHINA).date())
        return "guardian_needed" if child else "no_consent"
    if all(one.version < purpose.holds_from for one in own):
        return "outdated"
    if all(one.expires_at is not None and now >= one.expires_at for one in own):
        return "expired"
    return "guardian_needed"


def may_consent(about: About, who: str, guardians: Sequence[Guardian], now: datetime) -> bool:
    """Tell whether `who` may consent for this person: a child's guardian while that lasts, else the person alone.

    Rule: R-131, under 14 a guardian consents; who has become 14 decides alone, and what was said for them ends.
    """
    if about.subject is None:
        return False
    if not is_child(about.born_on, now.astimezone(CHINA).date()):
        return who == about.subject
    return any(
        one.ward == about.subject
        and one.guardian == who
        and one.begins_at <= now
        and (one.ends_at is None or now < one.ends_at)
        for one in guardians
    )


def born_on(number_type: str, number: str) -> date | None:
    """Return the birth date that a person's number tells; None where it tells none."""
    if number_type not in _TELL_BIRTH or len(number) != 18:
        return None
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


def is_child(born_on: date | None, today: date) -> bool:
    """Tell whether somebody is under 14; one who tells no birth is not."""
    if born_on is None:
        return False
    years = today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))
    return years < OF_AGE


def state_of(purpose: Purpose, newest: Consent | None, now: datetime) -> ConsentState:
    """Return how a person's newest consent to a purpose stands, for showing; `decide` says what it is worth."""
    if newest is None:
        return "none"
    if newest.ended_at is not None:
        return "withdrawn"
    if newest.expires_at is not None and now >= newest.expires_at:
        return "expired"
    return "given" if newest.version >= purpose.holds_from else "outdated"
