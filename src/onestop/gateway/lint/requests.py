"""Rules about expressions, requests and error maps: what compiles, what is filled, what can ever be reached."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from onestop.gateway.bodies.envelopes import check_templates
from onestop.gateway.lint.expressions import Told, every, leaves, of_request
from onestop.gateway.lint.findings import Hit, Path, Subject, hit
from onestop.gateway.manifest import BadManifest, ErrorCase, Request
from onestop.gateway.mapping.language import expression
from onestop.gateway.mapping.paths import outwards
from onestop.gateway.mapping.templates import roots as roots_of
from onestop.gateway.mapping.templates import template

_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_CODE: Final = re.compile(r"\|\s*(?:code|strict|encode)\(\s*([\w-]+)")
_ROOT: Final = re.compile(r"\s*([A-Za-z_][\w-]*)")
_BODIES: Final = ("json", "form", "xml", "soap", "soap12", "csv", "text", "multipart")
_ROOTS: Final = frozenset(
    ("subject", "payload", "case", "key", "reference", "now", "steps", "step_key", "page", "config", "actor", "mandate")
)
_PERSON: Final = re.compile(r"\s*(subject\.number|payload\.(\w+_)?(id_number|id_?card|id_no|citizen_id))\b")


def expressions(s: Subject) -> Iterator[Hit]:
    """Expressions that do not compile; code maps that are not there, and those nobody uses."""
    codes, used = s.manifest.codes, set()
    for told in every(s):
        where, source = told.where, told.source
        used |= set(_CODE.findall(source))
        missing = [name for name in _CODE.findall(source) if name not in codes]
        for name in missing:
            yield hit("ADP-053", where, name=name)
        if missing:
            continue
        try:
            template(source, codes) if "{{" in source else expression(source, codes, inside=told.around)
        except BadManifest as fault:
            yield hit("ADP-050", where, source=source, fault=str(fault))
    for name in codes if s.whole else ():
        if name not in used:
            yield hit("ADP-054", ("codes", name), name=name)


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
        for told in of_request(one.request, (*one.where, "request")):
            for source in roots_of(told.source) if "{{" in told.source else _of_root(told):
                match = _ROOT.match(source)
                if match and match[1] not in _ROOTS:
                    yield hit("ADP-055", told.where, source=source.strip(), allowed=" ".join(sorted(_ROOTS)))


def _of_root(told: Told) -> list[str]:
    """Return an expression without its `../`, where it begins at what the request reads and not at a list's record."""
    levels, rest = outwards(told.source.strip())
    return [rest] if levels == told.around else []


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
            for told in leaves(getattr(one.request, part), (*one.where, "request", part)):
                if _PERSON.match(told.source):
                    yield hit("ADP-070", told.where, place=part, source=told.source)


RULES = (expressions, places, bodies, templates, roots, error_maps, repetition, person_numbers_sent)
