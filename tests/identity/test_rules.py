import random
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.identity import errors, rules
from onestop.identity.models import Label, Provider

LIN = "990102199203140221"
STRANGER = Provider(
    name="p",
    issuer="https://p.test",
    client_id="c",
    client_secret="s",
    level=1,
    levels={"face": 2},
    label=Label("", ""),
)
STAFFED = Provider(
    name="s", issuer="https://s.test", client_id="c", client_secret="s", roles=("citizen", "clerk"), label=Label("", "")
)


def check_character(first: str) -> str:
    # Written out from GB 11643 here, so that the library under the rule is checked by something else.
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return "10X98765432"[sum(int(d) * w for d, w in zip(first, weights, strict=True)) % 11]


def number(area: str, born: date, serial: int) -> str:
    first = f"{area}{born:%Y%m%d}{serial:03d}"
    return first + check_character(first)


def test_ten_thousand_valid_numbers_of_real_areas_are_refused_in_the_sandbox_and_taken_in_production():
    draw = random.Random(11643)
    provinces = [*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66)]
    for _ in range(10_000):
        area = f"{draw.choice(provinces)}{draw.randint(1, 70):02d}{draw.randint(1, 80):02d}"
        real = number(area, date(1930, 1, 1) + timedelta(days=draw.randint(0, 34_000)), draw.randint(1, 999))
        for profile in ("sandbox", "demo"):
            assert rules.number_fault(real, profile) == "sandbox.real_identity"
        assert rules.check_number(real, "production") == real


@given(st.integers(0, 9999), st.dates(date(1900, 1, 1), date(2024, 12, 31)), st.integers(1, 999))
def test_every_valid_number_of_area_99_is_taken_in_the_demo_and_refused_in_production(area, born, serial):
    invented = number(f"99{area:04d}", born, serial)
    assert rules.check_number(invented, "demo") == invented
    assert rules.number_fault(invented, "production") == "identity.fictional_number"


@given(st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(position, shift):
    changed = LIN[:position] + str((int(LIN[position]) + shift) % 10) + LIN[position + 1 :]
    assert rules.number_fault(changed, "demo") in ("identity.bad_checksum", "sandbox.real_identity")
    assert rules.number_fault(changed, "production") is not None


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
    assert rules.number_fault(text, "demo") == code


@pytest.mark.parametrize(
    "text", [" 990102 19920314 0221 ", "９９０１０２１９９２０３１４０２２１", "990102-19920314-0221"]
)
def test_a_number_may_be_typed_with_gaps_or_full_width(text):
    assert rules.check_number(text, "demo") == LIN


def test_a_small_x_becomes_large():
    assert rules.check_number("11010519491231002x", "production") == "11010519491231002X"


def test_kinds_of_numbers_are_told_apart_by_their_first_digits():
    assert rules.number_type("11010519491231002X") == "citizen_id"
    assert rules.number_type("810000199001010019") == "hmt_permit"
    assert rules.number_type("911156200101010013") == "foreigner_card"
    assert rules.number_type(LIN) == "citizen_id"
    assert rules.check_number("911156200101010013", "production")
    with pytest.raises(errors.UnknownRegion):
        rules.check_number(number("170101", date(1990, 1, 1), 5), "production")


def test_an_organisation_of_area_99_is_taken_and_a_real_one_refused_in_the_demo():
    assert rules.check_organisation("91990103MA9T00018D", "demo") == "91990103MA9T00018D"
    with pytest.raises(errors.RealIdentity):
        rules.check_organisation("91350100M000100Y43", "demo")
    with pytest.raises(errors.BadChecksum):
        rules.check_organisation("91990103MA9T00019D", "demo")
    with pytest.raises(errors.FictionalNumber):
        rules.check_organisation("91990103MA9T00018D", "production")


def test_a_masked_number_shows_eight_characters():
    assert rules.mask_number(LIN) == "9901********0221"
    assert rules.mask_number("12345") == "********"


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.test/",
        "//evil.test/",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/a\\..\\b",
        "javascript:alert(1)",
        "evil.test",
        "/a\tb",
        "/\t/evil.test",
        "/a\r\nset-cookie: x",
        " /a",
        "/" + "a" * 512,
        "/\x00",
        "http:/evil.test",
    ],
)
def test_no_way_back_leads_to_another_host(text):
    with pytest.raises(errors.BadReturn):
        rules.local_path(text)


@pytest.mark.parametrize("text", ["/", "/cases/case_1?tab=2#here", "/我的"])
def test_a_page_of_onestop_is_a_way_back(text):
    assert rules.local_path(text) == text


def test_without_a_way_back_home_is_it():
    assert rules.local_path(None) == rules.local_path("") == "/"


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"code=a",
        b"state=s",
        b"code=a&error=b&state=s",
        b"code=a&code=b&state=s",
        b"code=a&state=s&state=t",
        b"code=&state=s",
        b"code=a&state=",
        b"code=a&state=s&" + b"&".join(b"p%d=1" % n for n in range(30)),
        b"code=" + b"a" * 9000 + b"&state=s",
        b"code=\xff&state=s",
    ],
)
def test_an_answer_with_parameters_missing_or_doubled_is_refused(query):
    with pytest.raises(errors.BadCallback):
        rules.read_callback(query)


def test_a_stranger_provider_makes_nobody_a_clerk():
    who = rules.identify(STRANGER, {"sub": "1", "role": "operator", "department": "gongan"}, "demo")
    assert (who.role, who.department, who.number_type) == ("citizen", None, "account")


def test_a_provider_gives_only_the_roles_it_may():
    who = rules.identify(STAFFED, {"sub": "1", "role": "clerk", "department": "zwfw"}, "demo")
    assert (who.role, who.department) == ("clerk", "zwfw")
    with pytest.raises(errors.SignInRefused):
        rules.identify(STAFFED, {"sub": "1", "role": "operator"}, "demo")


def test_levels_come_from_the_acr_the_provider_is_known_for():
    assert rules.identify(STRANGER, {"sub": "1", "acr": "face"}, "demo").level == 2
    assert rules.identify(STRANGER, {"sub": "1", "acr": "made up"}, "demo").level == 1


@pytest.mark.parametrize(
    "claims",
    [{"sub": 1}, {}, {"sub": "1", "id_number": "x"}, {"sub": "1", "name": 7}, {"sub": "1", "department": "../"}],
)
def test_unreadable_claims_let_nobody_in(claims):
    with pytest.raises(errors.SignInRefused):
        rules.identify(STAFFED, claims, "demo")


def test_one_person_in_two_roles_is_two_principals():
    assert len({rules.principal("sub_1", "citizen", None), rules.principal("sub_1", "clerk", "zwfw")}) == 2


def test_every_refusal_of_the_room_is_told_in_both_languages():
    from onestop.errors import OnestopError
    from onestop.texts import has

    codes = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, OnestopError)}
    room = {code for code in codes if code.startswith(("identity.", "sandbox."))}
    assert len(room) >= 19
    missing = [f"problem.{c}.{part}" for c in room for part in ("title", "detail", "cause", "fix")]
    assert [key for key in missing if not has(key)] == []
    numbers = {kind.code for kind in errors.BadNumber.__subclasses__()}
    assert [code for code in numbers if not has(f"field.{code}")] == []
