"""Cards: every state says what is the matter and who acts; an empty answer is not a silent department."""

from onestop.gateway.models import Part, PartProblem, Source
from onestop.web import affairs

SOURCE = Source(adapter="gongan", department="公安局", system="人口信息系统", version="1.0.0")


def part(**given: object) -> Part:
    return Part(**{"want": "household", "state": "ok", "source": SOURCE, "took_ms": 12.4, **given})  # type: ignore[arg-type]


def test_a_card_says_who_said_it_and_as_of_when() -> None:
    card = affairs.card(part(as_of="2026-03-01T08:00:00Z", data={"household_no": "990102003107"}), "zh")
    assert (card.title, card.department, card.as_of) == ("户籍", "公安局", "2026年3月1日 16:00")
    assert card.values == [("户号", "990102003107")]


def test_records_inside_a_record_are_listed_with_their_numbers_masked() -> None:
    data = {"members": [{"id_number": "990102199008210351", "name": "周启明", "relation": "head"}]}
    card = affairs.card(part(data=data), "zh")
    assert card.groups[0].label == "家庭成员"
    assert ("公民身份号码", "9901********0351") in card.groups[0].entries[0]
    assert ("关系", "户主") in card.groups[0].entries[0]


def test_no_record_and_no_answer_are_two_things() -> None:
    empty = affairs.card(part(found=False, data=None), "zh")
    silent = affairs.card(
        part(
            state="unavailable",
            problem=PartProblem(code="upstream.timeout", title="超时", detail="没有答复。", who_acts="department"),
        ),
        "zh",
    )
    assert empty.none
    assert not silent.none
    assert silent.why == "没有答复。"
    assert silent.who_acts == "部门"


def test_a_number_in_a_department_s_sentence_is_masked() -> None:
    problem = PartProblem(code="upstream.refused", title="", detail="990102199203140221 不符", who_acts="department")
    assert "990102199203140221" not in affairs.card(part(state="unavailable", problem=problem), "zh").why


def test_cards_that_hold_something_come_first() -> None:
    cards = affairs.cards([part(found=False), part(want="tax", data={"status": "open"})], "zh")
    assert [card.want for card in cards] == ["tax", "household"]
