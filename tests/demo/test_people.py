"""The demo world is what it says: right check digits, invented areas, thirteen departments, facts for everybody."""

import pytest
from stdnum.cn import ric, uscc

from onestop.demo import people

GIVEN = {
    "林晓舟": "990102199203140221",
    "周启明": "990102199008210351",
    "周沐禾": "990102202511180465",
    "王秀英": "990103195311020241",
    "陈立": "990103198506300175",
    "赵婉": "990202199801190283",
    "迪丽努尔·艾力": "990121199505050626",
    "欧阳致远": "990102197912120515",
    "沈𬭚": "990121200104070736",
}


def everybody_named() -> list[str]:
    """Return every identity number anywhere in the world's files."""
    numbers = [p.id_number for p in people.people()]
    for person in people.people():
        if person.facts.household:
            numbers += [m.id_number for m in person.facts.household.members]
        numbers += [ward.id_number for ward in person.facts.wards]
        numbers += [study.student_id for study in person.facts.studies or ()]
    return sorted(set(numbers))


def test_the_named_people_have_their_numbers():
    assert {p.name: p.id_number for p in people.people() if not p.key.isdigit()} == GIVEN


@pytest.mark.parametrize("number", everybody_named())
def test_every_identity_number_has_the_right_check_character_in_an_unassigned_area(number):
    assert ric.calc_check_digit(number) == number[17] == people.check_character(number[:17])
    assert number.startswith("99")


def test_birth_dates_and_sexes_agree_with_the_numbers():
    for person in people.people():
        assert person.id_number[6:14] == f"{person.born_on:%Y%m%d}"
        assert (int(person.id_number[16]) % 2 == 1) == (person.sex == "male"), person.name


def test_a_number_with_a_wrong_check_character_is_no_number():
    assert people.is_id_number("990102199203140221")
    assert not people.is_id_number("990102199203140222")
    assert not people.is_id_number("99010219920314022")
    assert not people.is_id_number("９90102199203140221")


def test_every_organisation_code_is_valid():
    codes = [o.uscc for o in people.organisations()] + [d.uscc for d in people.departments()]
    businesses = [b.uscc for p in people.people() for b in p.facts.businesses or ()]
    assert len(set(codes)) == 17
    assert all(uscc.is_valid(code) for code in codes + businesses)


def test_eleven_trigger_people_cover_every_behaviour_once():
    triggers = [p for p in people.people() if p.behaviour is not people.Behaviour.NORMAL]
    assert [p.key for p in triggers] == [str(n) for n in range(901, 912)]
    assert {p.behaviour for p in triggers} == set(people.Behaviour) - {people.Behaviour.NORMAL}


def test_thirteen_departments_stand_at_their_ports_and_one_has_no_system():
    assert [d.port_offset for d in people.departments()] == [*range(11, 23), None]
    assert people.departments()[-1].id == "zwfw"


def test_a_spouse_is_the_other_ones_spouse():
    lin, zhou = people.person("lin"), people.person("zhou")
    assert lin.facts.marriage
    assert zhou.facts.marriage
    assert (lin.facts.marriage.spouse_id, zhou.facts.marriage.spouse_id) == (zhou.id_number, lin.id_number)


def test_phones_and_mail_reach_nobody():
    for person in people.people():
        assert person.phone is None or (person.phone.startswith("154000000") and len(person.phone) == 11)
        assert person.mail is None or person.mail.endswith("@example.com")
