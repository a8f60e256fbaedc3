"""The table of docs/mapping.md is true, and no expression on any value ends in anything but a value or a refusal."""

import contextlib
import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onestop.gateway.manifest import BadManifest
from onestop.gateway.mapping import _FUNCTIONS, MappingFailed, expression

PAGE = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(.+?)` \| `(.+?)` \| `(.+)` \|$", PAGE, re.MULTILINE)
CODES = {"sex": {"1": "male", "2": "female"}}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc姓"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(("told", "source", "result"), ROWS, ids=[source for _, source, _ in ROWS])
def test_every_row_of_the_page_is_what_the_language_does(told, source, result):
    assert expression(source.replace("\\|", "|"), CODES)(json.loads(told)) == json.loads(result)


def test_every_function_stands_on_the_page():
    assert not [name for name in _FUNCTIONS if not re.search(rf"\b{name}\b", PAGE)]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("a | uper", "did you mean upper"),
        ("a | code(colour)", "no .codes.colour."),
        ("a..b", "not a path"),
        ("a | where(b)", "needs both"),
        ("a | pad(1000,0)", "width of at most 100"),
        ("a | at(x)", "needs a number"),
        ("a | " + " | ".join(["trim"] * 9), "more than 8"),
        ("a" * 201, "longer than 200"),
    ],
)
def test_a_mistake_is_named_when_it_is_compiled(source, says):
    with pytest.raises(BadManifest, match=says):
        expression(source, CODES)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("a | int", {"a": "990102199203140221x"}),
        ("a | strict(sex)", {"a": "3"}),
        ("a | partial", {"a": "1990-13"}),
        ("a | epoch", {"a": "1e300"}),
        ("a | xml", {"a": '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'}),
        ("a | xml", {"a": "<a>" * 100 + "</a>" * 100}),
        ("a | json", {"a": "[" * 1000}),
        ("a | trim | split(,) | sum", {"a": "secret-word,b"}),
    ],
)
def test_a_value_of_the_wrong_form_is_told_by_its_shape_and_never_by_its_content(source, value):
    with pytest.raises(MappingFailed) as failed:
        expression(source, CODES)(value)
    assert "990102" not in str(failed.value)
    assert "secret-word" not in str(failed.value)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([".", "a", "a.b", "a.0", 'a."b"', "姓.-1", "'x'"]),
    st.lists(
        st.tuples(st.sampled_from(sorted(_FUNCTIONS)), st.sampled_from(["", "a", "1,2", "a,b", "%Y", "sex", "'x'"])),
        max_size=4,
    ),
    VALUES,
)
def test_any_expression_on_any_value_ends_in_a_value_or_a_refusal(head, calls, value):
    source = " | ".join([head, *(f"{name}({argument})" if argument else name for name, argument in calls)])
    began = time.process_time()
    with contextlib.suppress(BadManifest, MappingFailed):
        expression(source, CODES)(value)
    assert time.process_time() - began < 1


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_refused(source):
    with contextlib.suppress(BadManifest, MappingFailed):
        expression(source, CODES)({"a": 1})
