import pytest

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


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({"type": "citizen_id", "number": "810000199001010019"}, "hmt_permit"),  # many platforms' one word for all
        ({"number": "911156200101010013"}, "foreigner_card"),
        ({"type": "foreigner_card_old", "number": "CHN310199001011"}, "foreigner_card_old"),
        ({"type": "uscc", "number": "91350100M000100Y43"}, "uscc"),
        ({"type": "staff", "number": "zwfw:0042"}, "staff"),
    ],
)
def test_a_provider_tells_whose_number_it_is(told, kind):
    found = rules.identify(STAFFED, {"sub": "1", "id_number": told}, "production")
    assert (found.number_type, found.number) == (kind, told["number"])


def test_a_number_of_another_document_than_said_lets_nobody_in():
    permit = {"type": "hmt_permit", "number": "11010519491231002X"}
    with pytest.raises(errors.WrongKind):
        rules.identify(STAFFED, {"sub": "1", "id_number": permit}, "production")
    passport = {"type": "passport", "number": "E1"}
    with pytest.raises(errors.SignInRefused):
        rules.identify(STAFFED, {"sub": "1", "id_number": passport}, "production")
