"""The numbers people, organisations, staff and machines are known by: pure checks, one kind each, wrong ones named."""

import re
import unicodedata
from datetime import date
from functools import cache
from typing import Final

from stdnum import numdb
from stdnum.cn import ric, uscc

from onestop import clock
from onestop.identity.errors import (
    BadBirthDate,
    BadChecksum,
    BadNumber,
    BadShape,
    BadStaffNumber,
    DivisionAbolished,
    FictionalNumber,
    LegacyNumber,
    RealIdentity,
    UnknownRegion,
    WrongKind,
)
from onestop.identity.models import NumberType
from onestop.settings import Profile

_SHAPE: Final = re.compile(r"[0-9]{17}[0-9X]")
_LEGACY_SHAPE: Final = re.compile(r"[0-9]{15}")
_OLD_CARD_SHAPE: Final = re.compile(r"[A-Z]{3}[0-9]{12}")
_USCC_SHAPE: Final = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_HOUSE_SHAPE: Final = re.compile(r"[a-z]{2,20}:[A-Za-z0-9._-]{1,64}")
_FICTIONAL: Final = "99"
# Countries that ISO 3166 leaves to its users: no passport names them, so no old card does either.
_FICTIONAL_COUNTRY: Final = re.compile(r"Q[M-Z][A-Z]|X[A-Z]{2}|ZZ[A-Z]|AA[A-Z]")
_HMT_AREAS: Final = frozenset({"810000", "820000", "830000"})
# GB/T 2260: the first two digits of every province, region and municipality; 81 to 83 are Hong Kong, Macao and Taiwan.
_PROVINCES: Final = frozenset(
    [*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71, 81, 82, 83]
)
_FIRST_YEAR: Final = 1984  # of numbers: an area abolished before stands in none
_GB_11714_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_GB_11714_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def normalise_number(text: str) -> str:
    """Return the number as it is kept: full-width forms narrowed, spaces and hyphens gone, upper case."""
    return unicodedata.normalize("NFKC", text[:64]).replace(" ", "").replace("-", "").upper()


def number_type(number: str) -> NumberType:
    """Return which kind of a person's document a normalised number is of.

    Rule: R-110, the first digit decides. The area 99 is the demo world's: its people are citizens.
    """
    if _OLD_CARD_SHAPE.fullmatch(number):
        return "foreigner_card_old"
    if number[:2] in ("81", "82", "83"):
        return "hmt_permit"
    if number[:1] == "9" and number[:2] != _FICTIONAL:
        return "foreigner_card"
    return "citizen_id"


def check_number(text: str, profile: Profile, on: date | None = None) -> str:
    """Return a natural person's number, of whichever kind it is, in its kept form.

    Outside production only invented numbers are taken; in production none of them. `on` is the day no birth may lie
    after; None: today.

    Raises:
        BadNumber: one of its kinds, each named by what is wrong.
        RealIdentity: outside production, and the number may be a real person's. Said before the check digit is looked
            at, so that nobody is helped to type a real number correctly.
        FictionalNumber: in production, and the number is of the demo world.
    """
    number = normalise_number(text)
    if _OLD_CARD_SHAPE.fullmatch(number):
        return _check_old_card(number, profile)
    if _LEGACY_SHAPE.fullmatch(number):
        raise LegacyNumber
    if not _SHAPE.fullmatch(number):
        raise BadShape
    return _check_eighteen(number, profile, on or clock.today())


def check_kind(kind: NumberType, text: str, profile: Profile, on: date | None = None) -> str:
    """Return the number of a document of a given kind in its kept form.

    Raises:
        WrongKind: a good number, of a document of another kind.
        BadNumber: as `check_number` and `check_organisation`; BadStaffNumber for those a house gives out itself.
    """
    if kind == "account":
        return text
    if kind in ("staff", "machine"):
        return _check_house_number(text)
    if kind == "uscc":
        return check_organisation(text, profile)
    number = check_number(text, profile, on)
    if number_type(number) != kind:
        raise WrongKind
    return number


def check_organisation(text: str, profile: Profile) -> str:
    """Return the unified social credit code (统一社会信用代码, GB 32100) in its kept form.

    Rule: R-112, registration authority and category are not looked up: there are more than lists know.

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


def organisation_code_fits(code: str) -> bool:
    """Tell whether the organisation code (GB 11714) inside a credit code has the right check character.

    Rule: R-112, a doubt to be told, never a refusal: bodies from before the standard may differ.
    """
    body, told = code[8:16], code[16]
    left = 11 - sum(_GB_11714_LETTERS.index(c) * w for c, w in zip(body, _GB_11714_WEIGHTS, strict=True)) % 11
    return told == {10: "X", 11: "0"}.get(left, str(left))


def number_fault(text: str, profile: Profile) -> str | None:
    """Return the code of what is wrong with a person's number, for a form's field; None where nothing is."""
    try:
        check_number(text, profile)
    except BadNumber as fault:
        return fault.code
    return None


def _check_eighteen(number: str, profile: Profile, on: date) -> str:
    kind = number_type(number)
    fictional = number.startswith(_FICTIONAL)
    if profile != "production" and not fictional:
        raise RealIdentity
    if ric.calc_check_digit(number) != number[17]:
        raise BadChecksum
    born = _birth_date(number, on)
    if fictional and profile == "production":
        raise FictionalNumber
    if kind == "hmt_permit" and number[:6] not in _HMT_AREAS:
        raise UnknownRegion
    if kind == "foreigner_card":
        _check_province(number[1:3])
    elif kind == "citizen_id" and not fictional:
        _check_province(number[:2])
        _check_division(number[:6], born, on)
    return number


def _check_old_card(number: str, profile: Profile) -> str:
    """Check the card for permanent residence from before December 2023, three letters and twelve digits.

    Rule: R-111, what its digits mean is not looked at.
    """
    fictional = _FICTIONAL_COUNTRY.fullmatch(number[:3]) is not None
    if profile != "production" and not fictional:
        raise RealIdentity
    if fictional and profile == "production":
        raise FictionalNumber
    return number


def _check_house_number(text: str) -> str:
    if not _HOUSE_SHAPE.fullmatch(text):
        raise BadStaffNumber
    return text


def _birth_date(number: str, today: date) -> date:
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError as cause:
        raise BadBirthDate from cause
    if not date(1880, 1, 1) <= born <= today:
        raise BadBirthDate
    return born


def _check_province(digits: str) -> None:
    if int(digits) not in _PROVINCES:
        raise UnknownRegion


def _check_division(code: str, born: date, on: date) -> None:
    """Check the area by date: it must have been one at some time of the holder's life.

    Rule: R-113, a county that no list knows is taken where its prefecture is known; lists lag behind.

    Raises:
        UnknownRegion: there never was such a prefecture.
        DivisionAbolished: it was gone before the holder had a number, or came after today.
    """
    spans = _spans(code)
    if spans is None:
        if code[:2] != "71" and not _is_prefecture(code[:4]):  # Taiwan's divisions are on no list
            raise UnknownRegion
        return
    first = max(born.year, _FIRST_YEAR)
    if not any(begin <= on.year and end >= first for begin, end in spans):
        raise DivisionAbolished


@cache
def _spans(code: str) -> tuple[tuple[int, int], ...] | None:
    """Return the years from and to which a division had its code; None for one that is on no list."""
    found = [told["county"] for _, told in numdb.get("cn/loc").info(code) if "county" in told]
    if not found:
        return None
    return tuple(_years(part) for part in re.split(r",(?=\[)", found[0]))


def _years(told: str) -> tuple[int, int]:
    span = re.match(r"\[(\d*)-(\d*)\]", told)
    if span is None:
        return 0, 9999
    return int(span[1] or 0), int(span[2] or 9999)


@cache
def _is_prefecture(digits: str) -> bool:
    return any(_spans(f"{digits}{county:02d}") is not None for county in range(100))
