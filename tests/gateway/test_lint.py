"""What is wrong with a manifest is said at once, with number, line, sentence and fix; what is well is left alone."""

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.broken_manifests import BROKEN, SIGNED, STEPS, WHOLE, called_back, changed, templated, with_auth
from onestop.gateway.lint import page
from onestop.gateway.lint.form import read_form
from onestop.gateway.lint.lines import lines_of
from onestop.gateway.lint.linter import SEVERITIES, Finding, lint
from onestop.gateway.manifest import BadManifest, Manifest, load, parse
from onestop.gateway.schema import manifest_schema, schema_text
from onestop.texts import LANGUAGES, has

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(ROOT.glob("adapters/*/manifest.toml"))


def found(source: str, **more: Any) -> dict[str, Finding]:
    return {one.rule: one for one in lint(source.encode(), **more)}


# These need more than the file, and have tests of their own below.
NEED_MORE = {"ADP-008", "ADP-009", "ADP-081", "ADP-130", "ADP-131", "ADP-132", "ADP-133"}


@pytest.mark.parametrize(
    ("rule", "source", "word"),
    [pytest.param(rule, *one, id=rule) for rule, ones in BROKEN.items() for one in ones],
)
def test_each_rule_finds_its_fault_and_names_the_line(rule, source, word):
    finding = found(source).get(rule)
    assert finding is not None, sorted(found(source))
    line = source.splitlines()[(finding.line or 1) - 1 :]
    assert word in "\n".join(line[:2]), (finding.where, finding.line, line[0])
    for lang in LANGUAGES:
        assert finding.says(lang)
        assert not set(re.findall(r"\{(\w+)\}", finding.says(lang))) & set(finding.params)


def test_a_good_manifest_has_no_finding():
    assert lint(WHOLE.encode()) == []


def test_inside_a_repeated_part_paths_begin_at_the_record():
    part = "<a>{{#each payload.l}}<b no='{{ no }}'>{{ name }}</b>{{/each}}</a>"
    source = changed(('path = "/query"', templated(part)))
    assert not {"ADP-050", "ADP-055"} & set(found(source))


def test_parts_may_stand_in_parts_and_read_what_is_around_them():
    inner = "{{#each m}}<c of='{{ ../no }}' key='{{ ../../KEY }}'/>{{/each}}"
    part = f"<a>{{{{#each payload.l}}}}<b>{inner}</b>{{{{/each}}}}</a>"
    listed = (
        '{{ l = {{ each = "payload.l", fields = {{ m = {{ each = "m", fields = {{ k = "../../{root}" }} }} }} }} }}'
    )
    for root, wrong in (("key", False), ("kez", True)):
        in_template = changed(('path = "/query"', templated(part.replace("KEY", root))))
        in_tree = changed(
            ('request.body = { id_number = "subject.number" }', f"request.body = {listed.format(root=root)}")
        )
        for source in (in_template, in_tree):
            assert ("ADP-055" in found(source)) == wrong
            assert "ADP-050" not in found(source)
    too_far = changed(('"data.answer"', '{ each = "data.l", fields = { a = "../../x" } }'))
    assert "ADP-050" in found(too_far)


def test_every_rule_has_a_fault_that_shows_it_and_words_in_both_languages():
    assert set(BROKEN) | NEED_MORE == set(SEVERITIES)
    assert [rule for rule in SEVERITIES if not (has(f"lint.{rule}.says") and has(f"lint.{rule}.fix"))] == []


def test_the_page_of_rules_and_the_schema_on_file_are_what_the_code_says():
    for path, told in (
        ("docs/lint-rules.md", page.rules_page()),
        ("adapters/manifest.schema.json", schema_text()),
    ):
        assert (ROOT / path).read_text("utf-8") == told, "run: python -m onestop.gateway.lint.page"


def test_all_faults_of_a_manifest_that_cannot_be_used_are_named_at_once():
    source = changed(
        ("total_s = 2.0\n", ""),
        ('basis = { zh = "测试", en = "Test" }\n', ""),
        ('idempotent = "safe"\n', ""),
        ("waiting = 64", "wating = 64"),
        ('"data.answer"', '"data.answer | cod(x)"'),
        ('idempotent = "key"', 'idempotent = "safe"'),
    )
    assert {"ADP-010", "ADP-011", "ADP-012", "ADP-002", "ADP-050", "ADP-022"} <= set(found(source))
    with pytest.raises(BadManifest) as refused:
        parse(source.encode(), "bureau.toml")
    first = next(one for one in lint(source.encode()) if one.severity == "error")
    assert refused.value.rule == first.rule
    assert f"bureau.toml:{first.line}:" in str(refused.value)


def test_callbacks_that_can_be_read_are_no_fault_and_a_reader_shared_by_two_is_a_warning():
    told_by = 'told_by = { place = "header", name = "X-Event", values = { "apply.done" = "apply" } }'
    own = ("total_s = 0.3", 'total_s = 0.3\nerrors = [{ status = 404, outcome = "not_found" }]')
    assert lint(called_back(f'operations = ["apply"]\n{told_by}', own).encode()) == []
    shared = ('kind = "lookup"', 'kind = "submit"\nanswer = "callback"')
    assert found(called_back('operation = "apply"', shared))["ADP-151"].severity == "warning"
    assert found(called_back('operations = ["apply"]', shared))["ADP-151"].severity == "error"


def test_the_folder_must_bear_the_adapters_name():
    assert "ADP-008" in found(WHOLE, name="other/manifest.toml")
    assert "ADP-008" not in found(WHOLE, name="bureau/manifest.toml")
    assert [one.rule for one in lint(b"#" * 2_000_000)] == ["ADP-009"]


def test_a_department_that_does_not_repeat_the_number_is_warned_of_and_not_shut_out():
    weak = changed(('reply.subject = "data.id_number"\n', ""))
    assert found(weak)["ADP-071"].severity == "warning"
    sensitive = weak.replace("total_s = 2.0", 'total_s = 2.0\nsensitivity = "sensitive"')
    assert found(sensitive)["ADP-071"].severity == "warning"


def test_where_calls_come_back_a_reply_may_read_a_body_beside_what_steps_saved():
    steps = ('path = "/apply"\n', STEPS)
    assert "ADP-045" in found(changed(steps))
    called_back = changed(
        steps, ("[limits]", '[callback]\noperation = "apply"\n[limits]'), ('lookup = "find"', 'answer = "callback"')
    )
    assert "ADP-045" not in found(called_back)


def test_a_question_about_nobody_needs_no_subject():
    about_nobody = changed(('reply.subject = "data.id_number"\n', ""), ('"subject.number"', '"payload.postcode"'))
    assert "ADP-071" not in found(about_nobody)


def test_a_long_name_is_no_secret_and_a_documents_own_number_no_persons():
    long = "beneficiary_account_balances_by_currency_v2"
    assert "ADP-080" not in found(changed(('id = "query"', f'id = "{long}"')))
    own = 'path = "/query/{id}"\nrequest.path = { id = "payload.service_request_id" }'
    assert "ADP-070" not in found(changed(('path = "/query"', own)))


def test_the_environment_is_looked_at_where_it_is_told():
    signed = with_auth(SIGNED.replace("{timestamp}", "{app_key}{timestamp}{secret.salt}"))

    def told(entry: dict[str, str] | None) -> dict[str, Finding]:
        return found(signed, environment={"adapters": {"bureau": entry} if entry is not None else {}})

    assert "ADP-131" in told(None)
    assert "ADP-132" in told({"url": "bureau.example"})
    plain = lint(signed.encode(), environment={"adapters": {"bureau": {"url": "http://bureau.example"}}})
    assert {one.params["name"] for one in plain if one.rule == "ADP-133"} == {"app_key", "app_secret", "salt"}
    assert "ADP-081" in {one.rule for one in plain}
    assert "ADP-081" not in told({"url": "http://127.0.0.1:80"})
    assert told({"url": "https://x.example", "app_key": "a", "app_secret": "b", "salt": "c"}) == {}


def test_a_network_that_is_not_reached_from_here_is_named():
    private = changed(('contact = "x@example.com"', 'contact = "x@example.com"\nnetwork = "private"'))
    assert "ADP-130" in found(private, networks=("extranet",))
    assert "ADP-130" not in found(private, networks=("extranet", "private"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_manifests_are_clean_and_fit_the_schema(path):
    assert lint(path.read_bytes(), str(path)) == []
    assert problems(tomllib.loads(path.read_text("utf-8"))) == []
    assert path.read_text("utf-8").startswith("#:schema ../manifest.schema.json\n")


def problems(raw: dict[str, Any]) -> list[str]:
    """Judge by a validator that knows nothing of onestop."""
    document = msgspec.json.decode(msgspec.json.encode(raw))  # TOML's times are texts to a schema
    validator = jsonschema_rs.Draft202012Validator(manifest_schema())
    return [error.message for error in validator.iter_errors(document)]


FORM = [rule for rule in BROKEN if "ADP-002" <= rule <= "ADP-013"]


@pytest.mark.parametrize(
    ("rule", "source"), [pytest.param(rule, one[0], id=rule) for rule in FORM for one in BROKEN[rule]]
)
def test_the_schema_refuses_what_the_types_refuse(rule, source):
    raw = tomllib.loads(source)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, Manifest)
    assert problems(raw), rule


def test_the_schema_is_valid_and_explains_itself_in_both_languages():
    schema = manifest_schema()
    jsonschema_rs.meta.validate(schema)
    assert schema["additionalProperties"] is False
    assert all(one.get("additionalProperties") is False for one in schema["$defs"].values())
    assert "一次调用总时限" in schema["$defs"]["Operation"]["properties"]["total_s"]["description"]
    assert schema["$defs"]["Limits"]["properties"]["concurrency"]["default"] == 32


# --- the reading that names every fault is exactly as strict as the types -------------------------------------------

_WORDS = ["query", "safe", "POST", "json", "1.0.0", "/x"]
_VALUES = st.one_of(
    st.booleans(),
    st.integers(-5, 100_000),
    st.floats(-2, 100),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.sampled_from(_WORDS),
    st.just({"zh": "一", "en": "one"}),
)
_WHOLES = [
    *(tomllib.loads(path.read_text("utf-8")) for path in SHIPPED[:4]),
    *(tomllib.loads(BROKEN[rule][0][0]) for rule in ("ADP-043", "ADP-102", "ADP-091")),
]


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [one for name, part in inner for one in spots(part, (*path, name))]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_form_without_findings_converts_and_one_with_findings_does_not(data):
    raw = copy.deepcopy(data.draw(st.sampled_from(_WHOLES)))
    *way, last = data.draw(st.sampled_from(spots(raw)))
    place = raw
    for step in way:
        place = place[step]
    if data.draw(st.booleans()):
        place[last] = data.draw(_VALUES)
    elif isinstance(place, dict):
        place[data.draw(st.sampled_from(["nothing", "kind", "id"]))] = place.pop(last)
    hits, _ = read_form(raw)
    try:
        msgspec.convert(raw, Manifest)
        converts = True
    except msgspec.ValidationError:
        converts = False
    assert converts == (not hits), hits


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_every_key_is_found_on_a_line_that_names_it(path):
    source = path.read_text("utf-8")
    lines = source.splitlines()
    for where, line in lines_of(source).items():
        if isinstance(where[-1], str):
            assert where[-1] in lines[line - 1], where


def test_lines_are_counted_through_long_texts_and_arrays():
    source = (
        'a = """\nx = 1\n"""\nb = [\n  1,\n  { c = "}" }, # ]\n]\n'
        "[[d]]\n[[d]]\n[d.e]\nf = '''\n[[d]]'''\n\"g.h\" = 1\n"
    )
    told = lines_of(source)
    assert told[("a",)] == 1
    assert told[("b", 1, "c")] == 6
    assert (told[("d", 0)], told[("d", 1)]) == (8, 9)
    assert told[("d", 1, "e", "f")] == 11
    assert told[("d", 1, "e", "g.h")] == 13


def test_a_folder_of_adapters_is_read_in_order_of_name():
    assert list(load(ROOT / "adapters")) == [path.parent.name for path in SHIPPED]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_is_sent_is_judged_and_never_breaks_the_linter(data):
    source = data.draw(st.sampled_from([WHOLE, *(path.read_text("utf-8") for path in SHIPPED[:4])]))
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, min(start + 60, len(source))))
    middle = data.draw(
        st.sampled_from(["", "'", '"""', "{", "]", "\n", "{{", "|", "= 1\n", '"\\u0041" = 2\n', "[[x]]\n"])
    )
    sent = (source[:start] + middle + source[end:]).encode()
    told = lint(sent, environment={"adapters": {"bureau": {"url": "http://[::1"}}})
    if any(one.severity == "error" for one in lint(sent)):
        with pytest.raises(BadManifest):
            parse(sent)
    else:
        parse(sent)
    assert all(one.says("zh") and one.fix("en") for one in told)
