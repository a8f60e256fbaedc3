import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.gateway.manifest import BadManifest
from onestop.gateway.mapping.language import MappingFailed, expression, masked, tree
from onestop.gateway.mapping.templates import template

CODES = {"relation": {"01": "self", "02": "spouse"}}


@pytest.mark.parametrize(
    ("source", "value", "wanted"),
    [
        ("data.name", {"data": {"name": "林"}}, "林"),
        ("data.name", {"data": None}, None),
        ("items.1.n", {"items": [{"n": 1}, {"n": 2}]}, 2),
        ("items.0.n", {"items": {"n": 1}}, 1),
        ("items.5.n", {"items": []}, None),
        ("'fixed'", {}, "fixed"),
        ("rel | code(relation)", {"rel": "02"}, "spouse"),
        ("rel | code(relation)", {"rel": "77"}, "77"),
        ("yuan | fen", {"yuan": "1234.56"}, 123456),
        ("yuan | fen", {"yuan": 0.1}, 10),
        ("d | date(%Y%m%d)", {"d": "20260302"}, "2026-03-02"),
        ("t | instant(%Y%m%d%H%M%S)", {"t": "20260302080000"}, "2026-03-02T08:00:00+08:00"),
        ("t | instant", {"t": "2026-03-02T08:00:00Z"}, "2026-03-02T08:00:00+00:00"),
        ("d | day(%Y%m%d)", {"d": "2026-03-02"}, "20260302"),
        ("f | yes(Y,1)", {"f": 1}, True),
        ("f | yes(Y,1)", {"f": "N"}, False),
        ("j | json", {"j": '{"a":1}'}, {"a": 1}),
        ("x | default('none')", {}, "none"),
        ("n | mask", {"n": "990102199203140221"}, "9901********0221"),
        ("l | join(、)", {"l": ["a", "b"]}, "a、b"),
        ("l | first | text", {"l": [7]}, "7"),
        ("b | b64 | unb64", {"b": "云"}, "云"),
        ("s | cut(0,6)", {"s": "990102199203140221"}, "990102"),
    ],
)
def test_an_expression_reads_what_it_says(source, value, wanted):
    assert expression(source, CODES)(value) == wanted


@pytest.mark.parametrize("source", ["a | nothing", "a | code(missing)", "a b", "", "x" * 201, "a" + " | text" * 9])
def test_what_cannot_be_compiled_is_refused_at_once(source):
    with pytest.raises(BadManifest):
        expression(source, CODES)


def test_a_value_of_the_wrong_form_is_named_without_its_content():
    with pytest.raises(MappingFailed) as failed:
        expression("d | date(%Y%m%d)")({"d": "secret value"})
    assert "secret" not in str(failed.value)
    assert "text of 12 characters" in str(failed.value)


def test_a_path_may_be_in_any_script():
    root = {"姓名": "林晓舟", "地址": {"街道": "书院路"}}
    assert expression("姓名")(root) == "林晓舟"
    assert tree({"street": "地址.街道", "name": "姓名"})(root) == {"street": "书院路", "name": "林晓舟"}


def test_a_list_of_one_in_xml_is_still_a_list():
    get = tree({"members": {"each": "m", "fields": {"name": "n"}}})
    assert get({"m": {"n": "a"}}) == {"members": [{"name": "a"}]}
    assert get({"m": [{"n": "a"}, {"n": "b"}]}) == {"members": [{"name": "a"}, {"name": "b"}]}
    assert get({}) == {"members": []}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=20,
)


@given(json_values, st.sampled_from(["a.b.c", "a.0.b", ".", "a | text", "a | count", "a | first", "a | mask | upper"]))
def test_no_value_makes_a_path_raise(value, source):
    expression(source)(value)


@given(
    json_values,
    st.sampled_from(["a | int", "a | fen", "a | date", "a | instant", "a | json", "a | unb64", "a | join(,)"]),
)
def test_a_conversion_gives_a_value_or_says_what_it_needs(value, source):
    try:
        expression(source)(value)
    except MappingFailed as failed:
        said = str(failed)
    else:
        said = source
    assert source in said


def test_person_numbers_are_masked_at_any_depth_and_nothing_else():
    value = {"id_number": "990102199203140221", "name": "林", "members": [{"id_number": "990102199008210351", "n": 1}]}
    assert masked(value, frozenset({"id_number"})) == {
        "id_number": "9901********0221",
        "name": "林",
        "members": [{"id_number": "9901********0351", "n": 1}],
    }


@given(st.text(max_size=40))
def test_no_value_breaks_out_of_an_xml_template(text):
    filled = template("<a>{{ v }}</a>")({"v": text})
    assert filled.count("<") == 2
    assert filled.startswith("<a>")
    assert filled.endswith("</a>")


@given(st.text(max_size=20), st.integers())
def test_a_member_of_a_table_may_have_any_name_and_keeps_its_place(name, value):
    convert = tree({"before": "b | text", name: "a", "after": "a"})
    assert list(convert({"a": value}).items()) == list({"before": None, name: value, "after": value}.items())
    assert convert(value) == dict.fromkeys(["before", name, "after"])
