"""Decisions about mandates: what one covers, who may move it where, what may be offered and handed on; pure."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

from onestop import clock
from onestop.errors import FieldError
from onestop.mandates.models import (
    AgeRule,
    Asked,
    Deed,
    KindRule,
    Mandate,
    MandateKind,
    MandateState,
    Matter,
    Move,
    Offer,
    Scope,
    Spent,
)

Why = Literal["not_live", "not_begun", "expired", "out_of_scope", "deed_excluded", "limit_reached"]
Side = Literal["principal", "actor"]

_DATA: Final = Path(__file__).parent / "data"
_OF_AGE: Final = 18
OPEN: Final[frozenset[MandateState]] = frozenset({"offered", "accepted", "live"})


class _Kinds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kinds: tuple[KindRule, ...]


class _Ages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ages: tuple[AgeRule, ...]


@cache
def kinds() -> Mapping[MandateKind, KindRule]:
    """Return what holds for each kind."""
    told = tomllib.loads((_DATA / "kinds.toml").read_text("utf-8"))
    return {rule.kind: rule for rule in msgspec.convert(told, _Kinds).kinds}


@cache
def ages() -> tuple[AgeRule, ...]:
    """Return the ages below which somebody needs a guardian, lowest first."""
    told = tomllib.loads((_DATA / "ages.toml").read_text("utf-8"))
    return tuple(sorted(msgspec.convert(told, _Ages).ages, key=lambda rule: rule.below))


# ---- what a mandate covers


def covers(scope: Scope, matter: Matter) -> bool:
    """Tell whether a matter is one of a mandate's.

    Rule: R-050, an item is covered by its own code, or where every department that handles it is covered: a bundle is
    not covered by one of its departments. A matter without item and departments is nobody's.
    """
    if scope.everything:
        return True
    if matter.item is not None and matter.item in scope.items:
        return True
    return bool(matter.departments) and matter.departments <= set(scope.departments)


def refusal(mandate: Mandate, asked: Asked, now: datetime) -> Why | None:
    """Return why an act is not covered by a mandate at an instant; None: it is covered.

    Rule: R-051, an act is let pass only where a live mandate covers its matter, its kind, its limits and the moment.
    The beginning of the period is inside it, its end is not.
    """
    why = standing(mandate, now)
    if why is not None:
        return why
    if asked.deed != "hand_on" and not covers(mandate.scope, asked.matter):
        return "out_of_scope"
    if asked.deed in mandate.scope.excluded or (asked.fee_fen and "pay" in mandate.scope.excluded):
        return "deed_excluded"
    if asked.deed == "submit" and _beyond(mandate.scope, Spent(cases=mandate.cases, fen=mandate.fen), asked.fee_fen):
        return "limit_reached"
    return None


def standing(mandate: Mandate, now: datetime) -> Why | None:
    """Return why a mandate does not hold at an instant, whatever is asked of it; None: it holds."""
    if mandate.state != "live":
        return "not_live"
    if now < mandate.begins_at:
        return "not_begun"
    if any(end is not None and now >= end for end in (mandate.ends_at, mandate.valid_until)):
        return "expired"
    return None


def _beyond(scope: Scope, spent: Spent, fee_fen: int) -> bool:
    cases, fen = scope.most_cases, scope.most_fen
    return (cases is not None and spent.cases >= cases) or (fen is not None and spent.fen + fee_fen > fen)


# ---- how it moves


def next_state(mandate: Mandate, move: Move, side: Side) -> MandateState | None:
    """Return the state a party's move leads to; None where this party cannot do that now.

    Rule: R-052, what one offers the other accepts or refuses, and the giver's confirmation at the level needed makes
    it live; either side ends it at once and gives no reason.
    """
    if mandate.state not in OPEN:
        return None
    match move, side:
        case "accept", "actor" if mandate.state == "offered":
            return "accepted" if mandate.confirmed_at is None else "live"
        case "refuse", "actor" if mandate.state == "offered":
            return "refused"
        case "confirm", "principal" if mandate.confirmed_at is None:
            return "live" if mandate.state == "accepted" else mandate.state
        # What a department says of two people is not theirs to end: it ends where the department says otherwise.
        case "end", _ if mandate.adapter is None and not (side == "actor" and mandate.state == "offered"):
            return "ended"
    return None


def moves(mandate: Mandate, side: Side) -> list[Move]:
    """Return what a party can do with a mandate now."""
    every: tuple[Move, ...] = ("accept", "confirm", "refuse", "end")
    return [move for move in every if next_state(mandate, move, side) is not None]


# ---- what may be offered


def faults(
    offer: Offer, rule: KindRule, now: datetime, items: Mapping[str, frozenset[str]], adapters: frozenset[str]
) -> list[FieldError]:
    """Return what is wrong with an offer of a kind; `items` and `adapters` are those there are.

    Rule: R-053, a mandate names its matters and ends on a day; everything for ever is the law's to give.
    """
    found: list[FieldError] = []

    def fault(pointer: str, code: str, **params: str) -> None:
        found.append(FieldError(pointer=pointer, code=f"mandate.{code}", params=params))

    scope, begins = offer.scope, offer.begins_at or now
    if scope.everything or not (scope.items or scope.departments):
        fault("/scope", "matter_missing")
    for nth, code in enumerate(scope.items):
        if code not in items:
            fault(f"/scope/items/{nth}", "matter_unknown", matter=code)
    for nth, code in enumerate(scope.departments):
        if code not in adapters:
            fault(f"/scope/departments/{nth}", "matter_unknown", matter=code)
    if offer.begins_at is not None and offer.begins_at.tzinfo is None:
        return [FieldError(pointer="/begins_at", code="mandate.no_zone")]
    if offer.ends_at.tzinfo is None:
        return [FieldError(pointer="/ends_at", code="mandate.no_zone")]
    if offer.ends_at <= max(begins, now):
        fault("/ends_at", "period_empty")
    elif rule.longest_days is not None and offer.ends_at - max(begins, now) > timedelta(days=rule.longest_days):
        fault("/ends_at", "period_long", days=str(rule.longest_days))
    if offer.hand_on > rule.hand_on:
        fault("/hand_on", "chain_long", most=str(rule.hand_on))
    return found


def fits_below(parent: Mandate, offer: Offer, departments_of: Mapping[str, frozenset[str]], now: datetime) -> bool:
    """Tell whether a mandate may be handed on like this.

    Rule: R-054, nobody hands on more than they hold: matters, deeds, limits, period and the length of the chain are
    within those of the mandate above.
    """
    above, below = parent.scope, offer.scope
    if parent.hand_on <= offer.hand_on:
        return False
    matters = [Matter(item=code, departments=departments_of.get(code, frozenset())) for code in below.items]
    matters += [Matter(departments=frozenset({code})) for code in below.departments]
    if below.everything or not all(covers(above, matter) for matter in matters):
        return False
    if not set(above.excluded) <= set(below.excluded):
        return False
    if not (_within(above.most_cases, below.most_cases) and _within(above.most_fen, below.most_fen)):
        return False
    ends = parent.ends_at
    return (ends is None or offer.ends_at <= ends) and (offer.begins_at or now) >= parent.begins_at


def _within(above: int | None, below: int | None) -> bool:
    return above is None or (below is not None and below <= above)


# ---- how old somebody is


def born_on(number_type: str, number: str) -> date | None:
    """Return the birth date in an identity number; None where the number holds none."""
    if number_type not in ("citizen_id", "hmt_permit", "foreigner_card") or len(number) != 18:
        return None
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


def age_on(born: date, today: date) -> int:
    """Return whole years of age 周岁; a year is full on the birthday itself."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def of_age_at(born: date | None, now: datetime) -> datetime | None:
    """Return when a minor comes of age, the instant the eighteenth birthday begins in China; None: not a minor.

    Rule: R-056, guardianship of a minor ends by itself when the minor comes of age.
    """
    if born is None or age_on(born, now.astimezone(clock.CHINA).date()) >= _OF_AGE:
        return None
    leap = (born.month, born.day) == (2, 29)
    birthday = date(born.year + _OF_AGE, 3 if leap else born.month, 1 if leap else born.day)
    return datetime.combine(birthday, time(), clock.CHINA)


def too_young(born: date | None, deed: Deed, today: date, rules: Sequence[AgeRule]) -> AgeRule | None:
    """Return the rule by which somebody does not do this alone; None where they may.

    Rule: R-055, below fourteen a guardian acts for the child, from fourteen until eighteen the minor looks and fills,
    and a guardian submits.
    """
    if born is None:
        return None
    years = age_on(born, today)
    return next((rule for rule in rules if years < rule.below and deed in rule.never), None)
