"""Both languages know the same keys, every code has its words, and every room says what it is."""

import ast
import importlib
import pkgutil
import string
from pathlib import Path

import pytest

import onestop
from onestop.errors import OnestopError
from onestop.texts import LANGUAGES, catalogue

SOURCE = Path(onestop.__file__).parent


def test_both_languages_have_equal_keys():
    zh, en = (set(catalogue(lang)) for lang in LANGUAGES)
    assert zh - en == set()
    assert en - zh == set()


@pytest.mark.parametrize("key", sorted(catalogue("zh")))
def test_both_languages_name_the_same_places(key):
    places = [{name for _, name, _, _ in string.Formatter().parse(catalogue(lang)[key]) if name} for lang in LANGUAGES]
    assert places[0] == places[1]


def leaves(kind: type[OnestopError] = OnestopError) -> list[type[OnestopError]]:
    found = [kind]
    for below in kind.__subclasses__():
        found += leaves(below)
    return found


@pytest.fixture(scope="session")
def every_failure():
    for module in pkgutil.walk_packages([str(SOURCE)], "onestop."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return [kind for kind in leaves()[1:] if kind.__module__.startswith("onestop.")]  # the root is not a leaf


def test_every_code_is_used_once_and_has_all_its_words(every_failure):
    seen: dict[str, type[OnestopError]] = {}
    for kind in every_failure:
        own = kind.__dict__.get("code")
        if own is None:
            continue
        assert own not in seen, f"{own}: {kind.__name__} and {seen[own].__name__}"
        seen[own] = kind
    missing = [
        f"{lang}: problem.{code}.{part}"
        for code in seen
        for lang in LANGUAGES
        for part in ("title", "detail", "cause", "fix")
        if f"problem.{code}.{part}" not in catalogue(lang)
    ]
    assert missing == []


@pytest.mark.parametrize("path", sorted(SOURCE.glob("**/*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_file_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), "a module docstring is missing"


@pytest.mark.parametrize("path", sorted(SOURCE.glob("**/*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_name_says_nothing(path):
    assert path.stem not in {"utils", "helpers", "common", "base", "misc"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(("Manager", "Helper", "Util", "Base")), node.name
