"""What the documentation names is there: files, headings, commands, settings, rooms; and what it shows can be read."""

import re
import tomllib
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import click
import pytest

import onestop
from house.pages import DOCS, ROOT, blocks, pages, plain, rows
from onestop.cli.entry import root
from onestop.gateway import manifest
from onestop.gateway.lint.linter import lint
from onestop.items import service as items
from onestop.settings import _READ_ELSEWHERE, Settings

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SETTING = re.compile(r"\bONESTOP_[A-Z][A-Z_]*[A-Z]\b")
# Variables of a page's own example.
NOT_OURS = {"ONESTOP_TEST_DATABASE_URL"}
each_page = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))


def anchor(heading: str) -> str:
    """Return a heading's anchor as the usual sites make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", plain(page), re.M)}


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(plain(page)):
        if re.match(r"https?:", target):
            continue
        path, _, fragment = unquote(target).partition("#")
        there = page if not path else (page.parent / path).resolve()
        assert there.exists(), f"{target} is not there"
        assert not fragment or fragment in anchors(there), f"{target} names no heading"


def commands(page: Path) -> set[str]:
    """Return what a page shows of the command line: in code spans and in blocks for a shell."""
    lines = re.findall(r"`([^`\n]+)`", plain(page)) + "".join(blocks(page, "sh")).splitlines()
    return {found[1].strip() for line in lines for found in re.finditer(r"(?:^|[\s(/])onestop (.+)", line)}


@each_page
def test_every_command_and_option_is_one(page: Path) -> None:
    for told in commands(page):
        command: click.Command = root
        for word in told.replace("…", " ").replace("[", " ").replace("]", " ").split(" #")[0].split():
            if word.startswith("--"):
                known = {option for one in (root, command) for param in one.params for option in param.opts}
                assert word.partition("=")[0].rstrip(")") in known | {"--help"}, f"onestop {told}: {word}"
            elif word == "·" or word.startswith("<"):  # what follows are its siblings; or anything
                break
            elif isinstance(command, click.Group):
                assert word in command.commands, f"onestop {told}"
                command = command.commands[word]


@each_page
def test_every_setting_named_is_one(page: Path) -> None:
    known = {f"ONESTOP_{name.upper()}" for name in Settings.__struct_fields__}
    known |= {f"ONESTOP_{name.upper()}" for name in _READ_ELSEWHERE} | NOT_OURS
    named = set(SETTING.findall(page.read_text("utf-8")))
    assert {name for name in named if name.removesuffix("_FILE") not in known and name not in known} == set()


def test_every_setting_is_explained_and_none_that_is_gone() -> None:
    explained = {
        row[0].strip("`") for row in rows(DOCS.joinpath("settings.md").read_text("utf-8")) if "`ONESTOP" in row[0]
    }
    known = {f"ONESTOP_{name.upper()}" for name in {*Settings.__struct_fields__, *_READ_ELSEWHERE}}
    assert explained == known


def test_every_command_is_explained() -> None:
    told = DOCS.joinpath("cli.md").read_text("utf-8")
    missing = []
    for name, command in root.commands.items():
        line = next((row[0] for row in rows(told) if row[0].startswith(f"`onestop {name}")), None)
        lines = [row[0] for row in rows(told) if row[0].startswith(f"`onestop {name}")]
        if line is None:
            missing.append(name)
        elif isinstance(command, click.Group):
            missing += [f"{name} {below}" for below in command.commands if not any(below in one for one in lines)]
    assert missing == []


@each_page
def test_every_file_and_name_in_code_spans_exists(page: Path) -> None:
    source = ROOT / "src/onestop"
    for named in set(re.findall(r"`((?:src/onestop|tests|adapters|migrations|docs)/[\w./-]+)`", plain(page))):
        assert (ROOT / named).exists(), named
    if page.parent != DOCS and page.parent.name != "decisions":
        return
    for named in set(re.findall(r"`([a-z_]+/[a-z_]+\.py)`", plain(page))):
        assert (source / named).exists(), named


def test_the_architecture_names_every_room() -> None:
    tree = blocks(DOCS / "ARCHITECTURE.md", "")[0]
    rooms = {
        path.name for path in (ROOT / "src/onestop").iterdir() if path.is_dir() and (path / "__init__.py").exists()
    }
    files = {path.name for path in (ROOT / "src/onestop").glob("*.py") if not path.name.startswith("__")}
    assert [name for name in sorted(rooms) if f"{name}/" not in tree] == []
    assert [name for name in sorted(files) if name not in tree] == []


def test_every_page_and_every_decision_is_in_its_index() -> None:
    for folder in (DOCS, DOCS / "decisions"):
        index = folder.joinpath("README.md").read_text("utf-8")
        missing = [p.name for p in folder.glob("*.md") if p.name != "README.md" and f"({p.name})" not in index]
        assert missing == [], f"docs/{folder.name}/README.md"


def test_decisions_are_numbered_once_and_dated() -> None:
    records = sorted(p for p in DOCS.glob("decisions/*.md") if p.name != "README.md")
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", p.name) for p in records)
    assert len({p.name[:4] for p in records}) == len(records)
    assert [p.name for p in records if not re.search(r"^Date: \d{4}-\d\d-\d\d\.", p.read_text("utf-8"), re.M)] == []


def test_what_is_shown_of_manifests_and_items_can_be_used() -> None:
    shown = [block for block in blocks(DOCS / "manifest.md", "toml") if block.startswith("manifest = 1")]
    assert shown
    for block in shown:
        manifest.parse(block.encode(), "docs/manifest.md")
    example = DOCS / "examples"
    read = manifest.load(example / "adapters")
    item = items.parse((example / "items/card-renewal.toml").read_bytes(), "card-renewal.toml")
    for component in item.components:
        assert read[component.adapter].operation(component.operation).kind == "submit"


OPERATION = {
    "title": '{ zh = "标题", en = "Title" }',
    "purpose": '{ zh = "办事", en = "To serve" }',
    "basis": '{ zh = "测试", en = "Test" }',
    "total_s": "2.0",
    "path": '"/"',
}
KINDS = {
    "query": {"id": '"query"', "kind": '"query"', "idempotent": '"safe"', "want": '"query"'},
    "submission": {"id": '"submission"', "kind": '"submit"', "idempotent": '"none"'},
    "lookup": {"id": '"by_serial"', "kind": '"lookup"', "idempotent": '"safe"'},
}
# For an example that leans on another: the operation it names, the table it needs.
BESIDE = {
    'lookup = "by_serial"': ("operation", 'request.body = { serial = "key" }\nreply.found = "record"\n', "lookup"),
    'answer = "callback"': ("table", '[callback]\noperations = ["submission"]\n', ""),
    "[callback]": ("operation", 'answer = "callback"\nreply.key = "serial"\n', "submission"),
    "[files]": ("operation", 'id = "filed"\nanswer = "file"\n', "submission"),
}


def operation_of(keys: str, kind: str) -> str:
    """Complete an operation with what the example does not show."""
    told = tomllib.loads(keys.replace("operations.", ""))
    rest = {name: value for name, value in (OPERATION | KINDS[kind]).items() if name not in told}
    if "steps" in told:
        del rest["path"]
    return "[[operations]]\n" + "".join(f"{name} = {value}\n" for name, value in rest.items()) + keys


def completed(block: str) -> str:
    """Make a whole manifest of an example that shows a part."""
    head = manifest_head()
    marker, _, keys = block.partition("\n")
    kind = marker.removeprefix("# ")
    tables, operations = (keys, []) if kind == "tables" else ("", [operation_of(keys, kind)])
    for word, (what, more, of) in BESIDE.items():
        if word in keys and what == "operation":
            operations.append(operation_of(more, of))
        elif word in keys:
            tables += more
    if not operations:
        operations.append(operation_of("reply.subject = 'id'\nreply.as_of = 'at'\n", "query"))
    return "\n".join([head, tables, *operations])


def manifest_head() -> str:
    whole = next(block for block in blocks(DOCS / "manifest.md", "toml") if block.startswith("manifest = 1"))
    return whole.partition("[auth]")[0]


SHOWN = [block for page in ("manifest", "mapping") for block in blocks(DOCS / f"{page}.md", "toml")]


@pytest.mark.parametrize("block", [block for block in SHOWN if block.startswith("# ")])
def test_every_part_of_a_manifest_that_is_shown_is_read_without_a_finding(block: str) -> None:
    assert [one.says("en") for one in lint(completed(block).encode()) if one.severity != "hint"] == []


def test_every_kind_of_authentication_and_protection_is_shown() -> None:
    told = DOCS.joinpath("manifest.md").read_text("utf-8")
    kinds = set(re.findall(r'kind = "(\w+)"', told))
    assert {"jose", "sm4", *(one.__struct_config__.tag for one in get_args(manifest.Auth))} <= kinds


def test_both_first_screens_show_the_same() -> None:
    def screen(name: str) -> tuple[list[str], list[str], int]:
        first = ROOT.joinpath(name).read_text("utf-8").partition("\n---\n")[0]
        commands = [line.partition("#")[0].strip() for line in re.findall(r"^\S.*?$", blocks_of(first), re.M)]
        links = [target for target in LINK.findall(first) if target.endswith(".md") and "README" not in target]
        return commands, links, len(list(rows(first)))

    def blocks_of(text: str) -> str:
        return "".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S))

    assert screen("README.md") == screen("README.zh.md")


def test_the_release_is_in_the_changelog() -> None:
    assert f"## {onestop.__version__}" in ROOT.joinpath("CHANGELOG.md").read_text("utf-8")
