"""The mapping language's reference is run, its bounds hold, and whatever is written gives a value or a clear fault."""

import contextlib
import json
import re
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from onestop.gateway.manifest import BadManifest
from onestop.gateway.mapping.functions import FUNCTIONS, OF_ROOT
from onestop.gateway.mapping.language import MappingFailed, expression, path_of, tree
from onestop.gateway.mapping.templates import check_well_formed, template
from onestop.gateway.mapping.trees import nested
from onestop.gateway.mapping.values import shape

PAGE = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text("utf-8")
ROW = re.compile(r"^\| `(.+)` \| `(.+)` \| `(.+)` \|$", re.MULTILINE)
EXAMPLES = [tuple(part.replace("\\|", "|") for part in row) for row in ROW.findall(PAGE)]
CODES = {"relation": {"01": "self", "02": "spouse"}}


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("a | dat(%Y)", "did you mean date?"),
        ("a | text | instnt", "character 12"),
        ("a | code(sex)", "no [codes.sex]"),
        ("a | match([a-z]+)", "before, after, cut or where"),
        ("1a", "double quotes"),
        ("a..b", "no path"),
        ('"a', "quote is not closed"),
        ("a | cut(0,6", "bracket is not closed"),
        ("a | date(%Q)", "no form of a date"),
        ("a | instant(%Y,Mars/Olympus)", "no time zone"),
        ("a | pad(999)", "1 to 200"),
        ("a | pad(5,ab)", "one character"),
        ("a | replace(x)", "by what"),
        ("a | yes_no(1)", "two different words"),
        ("a | where", "needs a path"),
        ("a | or", "no path"),
        ("a | at(x)", "whole number"),
        ("a | number(fr)", "number(eu)"),
        ("a | before", "needs a text"),
        ("a | concat", "needs a text"),
        ("a | append(1x)", "is no path"),
        ("a | epochms", "did you mean epoch_ms?"),
        ("a | to_xml", "name of the root element"),
        ("a | to_xml(a:b)", "name of the root element"),
    ],
)
def test_a_mistake_is_named_with_its_place(source, says):
    with pytest.raises(BadManifest) as refused:
        expression(source, CODES)
    assert says in str(refused.value)


def test_a_tree_has_a_bottom():
    deep: object = "a"
    for _ in range(40):
        deep = {"x": deep}
    with pytest.raises(BadManifest):
        tree(deep)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("v | strict(relation)", "77"),
        ("v | yes_no(1,2)", "3"),
        ("v | flag(是,否)", "perhaps"),
        ("v | int", float("inf")),
        ("v | int", "9" * 30),
        ("v | number", "1,23"),
        ("v | number(eu)", "1,234.5"),
        ("v | yuan", "1.5"),
        ("v | sum", ["x"]),
        ("v | sort", [1, "a"]),
        ("v | epoch", 10**18),
        ("v | to_epoch", "yesterday"),
        ("v | partial_date", "1990-13"),
        ("v | partial_date", "1990123"),
        ("v | split", 7),
        ("v | json", "{"),
        ("v | b64json", "?"),
        ("v | xml", "<a"),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_without_its_content(source, value):
    with pytest.raises(MappingFailed) as failed:
        expression(source, CODES)({"v": value})
    assert source in str(failed.value)
    assert str(value) not in str(failed.value).replace(source, "").split(", got ")[1]


def test_a_shape_tells_no_content():
    assert shape([{"a": 1}, {"b": 2}, {}]) == "list of 3 tables"
    assert shape("林晓舟") == "text of 3 characters"
    assert shape({"name": 1, "990102199203140221": 2}) == "table of name, …"


# --- what would explode ---------------------------------------------------------------------------------------------

LAUGHS = "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><l>&b;</l>"
MANY = {"l": list(range(30_000)), "t": "a" * 1000, "s": "," * 30_000}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("t" + f" | replace(a,{'a' * 16})" * 5, "more text"),
        ("s | split", "20000 parts"),
        ("l | to_json | json", "20000 parts"),
        ("x | xml", "doctype"),
        ("d | json", "too_deep"),
        ("e | xml", "too_deep"),
    ],
)
def test_what_would_explode_is_stopped_and_says_so(source, says):
    value = MANY | {"x": LAUGHS, "d": "[" * 100 + "]" * 100, "e": "<a>" * 100 + "</a>" * 100}
    with pytest.raises(MappingFailed) as failed:
        expression(source)(value)
    assert says in str(failed.value)


def test_lists_inside_lists_are_counted_together():
    get = tree({"each": "l", "fields": {"inner": {"each": "m", "fields": {"n": "n"}}}})
    fits = {"l": [{"m": [{"n": 1}] * 90}] * 90}
    assert len(get(fits)) == 90
    assert len(get(fits)) == 90, "each mapping begins anew"
    with pytest.raises(MappingFailed) as failed:
        get({"l": [{"m": [{"n": 1}] * 200}] * 200})
    assert "20000 parts" in str(failed.value)


def test_many_records_are_all_there_or_it_is_said_that_they_are_not():
    get = tree({"each": "l", "fields": {"n": "."}})
    assert len(get({"l": list(range(5000))})) == 5000
    with pytest.raises(MappingFailed):
        get(MANY)


# --- the reference --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "source", "wanted"), EXAMPLES)
def test_the_reference_is_true(value, source, wanted):
    assert expression(source, CODES)(json.loads(value)) == json.loads(wanted)


def test_every_function_has_an_example():
    shown = {name for _, source, _ in EXAMPLES for name in re.findall(r"\| (\w+)", source)}
    assert shown == set(FUNCTIONS) | set(OF_ROOT)


def test_the_path_of_an_expression_is_known():
    assert path_of('data."a.b|c".0 | first') == ["data", "a.b|c", "0"]
    assert path_of("'x' | text") is None
    assert path_of(".") == []


# --- general truths -------------------------------------------------------------------------------------------------

names = sorted(set(FUNCTIONS) | set(OF_ROOT))
arguments = st.sampled_from(
    [
        "",
        "()",
        "(0,6)",
        "(a)",
        "(a,b)",
        "('x','y')",
        "(relation)",
        "(%Y%m%d)",
        "(%Y-%m-%d,UTC)",
        "(5)",
        "(ms)",
        "(-1)",
        "(eu)",
    ]
)
written = st.builds(
    lambda head, calls: " | ".join([head, *(name + argument for name, argument in calls)]),
    st.sampled_from(["a", "a.0", "a.-1.b", ".", "'x'", '"a"."b"', "a@b", "c"]),
    st.lists(st.tuples(st.sampled_from(names), arguments), max_size=8),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(
        ["20260302", "2026-03-02T08:00:00Z", "1,234.5", '{"a": 1}', "<a b='c'>d</a>", "5LqR", "是", "01"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=20,
)  # fmt: skip


@given(written | st.text(max_size=210), json_values)
def test_any_expression_on_any_value_gives_a_value_or_says_what_is_wrong(source, value):
    made = None
    began = time.process_time()
    with contextlib.suppress(BadManifest, MappingFailed):
        made = expression(source, CODES)(value)
    assert time.process_time() - began < 1
    assert json.dumps(made)


def nested_in(wrap, levels):
    value: object = "x"
    for _ in range(levels):
        value = wrap(value)
    return value


WILD = {
    "a number of thousands of digits": 10**5000,
    "such a number in a list": [10**5000],
    "half a character": "\ud800",
    "half a character in a list": ["\ud800"],
    "half a character as a name": {"\ud800": 1},
    "more than 64 bits": [2**70],
    "no number": [float("nan"), float("inf")],
    "lists in lists": nested_in(lambda inner: [inner], 5000),
    "tables in tables": nested_in(lambda inner: {"a": inner}, 5000),
}


@pytest.mark.parametrize("value", WILD.values(), ids=WILD)
def test_what_no_reply_can_hold_is_refused_or_passed_on_by_every_function(value):
    for name in names:
        for argument in ("", "(a)", "('x','y')", "(relation)", "(5)", "(.)"):
            with contextlib.suppress(BadManifest, MappingFailed):
                expression(f". | {name}{argument}", CODES)(value)
    with contextlib.suppress(MappingFailed):
        template("<a>{{ . }}</a>")(value)


def test_nothing_of_the_schema_instance_gets_into_a_value():
    text = (
        '<r xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="urn:r" xsi:schemaLocation="urn:r r" id="7">'
        '<a xsi:nil="true"/><b xsi:type="t" unit="m">2</b></r>'
    )
    assert expression(". | xml")(text) == {"@id": "7", "a": "", "b": "2", "b@unit": "m"}


@given(st.dates(date(1000, 1, 1)), st.sampled_from(["%Y%m%d", "%d.%m.%Y", "%Y年%m月%d日", "%Y/%m/%d"]))
def test_a_day_survives_the_way_there_and_back(day, form):
    theirs = expression(f"v | day({form})")({"v": day.isoformat()})
    assert expression(f"v | date({form})")({"v": theirs}) == day.isoformat()
    assert expression("v | partial_date")({"v": day.strftime("%Y%m%d")}) == day.isoformat()


@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_an_instant_survives_the_way_through_milliseconds(at, minutes):
    told = at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(minutes=minutes)))
    back = expression("v | to_epoch_ms | epoch_ms")({"v": told.isoformat()})
    assert datetime.fromisoformat(back) == told


@given(st.integers(1, 9999), st.integers(1, 12))
def test_what_is_unknown_of_a_day_is_left_out(year, month):
    read = expression("v | partial_date")
    assert read({"v": f"{year:04}0000"}) == read({"v": f"{year:04}"}) == read({"v": f"{year:04}-**-**"}) == f"{year:04}"
    assert read({"v": f"{year:04}{month:02}00"}) == read({"v": f"{year:04}-{month:02}"}) == f"{year:04}-{month:02}"


@given(st.integers(-(10**14), 10**14))
def test_an_amount_survives_the_way_there_and_back(fen):
    assert expression("v | yuan | fen")({"v": fen}) == fen


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.text(min_size=1, max_size=5)), st.text(min_size=1, max_size=5)
)
def test_a_strict_code_is_known_or_refused_and_a_lenient_one_stays(table, told):
    codes = {"m": table}
    assert expression("v | code(m)", codes)({"v": told}) == table.get(told, told)
    if told in table:
        assert expression("v | strict(m)", codes)({"v": told}) == table[told]
    else:
        with pytest.raises(MappingFailed):
            expression("v | strict(m)", codes)({"v": told})


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1), st.data())
def test_a_word_is_written_as_the_one_code_that_is_read_as_it_or_not_at_all(table, data):
    codes = {"m": table}
    if len(set(table.values())) < len(table):
        with pytest.raises(BadManifest, match="a word has several"):
            expression("v | encode(m)", codes)
        return
    told = data.draw(st.lists(st.sampled_from(sorted(table))))
    assert expression("v | strict(m) | encode(m)", codes)({"v": told}) == told
    with pytest.raises(MappingFailed, match="words of"):
        expression("v | encode(m)", codes)({"v": "".join(table.values()) + "?"})


@given(
    st.lists(st.text(min_size=1, max_size=8).filter(lambda name: '"' not in name), min_size=1, max_size=4),
    st.integers(),
)
def test_any_name_can_be_reached_by_a_quoted_step(steps, leaf):
    value: object = leaf
    for step in reversed(steps):
        value = {step: value}
    assert expression(".".join(f'"{step}"' for step in steps))(value) == leaf


# --- XML as a text --------------------------------------------------------------------------------------------------

xml_texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))
xml_tables = st.recursive(
    xml_texts.map(str.strip),
    lambda inner: st.dictionaries(
        st.sampled_from(["a", "b", "名"]),
        inner | st.lists(inner, min_size=2, max_size=3),
        min_size=1,
        max_size=3,
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["a", "b"]), xml_tables, min_size=1))
def test_what_is_written_as_xml_is_read_back(value):
    assert expression("v | to_xml(root) | xml")({"v": value}) == value
    inside = template("<x y='{{ v | to_xml(root) }}'>{{ v | to_xml(root) }}</x>")({"v": value})
    text = etree.fromstring(inside).text
    assert nested(etree.fromstring(text)) == value, "inside another document it is text"


@given(json_values)
def test_whatever_is_written_as_xml_is_well_formed_or_refused(value):
    with contextlib.suppress(MappingFailed):
        made = expression("v | to_xml(root,item)")({"v": value})
        assert made is None or etree.fromstring(made).tag == "root"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("", "<r></r>"),
        (True, "<r>true</r>"),
        ([], "<r></r>"),
        ([None, 1], "<r><i></i><i>1</i></r>"),
        ({"a": None, "b": {}}, "<r><b></b></r>"),
        ({"a": {"b": 1, "@k": "x"}, "a@k": "y"}, '<r><a k="y"><b>1</b></a></r>'),
        ({"@k": "1\r\n\t2", "a": "\r"}, '<r k="1&#13;&#10;&#9;2"><a>&#13;</a></r>'),
        ({"@xmlns": "urn:x", "a": 1}, '<r xmlns="urn:x"><a>1</a></r>'),
    ],
)
def test_a_value_is_written_as_one_element(value, wanted):
    assert expression("v | to_xml(r,i)")({"v": value}) == wanted
    assert etree.fromstring(wanted) is not None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a b": 1}, "names that XML can hold"),
        ({"x:a": 1}, "names that XML can hold"),
        ({"a><b": 1}, "names that XML can hold"),
        ({"@a b": 1, "c": 1}, "names that XML can hold"),
        ({"a": "\x00"}, "characters that XML can hold"),
        ({"a": "\ud800"}, "characters that XML can hold"),
        ({"a": [[1]]}, "not in lists"),
        ({"a@k": 1}, "an element for each attribute"),
        (nested_in(lambda inner: {"a": inner}, 40), "at most 32 levels"),
        ({"a": ["x"] * 20_001}, "20000 parts"),
        ({"a": ["x" * 3_000_000] * 2}, "more text"),
    ],
)
def test_what_xml_cannot_hold_is_refused_with_expression_and_shape(value, says):
    with pytest.raises(MappingFailed) as failed:
        expression("v | to_xml(r)")({"v": value})
    assert says in str(failed.value)
    assert str(failed.value).startswith("v | to_xml(r): ")


# --- templates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("<a>\n<b>{{ x }}</a>", "line 2"),
        ("<{{ x }}/>", "line 1"),
        ("<a {{ x }}/>", "line 1"),
        ("<a>&nbsp;</a>", "line 1"),
        ("<a>\n<!-- {{ x }} --></a>", "line 2"),
        ("<!DOCTYPE a><a/>", "document type"),
    ],
)
def test_a_template_that_is_no_xml_is_refused_with_its_line(source, says):
    with pytest.raises(BadManifest) as refused:
        check_well_formed(source)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "source",
    [
        "{{#each l}}<a/>",
        "{{#each l}}{{#each m}}<a/>{{/each}}",
        "<a/>{{/each}}",
        "{{#each}}<a/>{{/each}}",
        "{{#if l}}<a/>{{/if}}",
        "{{#each l}}" * 5 + "<a/>" + "{{/each}}" * 5,
    ],
)
def test_a_repeated_part_is_closed_and_not_too_deep_inside_others(source):
    with pytest.raises(BadManifest, match="repeated"):
        template(source)


@pytest.mark.parametrize("source", ["<a>{{#each l}}<b>{{/each}}</b></a>", "{{#each l}}<a/>{{/each}}"])
def test_a_part_must_leave_the_document_whole_however_often_it_comes(source):
    with pytest.raises(BadManifest, match="comes 0 times"):
        check_well_formed(source)


NESTED = (
    "<all>{{#each p.l}}<f no='{{ no }}'>{{#each m}}<i of='{{ ../no }}' case='{{ ../../case }}'>{{ name }}</i>{{/each}}"
    "</f>{{/each}}</all>"
)
families = st.lists(
    st.fixed_dictionaries(
        {"no": st.integers(0, 99), "m": st.lists(st.fixed_dictionaries({"name": st.text("a<&'\"]>云", max_size=4)}))}
    ),
    max_size=4,
)


@given(families)
def test_lists_in_lists_come_out_whole_with_the_values_around_them(told):
    root = etree.fromstring(template(NESTED)({"case": "C-1", "p": {"l": told}}))
    found = [
        {"no": int(one.get("no")), "m": [{"name": item.text or ""} for item in one], "of": {i.get("of") for i in one}}
        for one in root
    ]
    for one, family in zip(found, told, strict=True):
        assert one.pop("of") == ({str(family["no"])} if family["m"] else set())
    assert found == told
    assert {item.get("case") for item in root.iter("i")} <= {"C-1"}
    same = tree(
        {"each": "p.l", "fields": {"m": {"each": "m", "fields": {"n": "name", "of": "../no", "case": "../../case"}}}}
    )
    made = same({"case": "C-1", "p": {"l": told}})
    assert made == [{"m": [{"n": m["name"], "of": f["no"], "case": "C-1"} for m in f["m"]]} for f in told]


def test_what_is_around_a_record_can_be_read_wherever_an_expression_begins():
    get = tree({"each": "l", "fields": {"a": "../x | text", "b": "n | or(../x)", "c": "t | append(../x)", "d": "../."}})
    root = {"x": 7, "l": [{"t": "no "}]}
    assert get(root) == [{"a": "7", "b": 7, "c": "no 7", "d": root}]
    assert tree({"each": "l", "fields": {"i": {"each": "../k", "fields": "."}}})({"k": [1], "l": [0]}) == [{"i": [1]}]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("../x", "inside no list"),
        ({"each": "l", "fields": {"a": "../../x"}}, "inside 1 list"),
        ({"each": "../l", "fields": {"a": "x"}}, "inside no list"),
        ({"each": "l", "fields": {"a": "m | get(../x)"}}, "no path"),
        ({"each": "l", "fields": {"a": "n | or(../../x)"}}, "leads out of 2"),
        ({"each": "l", "fields": {"a": "../"}}, "no path"),
    ],
)
def test_a_path_leads_no_further_out_than_there_are_lists(source, says):
    with pytest.raises(BadManifest) as refused:
        tree(source)
    assert says in str(refused.value)


def test_a_mapping_that_failed_inside_a_list_leaves_nothing_to_the_next():
    get = tree({"each": "l", "fields": {"n": "n | int", "x": "../x"}})
    with pytest.raises(MappingFailed):
        get({"x": "first", "l": [{"n": "?"}]})
    assert get({"x": "second", "l": [{"n": "1"}]}) == [{"n": 1, "x": "second"}]


def test_a_part_is_repeated_for_each_record():
    fill = template("<l>{{#each p.l}}<i n='{{ n }}'>{{ x }}</i>{{/each}}{{ x }}</l>")
    told = {"x": "top", "p": {"l": [{"n": 1, "x": "<"}, {"n": "'"}]}}
    assert fill(told) == "<l><i n='1'>&lt;</i><i n='&apos;'></i>top</l>", "inside, paths begin at the record"
    assert fill({"p": {}}) == "<l></l>"
    with pytest.raises(MappingFailed):
        fill({"p": {"l": [{}] * 20_000}})
