"""What a conformance run finds: checks with facts and fixes, and the report made of them."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from onestop.texts import Language, text

Result = Literal["passed", "failed", "skipped"]
Target = Literal["simulator", "sandbox", "live", "address"]  # simulator: the manifest agrees with itself


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at; `facts` never hold anything personal."""

    name: str
    operation: str | None
    result: Result
    reason: str = ""  # failed, skipped: which of the check's reasons
    facts: dict[str, Any] = {}

    def sentence(self, lang: Language) -> str:
        """Return what was found, in words."""
        part = self.reason if self.reason and self.result != "passed" else self.result
        return text(f"conformance.{self.name}.{part}", lang, **self.facts)

    def fix(self, lang: Language) -> str:
        """Return what to do; empty where nothing is to be done."""
        return text(f"conformance.{self.name}.fix", lang, **self.facts) if self.result == "failed" else ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a manifest against a system."""

    adapter: str
    version: str
    digest: str
    against: Target
    started_at: datetime
    took_s: float
    effects: bool  # submissions were sent
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Tell whether nothing failed and something was really looked at."""
        return not self.failed and any(check.result == "passed" for check in self.checks)

    @property
    def failed(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.result == "failed"]

    def count(self, result: Result) -> int:
        """Return how many checks ended so."""
        return sum(check.result == result for check in self.checks)


class Progress:
    """How far a run is, for whoever waits for it."""

    def __init__(self) -> None:
        self.done = 0  # operations looked at
        self.of = 0
        self.operation: str | None = None  # looked at now

    def step(self, operation: str) -> None:
        """Go on to the next operation."""
        self.done += self.operation is not None
        self.operation = operation

    def finish(self) -> None:
        """Say that everything was looked at."""
        self.done, self.operation = self.of, None


class CheckShown(msgspec.Struct, frozen=True, kw_only=True):
    """A check with its words in both languages."""

    name: str
    operation: str | None
    result: Result
    zh: str
    en: str
    fix_zh: str = ""
    fix_en: str = ""
    facts: dict[str, Any] = {}


class ReportShown(msgspec.Struct, frozen=True, kw_only=True):
    """A report as it is kept and handed over."""

    adapter: str
    version: str
    digest: str
    against: Target
    started_at: datetime
    took_s: float
    effects: bool
    passed: bool
    counts: dict[str, int]
    checks: list[CheckShown]


def shown(report: Report) -> ReportShown:
    """Return a report with all its words."""
    checks = [
        CheckShown(
            name=check.name,
            operation=check.operation,
            result=check.result,
            zh=check.sentence("zh"),
            en=check.sentence("en"),
            fix_zh=check.fix("zh"),
            fix_en=check.fix("en"),
            facts=check.facts,
        )
        for check in report.checks
    ]
    return ReportShown(
        adapter=report.adapter,
        version=report.version,
        digest=report.digest,
        against=report.against,
        started_at=report.started_at,
        took_s=report.took_s,
        effects=report.effects,
        passed=report.passed,
        counts={result: report.count(result) for result in ("passed", "failed", "skipped")},
        checks=checks,
    )
