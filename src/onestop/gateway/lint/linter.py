"""The linter: everything that is wrong with a manifest, at once, each with a number, a place, a sentence and a fix.

Types say that a key is a number; these rules say that the number makes sense. docs/lint-rules.md lists them.
"""

import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from onestop.gateway.lint import access, answers, bounds, callbacks, people, place, requests, steps
from onestop.gateway.lint.findings import SEVERITIES, Finding, Hit, Path, Severity, Subject, dotted, hit
from onestop.gateway.lint.form import read_form
from onestop.gateway.lint.lines import line_at, lines_of

__all__ = ("SEVERITIES", "Finding", "Severity", "lint", "worst")

Rule = Callable[[Subject], Iterable[Hit]]
RULES: Final[tuple[Rule, ...]] = (
    *answers.RULES,
    *callbacks.RULES,
    *steps.RULES,
    *requests.RULES,
    *people.RULES,
    *access.RULES,
    *bounds.RULES,
    *place.RULES,
)
_ORDER: Final = ("error", "warning", "hint")
_MOST_BYTES: Final = 1_048_576


def lint(
    data: bytes,
    name: str = "manifest.toml",
    *,
    environment: Mapping[str, Any] | None = None,
    networks: Collection[str] | None = None,
) -> list[Finding]:
    """Return everything a manifest can be told, the gravest first, then by line; empty where all is well.

    `environment` is the environment file as read: with it, address and secrets are looked at too. `networks` are those
    this installation may reach. `name` is the file's: `<folder>/manifest.toml` must name the adapter's id.
    """
    if len(data) > _MOST_BYTES:
        return [_finding(hit("ADP-009", (), bytes=_MOST_BYTES), {})]
    try:
        source = data.decode("utf-8")
        raw = tomllib.loads(source)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as fault:
        return [_not_toml(fault, data)]
    lines = lines_of(source)
    hits, subject = read_form(raw)
    hits += _named(raw, name)
    if subject is not None:
        hits += _judged(subject, environment, networks)
    found = {(one.rule, one.where, str(one.params)): one for one in (_finding(one, lines) for one in hits)}
    return sorted(found.values(), key=lambda one: (_ORDER.index(one.severity), one.line or 0, one.rule))


def worst(findings: Iterable[Finding]) -> Finding | None:
    """Return the first error; None where there is none."""
    return next((one for one in findings if one.severity == "error"), None)


def _judged(subject: Subject, environment: Mapping[str, Any] | None, networks: Collection[str] | None) -> list[Hit]:
    hits = [one for rule in RULES for one in rule(subject)]
    if networks is not None:
        hits += place.network(subject, networks)
    if environment is not None:
        hits += place.environment(subject, environment)
    return hits


def _named(raw: dict[str, Any], name: str) -> list[Hit]:
    """Compare the id with the folder, where the name tells one."""
    folder, _, file = name.rpartition("/")
    told = raw.get("id")
    if file != "manifest.toml" or not folder or not isinstance(told, str) or folder.rpartition("/")[2] == told:
        return []
    return [hit("ADP-008", ("id",), id=told, folder=folder.rpartition("/")[2])]


def _not_toml(fault: Exception, data: bytes) -> Finding:
    place = re.search(r"at line (\d+), column", str(fault))
    line = int(place[1]) if place else data.count(b"\n") + 1  # where it is not told, the file ended too early
    if isinstance(fault, UnicodeDecodeError):
        line = data.count(b"\n", 0, fault.start) + 1
    what = str(fault).partition(" (at ")[0] if isinstance(fault, tomllib.TOMLDecodeError) else "UTF-8"
    return Finding(rule="ADP-001", severity="error", line=line, params={"fault": what[:120]})


def _finding(one: Hit, lines: dict[Path, int]) -> Finding:
    return Finding(
        rule=one.rule,
        severity=one.severity or SEVERITIES[one.rule],
        where=dotted(one.path),
        line=line_at(lines, one.path),
        params=one.params,
    )
