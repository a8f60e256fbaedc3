"""Compares what clients were told, what the database holds and what departments did; names every difference.

Pure: three accounts of the same run go in, faults come out. Nothing here believes one account more than another.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

FaultKind = Literal[
    "unanswered",  # a client never learned what became of its application
    "lost_case",  # a client was given a case that is not in the database
    "lost_submission",  # a client was told that its case is submitted, and it is not
    "doubled_case",  # one key made more than one case, or its answers name more than one
    "stray_case",  # a case that no client asked for
    "foreign_case",  # a client's case belongs to somebody else
    "wrong_steps",  # a submitted case lacks a step, or has one that it should not have
    "unsettled_step",  # a step of a system did not end
    "orphan_step",  # a step that nobody owns
    "doubled_event",  # something that happens once is told twice
    "unresolved_effect",  # nobody knows what became of an effect
    "doubled_effect",  # one intention, two effects
    "blind_resend",  # sent again, without asking first, to a department that cannot tell repetitions
    "row_without_effect",  # the ledger here says done, the department did nothing
    "effect_without_row",  # the department did what nobody here intended
    "denied_effect",  # the ledger here says that nothing was done, the department did it
    "result_differs",  # a step shows something else than its department gave
]
DESK = "desk"  # the system of a step that a person does


class Fault(msgspec.Struct, frozen=True):
    """One difference between the accounts."""

    kind: FaultKind
    about: str  # the mark, the case, or the department's key
    says: str = ""


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """What a client knows of one application."""

    mark: str  # what it wrote into its form and nobody else into theirs
    subject: str
    acknowledged: bool  # its submission was answered with 202
    told: frozenset[str] = frozenset()  # every case its answers named


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A case as the database has it; `events` are its type and step, one a time it was told."""

    id: str
    subject: str
    mark: str | None
    state: str
    events: tuple[tuple[str, str | None], ...] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step as the database has it, its result opened."""

    case_id: str
    code: str
    state: str
    adapter: str
    effect_id: str | None = None
    reference: str | None = None
    result: dict[str, Any] = {}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger of effects."""

    id: str
    case_id: str
    step: str
    adapter: str
    key: str
    state: str
    answer: str = "none"


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """What the database holds when everything has come to rest."""

    cases: Sequence[Case]
    steps: Sequence[Step]
    rows: Sequence[Row]
    open_tasks: frozenset[tuple[str, str]] = frozenset()  # case and step
    orphans: frozenset[tuple[str, str]] = frozenset()  # case and step, as the product itself finds them


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a department's own ledger; without `effect_id` nothing was changed there."""

    department: str
    operation: str
    key: str
    outcome: str
    effect_id: str | None = None
    facts: dict[str, Any] = {}


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What every application applies for."""

    steps: Mapping[str, str]  # step → the department whose system does it, or `desk`
    results: Mapping[str, tuple[tuple[str, str], ...]]  # step → what it is called here and in the department's ledger


def check(applications: Sequence[Application], db: Database, entries: Sequence[Entry], bundle: Bundle) -> list[Fault]:
    """Return every difference, in no order that means anything; an empty list is what was promised."""
    return [
        *_clients(applications, db),
        *_cases(db, bundle),
        *_steps(db),
        *_effects(db, entries),
        *_results(db, entries, bundle),
    ]


def _clients(applications: Sequence[Application], db: Database) -> Iterator[Fault]:
    by_id = {case.id: case for case in db.cases}
    by_mark: defaultdict[str | None, list[Case]] = defaultdict(list)
    for case in db.cases:
        by_mark[case.mark].append(case)
    for one in applications:
        if not one.acknowledged:
            yield Fault("unanswered", one.mark)
        if len(one.told) > 1 or len(by_mark[one.mark]) > 1:
            yield Fault("doubled_case", one.mark, f"{sorted(one.told | {case.id for case in by_mark[one.mark]})}")
        for case_id in one.told:
            found = by_id.get(case_id)
            if found is None or found.mark != one.mark:
                yield Fault("lost_case", one.mark, case_id)
            elif one.acknowledged and found.state == "draft":
                yield Fault("lost_submission", one.mark, case_id)
        for case in by_mark[one.mark]:
            if case.subject != one.subject:
                yield Fault("foreign_case", one.mark, case.id)
    known = {one.mark for one in applications}
    yield from (Fault("stray_case", case.id) for case in db.cases if case.mark not in known)


def _cases(db: Database, bundle: Bundle) -> Iterator[Fault]:
    steps: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for step in db.steps:
        steps[step.case_id].append((step.code, step.adapter))
    for case in db.cases:
        due = [] if case.state == "draft" else sorted(bundle.steps.items())
        if sorted(steps.pop(case.id, [])) != due:
            yield Fault("wrong_steps", case.id)
        for (kind, code), times in Counter(case.events).items():
            if times > 1:
                yield Fault("doubled_event", case.id, f"{kind} {code or ''}")
    yield from (Fault("wrong_steps", case_id, "steps without a case") for case_id in steps)


def _steps(db: Database) -> Iterator[Fault]:
    rows = {row.id: row for row in db.rows}
    for step in db.steps:
        about = f"{step.case_id} {step.code}"
        if (step.case_id, step.code) in db.orphans:
            yield Fault("orphan_step", about, "the product's own search finds it")
        if step.adapter == DESK:
            if step.state != "at_desk" or (step.case_id, step.code) not in db.open_tasks:
                yield Fault("orphan_step", about, f"{step.state}, and no task for a person")
            continue
        if step.state != "completed":
            yield Fault("unsettled_step", about, step.state)
        row = rows.get(step.effect_id or "")
        if row is None or (row.case_id, row.step, row.adapter) != (step.case_id, step.code, step.adapter):
            yield Fault("orphan_step", about, f"its effect {step.effect_id} is not in the ledger")
        elif (step.state == "completed") != _is_done(row):
            yield Fault("orphan_step", about, f"{step.state}, its effect {row.state}/{row.answer}")


def _is_done(row: Row) -> bool:
    return row.state == "done" and row.answer != "awaited"


def _effects(db: Database, entries: Sequence[Entry]) -> Iterator[Fault]:
    made = Counter((entry.department, entry.key) for entry in entries if entry.effect_id is not None)
    rows = {(row.adapter, row.key): row for row in db.rows}
    yield from _intentions(db.rows)
    for key, times in made.items():
        if key not in rows:
            yield Fault("effect_without_row", _name(key))
        if times > 1:
            yield Fault("doubled_effect", _name(key), f"{times} effects under one key")
    for key, row in rows.items():
        if row.state not in ("done", "refused") or row.answer == "awaited":
            yield Fault("unresolved_effect", _name(key), f"{row.state}/{row.answer}")
        elif row.state == "done" and not made[key]:
            yield Fault("row_without_effect", _name(key))
        elif row.state == "refused" and made[key]:
            yield Fault("denied_effect", _name(key))
    for entry in entries:
        if entry.outcome == "duplicate":
            yield Fault("blind_resend", _name((entry.department, entry.key)))


def _intentions(rows: Iterable[Row]) -> Iterator[Fault]:
    """One step of one case is intended once, whatever its keys are."""
    for (case_id, step), times in Counter((row.case_id, row.step) for row in rows).items():
        if times > 1:
            yield Fault("doubled_effect", f"{case_id} {step}", f"{times} rows for one step")


def _name(key: tuple[str, str]) -> str:
    return " ".join(key)


def _results(db: Database, entries: Sequence[Entry], bundle: Bundle) -> Iterator[Fault]:
    given = {(entry.department, entry.key): entry for entry in entries if entry.effect_id is not None}
    rows = {row.id: row for row in db.rows}
    for step in db.steps:
        row = rows.get(step.effect_id or "")
        entry = given.get((row.adapter, row.key)) if row else None
        if step.state != "completed" or entry is None:
            continue  # told by the other checks
        about = f"{step.case_id} {step.code}"
        if entry.operation != step.code:
            yield Fault("result_differs", about, f"the department did {entry.operation}")
        if step.reference not in (None, entry.effect_id, entry.facts.get("receipt")):
            yield Fault("result_differs", about, "reference")
        for ours, theirs in bundle.results[step.code]:
            if step.result.get(ours) is None or step.result[ours] != entry.facts.get(theirs):
                yield Fault("result_differs", about, ours)
