"""What the files promise: no word outside the catalogues, nothing inline, no rule missing, nothing from elsewhere."""

import re
import tomllib
from pathlib import Path

import pytest

from onestop.texts import LANGUAGES, has
from onestop.web import pages
from web.vendor_css import TARGET, used

WEB = Path(pages.__file__).parent
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
TEXTS = WEB.parent / "texts"
_PYTHON = "\n".join(path.read_text("utf-8") for path in sorted(WEB.glob("*.py")))


def flat(tree: dict[str, object], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in tree.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name}
    return found


def test_both_languages_have_the_same_words() -> None:
    zh, en = (flat(tomllib.loads((TEXTS / lang / "web.toml").read_text("utf-8"))) for lang in LANGUAGES)
    assert zh == en


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_text_a_template_names_is_in_the_catalogues(path: Path) -> None:
    source = path.read_text("utf-8")
    whole = {f"web.{key}" for key in re.findall(r'\bt\("([a-z0-9_.]+)"[,)]', source)}
    whole |= set(re.findall(r'\bword\("([a-z0-9_.]+)"[,)]', source))
    assert not {key for key in whole if not has(key)}


def test_every_text_the_code_names_is_in_the_catalogues() -> None:
    said = {f"web.{key}" for key in re.findall(r'\.say\(\s*"([a-z0-9_.]+)"', _PYTHON)}
    told = set(re.findall(r'\btext\("(web\.[a-z0-9_.]+)"', _PYTHON))
    assert said
    assert not {key for key in said | told if not has(key)}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_holds_chinese_or_anything_inline(path: Path) -> None:
    source = path.read_text("utf-8")
    assert not re.search(r"[\u4e00-\u9fff]", source)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", source)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", source))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_is_fetched_from_another_host(path: Path) -> None:
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', path.read_text("utf-8"))


def test_the_vendored_stylesheet_has_every_class_the_pages_use_and_its_licence() -> None:
    css = TARGET.read_text("utf-8")
    # Hooks without rules of their own in the original.
    bare = {"govuk-table__body", "govuk-table__row", "govuk-table__caption--s", "govuk-tag--blue"}
    assert {name for name in used() if f".{name}" not in css} <= bare
    assert "MIT License" in (TARGET.parent / "LICENSE.txt").read_text("utf-8")
    assert "url(" not in css
    assert "GDS" not in css


def test_the_first_load_is_small() -> None:
    files = [*(WEB / "static").glob("*.*"), TARGET]
    assert sum(path.stat().st_size for path in files) < 100_000
