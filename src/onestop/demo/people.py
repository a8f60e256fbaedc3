"""The people, organisations and departments of the demo world, read from `world/*.toml`; all of them are invented."""

import tomllib
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

WORLD = Path(__file__).parent / "world"
Sex = Literal["female", "male"]

# GB 11643 (ISO 7064 MOD 11-2): the weights of the first seventeen digits and the characters of the remainders.
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"


class Behaviour(StrEnum):
    """How a department's system treats a trigger person."""

    NORMAL = "normal"
    NOT_FOUND = "not_found"
    DIFFERS = "differs"
    TIMEOUT = "timeout"
    ERROR = "error"
    MALFORMED = "malformed"
    SLOW = "slow"
    STALE = "stale"
    CORRECTION = "correction"
    DECLINED = "declined"
    EXTENDED = "extended"
    MOVED = "moved"


class Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every struct of the world's files is: frozen, by keyword, without unknown fields."""


class Member(Closed, frozen=True, kw_only=True):
    """One person in a household register."""

    id_number: str
    name: str
    relation: str


class Household(Closed, frozen=True, kw_only=True):
    """A household register entry 户口簿; `members` as the register lists them."""

    household_no: str
    division: str
    address: str
    head: str
    members: tuple[Member, ...]


class Ward(Closed, frozen=True, kw_only=True):
    """Somebody for whom a person acts as guardian by the police's record, beside the children of the household."""

    id_number: str
    name: str
    since: date


class SocialInsurance(Closed, frozen=True, kw_only=True):
    """Months paid per insurance; `pension_fen` is the monthly pension of a retired person."""

    status: Literal["paying", "retired", "suspended"]
    pension_months: int
    unemployment_months: int
    injury_months: int
    last_paid_month: str
    employer: str | None = None
    base_fen: int | None = None
    pension_fen: int | None = None


class MedicalInsurance(Closed, frozen=True, kw_only=True):
    """Basic medical insurance and the balance of its personal account."""

    kind: Literal["employee", "resident"]
    status: Literal["active", "suspended"]
    paid_through: str
    account_fen: int
    home_region: str


class HousingFund(Closed, frozen=True, kw_only=True):
    """One housing provident fund account."""

    account_no: str
    status: Literal["paying", "suspended", "closed"]
    balance_fen: int
    monthly_fen: int
    last_paid_month: str


class Property(Closed, frozen=True, kw_only=True):
    """A share in a property; the area is decimal text in square metres."""

    certificate_no: str
    address: str
    area_m2: str
    purpose: Literal["residence", "commerce"]
    share: str
    mortgaged: bool


class Marriage(Closed, frozen=True, kw_only=True):
    """What the marriage register says of a person."""

    status: Literal["unmarried", "married", "divorced", "widowed"]
    spouse_name: str | None = None
    spouse_id: str | None = None
    certificate_no: str | None = None
    registered_on: date | None = None
    office: str | None = None


class Birth(Closed, frozen=True, kw_only=True):
    """A hospital's record of a birth, as the mother's query shows it."""

    child_name: str
    sex: Sex
    born_on: date
    born_time: str
    weight_g: int
    length_cm: int
    gestation_weeks: int
    hospital: str
    hospital_uscc: str


class TaxYear(Closed, frozen=True, kw_only=True):
    """One year of individual income tax; a negative settlement is a refund."""

    year: int
    income_fen: int
    tax_fen: int
    settled_fen: int
    status: Literal["settled", "open"]


class Business(Closed, frozen=True, kw_only=True):
    """A registered business and the person's part in it."""

    uscc: str
    name: str
    kind: Literal["company", "sole_trader"]
    role: Literal["legal_representative", "operator"]
    status: Literal["open", "closed"]
    registered_on: date
    address: str
    scope: str


class Study(Closed, frozen=True, kw_only=True):
    """A time at one school; `until_on` is None while enrolled."""

    student_id: str
    student_name: str
    school: str
    level: str
    status: Literal["enrolled", "graduated"]
    from_on: date
    until_on: date | None = None


class SignPermit(Closed, frozen=True, kw_only=True):
    """A permit for a sign board."""

    permit_no: str
    subject: str
    place: str
    size: str
    valid_until: date
    status: Literal["valid", "expired"]


class FireCheck(Closed, frozen=True, kw_only=True):
    """The result of a fire-safety check."""

    check_no: str
    subject: str
    place: str
    checked_on: date
    result: Literal["passed", "rectify"]
    remark: str


class Facts(Closed, frozen=True, kw_only=True):
    """What each department knows of a person; None: that department has no record of this person."""

    household: Household | None = None
    wards: tuple[Ward, ...] = ()
    social_insurance: SocialInsurance | None = None
    medical_insurance: MedicalInsurance | None = None
    housing_fund: HousingFund | None = None
    properties: tuple[Property, ...] | None = None
    marriage: Marriage | None = None
    births: tuple[Birth, ...] | None = None
    taxes: tuple[TaxYear, ...] | None = None
    businesses: tuple[Business, ...] | None = None
    studies: tuple[Study, ...] | None = None
    sign_permits: tuple[SignPermit, ...] | None = None
    fire_checks: tuple[FireCheck, ...] | None = None


class Person(Closed, frozen=True, kw_only=True):
    """One invented person; `region` is the division of the household register."""

    id_number: str
    name: str
    key: str
    sex: Sex
    born_on: date
    region: str
    name_latin: str = ""
    phone: str | None = None
    mail: str | None = None
    why: str = ""
    behaviour: Behaviour = Behaviour.NORMAL
    facts: Facts = Facts()


class Organisation(Closed, frozen=True, kw_only=True):
    """One invented organisation under its unified social credit code."""

    uscc: str
    name: str
    name_en: str
    kind: Literal["company", "sole_trader", "public_institution", "government"]
    region: str
    representative: str | None = None


class Department(Closed, frozen=True, kw_only=True):
    """One department of Yunxi; without `port_offset` it has no system of its own."""

    id: str
    name: str
    short: str
    name_en: str
    uscc: str
    officer: str
    contact: str
    port_offset: int | None = None
    age_h: float = 0.0
    query: str | None = None
    submits: tuple[str, ...] = ()


class _Trigger(Closed, frozen=True, kw_only=True):
    id_number: str
    name: str
    behaviour: Behaviour


class _PeopleFile(Closed, frozen=True, kw_only=True):
    world_date: date
    people: tuple[Person, ...]
    triggers: tuple[_Trigger, ...]
    trigger_facts: Facts


def check_character(first_seventeen: str) -> str:
    """Return the eighteenth character of a citizen identity number."""
    return _CHECKS[sum(int(d) * w for d, w in zip(first_seventeen, _WEIGHTS, strict=True)) % 11]


def is_id_number(text: str) -> bool:
    """Tell whether the text has the form and the check character of a citizen identity number."""
    return len(text) == 18 and text[:17].isascii() and text[:17].isdigit() and check_character(text[:17]) == text[17]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((WORLD / name).read_text("utf-8"))


@cache
def _people_file() -> _PeopleFile:
    return msgspec.convert(_read("people.toml"), _PeopleFile)


def world_date() -> date:
    """Return the day on which the demo world stands before anybody moves its clock."""
    return _people_file().world_date


@cache
def people() -> tuple[Person, ...]:
    """Return the named people in the order of the file, then the trigger people 901 to 911."""
    file = _people_file()
    return file.people + tuple(_trigger_person(t, file.trigger_facts) for t in file.triggers)


@cache
def by_number() -> dict[str, Person]:
    """Return everybody by identity number."""
    return {person.id_number: person for person in people()}


def person(key: str) -> Person:
    """Return the person called `key` in the file; a trigger person is called by its three digits.

    Raises:
        KeyError: nobody is called so.
    """
    return {p.key: p for p in people()}[key]


@cache
def organisations() -> tuple[Organisation, ...]:
    """Return the organisations that are not departments of Yunxi."""
    return msgspec.convert(_read("organisations.toml")["organisations"], tuple[Organisation, ...])


@cache
def departments() -> tuple[Department, ...]:
    """Return the thirteen departments in the order of their ports, the one without a system last."""
    return msgspec.convert(_read("departments.toml")["departments"], tuple[Department, ...])


def department(id: str) -> Department:
    """Return one department.

    Raises:
        KeyError: Yunxi has no such department.
    """
    return {d.id: d for d in departments()}[id]


def _trigger_person(trigger: _Trigger, shared: Facts) -> Person:
    number = trigger.id_number
    return Person(
        id_number=number,
        name=trigger.name,
        key=number[14:17],
        sex="male" if int(number[16]) % 2 else "female",
        born_on=date(1980, 1, 1),
        region="990102",
        name_latin=f"DEMO {number[14:17]}",
        why=f"trigger person: {trigger.behaviour}",
        behaviour=trigger.behaviour,
        facts=shared,
    )
