"""Chinese and Latin text share one grid."""

from onestop.cli import widths


def test_a_chinese_character_takes_two_places():
    assert widths.width("林晓舟 lin") == 10
    assert widths.width("沈𬭚") == 4


def test_what_is_cut_still_fits():
    for places in range(2, 12):
        assert widths.width(widths.cut("公安局 police 登记", places)) <= places
    assert widths.cut("公安局", 6) == "公安局"


def test_no_line_of_a_table_is_wider_than_the_terminal():
    rows = [("gongan", "云溪市公安局", "出生登记" * 20), ("x", "y", "z")]
    lines = widths.table(("a", "b", "c"), rows, 80)
    assert max(map(widths.width, lines)) <= 80
    assert lines[2].index("y") > lines[2].index("x")


def test_columns_line_up_whatever_the_script():
    lines = widths.table(("名", "n"), [("林晓舟", "1"), ("lin", "2")], 80)
    assert [widths.width(line[: line.index(mark)]) for line, mark in zip(lines, ("n", "1", "2"), strict=True)] == [
        8
    ] * 3


def test_wrapping_loses_nothing_and_breaks_chinese_where_there_is_no_space():
    text = "把应交给部门的事项送出，记下部门的答复（见 docs/cli.md）。"
    lines = widths.wrap(text, 20)
    assert max(map(widths.width, lines)) <= 22  # a closing mark may hang over
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_word_is_not_broken():
    assert widths.wrap("one two three", 7) == ["one two", "three"]
