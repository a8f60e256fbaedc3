"""Rules about operations, the ways their answers come: what refers to what, and what is promised for it."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from onestop.gateway.lint.expressions import of_request
from onestop.gateway.lint.findings import Hit, Path, Subject, hit
from onestop.gateway.manifest import Operation, Request, Step
from onestop.gateway.steps import LEDGER_KINDS

_ALIKE: Final = ("GET", "PUT", "DELETE")  # once or twice is the same, says HTTP
_KEYS: Final = frozenset(("key", "step_key"))
_OF_EFFECT: Final = _KEYS | {"reference", "payload", "subject", "case", "steps"}
_PLACE: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_LITERAL: Final = re.compile(r"'[^']*'")
_NAME: Final = re.compile(r"\w+")
_OUTCOMES: Final = ("completed", "pending", "declined", "correction", "extended", "transferred")


def names_once(s: Subject) -> Iterator[Hit]:
    """Two operations of one id, two wants of one name."""
    for rule, name in (("ADP-020", "id"), ("ADP-021", "want")):
        counts = Counter(getattr(o, name) for _, o in s.operations() if getattr(o, name))
        seen: set[str] = set()
        for path, operation in s.operations():
            told = getattr(operation, name)
            if told in seen and counts[told] > 1:
                yield hit(rule, (*path, name), name=told)
            seen.add(told)


def safe_or_not(s: Subject) -> Iterator[Hit]:
    """A submission that calls itself safe, a question that does not."""
    for path, operation in s.operations():
        if operation.kind in ("submit", "cancel") and operation.idempotent == "safe":
            yield hit("ADP-022", (*path, "idempotent"), name=operation.id)
        if operation.kind == "query" and operation.idempotent != "safe":
            yield hit("ADP-023", (*path, "idempotent"), name=operation.id)
        if operation.want and operation.kind != "query":
            yield hit("ADP-024", (*path, "want"), name=operation.id)


def looked_up(s: Subject) -> Iterator[Hit]:
    """`idempotent = "lookup"` without the operation that looks up, or with one that cannot say "never arrived"."""
    kinds = {o.id: o for _, o in s.operations()}
    for path, operation in s.operations():
        found = kinds.get(operation.lookup or "")
        own = operation.idempotent == "lookup" and not operation.steps  # each step is looked up by itself
        if own and found is None and (s.whole or operation.lookup is None):
            yield hit("ADP-025", (*path, "lookup"), name=operation.id, lookup=operation.lookup or "—")
        if found is not None and found.kind not in ("lookup", "status"):
            yield hit("ADP-026", (*path, "lookup"), lookup=found.id, kind=found.kind)
        if operation.kind == "lookup" and not _can_say_none(operation):
            yield hit("ADP-036", (*path, "reply"), name=operation.id)


def keys_sent(s: Subject) -> Iterator[Hit]:
    """`idempotent = "key"` whose request holds no key, and look-ups that ask for nothing of one effect."""
    finders = {name for _, o in s.operations() for name in (o.lookup, o.poll.operation if o.poll else None)}
    for path, operation in s.operations():
        for i, step in enumerate(operation.steps):
            where: Path = (*path, "steps", i)
            if _lacks_key(step):
                yield hit("ADP-048", (*where, "request"), name=step.id)
            if step.lookup is not None and not _reads(step.lookup.request, _OF_EFFECT):
                yield hit("ADP-049", (*where, "lookup", "request"), name=step.id)
        if operation.steps:
            continue
        fetched = operation.answer in ("pull", "file")  # under its key, whatever the body holds
        if operation.kind in LEDGER_KINDS and not fetched and _lacks_key(operation):
            yield hit("ADP-048", (*path, "request"), name=operation.id)
        if operation.id in finders and not _reads(operation.request, _OF_EFFECT):
            yield hit("ADP-049", (*path, "request"), name=operation.id)


def _lacks_key(sent: Operation | Step) -> bool:
    return sent.idempotent == "key" and sent.method not in _ALIKE and not _reads(sent.request, _KEYS)


def _reads(request: Request, names: frozenset[str]) -> bool:
    """Tell whether a request reads any of these names, wherever in it."""
    for told in of_request(request, ()):
        sources = _PLACE.findall(told.source) if "{{" in told.source else [told.source]
        if any(names & set(_NAME.findall(_LITERAL.sub("", source))) for source in sources):
            return True
    return False


def _can_say_none(operation: Operation) -> bool:
    return operation.reply.found is not None or any(case.outcome == "not_found" for case in operation.errors)


def answers_come(s: Subject) -> Iterator[Hit]:
    """An answer that comes later, without what it needs to come."""
    kinds = {o.id: o.kind for _, o in s.operations()}
    for path, operation in s.operations():
        poll = operation.poll
        if operation.answer == "poll" and poll is None:
            yield hit("ADP-027", (*path, "poll"), name=operation.id)
        if poll is not None and poll.operation not in kinds and s.whole:
            yield hit("ADP-027", (*path, "poll", "operation"), name=operation.id)
        if poll is not None and kinds.get(poll.operation, "status") not in ("status", "lookup"):
            yield hit("ADP-028", (*path, "poll", "operation"), name=poll.operation)
        if operation.answer == "callback" and "callback" not in s.raw:
            yield hit("ADP-029", (*path, "answer"), name=operation.id)
        if operation.answer == "file" and "files" not in s.raw:
            yield hit("ADP-032", (*path, "answer"), name=operation.id)
        if operation.answer != "now" and operation.kind != "submit":
            yield hit("ADP-033", (*path, "answer"), name=operation.id, answer=operation.answer)
        if _waits_for_nothing(operation):
            yield hit("ADP-035", (*path, "reply", "outcome"), name=operation.id)


def _waits_for_nothing(operation: Operation) -> bool:
    """Tell whether the department may say "later" and nothing asks or hears again."""
    outcome = operation.reply.outcome
    if operation.kind != "submit" or operation.answer != "now" or outcome is None:
        return False
    later = "pending" in (*outcome.map.values(), outcome.default)
    return later and operation.poll is None and operation.lookup is None


def files(s: Subject) -> Iterator[Hit]:
    """A table `[files]` that no operation uses."""
    if s.manifest.files is not None and s.whole and not any(o.answer == "file" for _, o in s.operations()):
        yield hit("ADP-034", ("files",), table="files", answer="file")


def outcomes(s: Subject) -> Iterator[Hit]:
    """A status value mapped to a word that is none of ours."""
    for path, operation in s.operations():
        rule = operation.reply.outcome
        if rule is None:
            continue
        told = [((*path, "reply", "outcome", "map", name), word) for name, word in rule.map.items()]
        if rule.default is not None:
            told.append(((*path, "reply", "outcome", "default"), rule.default))
        for where, word in told:
            if word not in _OUTCOMES:
                yield hit("ADP-037", where, word=word, allowed=" ".join(_OUTCOMES))


def desk(s: Subject) -> Iterator[Hit]:
    """A department without a system, that has one all the same."""
    if not s.manifest.desk:
        return
    for name in ("auth", "always", "tls", "callback", "probe", "files", "windows"):
        if name in s.raw:
            yield hit("ADP-038", (name,), name=name)
    for path, operation in s.operations():
        if operation.path != "/" or operation.steps:
            yield hit("ADP-038", (*path, "path"), name=operation.id)
        if operation.kind == "submit" and operation.idempotent != "none":
            yield hit("ADP-039", (*path, "idempotent"), name=operation.id)


RULES = (names_once, safe_or_not, looked_up, keys_sent, answers_come, files, outcomes, desk)
