"""Conformance: a manifest run against the system it describes, through the real line, with test persons only.

Each operation is asked what its examples document; wrong credentials, another person, an unknown key and the same key
twice follow. Nothing has an effect unless the run was told that it may.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from onestop.gateway.line import CallFailed, Line, Where
from onestop.gateway.manifest import ClientCredentials, Login, Manifest, NoAuth, Operation
from onestop.gateway.operations import Answer
from onestop.gateway.windows import in_window
from onestop.onboarding.conformance_callbacks import CallbackEar
from onestop.onboarding.conformance_models import Check, Progress, Report, Result, Target
from onestop.onboarding.conformance_reads import differences, mapped, schema_faults, unfilled
from onestop.onboarding.conformance_submissions import examine_submission
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_examples import Book, Recorded
from onestop.onboarding.simulator_people import TRIGGERS, real_number
from onestop.onboarding.simulator_wire import flat, nested
from onestop.outbound.addresses import AllowList

OTHER_PEOPLE = ("990102199203140221", "990102199008210351", "990103198506300175", "990103195311020241")
NOBODY = next(number for number, trigger in TRIGGERS.items() if trigger == 901)
_PLAYED = (b"simulator-example", b"simulator-refusal")
_ENOUGH = 5  # calls to take the time of
_MOST_EXAMPLES = 40
# Whom an answer keeps waiting or cuts off: they would break the run, not the system.
_NOT_RUN = frozenset(number for number, trigger in TRIGGERS.items() if trigger in (903, 904, 905, 906))


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is told."""

    against: Target = "address"
    effects: bool = False  # submissions may be sent
    examples: Path | None = None
    persons: tuple[str, ...] = ()  # test persons the system knows, beside those of the examples
    calls: int = _ENOUGH
    listen: int | None = None  # a port where callbacks of the run arrive
    digest: bytes | None = None


class Run:
    """One run: a book of examples, lines, and the checks so far."""

    def __init__(
        self, manifest: Manifest, where: Where, allow: AllowList, telling: Telling, progress: Progress
    ) -> None:
        self.manifest, self.where, self.allow, self.telling = manifest, where, allow, telling
        self.progress = progress
        # The simulator reads examples and makes what is missing; here it lends its books.
        self.books = Simulator(manifest, examples=telling.examples, told=where.secrets).books
        self.checks: list[Check] = []
        self.ear: CallbackEar | None = None
        self.played = False  # an answer said that onestop itself plays the department

    def note(self, name: str, operation: Operation | None, result: Result, reason: str = "", **facts: Any) -> None:
        """Write down a check."""
        of = operation.id if operation is not None else None
        told = {**facts, "operation": of or self.manifest.id}
        self.checks.append(Check(name=name, operation=of, result=result, reason=reason, facts=told))

    def judge(self, name: str, operation: Operation | None, fault: str | None, **facts: Any) -> None:
        """Write down a check that passed unless there is a fault, which names the reason."""
        self.note(name, operation, "failed" if fault else "passed", fault or "", **facts)

    def line(self, **secrets: str) -> Line:
        """Open a line of its own: what one check breaks does not pause the next."""
        return Line(
            self.manifest, msgspec.structs.replace(self.where, secrets={**self.where.secrets, **secrets}), self.allow
        )

    async def ask(
        self, line: Line, operation: Operation, values: dict[str, Any], number: str | None = None
    ) -> Answer | CallFailed:
        """Do one call, never about anybody but a test person."""
        if any(real_number(value) for value in flat(values).values()):
            return CallFailed("unmappable", False, "not a test person")
        try:
            outcome = await line.ask(operation.id, values, operation.total_s, number, lane="batch")
        except CallFailed as failure:
            return failure
        self.played = self.played or is_played(outcome)
        return outcome


def is_played(outcome: Answer) -> bool:
    """Tell whether a simulator answered, which says so on everything it sends, wherever it stands."""
    reply = outcome.reply
    return reply is not None and any(reply.header(mark) is not None for mark in _PLAYED)


async def conform(
    manifest: Manifest, where: Where, allow: AllowList, telling: Telling, progress: Progress | None = None
) -> Report:
    """Run a manifest against a system and return what was found; the report tells whether it passed.

    Where a simulator turns out to have answered, the report says `simulator`, whatever the run was told.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    run = Run(manifest, where, allow, telling, progress or Progress())
    away = in_window(manifest.windows, (), started)
    if away is not None:
        run.note("window", None, "skipped", "away", until=f"{away:%Y-%m-%d %H:%M}")
    elif manifest.desk:
        run.note("reachable", None, "skipped", "desk")
    else:
        await _with_ear(run, lambda: _examine(run))
    digest = telling.digest or hashlib.sha256(msgspec.json.encode(manifest)).digest()
    return Report(
        adapter=manifest.id, version=manifest.version, digest=digest.hex(),
        against="simulator" if run.played else telling.against,
        started_at=started, took_s=round(time.monotonic() - begun, 3), effects=telling.effects, checks=run.checks,
    )  # fmt: skip


async def _with_ear(run: Run, work: Callable[[], Awaitable[None]]) -> None:
    if run.telling.listen is None or run.manifest.callback is None:
        await work()
        return
    run.ear = CallbackEar(run.manifest, run.where.secrets)
    await run.ear.open(run.telling.listen)
    try:
        await work()
    finally:
        await run.ear.close()


async def _examine(run: Run) -> None:
    progress = run.progress
    asked = [operation for operation in run.manifest.operations if operation.kind in ("query", "submit")]
    progress.of = len(asked)
    if not await _reachable(run):
        return
    for operation in asked:
        progress.step(operation.id)
        book = run.books.get(operation.id)
        if operation.kind == "query" and book is not None:
            await _query(run, operation, book)
        elif operation.kind == "submit" and book is not None:
            await examine_submission(run, operation, book)
    await _probe(run)
    progress.finish()


async def _reachable(run: Run) -> bool:
    """Look whether the system answers at all; without that, nothing else says anything."""
    first = next((o for o in run.manifest.operations if o.kind == "query"), run.manifest.operations[0])
    line = run.line()
    number = _persons(run, run.books.get(first.id))[0]
    outcome = await run.ask(line, first, values_for(run, first, number), number)
    await line.close()
    lost = isinstance(outcome, CallFailed) and outcome.kind in ("unreachable", "timeout", "cut")
    run.judge("reachable", None, str(outcome.kind) if isinstance(outcome, CallFailed) and lost else None)
    return not lost


def _persons(run: Run, book: Book | None) -> list[str]:
    """Return the test persons to ask about: of the good examples, then told ones, then the city's."""
    own = [e.values["subject.number"] for e in book.examples if e.good and "subject.number" in e.values] if book else []
    known = dict.fromkeys([*own, *run.telling.persons, *OTHER_PEOPLE])
    return [number for number in known if number.startswith("99") and number not in _NOT_RUN]


def values_for(run: Run, operation: Operation, number: str, **more: str) -> dict[str, Any]:
    """Return what a request of the operation is made from: an example's values, about this person."""
    book = run.books.get(operation.id)
    good = next((e for e in book.examples if e.good and e.facts is not None), None) if book else None
    over = {"subject.number": number, "subject.name": "林晓舟", **more}
    return good.asking(over) if good else nested(over)


# --- queries ----------------------------------------------------------------------------------------------------------


async def _query(run: Run, operation: Operation, book: Book) -> None:
    line = run.line()
    people = _persons(run, book)
    values = values_for(run, operation, people[0])
    first = await run.ask(line, operation, values, people[0])
    if _authenticated(run, operation, first):
        await stranger(run, operation, values, people[0])
        good = await _examples(run, line, operation, book)
        if isinstance(first, Answer) and first.kind == "ok":
            good = [first, *good]
        _replies(run, operation, book, good)
        await _subject(run, line, operation, people)
        await _nobody(run, line, operation)
        await _time(run, line, operation, values, people[0])
        if operation.paging is not None:
            _paging(run, operation, good)
    await line.close()


def _authenticated(run: Run, operation: Operation, outcome: Answer | CallFailed) -> bool:
    denied = outcome.kind in ("denied", "no_token")
    lost = isinstance(outcome, CallFailed) and not denied
    run.judge("authenticated", operation, "denied" if denied else outcome.kind if lost else None)
    return not denied and not lost


async def stranger(run: Run, operation: Operation, values: dict[str, Any], number: str | None) -> None:
    """Ask with wrong secrets: whoever is answered then is not known by them."""
    if isinstance(run.manifest.auth, NoAuth) or not operation.authenticate:
        run.note("stranger", operation, "skipped", "open")
        return
    wrong = {name: f"{value}-wrong" for name, value in run.where.secrets.items() if _is_shared(run, name, value)}
    if not wrong:
        run.note("stranger", operation, "skipped", "key_pair")
        return
    line = run.line(**wrong)
    outcome = await run.ask(line, operation, values, number)
    await line.close()
    refused = outcome.kind in ("denied", "no_token")
    run.judge(
        "stranger", operation, None if refused else "believed" if outcome.kind == "ok" else "unclear", kind=outcome.kind
    )


def _is_shared(run: Run, name: str, value: str) -> bool:
    """Tell whether a secret can be spoilt by another text: keys of a pair would not be read at all."""
    if "BEGIN" in value or value.lstrip().startswith("{") or name.startswith("callback"):
        return False
    oauth = isinstance(run.manifest.auth, (ClientCredentials, Login))
    return name not in ("client_id", "username", "app_key") or not oauth


async def _examples(run: Run, line: Line, operation: Operation, book: Book) -> list[Answer]:
    """Ask what each example asked; returns the answers that are answers."""
    good = []
    asked = [e for e in book.examples if not e.made and e.values.get("subject.number")][:_MOST_EXAMPLES]
    if not asked:
        run.note("example", operation, "skipped", "none")
    for example in asked:
        number = example.values["subject.number"]
        if not tells_apart(example, asked):
            run.note("example", operation, "skipped", "same_request", example=example.name)
            continue
        if not number.startswith("99") or number in _NOT_RUN:
            run.note("example", operation, "skipped", "trigger", example=example.name)
            continue
        outcome = await run.ask(line, operation, example.asking({"subject.name": "林晓舟"}), number)
        fault = None if outcome.kind == example.reads_as else "other"
        detail = (outcome.reason or "") if isinstance(outcome, Answer) and outcome.kind == "bad_reply" else ""
        run.judge(
            "example",
            operation,
            fault,
            example=example.name,
            expected=example.reads_as,
            kind=outcome.kind,
            detail=detail,
        )
        if isinstance(outcome, Answer) and outcome.kind == "ok":
            good.append(outcome)
    return good


def tells_apart(example: Recorded, others: Sequence[Recorded]) -> bool:
    """Tell whether a request can bring this answer: documents show many refusals for one and the same request."""
    first = next(other for other in others if other.values == example.values)
    return first is example or first.reads_as == example.reads_as


def _replies(run: Run, operation: Operation, book: Book, good: Sequence[Answer]) -> None:
    """Look into the good answers: schema, shape, whole mapping, size, charset."""
    if not good:
        for name in ("schema", "shape", "mapping"):
            run.note(name, operation, "skipped", "no_answer")
        return
    trees = [book.tree(answer.reply.body) for answer in good if answer.reply is not None]
    if operation.schema is None:
        run.note("schema", operation, "skipped", "none")
    else:
        faults = schema_faults(operation.schema, trees)
        run.judge("schema", operation, "invalid" if faults else None, where="; ".join(faults[:5]))
    check_shape(run, operation, book, trees)
    check_mapping(run, operation, book, good)
    _wire(run, operation, good)


def check_shape(run: Run, operation: Operation, book: Book, trees: Sequence[Any]) -> None:
    """Compare what was answered with what the examples show."""
    recorded = [e for e in book.examples if e.good and not e.made]
    if not recorded:
        run.note("shape", operation, "skipped", "none")
        return
    found = differences(run.manifest, operation, [book.tree(e.body) for e in recorded], trees)
    run.judge("shape", operation, "differs" if found else None, where="; ".join(found[:6]), count=len(found))


def check_mapping(run: Run, operation: Operation, book: Book, good: Sequence[Answer]) -> None:
    """Look whether every field that is mapped was filled by some answer, as the examples fill it."""
    recorded = [example for example in book.examples if example.good and not example.made]
    shown = set().union(*(mapped(book.prepared, example) for example in recorded), set())
    empty = unfilled([answer.fields or {} for answer in good])
    missing = sorted(empty & shown) if recorded else sorted(empty)
    never = sorted(empty - set(missing))
    run.judge("mapping", operation, "empty" if missing else None, fields=", ".join(missing), never=", ".join(never))


def _wire(run: Run, operation: Operation, good: Sequence[Answer]) -> None:
    replies = [answer.reply for answer in good if answer.reply is not None]
    largest = max(len(reply.body) for reply in replies)
    share = largest / operation.max_reply_bytes
    run.judge("size", operation, "near" if share > 0.8 else None, bytes=largest, limit=operation.max_reply_bytes)
    told = next((reply.header(b"content-type") or b"" for reply in replies), b"").decode("latin-1").lower()
    charset = told.partition("charset=")[2].partition(";")[0].strip("\"' ")
    same = not charset or _canonical(charset) == _canonical(operation.charset)
    run.judge("charset", operation, None if same else "differs", told=charset or "-", declared=operation.charset)


def _canonical(charset: str) -> str:
    return {"utf8": "utf-8", "gbk": "gb18030", "gb2312": "gb18030", "latin-1": "iso-8859-1"}.get(charset, charset)


async def _subject(run: Run, line: Line, operation: Operation, people: Sequence[str]) -> None:
    """Ask about other test persons: an answer about somebody else must never be believed."""
    if operation.reply.subject is None:
        run.note("subject", operation, "skipped", "none")
        return
    for number in people[1:3]:
        outcome = await run.ask(line, operation, values_for(run, operation, number), number)
        if isinstance(outcome, Answer) and outcome.kind == "bad_reply" and "somebody else" in (outcome.reason or ""):
            run.note("subject", operation, "failed", "other", asked=len(people[1:3]))
            return
    run.note("subject", operation, "passed", asked=len(people[1:3]))


async def _nobody(run: Run, line: Line, operation: Operation) -> None:
    if "subject.number" not in str(msgspec.to_builtins(operation.request)):
        run.note("nobody", operation, "skipped", "no_person")
        return
    outcome = await run.ask(line, operation, values_for(run, operation, NOBODY), NOBODY)
    fault = None if outcome.kind == "not_found" else "answered" if outcome.kind == "ok" else "unclear"
    run.judge("nobody", operation, fault, kind=outcome.kind)


async def _time(run: Run, line: Line, operation: Operation, values: dict[str, Any], number: str) -> None:
    took: list[float] = []
    for _ in range(max(1, run.telling.calls)):
        begun = time.monotonic()
        outcome = await run.ask(line, operation, values, number)
        pace = line.pace is not None
        waited = outcome.reply.queue_ms / 1000 if pace and isinstance(outcome, Answer) and outcome.reply else 0.0
        took.append(time.monotonic() - begun - waited)
        await asyncio.sleep(0)
    took.sort()
    p50, p95 = took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.95))]
    facts = {"p50_ms": round(p50 * 1000), "p95_ms": round(p95 * 1000), "limit_ms": round(operation.total_s * 1000)}
    run.judge("time", operation, "slow" if p95 > operation.total_s * 0.8 else None, calls=len(took), **facts)


def _paging(run: Run, operation: Operation, good: Sequence[Answer]) -> None:
    rules = operation.paging
    assert rules is not None  # asked by the caller
    if not good:
        run.note("paging", operation, "skipped", "no_answer")
        return
    run.note("paging", operation, "passed", style=rules.style)


async def _probe(run: Run) -> None:
    probe = run.manifest.probe
    if probe is None:
        run.note("probe", None, "skipped", "none")
        return
    from onestop.onboarding.probes import ask_probe

    status = await ask_probe(run.manifest, run.where, run.allow)
    run.judge("probe", None, None if status in probe.accept else "status", status=status or "-", path=probe.path)
