import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.gateway.manifest import parse
from onestop.onboarding import service_templates, store, templates
from onestop.onboarding.differences import differences
from onestop.onboarding.errors import MoveNotYours, ParameterWrong, TemplateWrong, ThingAbsent
from onestop.onboarding.service_templates import NewInstance, NewTemplate
from tests.onboarding.conftest import CODES, ONE, OPERATOR, TWO, manifest

pytestmark = pytest.mark.anyio
PARAMETERS = {"id": "name", "version": "version", "code": "code", "name": "text", "places": "integer"}
BODY = (
    manifest("one")
    .replace('id = "one"', 'id = "${id}"', 1)
    .replace('version = "1.0.0"', 'version = "${version}"')
    .replace(CODES["one"].decode(), "${code}")
    .replace('zh = "测试局one"', 'zh = "${name}"')
    .replace("concurrency = 16", "concurrency = ${places}")
    .replace('want = "one"', 'want = "${id}"')
)
VALUES = {"id": "one", "version": "1.0.0", "code": CODES["one"].decode(), "name": "云溪局", "places": 4}


async def write(room, actor=OPERATOR, body=BODY, parameters=PARAMETERS):
    new = NewTemplate(name="bureau", body=body, parameters=parameters)
    return await room.life.commit(lambda db: service_templates.write(room.life, db, actor, new))


async def instance(room, actor, **values):
    new = NewInstance(values={**VALUES, **values})
    return await room.life.commit(lambda db: service_templates.instantiate(room.life, db, actor, "bureau", new))


@given(value=st.text(max_size=60))
def test_no_text_breaks_out_of_its_string(value):
    shape = tomllib.loads(templates.fill(BODY, PARAMETERS, VALUES))
    try:
        filled = templates.fill(BODY, PARAMETERS, {**VALUES, "name": value})
    except (ParameterWrong, TemplateWrong):
        return
    told = tomllib.loads(filled)
    assert told["department"]["name"].pop("zh") == value
    assert shape["department"]["name"].pop("zh") == VALUES["name"]
    assert told == shape


@pytest.mark.parametrize("value", ['"\nid = "other"\nx = "', "\x00", "a\nb", 3, True, "x" * 501])
def test_what_is_no_line_of_text_is_refused_by_name(value):
    with pytest.raises(ParameterWrong) as refusal:
        templates.fill(BODY, PARAMETERS, {**VALUES, "name": value})
    assert refusal.value.params["name"] == "name"


@pytest.mark.parametrize("value", ['\\"', '", en = "x', "it's", "${id}", "\ue0000\ue001"])
def test_odd_texts_stay_what_they_are(value):
    try:
        filled = templates.fill(BODY, PARAMETERS, {**VALUES, "name": value})
    except ParameterWrong:
        filled = None  # a character of no script is no text
    assert filled is None or tomllib.loads(filled)["department"]["name"]["zh"] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("places", "4"), ("places", True), ("places", 4.5), ("id", "One"), ("version", "1"), ("code", "x y"), ("id", 1)],
)
def test_a_value_of_another_kind_is_refused_by_name(name, value):
    with pytest.raises(ParameterWrong) as refusal:
        templates.fill(BODY, PARAMETERS, {**VALUES, name: value})
    assert refusal.value.params["name"] == name


def test_values_are_exactly_the_parameters():
    for values in ({**VALUES, "more": "x"}, {k: v for k, v in VALUES.items() if k != "id"}):
        with pytest.raises(ParameterWrong):
            templates.fill(BODY, PARAMETERS, values)


@pytest.mark.parametrize(
    ("body", "parameters"),
    [
        ("x = '${a}'", {"a": "text"}),  # a single-quoted string has no escapes
        ("x = ${a}", {"a": "text"}),  # outside a string
        ('${a} = "x"', {"a": "text"}),  # a key
        ('x = "${a}"', {}),
        ('x = "y"', {"a": "text"}),
        ('x = "${a}"', {"a": "anything"}),
        ('x = "', {}),
    ],
)
def test_a_template_whose_places_are_not_safe_is_refused(body, parameters):
    with pytest.raises(TemplateWrong):
        templates.check(body, parameters)


async def test_only_the_office_and_the_operator_write_templates_and_each_makes_its_own_adapter(room):
    with pytest.raises(MoveNotYours):
        await write(room, ONE)
    with pytest.raises(ThingAbsent):
        await instance(room, ONE)
    await write(room)
    made = await instance(room, ONE)
    assert (made.state, parse(made.manifest).limits.concurrency) == ("draft", 4)


async def test_upgrading_a_template_proposes_drafts_to_all_and_changes_nothing(room):
    await write(room)
    first = await instance(room, ONE)
    await instance(room, TWO, id="two", code=CODES["two"].decode())
    told = await write(room, body=BODY.replace("waiting = 64", "waiting = 8"))
    assert told.template.version == 2
    assert [(p.adapter, p.version, p.breaking, p.changes) for p in told.proposals] == [
        ("one", "1.0.1", True, 1), ("two", "1.0.1", True, 1)
    ]  # fmt: skip
    assert (await store.version(room.pool, "one", "1.0.0")).digest == first.digest
    draft = await store.version(room.pool, "one", "1.0.1")
    found = differences(parse(first.manifest), parse(draft.manifest))
    assert [(raw.kind, raw.where, raw.before, raw.after) for raw in found] == [
        ("limit_changed", "limits.waiting", "64", "8")
    ]  # fmt: skip
    kinds = [notice.kind for notice in (await room.life.notices(TWO, "two", "zh")).data]
    assert "template_proposed" in kinds


async def test_an_instance_that_the_new_template_does_not_fit_is_said_and_the_others_get_theirs(room):
    await write(room)
    await instance(room, ONE)
    more = {**PARAMETERS, "contact": "text"}
    told = await write(room, body=BODY.replace('contact = "x@example.com"', 'contact = "${contact}"'), parameters=more)
    assert [(p.version, p.problem) for p in told.proposals] == [(None, "template.parameter")]
