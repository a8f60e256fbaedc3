"""Identifiers with their check, types that fit together, states: without anything."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from onestop.certificates import rules_licences as rules
from onestop.certificates import service_types
from onestop.certificates.errors import BadLicenceType, LicenceNotValid, LicenceTypeUnknown
from onestop.certificates.models_licences import LicenceRow
from onestop.certificates.service_licences import Standing, check_usable

TYPE, ISSUER = "11100000MB03271699001", "11440100007482575H"


@pytest.mark.parametrize(("version", "check"), [(1, "X"), (2, "V")])
def test_the_check_character_is_that_of_independent_vectors(version, check):
    made = rules.identifier(TYPE, ISSUER, "2026000001", version)
    assert made == f"1.2.156.3005.2.{TYPE}.{ISSUER}.2026000001.{version:03}.{check}"
    assert rules.is_identifier(made)


def test_every_changed_character_and_every_swap_of_neighbours_is_found():
    made = rules.identifier(TYPE, ISSUER, "2026000001", 1)
    begins = len(rules.ROOT) + 1
    for at in range(begins, len(made)):
        if made[at] == ".":
            continue
        for other in "0A9Z":
            changed = made[:at] + other + made[at + 1 :]
            assert (changed == made) == rules.is_identifier(changed), changed
        swapped = made[:at] + made[at + 1 : at + 2] + made[at] + made[at + 2 :]
        assert swapped == made or not rules.is_identifier(swapped), swapped
    for odd in ("", rules.ROOT, made + ".1", made.lower(), made.replace("1.2.156", "1.2.157")):
        assert not rules.is_identifier(odd)


def test_a_licence_is_good_on_its_last_day_and_expired_the_day_after():
    last = date(2026, 3, 2)
    assert rules.state_at("valid", last, last) == "valid"
    assert rules.state_at("valid", last, last + timedelta(days=1)) == "expired"
    assert rules.state_at("revoked", last, last + timedelta(days=1)) == "revoked"
    assert rules.state_at("valid", None, date(2999, 1, 1)) == "valid"


def test_what_ended_is_never_changed_again_and_reasons_belong_to_changes():
    for change in ("suspend", "restore", "revoke", "supersede"):
        assert rules.after(change, "revoked") is None
        assert rules.after(change, "superseded") is None
    assert rules.after("restore", "suspended") == "valid"
    assert rules.after("restore", "valid") is None
    assert not rules.may_give("restore", "penalty")
    assert rules.may_give("revoke", "penalty")


def test_a_word_is_old_one_second_after_its_time():
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert not rules.is_stale(now - timedelta(seconds=60), now, 60)
    assert rules.is_stale(now - timedelta(seconds=61), now, 60)


GOOD = (service_types.DATA / "marriage_certificate.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('code = "office"', 'code = "holder"', "what every licence has"),
        ('code = "office"', 'code = "registered_on"', "one code"),
        ('"registered_on", "office", "spouse_name"]', '"registered_on", "colour"]', "colour"),
        ("fields = { registered_on", "fields = { colour", "colour"),
        ('number = "certificate_no"', 'number = "certificate_no | nonsense"', "nonsense"),
        ("max_age_s = 86_400", "max_age_s = 1", "max_age_s"),
        ("max_age_s", "max_age", "max_age"),
        ('kind = "certificate"', 'kind = "thing"', "thing"),
        ("[source]", "[[source", "TOML"),
        (GOOD[GOOD.index("[source]") :], "", "nowhere"),
    ],
)
def test_a_type_that_does_not_fit_together_is_refused_with_the_reason(old, new, says):
    assert old in GOOD
    with pytest.raises(BadLicenceType) as refused:
        service_types.parse(GOOD.replace(old, new).encode(), "x.toml")
    assert says == "TOML" or says in str(refused.value)


def test_types_of_an_installation_stand_beside_the_shipped_ones_and_take_no_ones_place(tmp_path):
    (tmp_path / "own.toml").write_text(GOOD.replace("marriage_certificate", "own").replace('"001"', '"002"'), "utf-8")
    types = service_types.load([tmp_path])
    assert {"own", "marriage_certificate", "birth_certificate", "business_licence"} <= set(types.ready)
    with pytest.raises(LicenceTypeUnknown):
        types.get("nothing")
    (tmp_path / "own.toml").write_text(GOOD.replace("marriage_certificate", "own"), "utf-8")
    with pytest.raises(BadLicenceType):
        service_types.load([tmp_path])


def standing(state):
    row = msgspec.structs.replace(ROW, state="valid" if state in ("expired", "unknown") else state)
    return Standing(row, state, "valid" if state == "unknown" else state)


ROW = LicenceRow(
    id="lic_1", identifier="-", type="marriage_certificate", serial="1", version=1, department="minzheng",
    subject="sub_lin", case_id=None, state="valid", reason=None, body=b"", digest=b"", signature="",
    as_of=datetime(2026, 3, 2, tzinfo=UTC), asked_at=datetime(2026, 3, 2, tzinfo=UTC), valid_from=date(2026, 3, 2),
    valid_to=None, issued_at=datetime(2026, 3, 2, tzinfo=UTC), changed_at=datetime(2026, 3, 2, tzinfo=UTC),
)  # fmt: skip


NAMED = ["licence.suspended", "licence.expired", "licence.revoked", "licence.superseded"]


@pytest.mark.parametrize("state", [code.partition(".")[2] for code in NAMED])
def test_what_is_not_valid_is_neither_shown_nor_used(state):
    with pytest.raises(LicenceNotValid) as refused:
        check_usable(standing(state))
    assert refused.value.code == f"licence.{state}"
    check_usable(standing("valid"))
    check_usable(standing("unknown"))
