"""Rules about people: whose record is believed, what is sensitive, what is masked, and that examples are invented."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from onestop.gateway.lint.findings import Hit, Subject, hit
from onestop.gateway.manifest import Operation
from onestop.gateway.own_ids import named_ids

_NUMBER: Final = re.compile(r"(?<!\d)(?!99)\d{6}(?:19|20)\d{2}(?:0[1-9]|1[0-2])\d{2}\d{3}[\dXx](?!\d)")
_LOOKS_LIKE_NUMBER: Final = re.compile(r"(?:^|_)(?:id_?(?:number|card|no)|citizen_id|sfzh\w*)$|idcard|身份证")


def subject_checked(s: Subject) -> Iterator[Hit]:
    """A question about a person whose answer is believed without looking whom it is about."""
    for path, operation in s.operations():
        asks = operation.kind == "query" and operation.sensitivity != "public" and not s.manifest.desk
        if asks and operation.reply.subject is None and _about_a_person(operation):
            # No error: many departments do not repeat the number, and whoever approves the version sees the warning.
            yield hit("ADP-071", (*path, "reply", "subject"), name=operation.id)
        if asks and operation.want and operation.reply.as_of is None:
            yield hit("ADP-072", (*path, "reply", "as_of"), name=operation.id)


def _about_a_person(operation: Operation) -> bool:
    """Tell whether an operation sends the number of the person asked about: then the answer can be compared with it."""
    requests = (operation.request, *(step.request for step in operation.steps))
    return any("subject.number" in str(msgspec.to_builtins(request)) for request in requests)


def assessed(s: Subject) -> Iterator[Hit]:
    """Sensitive data without the assessment that the law asks for."""
    if s.manifest.impact_assessment:
        return
    for path, operation in s.operations():
        if operation.sensitivity == "sensitive" or "sensitive" in operation.reply.sensitivity.values():
            yield hit("ADP-073", (*path, "sensitivity"), name=operation.id)
            return


def masked(s: Subject) -> Iterator[Hit]:
    """Members that hold person numbers and are not masked; names that mask nothing."""
    for path, operation in s.operations():
        reply = operation.reply
        names = set(_members(reply.fields))
        if operation.kind == "query":
            for name in sorted(names - set(reply.person_numbers)):
                if _LOOKS_LIKE_NUMBER.search(name):
                    yield hit("ADP-074", (*path, "reply", "fields", name), name=name)
        if s.told((*path, "reply", "person_numbers")):
            for name in sorted(set(reply.person_numbers) - names):
                yield hit("ADP-075", (*path, "reply", "person_numbers"), name=name)
        for name in sorted(set(reply.sensitivity) - names):
            yield hit("ADP-076", (*path, "reply", "sensitivity", name), name=name)


def _members(tree: Any) -> Iterator[str]:
    """Yield the name of every member of a mapping's tree, at any depth."""
    if not isinstance(tree, dict):
        return
    if set(tree) == {"each", "fields"}:
        yield from _members(tree["fields"])
        return
    for name, part in tree.items():
        yield name
        yield from _members(part)


def invented(s: Subject) -> Iterator[Hit]:
    """Examples and probes that hold what looks like a real person's number."""
    for path, operation in s.operations():
        for i, example in enumerate(operation.examples):
            if _NUMBER.search(f"{example.values!r} {example.headers!r} {example.body}"):
                yield hit("ADP-077", (*path, "examples", i), name=example.name)
    probe = s.manifest.probe
    if probe is not None and re.search(r"\d{17}[\dXx]", probe.path):
        yield hit("ADP-078", ("probe", "path"))


def kept(s: Subject) -> Iterator[Hit]:
    """Sensitive answers that are kept to be given again."""
    for path, operation in s.operations():
        if operation.sensitivity == "sensitive" and max(operation.cache_s, operation.stale_s) > 3600:
            yield hit("ADP-079", (*path, "cache_s" if operation.cache_s > 3600 else "stale_s"), name=operation.id)


def own_ids(s: Subject) -> Iterator[Hit]:
    """Identifiers of a department's own: whose they are, who is sent them, and where they come from."""
    told = False
    for path, operation in s.operations():
        if operation.reply.own_id is not None:
            told = True
            if operation.kind != "query" or operation.reply.subject is None:
                yield hit("ADP-140", (*path, "reply", "own_id"), name=operation.id)
    for path, operation in s.operations():
        for name in dict.fromkeys(named_ids(operation)):
            if name != s.manifest.id:
                yield hit("ADP-141", (*path, "request"), name=operation.id, id=name)
            elif not told and s.whole:
                yield hit("ADP-142", (*path, "request"), name=operation.id)


def vouched(s: Subject) -> Iterator[Hit]:
    """A question for whom somebody may act by law whose answer could not be taken for that."""
    for path, operation in s.operations():
        if operation.mandate is None:
            continue
        told = operation.reply.fields.get("principals")
        members = told.get("fields") if isinstance(told, dict) and "each" in told else None
        named = isinstance(members, dict) and {"number", "name"} <= set(members)
        if operation.kind != "query" or operation.want or operation.reply.subject is None or not named:
            yield hit("ADP-143", (*path, "mandate"), name=operation.id)


RULES = (subject_checked, assessed, masked, invented, kept, own_ids, vouched)
