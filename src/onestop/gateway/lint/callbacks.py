"""Rules about callbacks: which operation they answer, whose `reply` reads them, and what the department hears."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from onestop.gateway.callback_rules import reader_of, readers
from onestop.gateway.lint.findings import Hit, Path, Subject, hit
from onestop.gateway.manifest import Callback, CallbackReply, Operation
from onestop.outbound.decoding import decode_xml
from onestop.outbound.errors import BadBody

_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_READ_BY: Final = ("submit", "status", "lookup")  # the kinds whose replies tell what became of something
_FINAL: Final = ("declined", "correction")


def named(s: Subject) -> Iterator[Hit]:
    """A callback for no operation, for one that is not there, or that does not say whose answer it is."""
    rules = s.manifest.callback
    if rules is None:
        return
    if (rules.operation is None) == (not rules.operations):
        yield hit("ADP-150", ("callback",))
    known = {o.id: o for _, o in s.operations()}
    for where, name in _named(rules):
        found = known.get(name)
        if (found is None and s.whole) or (found is not None and found.kind != "submit"):
            yield hit("ADP-030", where, name=name)
    for name in readers(s.manifest):
        reply = known[name].reply if name in known else None
        if reply is not None and reply.key is None and reply.reference is None:
            yield hit("ADP-031", _declared(rules), name=name)
    if s.whole and not any(o.answer == "callback" for _, o in s.operations()):
        yield hit("ADP-034", ("callback",), table="callback", answer="callback")


def _named(rules: Callback) -> list[tuple[Path, str]]:
    one: list[tuple[Path, str]] = [(("callback", "operation"), rules.operation)] if rules.operation is not None else []
    return one + [(("callback", "operations"), name) for name in rules.operations]


def _declared(rules: Callback) -> Path:
    return ("callback", "operations" if rules.operations else "operation")


def answered(s: Subject) -> Iterator[Hit]:
    """Operations whose answer comes by callback and that no callback is for; readers that cannot read any."""
    rules = s.manifest.callback
    kinds = {o.id: o.kind for _, o in s.operations()}
    for path, operation in s.operations():
        reads = operation.heard_as
        if reads is not None and (kinds.get(reads, "submit" if not s.whole else "") not in _READ_BY or _alone(rules)):
            yield hit("ADP-154", (*path, "heard_as"), name=operation.id, reads=reads)
        if rules is None or operation.answer != "callback":
            continue
        if rules.operation is None and operation.id not in rules.operations:
            yield hit("ADP-151", (*path, "answer"), name=operation.id)
        elif rules.operation is not None and operation.id != rules.operation and _calls_back(s, rules.operation):
            # It is read, but as another one declares: that may be meant.
            yield hit("ADP-151", (*path, "answer"), "warning", name=operation.id)


def _alone(rules: Callback | None) -> bool:
    """Tell whether one operation reads everything, so that no other choice counts."""
    return rules is None or rules.operation is not None


def _calls_back(s: Subject, name: str) -> bool:
    return any(o.id == name and o.answer == "callback" for _, o in s.operations())


def told_apart(s: Subject) -> Iterator[Hit]:
    """Bodies that must be known before they can be read, and a discriminator that does not tell them apart."""
    rules = s.manifest.callback
    if rules is None:
        return
    forms = {_form(o) for _, o in s.operations() if o.id in readers(s.manifest)}
    if rules.told_by is None:
        if len(forms) > 1:
            yield hit("ADP-152", ("callback", "operations"))
        return
    where: Path = ("callback", "told_by")
    told_by = rules.told_by
    faults = [
        told_by.place != "path" and told_by.name is None,
        not rules.operations,
        bool(told_by.values) and set(told_by.values.values()) != set(rules.operations),
        told_by.place == "path" and not all(_SEGMENT.fullmatch(value) for value in told_by.values),
    ]
    if any(faults):
        yield hit("ADP-153", where, place=told_by.place)


def _form(operation: Operation) -> tuple[object, ...]:
    return operation.response_codec, operation.charset, msgspec.json.encode(operation.reply.protection)


def heard(s: Subject) -> Iterator[Hit]:
    """Words for the department that are not what their content type says, or for an operation that is not answered."""
    rules = s.manifest.callback
    if rules is None:
        return
    told: list[tuple[Path, CallbackReply | None]] = [(("callback", "reply"), rules.reply)]
    told += [(("callback", "replies", name), reply) for name, reply in rules.replies.items()]
    for where, reply in told:
        if reply is not None and not _well_formed(reply):
            yield hit("ADP-155", (*where, "body"), content_type=reply.content_type)
    for name in rules.replies:
        if name not in rules.operations:
            yield hit("ADP-030", ("callback", "replies", name), name=name)


def _well_formed(reply: CallbackReply) -> bool:
    kind = reply.content_type.partition(";")[0]
    try:
        if kind == "application/json" or kind.endswith("+json"):
            msgspec.json.decode(reply.body.encode())
        elif kind in ("application/xml", "text/xml") or kind.endswith("+xml"):
            decode_xml(reply.body.encode())
        elif kind == "text/plain":
            return reply.body.isprintable() or reply.body.replace("\r", "").replace("\n", "").isprintable()
    except (msgspec.DecodeError, BadBody, UnicodeEncodeError):
        return False
    return True


def readable(s: Subject) -> Iterator[Hit]:
    """Readers of callbacks whose codec reads nothing, and error cases that no callback can meet."""
    called_back = set(readers(s.manifest))
    own = {o.id for _, o in s.operations() if reader_of(s.manifest, o.id) == o.id and o.answer == "callback"}
    for path, operation in s.operations():
        if operation.id not in called_back:
            continue
        if operation.response_codec in ("none", "binary"):
            yield hit("ADP-156", (*path, "response_codec"), name=operation.id, codec=operation.response_codec)
        for i, case in enumerate(operation.errors):
            elsewhere = case.status is not None and case.status != operation.accept[0]
            # Its own replies may have that status; of a case about a body that says no, a callback is meant too.
            meant = operation.id not in own or (case.path is not None and case.outcome in _FINAL)
            if elsewhere and meant and operation.kind == "submit":
                yield hit("ADP-157", (*path, "errors", i, "status"), status=str(case.status), name=operation.id)


RULES = (named, answered, told_apart, heard, readable)
