"""Each kind of number: what is taken, and what is wrong with what is not."""

import random
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.identity import errors, numbers

LIN = "990102199203140221"
AREAS = (
    "110105", "120103", "130102", "140105", "150102", "210102", "220102", "230103", "310101", "320102", "330106",
    "340104", "350102", "360102", "370102", "410102", "420106", "430102", "440106", "450103", "460105", "500103",
    "510104", "520102", "530102", "540102", "610102", "620102", "630102", "640104", "650102",
)  # fmt: skip


def check_character(first: str) -> str:
    # Written out from GB 11643 here, so that the library under the rule is checked by something else.
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(int(d) * w for d, w in zip(first, weights, strict=True)) % 11]


def number(area: str, born: date, serial: int) -> str:
    first = f"{area}{born:%Y%m%d}{serial:03d}"
    return first + check_character(first)


def test_ten_thousand_valid_numbers_of_real_areas_are_refused_in_the_sandbox_and_taken_in_production():
    draw = random.Random(11643)
    for _ in range(10_000):
        real = number(
            draw.choice(AREAS), date(1930, 1, 1) + timedelta(days=draw.randint(0, 34_000)), draw.randint(1, 999)
        )
        for profile in ("sandbox", "demo"):
            assert numbers.number_fault(real, profile) == "sandbox.real_identity"
        assert numbers.check_number(real, "production") == real


@given(st.integers(0, 9999), st.dates(date(1900, 1, 1), date(2024, 12, 31)), st.integers(1, 999))
def test_every_valid_number_of_area_99_is_taken_in_the_demo_and_refused_in_production(area, born, serial):
    invented = number(f"99{area:04d}", born, serial)
    assert numbers.check_number(invented, "demo") == invented
    assert numbers.number_fault(invented, "production") == "identity.fictional_number"


@given(st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(position, shift):
    changed = LIN[:position] + str((int(LIN[position]) + shift) % 10) + LIN[position + 1 :]
    assert numbers.number_fault(changed, "demo") in ("identity.bad_checksum", "sandbox.real_identity")
    assert numbers.number_fault(changed, "production") is not None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "identity.bad_shape"),
        ("99010219920314022", "identity.bad_shape"),
        ("9901021992031402211", "identity.bad_shape"),
        ("99010219920314022A", "identity.bad_shape"),
        ("٩٩٠١٠٢١٩٩٢٠٣١٤٠٢٢١", "identity.bad_shape"),  # other alphabets' digits are no digits here
        ("990102199203140222", "identity.bad_checksum"),
        (number("990102", date(2999, 1, 1), 22), "identity.bad_birth_date"),
        (number("990102", date(1799, 1, 1), 22), "identity.bad_birth_date"),
        ("99010219921314" + "022" + check_character("99010219921314022"), "identity.bad_birth_date"),
        ("11010519491231002X", "sandbox.real_identity"),
        ("110105194912310021", "sandbox.real_identity"),  # a real number mistyped is not helped to be right
    ],
)
def test_what_is_wrong_with_a_number_is_named(text, code):
    assert numbers.number_fault(text, "demo") == code


@pytest.mark.parametrize(
    "text", [" 990102 19920314 0221 ", "９９０１０２１９９２０３１４０２２１", "990102-19920314-0221"]
)
def test_a_number_may_be_typed_with_gaps_or_full_width(text):
    assert numbers.check_number(text, "demo") == LIN


def test_a_small_x_becomes_large():
    assert numbers.check_number("11010519491231002x", "production") == "11010519491231002X"


def test_kinds_of_numbers_are_told_apart_by_their_first_digits():
    kinds = {
        "11010519491231002X": "citizen_id",
        LIN: "citizen_id",
        "810000199001010019": "hmt_permit",
        "820000199001010010": "hmt_permit",
        "830000199001010012": "hmt_permit",
        "911156200101010013": "foreigner_card",
        "XXA310199001011": "foreigner_card_old",
    }
    for text, kind in kinds.items():
        assert numbers.number_type(text) == kind


def test_an_organisation_of_area_99_is_taken_and_a_real_one_refused_in_the_demo():
    assert numbers.check_organisation("91990103MA9T00018D", "demo") == "91990103MA9T00018D"
    with pytest.raises(errors.RealIdentity):
        numbers.check_organisation("91350100M000100Y43", "demo")
    with pytest.raises(errors.BadChecksum):
        numbers.check_organisation("91990103MA9T00019D", "demo")
    with pytest.raises(errors.FictionalNumber):
        numbers.check_organisation("91990103MA9T00018D", "production")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("citizen_id", "11010519491231002X"),
        ("citizen_id", "440524188001010014"),  # 440524 was abolished in 1993
        ("foreigner_card", "911156200101010013"),
        ("foreigner_card_old", "CHN310199001011"),
        ("hmt_permit", "810000199001010019"),
        ("hmt_permit", "820000199001010010"),
        ("hmt_permit", "830000199001010012"),
        ("uscc", "91350100M000100Y43"),
        ("uscc", "11440100007482575H"),
        ("uscc", "11110000000021135M"),
        ("staff", "zwfw:0042"),
        ("machine", "gongan:household-2"),
        ("account", "https://idp.test 42"),
    ],
)
def test_the_published_numbers_of_every_kind_are_taken(kind, text):
    assert numbers.check_kind(kind, text, "production") == text


@pytest.mark.parametrize(
    ("kind", "text", "fault"),
    [
        ("citizen_id", "110105491231002", errors.LegacyNumber),
        ("citizen_id", number("170101", date(1990, 1, 1), 5), errors.UnknownRegion),
        ("citizen_id", number("119901", date(1990, 1, 1), 5), errors.UnknownRegion),
        ("citizen_id", number("440524", date(1996, 1, 1), 5), errors.DivisionAbolished),
        ("citizen_id", "810000199001010019", errors.WrongKind),
        ("citizen_id", "911156200101010013", errors.WrongKind),
        ("hmt_permit", "11010519491231002X", errors.WrongKind),
        ("hmt_permit", number("810101", date(1990, 1, 1), 1), errors.UnknownRegion),
        ("foreigner_card", number("917156", date(2001, 1, 1), 1), errors.UnknownRegion),
        ("foreigner_card", "911156200101010014", errors.BadChecksum),
        ("foreigner_card", "CHN310199001011", errors.WrongKind),
        ("foreigner_card_old", "CH3101990010111", errors.BadShape),
        ("foreigner_card_old", "XXA310199001011", errors.FictionalNumber),
        ("uscc", "91350100M000100Y44", errors.BadChecksum),
        ("uscc", "91350100I000100Y43", errors.BadShape),
        ("uscc", "11010519491231002X", errors.BadChecksum),
        ("staff", "0042", errors.BadStaffNumber),
        ("machine", "gongan:", errors.BadStaffNumber),
    ],
)
def test_a_wrong_number_of_every_kind_is_named_by_what_is_wrong(kind, text, fault):
    with pytest.raises(fault) as raised:
        numbers.check_kind(kind, text, "production")
    assert type(raised.value) is fault


def test_an_old_card_of_a_country_nobody_has_is_the_demos_and_another_is_not():
    assert numbers.check_kind("foreigner_card_old", "xxa 310199001011", "demo") == "XXA310199001011"
    with pytest.raises(errors.RealIdentity):
        numbers.check_kind("foreigner_card_old", "CHN310199001011", "demo")


def test_a_division_is_good_from_the_first_holder_to_the_last_and_not_before_it_exists():
    # 110119 (Yanqing) became a district in 2015; 110103 (Chongwen) was one until 2010.
    young, old = number("110119", date(1990, 1, 1), 5), number("110103", date(2010, 1, 1), 5)
    assert numbers.check_number(young, "production", date(2016, 1, 1)) == young
    with pytest.raises(errors.DivisionAbolished):
        numbers.check_number(young, "production", date(2013, 1, 1))
    assert numbers.check_number(old, "production") == old
    with pytest.raises(errors.DivisionAbolished):
        numbers.check_number(number("110103", date(2012, 1, 1), 5), "production")


def test_a_county_that_is_on_no_list_is_taken_where_its_prefecture_is():
    assert numbers.check_number(number("110199", date(1990, 1, 1), 5), "production")
    assert numbers.check_number(number("710199", date(1990, 1, 1), 5), "production")


def test_the_code_inside_a_credit_code_is_a_doubt_and_no_refusal():
    assert numbers.organisation_code_fits("11440100007482575H")
    assert numbers.organisation_code_fits("11110000000021135M")
    assert numbers.organisation_code_fits("91350100M000100Y43")
    assert not numbers.organisation_code_fits("91990103MA9T00028D")


@given(st.text(max_size=24))
def test_any_text_is_a_number_or_named_as_none(text):
    for kind in ("citizen_id", "hmt_permit", "foreigner_card", "foreigner_card_old", "uscc", "staff"):
        try:
            kept = numbers.check_kind(kind, text, "production")
        except errors.BadNumber:
            continue
        assert numbers.check_kind(kind, kept, "production") == kept


@given(st.integers(0, 30), st.dates(date(1984, 1, 1), date(2024, 12, 31)), st.integers(1, 999))
def test_no_number_is_of_two_kinds_of_person(area, born, serial):
    text = number(AREAS[area], born, serial)
    taken = []
    for kind in ("citizen_id", "hmt_permit", "foreigner_card", "foreigner_card_old"):
        try:
            numbers.check_kind(kind, text, "production")
            taken.append(kind)
        except errors.BadNumber:
            pass
    assert taken == ["citizen_id"]
