"""How values read: days and money in words, person numbers never in full."""

from datetime import UTC, date, datetime

import pytest

from onestop.web import words


def test_a_day_reads_in_the_reader_s_language() -> None:
    assert words.day(date(2026, 3, 2), "zh") == "2026年3月2日"
    assert words.day(date(2026, 3, 2), "en") == "2 March 2026"


def test_an_instant_is_told_in_china_standard_time() -> None:
    assert words.instant(datetime(2026, 3, 2, 16, 5, tzinfo=UTC), "zh") == "2026年3月3日 00:05"
    assert words.instant("2026-03-02T16:05:00Z", "en") == "3 March 2026, 00:05"


def test_what_is_no_instant_is_shown_as_it_came() -> None:
    assert words.instant("不详", "zh") == "不详"
    assert words.instant(None, "zh") == ""


def test_days_inside_a_sentence_are_put_into_words_and_impossible_ones_left() -> None:
    assert words.days_in("请在2026-03-02前补正。", "zh") == "请在2026年3月2日前补正。"
    assert words.days_in("ref 2026-13-45", "en") == "ref 2026-13-45"


def test_an_age_is_told_in_its_largest_unit_and_a_fresh_answer_has_none() -> None:
    assert words.age(59, "en") == ""
    assert words.age(7_300, "en") == "2 h old"
    assert words.age(200_000, "zh") == "2 天前的数据"


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("balance_fen", 8_642_150, "¥86,421.50"),
        ("settled_fen", -31_240, "-¥312.40"),
        ("mortgaged", True, "是"),
        ("last_paid_month", "2025-11", "2025年11月"),
        ("paid_through", "202511", "2025年11月"),
        ("born_on", "2025-11-18", "2025年11月18日"),
        ("status", "paying", "缴存中"),
        ("status", "a word nobody knows", "a word nobody knows"),
    ],
)
def test_a_value_reads_as_its_name_says(name: str, given: object, shown: str) -> None:
    assert words.value(name, given, "zh") == shown


@pytest.mark.parametrize("name", ["id_number", "spouse_id", "student_id", "remark", "anything"])
def test_a_person_number_is_masked_under_every_name(name: str) -> None:
    assert "990102199203140221" not in words.value(name, "990102199203140221", "zh")


def test_a_number_inside_a_sentence_is_masked_and_a_social_credit_code_is_not() -> None:
    assert words.masked("号码 990102199203140221 有误") == "号码 9901********0221 有误"
    assert words.masked("91990103MA9T00018D") == "91990103MA9T00018D"
