"""How the house's tests read its documentation."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def pages() -> list[Path]:
    """Return every page a reader may land on, in order."""
    own = [ROOT / name for name in ("README.md", "README.zh.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    return [*own, ROOT / "bench/README.md", *sorted(DOCS.glob("**/*.md")), *sorted(ROOT.glob("adapters/*/README.md"))]


def section(page: Path, heading: str) -> str:
    """Return what stands below a second-level heading."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page.read_text("utf-8"), re.M | re.S)
    assert found, f"{page.name} has no section {heading!r}"
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of every row of every table, without headings and rulers."""
    for table in re.findall(r"(?:^\|.*\|\n?)+", text, re.M):
        for line in table.strip().split("\n")[2:]:
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def plain(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
