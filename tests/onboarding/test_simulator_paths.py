"""A quoted step is one step wherever a place is read or written: as the mapping language has it, so has the sandbox."""

import json
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from onestop.gateway.manifest import Paging, parse
from onestop.gateway.mapping.language import calls_of, expression, path_of
from onestop.gateway.paging import Pages, Turner
from onestop.items.rules import _input_fault
from onestop.onboarding import simulator_bodies, simulator_examples, simulator_wire
from onestop.onboarding.importing import examples
from onestop.onboarding.simulator_paths import joined, member_of, place_of, split
from onestop.onboarding.simulator_requests import Form
from tests.gateway.department import manifest_text

# What a bar, a dot, a bracket or a blank in a name would be taken for; never a number, which is a place in a list.
NAMES = st.lists(
    st.text("ab.|() '编,=", min_size=1, max_size=6).filter(lambda name: name.strip(".")), min_size=1, max_size=4
)
PIPES = st.sampled_from(["", " | text", " | concat('|') | trim", " | date(%Y%m%d)"])


def quoted(names: list[str]) -> str:
    return ".".join(f'"{name}"' for name in names)


@given(names=NAMES, pipe=PIPES)
@settings(max_examples=60, deadline=None)
def test_what_the_sandbox_writes_by_an_expression_the_mapping_reads_by_it(names: list[str], pipe: str) -> None:
    source = quoted(names) + pipe
    assert path_of(source) == names
    place = place_of(source)
    assert place is not None
    assert split(place) == names
    for write in (
        lambda tree: simulator_bodies._set(tree, source, "v"),
        lambda tree: simulator_examples._grow(tree, place, "v"),
        lambda tree: simulator_wire._put_value(tree, split(place), "v"),
        lambda tree: examples._set(tree, examples._steps(source), "v"),
    ):
        tree: dict[str, Any] = {}
        write(tree)
        assert expression(quoted(names))(tree) == "v"


@given(names=NAMES)
@settings(max_examples=60, deadline=None)
def test_facts_made_flat_are_the_same_when_nested_again(names: list[str]) -> None:
    tree: Any = "v"
    for name in reversed(names):
        tree = {name: tree}
    facts = simulator_wire.flat(tree)
    assert list(facts) == [joined(names)]
    assert simulator_wire.nested(facts) == tree


@given(names=NAMES, pipe=PIPES)
@settings(max_examples=40, deadline=None)
def test_an_item_hands_over_what_the_quoted_field_holds(names: list[str], pipe: str) -> None:
    source = f"answers.{quoted(['g', *names])}{pipe}"
    assert _input_fault(source, (), {f"g.{names[0]}"}) is None
    assert _input_fault(source, (), {"g.other"}) is not None


def test_a_literal_with_bars_and_dots_is_no_place() -> None:
    assert place_of("'a.b | c'") is None
    assert _input_fault("'a.b | c'", (), ()) is None
    assert calls_of("'a | b' | upper") == ["upper"]
    assert (place_of("."), place_of(None), place_of("")) == (None, None, None)
    assert member_of('a."b.c" | trim') == "a.b.c"


def test_a_broken_quote_in_an_item_is_told_and_not_raised() -> None:
    assert "no expression" in (_input_fault('answers."g.x', (), {"g.x"}) or "")


def test_a_request_whose_members_have_dots_is_known_again() -> None:
    text = (
        manifest_text("one").decode().replace('{ id_number = "subject.number" }', "{ 'id.no' = 'payload.\"a|b\"' }", 1)
    )
    manifest = parse(text.encode())
    form = Form(manifest, manifest.operations[0])
    facts = simulator_wire.flat(json.loads('{"id.no": "7"}'), "body")
    assert form.values(facts) == {joined(["payload", "a|b"]): "7"}
    assert simulator_wire.nested(form.values(facts)) == {"payload": {"a|b": "7"}}


def test_the_list_of_pages_may_have_a_name_in_quotes() -> None:
    turner = Turner(Paging(style="page", items='"a.b".rows', size_parameter="size", size=1), {})
    pages, values = Pages(), {"page": turner.begin()}
    answered: Any = SimpleNamespace(header=lambda _: None)
    for rows, more in (([1], True), ([2], True), ([], False)):
        assert turner.turn(pages, {"a.b": {"rows": rows}}, answered, values) is more
    assert turner.joined(pages) == {"a.b": {"rows": [1, 2]}}


def test_attributes_of_a_recorded_answer_take_other_values() -> None:
    operation = SimpleNamespace(response_codec="xml", charset="utf-8")
    body = b'<r><p id="1"><fee currency="CNY">3</fee></p></r>'
    made = simulator_wire.put(operation, body, {"p.@id": "2", "p.fee@currency": "EUR", "p.fee": "4"})  # type: ignore[arg-type]
    assert b'<p id="2"><fee currency="EUR">4</fee></p>' in made
    tree = {"p": {"@id": "2", "fee": ["4", "5"], "fee@currency": ["EUR", None]}}
    written = simulator_wire.write_reply(operation, tree)  # type: ignore[arg-type]
    assert b'<p id="2"><fee currency="EUR">4</fee><fee>5</fee></p>' in written
