"""Rules about operations of several calls: what a step saves, who reads it, and that a look-up tells the same."""

import re
from collections.abc import Iterator
from typing import Any, Final

from onestop.gateway.callback_rules import readers
from onestop.gateway.lint.expressions import of_reply
from onestop.gateway.lint.findings import Hit, Path, Subject, hit
from onestop.gateway.manifest import Operation, Step
from onestop.gateway.steps import LEDGER_KINDS

_SAVED: Final = re.compile(r"\bsteps\.([a-z][a-z0-9_]*)\.([\w-]+)")
_OF_STEPS: Final = re.compile(r"\s*(?:steps\b|')")


def several(s: Subject) -> Iterator[Hit]:
    """Steps of one id, steps that cannot be found again, keys that have no meaning beside steps."""
    for path, operation in _with_steps(s):
        unused = [("path",), ("request",), ("reply", "header_fields"), ("reply", "reference_header")]
        for name in unused:
            if s.told((*path, *name)):
                yield hit("ADP-044", (*path, *name), name=".".join(name))
        if operation.answer in ("pull", "file"):
            yield hit("ADP-047", (*path, "answer"), name=operation.id, answer=operation.answer)
        seen: set[str] = set()
        for i, step in enumerate(operation.steps):
            where: Path = (*path, "steps", i)
            if step.id in seen:
                yield hit("ADP-040", (*where, "id"), name=step.id)
            if step.idempotent == "lookup" and step.lookup is None:
                yield hit("ADP-041", (*where, "lookup"), name=step.id)
            seen.add(step.id)


def saved(s: Subject) -> Iterator[Hit]:
    """Values that are read and nobody saved, and those nobody reads."""
    for path, operation in _with_steps(s):
        known: dict[str, set[str]] = {}
        for i, step in enumerate(operation.steps):
            own = [step.path, step.request, step.skip_when, step.lookup]
            lacking = {(of, name) for of, name in _lacking(own, known) if of != step.id}
            yield from _unsaved(lacking, (*path, "steps", i, "request"), step.id)
            known[step.id] = _names(step)
        yield from _unsaved(_lacking(operation.reply, known), (*path, "reply"), "reply")
        yield from _unread(operation, path)


def told_alike(s: Subject) -> Iterator[Hit]:
    """What would be told otherwise where a step is found by its look-up than where it is answered.

    An operation whose `reply` reads callbacks too is left alone: of its own calls, no more than what is saved is read.
    """
    for path, operation in _with_steps(s):
        calls_back = operation.id in readers(s.manifest)
        if operation.kind in LEDGER_KINDS and not calls_back:
            for told in of_reply(operation.reply, (*path, "reply")):
                if told.around == 0 and told.where != (*path, "reply", "key") and not _OF_STEPS.match(told.source):
                    yield hit("ADP-045", told.where, source=told.source.strip(), name=operation.id)
        for i, step in enumerate(operation.steps):
            find = step.lookup
            lacking = _names(step) - {*find.save, *find.save_headers} if find is not None else ()
            for name in sorted(lacking):
                yield hit("ADP-046", (*path, "steps", i, "lookup", "save"), name=name, step=step.id)


def _with_steps(s: Subject) -> Iterator[tuple[Path, Operation]]:
    return ((path, operation) for path, operation in s.operations() if operation.steps)


def _names(step: Step) -> set[str]:
    return {*step.save, *step.save_headers}


def _lacking(tree: Any, known: dict[str, set[str]]) -> set[tuple[str, str]]:
    return {(of, name) for of, name in _reads(tree) if name not in known.get(of, ())}


def _unsaved(lacking: set[tuple[str, str]], where: Path, who: str) -> Iterator[Hit]:
    for of, name in sorted(lacking):
        yield hit("ADP-042", where, name=f"steps.{of}.{name}", step=who)


def _unread(operation: Operation, path: Path) -> Iterator[Hit]:
    read = _reads([operation.reply, *((one.request, one.skip_when, one.lookup) for one in operation.steps)])
    for i, step in enumerate(operation.steps):
        for name in sorted(_names(step) - {value for of, value in read if of == step.id}):
            yield hit("ADP-043", (*path, "steps", i, "save", name), name=f"steps.{step.id}.{name}")


def _reads(tree: Any) -> set[tuple[str, str]]:
    """Return every `steps.<id>.<name>` that is named anywhere below."""
    return {(found[1], found[2]) for found in _SAVED.finditer(repr(tree))}


RULES = (several, saved, told_alike)
