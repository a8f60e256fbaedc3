"""What is looked at in a submission: its examples, the promise of its key, its look-up, its later answer."""

import asyncio
from typing import TYPE_CHECKING, Any

from onestop.gateway.line import CallFailed, Line
from onestop.gateway.manifest import Operation
from onestop.gateway.operations import Answer
from onestop.ids import new_id
from onestop.onboarding.simulator_examples import Book, Recorded

if TYPE_CHECKING:
    from onestop.onboarding.conformance import Run

_MOST_POLLS = 12
_POLL_S = 0.3
_ENDED = ("completed", "declined", "correction", "transferred", "extended")


async def examine_submission(run: "Run", operation: Operation, book: Book) -> None:
    """Run a submission's checks, as far as effects are allowed."""
    from onestop.onboarding.conformance import check_mapping, check_shape, stranger

    good = next((e for e in book.examples if e.good and e.facts is not None), None)
    if good is None:
        run.note("example", operation, "skipped", "none")
        return
    if not run.telling.effects:
        run.note("effect", operation, "skipped", "effects")
        return
    key, line = new_id("eff"), run.line()
    await stranger(run, operation, _valued(good, new_id("eff")), None)
    first = await run.ask(line, operation, _valued(good, key))
    if _answered(run, operation, good, first):
        assert isinstance(first, Answer)  # told by `_answered`
        if first.reply is not None:
            check_shape(run, operation, book, [book.tree(first.reply.body)])
        check_mapping(run, operation, book, [first])
        await _key(run, line, operation, good, key, first)
        await _look_up(run, line, operation, key, first)
        await _later(run, line, operation, key, first)
        for example in book.examples:
            if example is not good and example.facts is not None:
                if not _tells_apart(example, good):
                    run.note("example", operation, "skipped", "same_request", example=example.name)
                    continue
                outcome = await run.ask(line, operation, _valued(example, new_id("eff")))
                _as_recorded(run, operation, example, outcome)
    await line.close()


def _tells_apart(example: Recorded, good: Recorded) -> bool:
    """Tell whether a request can bring this answer: documents show many refusals for one and the same request."""
    theirs = {name for name in (*example.values, *good.values) if name not in ("key", "reference")}
    return example.reads_as == good.reads_as or any(example.values.get(n) != good.values.get(n) for n in theirs)


def _valued(example: Recorded, key: str) -> dict[str, Any]:
    case = {"case.number": "AL990100202600001"} if "case.number" not in example.values else {}
    return example.asking({**case, "key": key})


def _word(outcome: Answer | CallFailed) -> str:
    return str(outcome.outcome) if isinstance(outcome, Answer) and outcome.kind == "ok" else str(outcome.kind)


def _answered(run: "Run", operation: Operation, good: Recorded, outcome: Answer | CallFailed) -> bool:
    _as_recorded(run, operation, good, outcome)
    return isinstance(outcome, Answer) and outcome.kind == "ok"


def _as_recorded(run: "Run", operation: Operation, example: Recorded, outcome: Answer | CallFailed) -> None:
    word = _word(outcome)
    # Whoever corrected once before is served: a run may not be the first.
    same = word == example.reads_as or (example.reads_as == "correction" and word == "completed")
    detail = (outcome.reason or "") if isinstance(outcome, Answer) and outcome.kind == "bad_reply" else ""
    run.judge(
        "example", operation, None if same else "other",
        example=example.name, expected=example.reads_as, kind=word, detail=detail,
    )  # fmt: skip


async def _key(run: "Run", line: Line, operation: Operation, good: Recorded, key: str, first: Answer) -> None:
    """Send the same key again, where the manifest says that this is safe: one effect, the same answer."""
    if operation.idempotent != "key":
        run.note("same_key", operation, "skipped", operation.idempotent)
        return
    again = await run.ask(line, operation, _valued(good, key))
    if not isinstance(again, Answer) or again.kind != "ok":
        run.note("same_key", operation, "failed", "refused", kind=again.kind)
        return
    same = again.reference == first.reference and _facts(again) == _facts(first)
    run.judge("same_key", operation, None if same else "twice")


def _facts(answer: Answer) -> dict[str, Any]:
    """Return the fields that name an effect: numbers given out, not dates and words that may be new each time."""
    return {
        n: v for n, v in (answer.fields or {}).items() if n.endswith(("_no", "_id", "_number", "number", "reference"))
    }


def look_up_of(run: "Run", operation: Operation) -> Operation | None:
    """Return the operation that finds an effect by our key; None where there is none."""
    if operation.lookup is not None:
        return run.manifest.operation(operation.lookup)
    return next((other for other in run.manifest.operations if other.kind == "lookup"), None)


async def _look_up(run: "Run", line: Line, operation: Operation, key: str, first: Answer) -> None:
    """Look the effect up by its key, and a key that nobody sent: the one is found, the other is not."""
    by_key = look_up_of(run, operation)
    if by_key is None:
        run.note("look_up", operation, "skipped", "none")
        return
    found = await run.ask(line, by_key, {"key": key, "reference": first.reference})
    fault = None
    if not isinstance(found, Answer) or found.kind != "ok":
        fault = "lost"
    elif first.reference and found.reference and found.reference != first.reference:
        fault = "other"
    run.judge("look_up", operation, fault, by=by_key.id, kind=found.kind)
    unknown = await run.ask(line, by_key, {"key": new_id("eff"), "reference": None})
    run.judge(
        "unknown_key", operation, None if unknown.kind == "not_found" else "found", by=by_key.id, kind=unknown.kind
    )


async def _later(run: "Run", line: Line, operation: Operation, key: str, first: Answer) -> None:
    """Wait for an answer that comes later, as the manifest says that it comes."""
    if operation.answer == "callback":
        await _callback(run, operation, key)
    elif operation.answer == "poll" and operation.poll is not None and first.outcome == "pending":
        status = run.manifest.operation(operation.poll.operation)
        word = ""
        for _ in range(_MOST_POLLS):
            outcome = await run.ask(line, status, {"key": key, "reference": first.reference})
            word = _word(outcome)
            if word != "pending":
                break
            await asyncio.sleep(_POLL_S)
        fault = None if word in _ENDED else "pending" if word == "pending" else "unclear"
        run.judge("later", operation, fault, by=status.id, kind=word)


async def _callback(run: "Run", operation: Operation, key: str) -> None:
    if run.ear is None:
        run.note("callback", operation, "skipped", "nowhere")
        return
    heard = await run.ear.about(key)
    run.judge("callback", operation, heard, key_named=heard is None)
