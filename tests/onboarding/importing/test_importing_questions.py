"""Only what the document does not tell is asked; an answer that cannot be used is refused with the reason."""

from typing import Any

import pytest

from onestop.gateway.manifest import parse
from onestop.onboarding.importing.interview import flat
from onestop.onboarding.importing.models import Question
from onestop.onboarding.importing.service import import_document
from tests.onboarding.importing.conftest import ANSWERS, DOCUMENTS, imported, read

HUJI = (DOCUMENTS / "huji.swagger.yaml").read_bytes()


def questions(**answers: Any) -> dict[str, Question]:
    return {q.id: q for q in import_document(HUJI, "huji.swagger.yaml", answers).questions}


def test_without_answers_the_required_ones_are_open_and_nothing_is_written() -> None:
    found = import_document(HUJI, "huji.swagger.yaml", {})
    assert set(found.open) == {
        "region", "department.code", "department.name", "department.officer", "department.contact", "basis", "purpose",
        "idempotent.apply",
    }  # fmt: skip
    assert found.manifest_toml is None
    assert found.examples == {}
    asked = [question.id in found.open for question in found.questions]
    assert asked == sorted(asked, reverse=True)  # open ones first


def test_every_question_speaks_both_languages_and_says_why() -> None:
    for question in questions().values():
        for words in (question.question, question.why):
            assert words.zh != words.en
            assert not {"import.", "{"} & {words.zh[:7], words.en[:7], words.zh[:1]}


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ({"department": {"code": "12345"}}, "department.code"),
        ({"department": {"name": {"zh": "某局"}}}, "department.name"),
        ({"region": 990100}, "region"),
        ({"operations": ["no_such"]}, "operations"),
        ({"idempotent": {"apply": "sometimes"}}, "idempotent.apply"),
        ({"total_s": 900}, "total_s"),
        ({"id": "Not An Id"}, "id"),
    ],
)
def test_an_answer_that_cannot_be_used_leaves_its_question_open(answer: dict[str, Any], question: str) -> None:
    found = import_document(HUJI, "huji.swagger.yaml", ANSWERS | answer)
    assert question in found.open
    problem = next(q.problem for q in found.questions if q.id == question)
    assert problem is not None
    assert found.manifest_toml is None


def test_an_answer_to_nothing_is_named_with_the_nearest_question() -> None:
    found = read("huji.swagger.yaml", **{"idempotent.aply": "none"})
    finding = next(finding for finding in found.findings if finding.code == "answer_unknown")
    assert "idempotent.apply" in finding.says.en


def test_one_answer_serves_all_operations_and_one_may_have_its_own() -> None:
    own = {"zh": "《户口登记条例》", "en": "Regulations on Household Registration"}
    found = read("huji.swagger.yaml", **{"idempotent.apply": "none", "basis.apply": own, "total_s.apply": 9})
    made = {o.id: o for o in parse((found.manifest_toml or "").encode()).operations}
    assert made["apply"].basis.zh == own["zh"]
    assert made["post_hjxx_query"].basis.zh == ANSWERS["basis"]["zh"]
    assert (made["apply"].total_s, made["post_hjxx_query"].total_s) == (9.0, 5.0)


def test_chosen_operations_are_taken_and_no_others() -> None:
    found = read("huji.swagger.yaml", operations=["get_ywsl_jd"])
    made = parse((found.manifest_toml or "").encode()).operations
    assert [(o.id, o.kind) for o in made] == [("get_ywsl_jd", "query")]  # nothing was submitted whose state it were


def test_answers_may_be_nested_or_flat() -> None:
    both = {"zh": "一", "en": "one"}
    assert flat({"a": {"b": {"c": 1}}}) == {"a.b.c": 1}
    assert flat({"basis": both | {"x": both}}) == {"basis": both, "basis.x": both}
    assert flat({"basis.x": both}) == {"basis.x": both}


def test_an_address_that_is_no_name_gives_the_files_name() -> None:
    assert import_document(HUJI, "huji.swagger.yaml", {}).manifest_id == "huji"


def test_a_document_without_security_asks_how_callers_are_known() -> None:
    text = '{"openapi": "3.0.0", "info": {"title": "A thing"}, "paths": {"/a": {"get": {"responses": {"200": {}}}}}}'
    found = imported(text, auth="signed", **{"auth.base": "{app_key}{timestamp}{secret}"})
    auth = parse((found.manifest_toml or "").encode()).auth
    assert auth.base == "{app_key}{timestamp}{secret}"  # type: ignore[union-attr]
