"""What a linter says of a manifest: a rule's number, how grave it is, where, and the words in both languages.

A number is never used again for something else. The words stand in the texts as `lint.ADP-nnn.says` and `.fix`.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal

import msgspec

from onestop.gateway.manifest import Manifest, Operation
from onestop.texts import Language, text

Severity = Literal["error", "warning", "hint"]
Path = tuple[str | int, ...]  # ("operations", 2, "reply", "fields", "x")

# error: the manifest is refused; warning: it works, and somebody will be sorry; hint: it could be better.
SEVERITIES: Final[dict[str, Severity]] = {
    # form
    "ADP-001": "error", "ADP-002": "error", "ADP-003": "error", "ADP-004": "error", "ADP-005": "error",
    "ADP-006": "error", "ADP-007": "error", "ADP-008": "error", "ADP-009": "error",
    # what nothing goes on line without
    "ADP-010": "error", "ADP-011": "error", "ADP-012": "error", "ADP-013": "error", "ADP-014": "error",
    # operations and how their answers come
    "ADP-020": "error", "ADP-021": "error", "ADP-022": "error", "ADP-023": "error", "ADP-024": "error",
    "ADP-025": "error", "ADP-026": "error", "ADP-027": "error", "ADP-028": "error", "ADP-029": "error",
    "ADP-030": "error", "ADP-031": "error", "ADP-032": "error", "ADP-033": "error", "ADP-034": "warning",
    "ADP-035": "warning", "ADP-036": "warning", "ADP-037": "error", "ADP-038": "error", "ADP-039": "error",
    "ADP-040": "error", "ADP-041": "error", "ADP-042": "error", "ADP-043": "hint", "ADP-044": "warning",
    "ADP-045": "error", "ADP-046": "error", "ADP-047": "error", "ADP-048": "error",
    "ADP-049": "error",
    # expressions, requests, error maps
    "ADP-050": "error", "ADP-051": "error", "ADP-052": "error", "ADP-053": "error", "ADP-054": "warning",
    "ADP-055": "error", "ADP-056": "error", "ADP-057": "warning", "ADP-058": "error", "ADP-060": "warning",
    "ADP-061": "error", "ADP-062": "warning", "ADP-064": "warning", "ADP-065": "warning", "ADP-066": "error",
    # people
    "ADP-070": "warning", "ADP-071": "warning", "ADP-072": "hint", "ADP-073": "warning", "ADP-074": "warning",
    "ADP-075": "hint", "ADP-076": "error", "ADP-077": "error", "ADP-078": "error", "ADP-079": "hint",
    "ADP-140": "error", "ADP-141": "error", "ADP-142": "warning", "ADP-143": "error",
    # authentication and protection
    "ADP-080": "error", "ADP-081": "error", "ADP-082": "error", "ADP-083": "warning", "ADP-084": "error",
    "ADP-085": "error", "ADP-086": "warning", "ADP-087": "warning", "ADP-088": "error", "ADP-089": "error",
    "ADP-090": "error", "ADP-091": "warning", "ADP-092": "error", "ADP-093": "error", "ADP-094": "error",
    "ADP-095": "error", "ADP-096": "warning", "ADP-097": "warning",
    # times and amounts
    "ADP-100": "warning", "ADP-101": "error", "ADP-102": "hint", "ADP-103": "warning", "ADP-104": "error",
    "ADP-105": "warning", "ADP-106": "hint", "ADP-107": "hint", "ADP-108": "error", "ADP-109": "error",
    "ADP-110": "error", "ADP-111": "warning",
    # who and where
    "ADP-120": "warning", "ADP-121": "error", "ADP-122": "error", "ADP-123": "hint",
    "ADP-130": "warning", "ADP-131": "warning", "ADP-132": "error", "ADP-133": "error",
    # callbacks
    "ADP-150": "error", "ADP-151": "error", "ADP-152": "error", "ADP-153": "error", "ADP-154": "error",
    "ADP-155": "error", "ADP-156": "error", "ADP-157": "warning",
}  # fmt: skip


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, or could be better, in one place of a manifest."""

    rule: str
    severity: Severity
    where: str = ""  # operations[2].reply.fields.x
    line: int | None = None
    params: dict[str, str | int | float] = {}

    def says(self, lang: Language) -> str:
        """Return the sentence that says what is wrong."""
        return text(f"lint.{self.rule}.says", lang, **self.params)

    def fix(self, lang: Language) -> str:
        """Return the sentence that says what to do."""
        return text(f"lint.{self.rule}.fix", lang, **self.params)


class Hit(msgspec.Struct, frozen=True):
    """A finding before it has its line."""

    rule: str
    path: Path
    params: dict[str, str | int | float] = {}
    severity: Severity | None = None  # None: as the table says


def hit(rule: str, path: Path, severity: Severity | None = None, /, **params: str | int | float) -> Hit:
    """Make one; what a parameter quotes of the manifest is cut short."""
    short = {name: value[:120] if isinstance(value, str) else value for name, value in params.items()}
    return Hit(rule, path, short, severity)


def dotted(path: Path) -> str:
    """Return a path as people write it."""
    words = ""
    for part in path:
        words += f"[{part}]" if isinstance(part, int) else f".{part}" if words else part
    return words


class Subject(msgspec.Struct, frozen=True):
    """A manifest under examination; parts that could not be read are left out, the others keep their place."""

    manifest: Manifest
    raw: dict[str, Any]
    places: list[int]  # of each operation in the file
    whole: bool = True  # False: something was left out, so that what seems to be missing may not be

    def operations(self) -> Iterator[tuple[Path, Operation]]:
        """Yield every operation with where it stands."""
        for place, operation in zip(self.places, self.manifest.operations, strict=True):
            yield ("operations", place), operation

    def told(self, path: Path) -> bool:
        """Tell whether the file itself says something under a path, or leaves it to the default."""
        value: Any = self.raw
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return False
        return True
