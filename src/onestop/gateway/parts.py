"""What one question comes to: the part that is answered, in the caller's language, and the record that explains it."""

from datetime import datetime
from typing import Final

import msgspec

from onestop import clock
from onestop.gateway.call import CallFailed, Piece
from onestop.gateway.facts import Fact, fact
from onestop.gateway.manifest import Manifest, Operation
from onestop.gateway.models import Ask, Held, Part, PartProblem, PartState, Source
from onestop.gateway.operations import Answer
from onestop.texts import Language, text

# Failure of a call → state of the part and the code of its problem.
FAILURES: dict[str, tuple[PartState, str]] = {
    "paused": ("unavailable", "upstream.paused"),
    "stopped": ("unavailable", "upstream.stopped"),
    "full": ("unavailable", "upstream.busy"),
    "unreachable": ("unavailable", "upstream.unreachable"),
    "timeout": ("unavailable", "upstream.timeout"),
    "cut": ("unavailable", "upstream.cut"),
    "bad_reply": ("unavailable", "upstream.bad_reply"),
    "no_token": ("unavailable", "upstream.no_token"),
    "unmappable": ("unavailable", "upstream.unmappable"),
}
_ANSWERS: dict[str, tuple[PartState, str]] = {
    "denied": ("denied", "upstream.denied"),
    "invalid": ("unavailable", "upstream.refused"),
    "declined": ("denied", "upstream.refused"),
    "correction": ("unavailable", "upstream.refused"),
    "busy": ("unavailable", "upstream.busy"),
    "down": ("unavailable", "upstream.down"),
    "bad_reply": ("unavailable", "upstream.bad_reply"),
}
# States in which a department has said what it holds.
ANSWERED: Final = frozenset({"ok", "stale", "not_applicable"})
_WHO_ACTS = {
    "upstream.unmappable": "operator",
    "upstream.paused": "department",
    "upstream.stopped": "operator",
    "agreement.missing": "operator",
    "quota.exhausted": "operator",
    "auth.level_too_low": "applicant",
    "basis.missing": "applicant",
}


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One bar of the waterfall and one link of the explanation: what happened to one question."""

    adapter: str
    operation: str
    version: str
    outcome: str  # ok, not_found, or the reason there is nothing
    start_ms: float  # since the fan-out began
    took_ms: float
    queue_ms: float = 0.0
    connect_ms: float = 0.0
    wait_ms: float = 0.0
    read_ms: float = 0.0
    attempts: int = 1
    detail: Fact | None = None  # what decided, where it did not go well
    pieces: list[Piece] | None = None  # steps, pages and repetitions, where there were any


_sources: dict[tuple[str, str, Language], Source] = {}


def source(manifest: Manifest, lang: Language) -> Source:
    """Return who answers, in the caller's language."""
    key = (manifest.id, manifest.version, lang)
    found = _sources.get(key)
    if found is None:
        name, system = manifest.department.name, manifest.department.system
        found = _sources[key] = Source(
            adapter=manifest.id,
            department=name.zh if lang == "zh" else name.en,
            system=system.zh if lang == "zh" else system.en,
            version=manifest.version,
        )
    return found


def part_of(
    want: str, manifest: Manifest, operation: Operation, outcome: Answer | CallFailed, took_ms: float, lang: Language
) -> Part:
    """Turn what came of one call into a part."""
    if isinstance(outcome, CallFailed):
        state, code = FAILURES[outcome.kind]
        return failed(want, manifest, code, state, took_ms, lang, retry_after_s=outcome.retry_after_s)
    if outcome.kind == "ok":
        age_s = _age_s(outcome.as_of)
        old = operation.fresh_s is not None and age_s is not None and age_s > operation.fresh_s
        return Part(
            want=want,
            state="stale" if old else "ok",
            source=source(manifest, lang),
            found=True,
            as_of=outcome.as_of,
            age_s=age_s,
            took_ms=round(took_ms, 1),
            data=outcome.fields,
        )
    if outcome.kind == "not_found":
        return Part(want=want, state="ok", source=source(manifest, lang), found=False, took_ms=round(took_ms, 1))
    state, code = _ANSWERS[outcome.kind]
    return failed(want, manifest, code, state, took_ms, lang, retry_after_s=outcome.retry_after_s)


def _age_s(as_of: str | None) -> float | None:
    if as_of is None:
        return None
    try:
        return max(round((clock.now() - datetime.fromisoformat(as_of)).total_seconds()), 0)
    except (ValueError, TypeError):
        return None


def failed(
    want: str,
    manifest: Manifest,
    code: str,
    state: PartState,
    took_ms: float,
    lang: Language,
    *,
    retry_after_s: float | None = None,
    waited_ms: int | None = None,
) -> Part:
    who = source(manifest, lang)
    waited = round((waited_ms if waited_ms is not None else took_ms) / 1000, 1)
    problem = PartProblem(
        code=code,
        title=text(f"problem.{code}.title", lang),
        detail=text(f"part.{code}", lang, department=who.department, system=who.system, waited_s=waited),
        who_acts=_WHO_ACTS.get(code, "department"),
        retry="never" if state == "denied" else "after",
        retry_after_s=None if state == "denied" else retry_after_s or 30.0,
    )
    return Part(want=want, state=state, source=who, took_ms=round(took_ms, 1), problem=problem)


def not_asked(ask: Ask, held: Held, manifest: Manifest, lang: Language) -> Part:
    """Return the part of a question that is not asked: until when, or why not."""
    part = failed(ask.want, manifest, held.code, held.state, 0.0, lang, retry_after_s=held.retry_after_s)
    problem = part.problem
    if problem is not None and held.retry_after_s is not None:
        until = held.until.isoformat(timespec="minutes") if held.until else ""
        detail = text(f"part.{held.code}", lang, department=part.source.department, until=until)
        part.problem = msgspec.structs.replace(
            problem, detail=detail, retry="after", retry_after_s=held.retry_after_s
        )  # fmt: skip
    return part


def unknown(ask: Ask, lang: Language) -> Part:
    problem = PartProblem(
        code="upstream.not_connected",
        title=text("problem.upstream.not_connected.title", lang),
        detail=text("part.upstream.not_connected", lang, department=ask.adapter),
        who_acts="operator",
        retry="never",
    )
    who = Source(adapter=ask.adapter, department=ask.adapter, system="", version="")
    return Part(want=ask.want, state="unavailable", source=who, took_ms=0.0, problem=problem)


def old_reply(spec: Operation, part: Part) -> Fact:
    return fact("old_reply", age=round((part.age_s or 0) / 86_400), limit=round((spec.fresh_s or 0) / 86_400))


def record_of(
    manifest: Manifest,
    operation: str,
    outcome: Answer | CallFailed,
    start_ms: float,
    took_ms: float,
    attempts: int = 1,
    detail: Fact | None = None,
    pieces: list[Piece] | None = None,
) -> Record:
    """Return what is kept of one call; times are in milliseconds."""
    reply = outcome.reply if isinstance(outcome, Answer) else None
    if reply is None:
        return Record(
            manifest.id,
            operation,
            manifest.version,
            outcome.kind,
            start_ms,
            took_ms,
            attempts=attempts,
            detail=detail,
            pieces=pieces,
        )
    return Record(
        manifest.id,
        operation,
        manifest.version,
        outcome.kind,
        start_ms,
        took_ms,
        reply.queue_ms,
        reply.connect_ms,
        reply.wait_ms,
        reply.read_ms,
        attempts,
        detail,
        pieces,
    )
