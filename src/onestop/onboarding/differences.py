"""What changed between two versions of a manifest, in words a person can approve; pure.

Breaking is what makes a call fail, or an answer lack something, that the older version had.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from onestop.gateway.manifest import Manifest, Operation
from onestop.onboarding.models import Change, Diff
from onestop.texts import Language, text

_ASKED = (
    "method", "path", "request_codec", "response_codec", "charset", "content_type", "accept_type", "authenticate",
    "request", "steps", "paging", "accept", "errors",
)  # fmt: skip
_KEPT = ("total_s", "connect_s", "fresh_s", "cache_s", "stale_s", "late_s", "retries", "concurrency", "per_second",
         "max_request_bytes", "max_reply_bytes")  # fmt: skip
_ANSWERED = ("answer", "idempotent", "poll", "lookup")
_TOLD = ("title", "purpose", "basis", "sensitivity")
_PARTS = ("auth", "always", "tls", "callback", "windows", "probe", "files", "codes", "department", "impact_assessment")
_SHOWN = 120

Kind = Literal["added", "removed", "changed"]


class Raw(msgspec.Struct, frozen=True):
    """One difference before it is put into words."""

    kind: str
    where: str
    breaking: bool
    before: str = ""
    after: str = ""


def differences(old: Manifest | None, new: Manifest) -> list[Raw]:
    """Return every difference, those of the whole adapter first, then by operation in order of id."""
    if old is None:
        return [Raw("operation_added", operation.id, False) for operation in new.operations]
    found = [*_whole(old, new)]
    before = {operation.id: operation for operation in old.operations}
    after = {operation.id: operation for operation in new.operations}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            found.append(Raw("operation_removed", name, True))
        elif name not in before:
            found.append(Raw("operation_added", name, False))
        else:
            found += _operation(before[name], after[name])
    return found


def _whole(old: Manifest, new: Manifest) -> Iterator[Raw]:
    for name in _PARTS:
        yield from _field("auth_changed" if name in ("auth", "always", "tls") else "part_changed", name, old, new, name)
    if old.desk != new.desk:
        yield Raw("part_changed", "desk", True, str(old.desk), str(new.desk))
    for name in old.limits.__struct_fields__:
        before, after = getattr(old.limits, name), getattr(new.limits, name)
        if before != after:
            yield Raw("limit_changed", f"limits.{name}", _lower(before, after), _say(before), _say(after))


def _operation(old: Operation, new: Operation) -> Iterator[Raw]:
    if old.want != new.want:
        kind = "want_removed" if old.want else "want_added"
        yield Raw(kind, old.id, bool(old.want), old.want or "", new.want or "")
    if old.kind != new.kind:
        yield Raw("kind_changed", old.id, True, old.kind, new.kind)
    for names, kind in ((_ASKED, "request_changed"), (_KEPT, "limit_changed"), (_TOLD, "words_changed")):
        for name in names:
            yield from _field(kind, f"{old.id}.{name}", old, new, name)
    for name in _ANSWERED:
        yield from _field("answer_changed", f"{old.id}.{name}", old, new, name, breaking=True)
    yield from _fields(old, new)


def _fields(old: Operation, new: Operation) -> Iterator[Raw]:
    """Compare what an answer holds, leaf by leaf; a leaf that is gone is missed by the items that read it."""
    before, after = dict(_leaves(old.reply.fields)), dict(_leaves(new.reply.fields))
    for name in sorted(before.keys() | after.keys()):
        where = f"{old.id}.{name}"
        if name not in after:
            yield Raw("field_removed", where, True, before[name])
        elif name not in before:
            yield Raw("field_added", where, False, "", after[name])
        elif before[name] != after[name]:
            yield Raw("field_changed", where, False, before[name], after[name])
    for name in ("found", "as_of", "subject", "own_id", "key", "reference", "reason", "person_numbers", "protection"):
        yield from _field("reply_changed", f"{old.id}.reply.{name}", old.reply, new.reply, name)
    yield from _outcomes(old, new)


def _outcomes(old: Operation, new: Operation) -> Iterator[Raw]:
    before = old.reply.outcome.map if old.reply.outcome else {}
    after = new.reply.outcome.map if new.reply.outcome else {}
    for value in sorted(before.keys() | after.keys()):
        if before.get(value) != after.get(value):
            where = f"{old.id}.reply.outcome.{value}"
            yield Raw("outcome_changed", where, value in before, before.get(value, ""), after.get(value, ""))


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, part in tree.items():
        if isinstance(part, dict):
            yield from _leaves(part, f"{prefix}{name}.")
        else:
            yield prefix + name, str(part)


def _field(kind: str, where: str, old: Any, new: Any, name: str, *, breaking: bool = False) -> Iterator[Raw]:
    before, after = getattr(old, name), getattr(new, name)
    if before != after:
        worse = breaking or (kind == "limit_changed" and _lower(before, after))
        yield Raw(kind, where, worse, _say(before), _say(after))


def _lower(before: Any, after: Any) -> bool:
    """Tell whether a limit became tighter: lower, or there where none was."""
    if isinstance(before, bool) or isinstance(after, bool):
        return False
    return (before is None and after is not None) or (before is not None and after is not None and after < before)


def _say(value: Any) -> str:
    """Return a value as text, short enough to be read in a list."""
    said = value if isinstance(value, str) else msgspec.json.encode(value).decode() if value is not None else ""
    return said if len(said) <= _SHOWN else said[: _SHOWN - 1] + "…"


def diff(
    old: Manifest | None,
    old_digest: bytes,
    new: Manifest,
    new_digest: bytes,
    lang: Language,
    *,
    no_test_system: str | None = None,
) -> Diff:
    """Return the differences in one language; `digest` does not depend on the language.

    `no_test_system`, the reason why nothing was tested at the department, is a part of what is shown: who sends the
    digest back has read it.
    """
    found = differences(old, new)
    if no_test_system:
        found.append(Raw("no_test_system", "conformance", False, after=no_test_system))
    seen = hashlib.sha256(old_digest + b"\0" + new_digest + b"\0" + msgspec.json.encode(found)).hexdigest()
    changes = [
        Change(
            kind=raw.kind,
            where=raw.where,
            breaking=raw.breaking,
            sentence=text(f"adapter_change.{raw.kind}", lang, where=raw.where, before=raw.before, after=raw.after),
        )
        for raw in found
    ]
    return Diff(
        adapter=new.id,
        against=old.version if old else None,
        version=new.version,
        digest=seen,
        breaking=any(raw.breaking for raw in found),
        changes=changes,
    )


def as_text(told: Diff, lang: Language) -> str:
    """Return a difference as lines for a terminal or a mail."""
    head = text("adapter_change.head", lang, adapter=told.adapter, before=told.against or "-", after=told.version)
    lines = [f"{'!' if change.breaking else ' '} {change.sentence}" for change in told.changes]
    return "\n".join([head, *(lines or [text("adapter_change.none", lang)])])
