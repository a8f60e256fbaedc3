"""Codes, their words and docs/errors.md, over every room there is."""

from collections import Counter
from pathlib import Path

import pytest

from onestop.http import problem_pages
from onestop.texts import LANGUAGES, catalogue, has

DOCS = Path(__file__).parents[2] / "docs" / "errors.md"


@pytest.fixture(scope="module", autouse=True)
def everything() -> None:
    problem_pages.load_all()


def test_no_code_is_used_twice() -> None:
    twice = {code for code, n in Counter(k.code for k in problem_pages.kinds()).items() if n > 1}
    assert not twice


def test_every_code_has_its_four_texts_in_both_languages() -> None:
    lacking = [
        f"problem.{kind.code}.{part}"
        for kind in problem_pages.kinds()
        for part in problem_pages.PARTS
        if not has(f"problem.{kind.code}.{part}")
    ]
    assert not lacking


def test_no_words_are_left_of_codes_that_are_gone() -> None:
    codes = {kind.code for kind in problem_pages.kinds()}
    told = {key[len("problem.") : key.rindex(".")] for key in catalogue("en") if key.startswith("problem.")}
    assert told <= codes | set(problem_pages.part_codes())


def test_both_languages_have_the_same_keys() -> None:
    zh, en = (set(catalogue(lang)) for lang in LANGUAGES)
    assert zh == en


def test_the_written_page_is_up_to_date() -> None:
    assert DOCS.read_text("utf-8") == problem_pages.errors_page(), "run: python -m onestop.http.problem_pages"
