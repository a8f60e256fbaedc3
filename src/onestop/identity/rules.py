"""Decisions of identity: whom a provider vouches for, where a sign-in may lead back to."""

from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from onestop.errors import StepUpRequired
from onestop.identity.errors import (
    BadCallback,
    BadReturn,
    IssuerMixed,
    SignInRefused,
    WrongKind,
)
from onestop.identity.models import Identified, NumberType, Provider, Role, SubjectKind
from onestop.identity.numbers import check_kind, check_number, number_type
from onestop.settings import Profile

SESSION_LIFE: Final = timedelta(hours=12)  # absolute, whatever the activity
SESSION_IDLE: Final = timedelta(minutes=30)  # cookies only; an app's token has its own end
SEEN_STEP: Final = timedelta(minutes=1)  # activity is written down at most this often
FLOW_LIFE: Final = timedelta(minutes=10)
BIND_LEVEL: Final = 2  # what a pseudonym is bound by: seen by face, card or chip at least
STEP_UP_AGE_S: Final = 300  # raising a level takes a person who was there moments ago, not an old session
BEARER_LIFE: Final = timedelta(hours=1)
DEMO_BEARER_LIFE: Final = timedelta(hours=12)
# An app's session: a stolen access token is good for minutes, a lost phone for a day unless somebody goes on using it.
ACCESS_LIFE: Final = timedelta(minutes=15)
APP_IDLE: Final = timedelta(days=1)
APP_LIFE: Final = timedelta(days=7)


def mask_number(number: str) -> str:
    """Return the number's first and last four characters around eight stars, as in `9901********0221`.

    The stars do not tell the length. A number shorter than twelve characters is hidden whole.
    """
    if len(number) < 12:
        return "*" * 8
    return number[:4] + "*" * 8 + number[-4:]


def subject_kind(kind: NumberType) -> SubjectKind:
    """Return what sort of subject a number names."""
    match kind:
        case "account" | "staff" | "machine":
            return kind
        case "uscc":
            return "organisation"
    return "person"


def local_path(text: str | None) -> str:
    """Return where a sign-in leads back to: a path of onestop's own, `/` where none was asked for.

    Raises:
        BadReturn: anything a browser could read as another host, or that is longer than 512 characters.
    """
    if not text:
        return "/"
    # A browser takes a backslash for a slash and drops tabs and line ends before it reads an address.
    if len(text) > 512 or not text.startswith("/") or text.startswith("//") or "\\" in text:
        raise BadReturn
    if any(c <= " " or c == "\x7f" for c in text):
        raise BadReturn
    parts = urlsplit(text)
    if parts.scheme or parts.netloc:
        raise BadReturn
    return text


def check_level(has: int, needs: int, back: str) -> None:
    """Check that somebody signed in surely enough; `back` is the page they come back to after signing in again.

    Rule: R-115, what needs a level is refused below it, and signing in again raises it.

    Raises:
        StepUpRequired: their level is below `needs`.
    """
    if has < needs:
        raise StepUpRequired(needs, back)


# What a browser calls itself, in the order in which the words exclude each other.
_BROWSERS: Final = (
    ("MicroMessenger", "WeChat"),
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("python", "Python"),
)
_SYSTEMS: Final = (
    ("HarmonyOS", "HarmonyOS"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """Return a browser and a system, as in `Chrome · Android`, "" where neither is known.

    No more is kept: enough to tell one's own phone from somebody else's computer, too little to follow anybody by.
    """
    told = user_agent[:512].casefold()
    found = [next((name for word, name in known if word.casefold() in told), None) for known in (_BROWSERS, _SYSTEMS)]
    return " · ".join(name for name in found if name)


def reaches(provider: Provider, level: int) -> bool:
    """Tell whether a provider can vouch for a level."""
    return max(provider.level, *provider.levels.values(), 0) >= level


def acr_values(provider: Provider, level: int) -> list[str]:
    """Return the provider's words for `level` and above, the nearest first; none for 0, which asks for nothing."""
    known = sorted(provider.levels.items(), key=lambda pair: pair[1])
    return [acr for acr, reached in known if reached >= level] if level else []


def bound_level(signed_in: int, bound: int | None) -> int:
    """Return what a sign-in by pseudonym is worth: no more than the proof it was bound by, nothing while unbound.

    Rule: R-117, who is known by a pseudonym alone has no real-name level.
    """
    return 0 if bound is None else min(signed_in, bound)


def principal(subject_id: str, role: str, department: str | None, actor_id: str | None = None) -> str:
    """Return subject and role in one word; two people, or one person in two roles, never share it.

    Whoever acts for a subject has a word of their own for it: two representatives' keys never meet.
    """
    own = f"{subject_id}/{role}/{department}" if department else f"{subject_id}/{role}"
    return own if actor_id in (None, subject_id) else f"{own}@{actor_id}"


class Callback(msgspec.Struct, frozen=True):
    """What the browser brings back from a provider."""

    state: str
    code: str | None
    error: str | None
    iss: str | None


def read_callback(query: bytes) -> Callback:
    """Read the query of the redirect back.

    Raises:
        BadCallback: too long, a parameter twice, no state, or neither or both of code and error.
    """
    if len(query) > 8192:
        raise BadCallback
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError as cause:
        raise BadCallback from cause
    told = dict(pairs)
    if len(told) != len(pairs) or not told.get("state") or bool(told.get("code")) == bool(told.get("error")):
        raise BadCallback
    return Callback(told["state"], told.get("code"), told.get("error"), told.get("iss"))


def check_issuer(told: str | None, issuer: str, *, promised: bool) -> None:
    """Check the issuer of an authorization response (RFC 9207); `promised`: the provider says it always names itself.

    Raises:
        IssuerMixed: another issuer, or none where one was promised.
    """
    if told is None and not promised:
        return
    if told != issuer:
        raise IssuerMixed


class _ToldNumber(msgspec.Struct, frozen=True):
    number: str
    type: NumberType | None = None  # "citizen_id" is many platforms' word for every 18-digit number


class _Told(msgspec.Struct, frozen=True):
    sub: str
    name: str | None = None
    id_number: _ToldNumber | None = None
    acr: str | None = None
    role: str | None = None
    department: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,20}$")] | None = None


def identify(provider: Provider, claims: dict[str, Any], profile: Profile) -> Identified:
    """Return whom a provider's claims vouch for.

    A role is taken only from a provider that is set up to give it; the word of any other makes a citizen.

    Raises:
        SignInRefused: the claims cannot be read, or a member of staff has no role this provider may give.
        BadNumber: the number is none, or must not be taken in this profile.
    """
    try:
        told = msgspec.convert(claims, _Told)
    except msgspec.ValidationError as cause:
        raise SignInRefused(f"{provider.name} told something unreadable") from cause
    kind, number = _number(provider, told, profile)
    role, department = _role(provider, told)
    return Identified(
        number_type=kind,
        number=number,
        name="" if provider.tells == "pseudonym" else clean_name(told.name or ""),
        role=role,
        department=department,
        level=provider.levels.get(told.acr or "", provider.level),
    )


def clean_name(text: str) -> str:
    """Return a name without control characters, at most 120 characters long."""
    return "".join(c for c in text if c >= " " and c != "\x7f" and not "\ud800" <= c <= "\udfff").strip()[:120]


def _number(provider: Provider, told: _Told, profile: Profile) -> tuple[NumberType, str]:
    if told.id_number is None or provider.tells == "pseudonym":
        return "account", f"{provider.issuer} {told.sub}"
    text, kind = told.id_number.number, told.id_number.type
    if kind in ("uscc", "staff", "machine"):
        return kind, check_kind(kind, text, profile)
    number = check_number(text, profile)
    if kind not in (None, "citizen_id", number_type(number)):
        raise WrongKind
    return number_type(number), number


def _role(provider: Provider, told: _Told) -> tuple[Role, str | None]:
    if provider.roles == ("citizen",) or provider.tells == "pseudonym":
        return "citizen", None
    for role in provider.roles:
        if role == (told.role or "citizen"):
            return role, None if role == "citizen" else told.department
    raise SignInRefused(f"{provider.name} may not give that role")
