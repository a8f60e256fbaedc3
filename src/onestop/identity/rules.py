"""Decisions of identity: which numbers are taken, whom a provider vouches for, where a sign-in may lead back to."""

import re
import unicodedata
from datetime import date, timedelta
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
from stdnum.cn import ric, uscc

from onestop import clock
from onestop.identity.errors import (
    BadBirthDate,
    BadCallback,
    BadChecksum,
    BadNumber,
    BadReturn,
    BadShape,
    FictionalNumber,
    IssuerMixed,
    RealIdentity,
    SignInRefused,
    UnknownRegion,
)
from onestop.identity.models import Identified, NumberType, Provider, Role, SubjectKind
from onestop.settings import Profile

SESSION_LIFE: Final = timedelta(hours=12)  # absolute, whatever the activity
SESSION_IDLE: Final = timedelta(minutes=30)  # cookies only; an app's token has its own end
SEEN_STEP: Final = timedelta(minutes=1)  # activity is written down at most this often
FLOW_LIFE: Final = timedelta(minutes=10)
BEARER_LIFE: Final = timedelta(hours=1)
DEMO_BEARER_LIFE: Final = timedelta(hours=12)

_SHAPE = re.compile(r"[0-9]{17}[0-9X]")
_USCC_SHAPE = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_FICTIONAL = "99"
# GB/T 2260: the first two digits of every province, region and municipality; 81 to 83 are Hong Kong, Macao and Taiwan.
_PROVINCES = frozenset(
    [*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83]
)


def normalise_number(text: str) -> str:
    """Return the number as it is kept: full-width forms narrowed, spaces and hyphens gone, upper case."""
    return unicodedata.normalize("NFKC", text[:64]).replace(" ", "").replace("-", "").upper()


def number_type(number: str) -> NumberType:
    """Return whose kind of document a normalised 18-digit number is.

    A 9 in front is a foreigner's permanent-residence card, except 99: that area is the demo world's.
    """
    if number[:2] in ("81", "82", "83"):
        return "hmt_permit"
    if number[0] == "9" and number[:2] != _FICTIONAL:
        return "foreigner_card"
    return "citizen_id"


def check_number(text: str, profile: Profile, on: date | None = None) -> str:
    """Return the citizen identity number (公民身份号码, GB 11643) in its kept form.

    Outside production only numbers of the unassigned area 99 are taken; in production none of them. `on` is the day no
    birth may lie after; None: today.

    Raises:
        BadShape, BadChecksum, BadBirthDate, UnknownRegion: not a number at all.
        RealIdentity: outside production, and the number may be a real person's. Said before the check digit is looked
            at, so that nobody is helped to type a real number correctly.
        FictionalNumber: in production, and the number is of the demo world.
    """
    number = normalise_number(text)
    if not _SHAPE.fullmatch(number):
        raise BadShape
    fictional = number.startswith(_FICTIONAL)
    if profile != "production" and not fictional:
        raise RealIdentity
    if ric.calc_check_digit(number) != number[17]:
        raise BadChecksum
    _check_birth_date(number, on or clock.today())
    if fictional and profile == "production":
        raise FictionalNumber
    if not fictional:
        _check_region(number)
    return number


def check_organisation(text: str, profile: Profile) -> str:
    """Return the unified social credit code (统一社会信用代码, GB 32100) in its kept form.

    Raises:
        BadShape, BadChecksum, RealIdentity, FictionalNumber: as `check_number`; the area is characters 3 to 8.
    """
    code = normalise_number(text)
    if not _USCC_SHAPE.fullmatch(code):
        raise BadShape
    fictional = code[2:4] == _FICTIONAL
    if profile != "production" and not fictional:
        raise RealIdentity
    if uscc.calc_check_digit(code[:-1]) != code[-1]:
        raise BadChecksum
    if fictional and profile == "production":
        raise FictionalNumber
    return code


def number_fault(text: str, profile: Profile) -> str | None:
    """Return the code of what is wrong with a citizen identity number, for a form's field; None where nothing is."""
    try:
        check_number(text, profile)
    except BadNumber as fault:
        return fault.code
    return None


def _check_birth_date(number: str, today: date) -> None:
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError as cause:
        raise BadBirthDate from cause
    if not date(1880, 1, 1) <= born <= today:
        raise BadBirthDate


def _check_region(number: str) -> None:
    province = number[1:3] if number_type(number) == "foreigner_card" else number[:2]
    if int(province) not in _PROVINCES:
        raise UnknownRegion


def mask_number(number: str) -> str:
    """Return the number's first and last four characters around eight stars, as in `9901********0221`.

    The stars do not tell the length. A number shorter than twelve characters is hidden whole.
    """
    if len(number) < 12:
        return "*" * 8
    return number[:4] + "*" * 8 + number[-4:]


def subject_kind(kind: NumberType) -> SubjectKind:
    """Return what sort of subject a number names."""
    if kind == "account":
        return "account"
    return "organisation" if kind == "uscc" else "person"


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


def principal(subject_id: str, role: str, department: str | None) -> str:
    """Return subject and role in one word; two people, or one person in two roles, never share it."""
    return f"{subject_id}/{role}/{department}" if department else f"{subject_id}/{role}"


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
    type: str = "citizen_id"


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
        name=clean_name(told.name or ""),
        role=role,
        department=department,
        level=provider.levels.get(told.acr or "", provider.level),
    )


def clean_name(text: str) -> str:
    """Return a name without control characters, at most 120 characters long."""
    return "".join(c for c in text if c >= " " and c != "\x7f" and not "\ud800" <= c <= "\udfff").strip()[:120]


def _number(provider: Provider, told: _Told, profile: Profile) -> tuple[NumberType, str]:
    if told.id_number is None:
        return "account", f"{provider.issuer} {told.sub}"
    if told.id_number.type == "uscc":
        return "uscc", check_organisation(told.id_number.number, profile)
    number = check_number(told.id_number.number, profile)
    return number_type(number), number


def _role(provider: Provider, told: _Told) -> tuple[Role, str | None]:
    if provider.roles == ("citizen",):
        return "citizen", None
    for role in provider.roles:
        if role == (told.role or "citizen"):
            return role, None if role == "citizen" else told.department
    raise SignInRefused(f"{provider.name} may not give that role")
