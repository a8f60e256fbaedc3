"""The form between the page and the case room: only what was changed is sent, and nothing typed is lost."""

from onestop.cases.views import AnswerView
from onestop.errors import FieldError
from onestop.items.models import Item
from onestop.items.service import load
from onestop.web import form

BIRTH: Item = load().get("birth").spec


def answers() -> dict[str, dict[str, AnswerView]]:
    """A form as a case shows it: the mother from a department, the rest open or typed."""
    police = {"source": "公安局", "as_of": "2026-03-01T08:00:00Z", "basis": "《户口登记条例》"}
    typed = {"source": "申请人", "as_of": None, "basis": None}
    return {
        "mother": {
            "name": AnswerView("林晓舟", "母亲姓名", editable=False, **police),  # type: ignore[arg-type]
            "id_number": AnswerView("9901********0221", "母亲公民身份号码", editable=False, **police),  # type: ignore[arg-type]
            "insured": AnswerView(None, "母亲已参加职工医保", editable=True, required=True),
        },
        "father": {
            "name": AnswerView("周启明", "父亲姓名", editable=True, **police),  # type: ignore[arg-type]
            "id_number": AnswerView("9901********0351", "父亲公民身份号码", editable=True, **police),  # type: ignore[arg-type]
        },
        "baby": {
            "name": AnswerView("周沐禾", "孩子姓名", editable=True, **typed),  # type: ignore[arg-type]
            "weight_g": AnswerView(None, "出生体重", editable=True, required=False),
        },
        "contact": {"phone": AnswerView(None, "联系电话", editable=True, required=True)},
    }


def test_only_values_that_differ_are_given() -> None:
    typed = {"father.name": "周启明", "baby.name": " 周禾 ", "contact.phone": ""}
    assert form.read(BIRTH, answers(), typed) == {"baby": {"name": "周禾"}}


def test_what_an_authority_vouches_for_is_not_read_from_the_page() -> None:
    assert form.read(BIRTH, answers(), {"mother.name": "别人", "mother.id_number": "990103198506300175"}) == {}


def test_a_number_left_empty_stays_and_an_emptied_text_is_taken_back() -> None:
    given = form.read(BIRTH, answers(), {"father.id_number": "", "baby.name": ""})
    assert given == {"baby": {"name": None}}


def test_yes_no_and_whole_numbers_become_values_and_nonsense_is_left_to_the_case_room() -> None:
    assert form.read(BIRTH, answers(), {"mother.insured": "yes", "baby.weight_g": "3240"}) == {
        "mother": {"insured": True},
        "baby": {"weight_g": 3240},
    }
    assert form.read(BIRTH, answers(), {"baby.weight_g": "heavy"}) == {"baby": {"weight_g": "heavy"}}


def test_a_person_number_is_never_put_back_into_an_input() -> None:
    rows = [row for section in form.sections(BIRTH, answers(), "zh") for row in section.rows]
    numbers = [row for row in rows if row.type == "id_number"]
    assert numbers
    assert all(row.typed == "" for row in numbers)


def test_what_was_typed_stands_before_what_is_saved() -> None:
    sections = form.sections(BIRTH, answers(), "zh", typed={"baby.name": "周小禾", "father.id_number": "12"})
    typed = {row.code: row.typed for section in sections for row in section.rows}
    assert typed["baby.name"] == "周小禾"
    assert typed["father.id_number"] == "12"
    assert typed["father.name"] == "周启明"


def test_values_of_one_source_are_told_with_it_once() -> None:
    mother = form.sections(BIRTH, answers(), "zh")[0]
    assert [(known.source, [row.code for row in known.rows]) for known in mother.known] == [
        ("公安局", ["mother.name", "mother.id_number"])
    ]
    assert [row.code for row in mother.asked] == ["mother.insured"]


def test_a_complaint_finds_its_field_and_the_summary_follows_the_form_s_order() -> None:
    errors = form.complaints(
        [
            FieldError(pointer="/answers/contact/phone", code="form.bad_phone"),
            FieldError(pointer="/answers/baby/name", code="form.required"),
        ],
        "en",
    )
    slips = form.slips(form.sections(BIRTH, answers(), "en", errors=errors), "en")
    assert [slip.id for slip in slips] == ["baby-name", "contact-phone"]


def test_a_missing_value_that_was_just_typed_is_not_called_missing() -> None:
    assert set(form.missing(BIRTH, answers(), "zh")) == {"mother.insured", "contact.phone"}
    assert set(form.missing(BIRTH, answers(), "zh", {"contact.phone": "15400000001"})) == {"mother.insured"}


def test_a_correction_shows_only_the_values_its_step_uses() -> None:
    sections = form.sections(BIRTH, answers(), "zh", only=["baby.name"])
    assert [row.code for section in sections for row in section.rows] == ["baby.name"]
