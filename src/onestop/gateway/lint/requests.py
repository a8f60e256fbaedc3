"""Rules about expressions, requests and error maps: what compiles, what is filled, what can ever be reached."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from onestop.gateway.bodies.envelopes import check_templates
from onestop.gateway.lint.findings import Hit, Path, Subject, hit
from onestop.gateway.manifest import BadManifest, ErrorCase, Reply, Request
from onestop.gateway.mapping.language import expression
from onestop.gateway.mapping.templates import roots as roots_of
from onestop.gateway.mapping.templates import template

_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_CODE: Final = re.compile(r"\|\s*(?:code|strict)\(\s*([\w-]+)")
_ROOT: Final = re.compile(r"\s*([A-Za-z_][\w-]*)")
_BODIES: Final = ("json", "form", "xml", "soap", "soap12", "csv", "text", "multipart")
_ROOTS: Final = frozenset(
    ("subject", "payload", "case", "key", "reference", "now", "steps", "step_key", "page", "config")
)
Named = tuple[Path, str]


def expressions(s: Subject) -> Iterator[Hit]:
    """Expressions that do not compile; code maps that are not there, and those nobody uses."""
    codes, used = s.manifest.codes, set()
    for where, source in _all(s):
        used |= set(_CODE.findall(source))
        missing = [name for name in _CODE.findall(source) if name not in codes]
        for name in missing:
            yield hit("ADP-053", where, name=name)
        if missing:
            continue
        try:
            template(source, codes) if "{{" in source else expression(source, codes)
        except BadManifest as fault:
            yield hit("ADP-050", where, source=source, fault=str(fault))
    for name in codes if s.whole else ():
        if name not in used:
            yield hit("ADP-054", ("codes", name), name=name)


def _all(s: Subject) -> Iterator[Named]:
    for path, operation in s.operations():
        yield from _of_request(operation.request, (*path, "request"))
        yield from _of_reply(operation.reply, (*path, "reply"))
        yield from _of_errors(operation.errors, path)
        for i, step in enumerate(operation.steps):
            where: Path = (*path, "steps", i)
            yield from _of_request(step.request, (*where, "request"))
            yield from _leaves(step.save, (*where, "save"))
            yield from _of_errors(step.errors, where)
            if step.skip_when is not None:
                yield (*where, "skip_when"), step.skip_when
            if step.lookup is not None:
                yield (*where, "lookup", "found"), step.lookup.found
                yield from _of_request(step.lookup.request, (*where, "lookup", "request"))
                yield from _leaves(step.lookup.save, (*where, "lookup", "save"))
        if operation.paging is not None:
            for name in ("items", "next", "total"):
                source = getattr(operation.paging, name)
                if source is not None:
                    yield (*path, "paging", name), source


def _of_request(request: Request, path: Path) -> Iterator[Named]:
    for name in ("path", "query", "headers", "body"):
        yield from _leaves(getattr(request, name), (*path, name))
    for name in ("template", "header_template"):
        told = getattr(request, name)
        if told is not None and "{{" in told:
            yield (*path, name), told


def _of_reply(reply: Reply, path: Path) -> Iterator[Named]:
    for name in ("found", "as_of", "subject", "own_id", "key", "reference", "reason", "later", "fields"):
        yield from _leaves(getattr(reply, name), (*path, name))
    if reply.outcome is not None:
        yield (*path, "outcome", "path"), reply.outcome.path


def _of_errors(errors: tuple[ErrorCase, ...], path: Path) -> Iterator[Named]:
    for i, case in enumerate(errors):
        for name in ("path", "reason"):
            source = getattr(case, name)
            if source is not None:
                yield (*path, "errors", i, name), source


def _leaves(tree: Any, path: Path) -> Iterator[Named]:
    """Yield every expression of a tree."""
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, dict):
        for name, part in tree.items():
            yield from _leaves(part, (*path, name))
    elif isinstance(tree, list):
        for i, part in enumerate(tree):
            yield from _leaves(part, (*path, i))


class Sent(msgspec.Struct, frozen=True):
    """One request that is sent: an operation's own, a step's, or a step's look-up."""

    where: Path
    method: str
    path: str
    codec: str
    request: Request


def sent(s: Subject) -> Iterator[Sent]:
    """Yield every request that is sent, whoever sends it."""
    for path, o in s.operations():
        if not o.steps:
            yield Sent(path, o.method, o.path, o.request_codec, o.request)
        for i, step in enumerate(o.steps):
            where: Path = (*path, "steps", i)
            yield Sent(where, step.method, step.path, step.request_codec or o.request_codec, step.request)
            if step.lookup is not None:
                found = step.lookup
                yield Sent((*where, "lookup"), found.method, found.path, found.request_codec, found.request)


def places(s: Subject) -> Iterator[Hit]:
    """Places in a path that nobody fills, and values for places that are not there."""
    for one in sent(s):
        wanted = set(_PLACE.findall(one.path))
        for name in sorted(wanted - set(one.request.path)):
            yield hit("ADP-051", (*one.where, "path"), name=name)
        for name in sorted(set(one.request.path) - wanted):
            yield hit("ADP-052", (*one.where, "request", "path", name), name=name)


def bodies(s: Subject) -> Iterator[Hit]:
    """Bodies that cannot be sent, and templates that are missing or unused."""
    for one in sent(s):
        body = ("body", "template")[one.request.template is not None]
        filled = one.request.body is not None or one.request.template is not None
        if one.method == "GET" and filled:
            yield hit("ADP-058", (*one.where, "request", body), method=one.method)
        elif filled and one.codec == "none":
            yield hit("ADP-058", (*one.where, "request", body), method="request_codec = none")
        if one.codec in ("xml", "soap", "soap12") and one.request.template is None:
            yield hit("ADP-056", (*one.where, "request", "template"), codec=one.codec)
        if one.codec not in ("xml", "soap", "soap12") and one.request.template is not None:
            yield hit("ADP-057", (*one.where, "request", "template"), codec=one.codec)


def templates(s: Subject) -> Iterator[Hit]:
    """Templates that are no XML."""
    for one in sent(s):
        if one.codec in ("xml", "soap", "soap12") and one.request.template is not None:
            try:
                check_templates(one.codec, one.request)
            except BadManifest as fault:
                yield hit("ADP-050", (*one.where, "request", "template"), source="request.template", fault=str(fault))


def roots(s: Subject) -> Iterator[Hit]:
    """A request that reads something no request is ever given."""
    for one in sent(s):
        for where, source in _of_request(one.request, (*one.where, "request")):
            inner = roots_of(source) if "{{" in source else [source]
            for source_ in inner:
                match = _ROOT.match(source_)
                if match and match[1] not in _ROOTS and not _inside_each(where):
                    yield hit("ADP-055", where, source=source_.strip(), allowed=" ".join(sorted(_ROOTS)))


def _inside_each(where: Path) -> bool:
    return "fields" in where


def error_maps(s: Subject) -> Iterator[Hit]:
    """Cases that can never be, or that an earlier one always takes."""
    for path, operation in s.operations():
        yield from _cases(operation.errors, operation.accept, path)
        for i, step in enumerate(operation.steps):
            yield from _cases(step.errors, step.accept or operation.accept, (*path, "steps", i))


def _cases(errors: tuple[ErrorCase, ...], accept: tuple[int, ...], path: Path) -> Iterator[Hit]:
    for i, case in enumerate(errors):
        where: Path = (*path, "errors", i)
        conditions = case.equals is not None or case.one_of or case.exists is not None
        if case.status is None and case.path is None:
            yield hit("ADP-061", where)
        elif case.path is not None and not conditions:
            yield hit("ADP-062", (*where, "path"), path=case.path)
        elif case.path is None and conditions:
            yield hit("ADP-066", where)
        if any(_covers(earlier, case) for earlier in errors[:i]):
            yield hit("ADP-060", where, outcome=case.outcome)
        if case.status in accept and case.path is None and len(accept) == 1:
            yield hit("ADP-065", (*where, "status"), status=str(case.status))


def _covers(earlier: ErrorCase, later: ErrorCase) -> bool:
    """Tell whether whatever fits the later case fits the earlier one."""
    if earlier.status is not None and earlier.status != later.status:
        return False
    if earlier.path is None:
        return earlier.status is not None
    same = (earlier.path, earlier.equals, earlier.one_of, earlier.exists)
    return same == (later.path, later.equals, later.one_of, later.exists)


def repetition(s: Subject) -> Iterator[Hit]:
    """Retries asked for where nothing may be repeated."""
    for path, operation in s.operations():
        repeatable = operation.idempotent in ("safe", "key")
        if s.told((*path, "retries")) and operation.retries > 0 and not repeatable:
            yield hit("ADP-064", (*path, "retries"), name=operation.id)


def person_numbers_sent(s: Subject) -> Iterator[Hit]:
    """Person numbers in a path or a query: they land in the department's logs."""
    for one in sent(s):
        for part in ("path", "query"):
            for where, source in _leaves(getattr(one.request, part), (*one.where, "request", part)):
                if re.match(r"\s*(subject\.number|payload\.(\w+_)?(id_number|id_?card|id_no|citizen_id))\b", source):
                    yield hit("ADP-070", where, place=part, source=source)


RULES = (expressions, places, bodies, templates, roots, error_maps, repetition, person_numbers_sent)
