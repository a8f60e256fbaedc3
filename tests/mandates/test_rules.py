"""Whether an act is covered, said a second time by the plainest words; and who may move, offer and hand on."""

from datetime import UTC, date, datetime, timedelta
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.mandates import rules
from onestop.mandates.models import (
    Asked,
    Deed,
    Mandate,
    MandateKind,
    MandateState,
    Matter,
    Move,
    Offer,
    Receiver,
    Scope,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ITEMS = {"birth": frozenset({"gongan", "yibao"}), "permit": frozenset({"gongan"}), "card": frozenset({"renshe"})}
DEPARTMENTS = ("gongan", "yibao", "renshe")
deeds = st.sampled_from(get_args(Deed))
instants = st.integers(-3, 3).map(lambda days: NOW + timedelta(days=days))
some = st.none() | st.integers(0, 3)
scopes = st.builds(
    Scope,
    everything=st.booleans(),
    items=st.lists(st.sampled_from(sorted(ITEMS)), unique=True, max_size=2).map(tuple),
    departments=st.lists(st.sampled_from(DEPARTMENTS), unique=True, max_size=2).map(tuple),
    excluded=st.lists(deeds, unique=True, max_size=3).map(tuple),
    most_cases=st.none() | st.integers(1, 3),
    most_fen=st.none() | st.integers(0, 300),
)
mandates = st.builds(
    Mandate,
    id=st.just("mdt_1"),
    kind=st.sampled_from(get_args(MandateKind)),
    principal=st.just("p"),
    actor=st.just("a"),
    state=st.sampled_from(get_args(MandateState)),
    scope=scopes,
    hand_on=st.integers(0, 2),
    level=st.just(2),
    begins_at=instants,
    ends_at=st.none() | instants,
    offered_at=st.just(NOW),
    confirmed_at=st.none() | st.just(NOW),
    adapter=st.none() | st.just("gongan"),
    valid_until=st.none() | instants,
    cases=st.integers(0, 3),
    fen=st.integers(0, 300),
)
items = st.sampled_from(sorted(ITEMS)).map(lambda code: Matter(item=code, departments=ITEMS[code]))
looked_at = st.sampled_from(DEPARTMENTS).map(lambda code: Matter(departments=frozenset({code})))
acts = st.builds(Asked, deed=deeds, matter=items | looked_at | st.just(Matter()), fee_fen=st.integers(0, 200))


def live_at(mandate: Mandate, now: datetime) -> bool:
    ends = [end for end in (mandate.ends_at, mandate.valid_until) if end]
    return mandate.state == "live" and mandate.begins_at <= now and all(now < end for end in ends)


def names(scope: Scope, matter: Matter) -> bool:
    named = matter.item in scope.items if matter.item else False
    whole = bool(matter.departments) and all(one in scope.departments for one in matter.departments)
    return scope.everything or named or whole


def within(mandate: Mandate, asked: Asked) -> bool:
    scope = mandate.scope
    if asked.deed != "submit":
        return True
    fits = scope.most_cases is None or mandate.cases + 1 <= scope.most_cases
    return fits and (scope.most_fen is None or mandate.fen + asked.fee_fen <= scope.most_fen)


@given(mandate=mandates, asked=acts, now=instants)
def test_an_act_is_let_pass_exactly_where_a_live_mandate_covers_matter_limit_and_time(mandate, asked, now):
    """R-050, R-051."""
    excluded = set(mandate.scope.excluded)
    allowed = asked.deed not in excluded and not (asked.fee_fen and "pay" in excluded)
    covered = asked.deed == "hand_on" or names(mandate.scope, asked.matter)
    expected = live_at(mandate, now) and covered and allowed and within(mandate, asked)
    assert (rules.refusal(mandate, asked, now) is None) == expected


@given(mandate=mandates, asked=acts)
def test_the_reason_is_the_first_of_state_time_matter_deed_and_limit(mandate, asked):
    why = rules.refusal(mandate, asked, NOW)
    if mandate.state != "live":
        assert why == "not_live"
    elif mandate.begins_at > NOW:
        assert why == "not_begun"
    elif not live_at(mandate, NOW):
        assert why == "expired"
    elif asked.deed != "hand_on" and not names(mandate.scope, asked.matter):
        assert why == "out_of_scope"
    else:
        assert why in (None, "deed_excluded", "limit_reached")


def test_one_department_of_a_bundle_does_not_cover_the_bundle():
    scope = Scope(departments=("gongan",))
    assert rules.covers(scope, Matter(item="permit", departments=ITEMS["permit"]))
    assert not rules.covers(scope, Matter(item="birth", departments=ITEMS["birth"]))
    assert not rules.covers(scope, Matter())


@given(mandate=mandates, move=st.sampled_from(get_args(Move)), side=st.sampled_from(("principal", "actor")))
def test_what_is_over_moves_no_more_and_only_the_receiver_accepts(mandate, move, side):
    """R-052."""
    state = rules.next_state(mandate, move, side)
    if mandate.state in ("refused", "ended"):
        assert state is None
    if move == "accept" and state is not None:
        assert (side, mandate.state) == ("actor", "offered")
    if state == "live":
        assert move in ("accept", "confirm")
        assert mandate.confirmed_at is not None or move == "confirm"
    if mandate.state == "live" and move == "end":
        assert (state == "ended") == (mandate.adapter is None)


def offer(scope: Scope, **told) -> Offer:
    whole = {"ends_at": NOW + timedelta(days=10), "begins_at": None, "hand_on": 0} | told
    return Offer(to=Receiver(number="990102199008210351", name="周启明"), scope=scope, **whole)


@given(parent=mandates, below=scopes, hand_on=st.integers(0, 3), ends=instants, begins=st.none() | instants, asked=acts)
def test_what_is_handed_on_never_covers_what_the_mandate_above_does_not(parent, below, hand_on, ends, begins, asked):
    """R-054: for every act and moment, what the lower one lets pass the upper one does too."""
    told = offer(below, ends_at=ends, begins_at=begins, hand_on=hand_on)
    if not rules.fits_below(parent, told, ITEMS, NOW):
        return
    assert hand_on < parent.hand_on
    above = msgspec.structs.replace(parent, state="live", valid_until=None, adapter=None, cases=0, fen=0)
    lower = msgspec.structs.replace(above, scope=below, begins_at=begins or NOW, ends_at=ends)
    for days in range(-3, 4):
        now = NOW + timedelta(days=days)
        if rules.refusal(lower, asked, now) is None and asked.deed != "hand_on":
            assert rules.refusal(above, asked, now) is None


def faults(scope: Scope, kind: MandateKind = "agent", **told) -> set[str]:
    rule = rules.kinds()[kind]
    found = rules.faults(offer(scope, **told), rule, NOW, ITEMS, frozenset(DEPARTMENTS))
    return {fault.code.removeprefix("mandate.") for fault in found}


@pytest.mark.parametrize(
    ("scope", "told", "expected"),
    [
        (Scope(), {}, {"matter_missing"}),
        (Scope(everything=True), {}, {"matter_missing"}),
        (Scope(items=("nothing",), departments=("nobody",)), {}, {"matter_unknown"}),
        (Scope(items=("birth",)), {"ends_at": NOW}, {"period_empty"}),
        (Scope(items=("birth",)), {"ends_at": NOW + timedelta(days=1097)}, {"period_long"}),
        (Scope(items=("birth",)), {"ends_at": datetime(2027, 1, 1)}, {"no_zone"}),
        (Scope(items=("birth",)), {"hand_on": 2}, {"chain_long"}),
        (Scope(items=("birth",)), {}, set()),
    ],
)
def test_an_offer_names_its_matters_and_ends_on_a_day(scope, told, expected):
    """R-053."""
    assert faults(scope, **told) == expected


@pytest.mark.parametrize(
    ("born", "deed", "below"),
    [
        (date(2012, 3, 3), "fill", 14),
        (date(2012, 3, 2), "fill", None),
        (date(2012, 3, 2), "submit", 18),
        (date(2008, 3, 3), "submit", 18),
        (date(2008, 3, 2), "submit", None),
        (date(2020, 1, 1), "read", None),
        (None, "submit", None),
    ],
)
def test_ages_close_what_a_guardian_does(born, deed, below):
    """R-055: the birthday itself is the first day of the new age."""
    rule = rules.too_young(born, deed, NOW.date(), rules.ages())
    assert (rule.below if rule else None) == below


def test_a_birth_date_is_read_from_numbers_that_hold_one():
    assert rules.born_on("citizen_id", "990102202511180465") == date(2025, 11, 18)
    assert rules.born_on("uscc", "91990103MA9T00018D") is None
    assert rules.born_on("citizen_id", "990102202513180465") is None


def test_every_row_of_law_says_source_date_and_confidence():
    for rule in (*rules.kinds().values(), *rules.ages()):
        assert rule.source
        assert rule.confidence
        assert rule.date.year >= 2020
    assert set(rules.kinds()) == set(get_args(MandateKind))
