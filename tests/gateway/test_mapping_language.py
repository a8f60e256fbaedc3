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

from onestop.gateway.manifest import BadManifest
from onestop.gateway.mapping.functions import FUNCTIONS, OF_ROOT
from onestop.gateway.mapping.language import MappingFailed, expression, path_of, tree
from onestop.gateway.mapping.templates import check_well_formed, template
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


@given(
    st.lists(st.text(min_size=1, max_size=8).filter(lambda name: '"' not in name), min_size=1, max_size=4),
    st.integers(),
)
def test_any_name_can_be_reached_by_a_quoted_step(steps, leaf):
    value: object = leaf
    for step in reversed(steps):
        value = {step: value}
    assert expression(".".join(f'"{step}"' for step in steps))(value) == leaf


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
        "{{#each l}}{{#each m}}<a/>{{/each}}{{/each}}",
        "<a/>{{/each}}",
    ],
)
def test_a_repeated_part_is_closed_and_holds_no_other(source):
    with pytest.raises(BadManifest):
        template(source)


def test_a_part_is_repeated_for_each_record():
    fill = template("<l>{{#each p.l}}<i n='{{ n }}'>{{ x }}</i>{{/each}}{{ x }}</l>")
    told = {"x": "top", "p": {"l": [{"n": 1, "x": "<"}, {"n": "'"}]}}
    assert fill(told) == "<l><i n='1'>&lt;</i><i n='&apos;'></i>top</l>", "inside, paths begin at the record"
    assert fill({"p": {}}) == "<l></l>"
    with pytest.raises(MappingFailed):
        fill({"p": {"l": [{}] * 20_000}})
