"""Every problem code is named by a test that brings it about, or stands below with the reason why none can."""

import re

import pytest

from house.pages import ROOT
from onestop.http import problem_pages

# A code without a test is a decision: it is made here.
UNTESTED = {
    "embedded.no_server": "ends the start of a process on a machine without PostgreSQL; no route answers it",
    "identity.no_signing_key": "only where another process takes every key back between two statements of ours",
    "rate.limited": "the base of what is more than allowed; what is raised has a code of its own",
}


def _tests() -> str:
    own = ROOT / "tests"
    texts = [path.read_text("utf-8") for path in sorted(own.rglob("*.py")) if path.name != "test_codes_tested.py"]
    return "\n".join(line for text in texts for line in text.splitlines() if not line.startswith(("from ", "import ")))


@pytest.fixture(scope="module")
def words() -> frozenset[str]:
    """Return the words of all tests: codes are dotted ones as a whole, names of failures the last of theirs."""
    whole = re.findall(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", _tests())
    return frozenset(whole) | {word.rpartition(".")[2] for word in whole}


def _named(code: str, names: set[str], words: frozenset[str]) -> bool:
    return code in words or bool(names & words)


def test_every_code_is_named_by_a_test(words: frozenset[str]) -> None:
    problem_pages.load_all()
    failures: dict[str, set[str]] = {}
    for kind in problem_pages.kinds():
        failures.setdefault(kind.code, set()).add(kind.__name__)
    told = failures | {code: set() for code in problem_pages.part_codes()}
    lacking = {code for code, names in told.items() if not _named(code, names, words)}
    assert sorted(lacking - set(UNTESTED)) == [], "bring it about in a test that names it"
    assert sorted(set(UNTESTED) - lacking) == [], "it has a test now, or is gone: no reason is needed"


def test_a_code_that_no_test_names_is_found(words: frozenset[str]) -> None:
    invented = "adapter.never_" + "heard_of"
    assert not _named(invented, {"NeverHeardOf"[::-1]}, words)
