"""Every expression of a manifest with where it stands: what several rules look through."""

from collections.abc import Iterator
from typing import Any

import msgspec

from onestop.gateway.lint.findings import Path, Subject
from onestop.gateway.manifest import ErrorCase, Reply, Request


class Told(msgspec.Struct, frozen=True):
    """One expression, or a template that holds some."""

    where: Path
    source: str
    around: int = 0  # how many lists' records it stands inside: there, paths begin at the innermost record


def every(s: Subject) -> Iterator[Told]:
    """Yield all of a manifest."""
    for path, operation in s.operations():
        yield from of_request(operation.request, (*path, "request"))
        yield from of_reply(operation.reply, (*path, "reply"))
        yield from of_errors(operation.errors, path)
        for i, step in enumerate(operation.steps):
            where: Path = (*path, "steps", i)
            yield from of_request(step.request, (*where, "request"))
            yield from leaves(step.save, (*where, "save"))
            yield from of_errors(step.errors, where)
            if step.skip_when is not None:
                yield Told((*where, "skip_when"), step.skip_when)
            if step.lookup is not None:
                yield Told((*where, "lookup", "found"), step.lookup.found)
                yield from of_request(step.lookup.request, (*where, "lookup", "request"))
                yield from leaves(step.lookup.save, (*where, "lookup", "save"))
                yield from of_errors(step.lookup.errors, (*where, "lookup"))
        if operation.about is not None:
            yield Told((*path, "about"), operation.about)
        if operation.paging is not None:
            for name in ("items", "next", "total"):
                source = getattr(operation.paging, name)
                if source is not None:
                    yield Told((*path, "paging", name), source)


def of_request(request: Request, path: Path) -> Iterator[Told]:
    """Yield those of a request; a template is one."""
    for name in ("path", "query", "headers", "body"):
        yield from leaves(getattr(request, name), (*path, name))
    for name in ("template", "header_template"):
        told = getattr(request, name)
        if told is not None and "{{" in told:
            yield Told((*path, name), told)


def of_reply(reply: Reply, path: Path) -> Iterator[Told]:
    """Yield those of a reply."""
    for name in ("found", "as_of", "subject", "own_id", "key", "reference", "reason", "later", "fields"):
        yield from leaves(getattr(reply, name), (*path, name))
    if reply.outcome is not None:
        yield Told((*path, "outcome", "path"), reply.outcome.path)


def of_errors(errors: tuple[ErrorCase, ...], path: Path) -> Iterator[Told]:
    """Yield those of error cases."""
    for i, case in enumerate(errors):
        for name in ("path", "reason"):
            source = getattr(case, name)
            if source is not None:
                yield Told((*path, "errors", i, name), source)


def leaves(tree: Any, path: Path, around: int = 0) -> Iterator[Told]:
    """Yield every expression of a tree."""
    if isinstance(tree, str):
        yield Told(path, tree, around)
    elif isinstance(tree, dict):
        inside = around + (set(tree) == {"each", "fields"})
        for name, part in tree.items():
            yield from leaves(part, (*path, name), around if name == "each" else inside)
    elif isinstance(tree, list):
        for i, part in enumerate(tree):
            yield from leaves(part, (*path, i), around)
