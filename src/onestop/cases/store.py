"""SQL of cases, their steps and their events."""

from collections.abc import Sequence
from datetime import date

import msgspec

from onestop.cases.models import Case, CaseBrief, CaseOutcome, CaseState, Event, NewEvent, Step
from onestop.db import Connection, Db, columns, execute, many, one

# The owner is in the WHERE clause: another citizen's case is the same as no case.
SELECT_OWN_CASE = """
    SELECT id, number, claim_code, subject, actor, item, state, outcome, version, answers, opened_at, submitted_at,
           due_on, decided_at, trace_id, mandate, beneficiary
      FROM cases
     WHERE region = $1 AND id = $2 AND subject = $3
"""


async def own_case(db: Db, region: str, case_id: str, subject: str) -> Case | None:
    """Read one of a subject's own cases."""
    return await one(db, Case, SELECT_OWN_CASE, region, case_id, subject)


SELECT_OWN_CASE_FOR_UPDATE = """
    SELECT id, number, claim_code, subject, actor, item, state, outcome, version, answers, opened_at, submitted_at,
           due_on, decided_at, trace_id, mandate, beneficiary
      FROM cases
     WHERE region = $1 AND id = $2 AND subject = $3
       FOR UPDATE
"""


async def own_case_for_update(db: Connection, region: str, case_id: str, subject: str) -> Case | None:
    """Read one of a subject's own cases and hold its row until the transaction ends."""
    return await one(db, Case, SELECT_OWN_CASE_FOR_UPDATE, region, case_id, subject)


# For what departments and desks report: they name the case, not its owner.
SELECT_CASE_FOR_UPDATE = """
    SELECT id, number, claim_code, subject, actor, item, state, outcome, version, answers, opened_at, submitted_at,
           due_on, decided_at, trace_id, mandate, beneficiary
      FROM cases
     WHERE region = $1 AND id = $2
       FOR UPDATE
"""


async def case_for_update(db: Connection, region: str, case_id: str) -> Case | None:
    """Read a case whoever owns it and hold its row until the transaction ends."""
    return await one(db, Case, SELECT_CASE_FOR_UPDATE, region, case_id)


SELECT_OWN_CASES = """
    SELECT id, number, item, state, outcome, version, opened_at, submitted_at, due_on, decided_at
      FROM cases
     WHERE region = $1 AND subject = $2 AND ($3::text IS NULL OR id < $3)
       AND ($5::text[] IS NULL OR item = ANY($5))
     ORDER BY id DESC
     LIMIT $4
"""


async def own_cases(
    db: Db, region: str, subject: str, before: str | None, limit: int, items: Sequence[str] | None = None
) -> list[CaseBrief]:
    """Return a subject's cases, newest first, opened before the case `before`; with `items` only those of them."""
    only = None if items is None else list(items)
    return await many(db, CaseBrief, SELECT_OWN_CASES, region, subject, before, limit, only)


UPDATE_ANSWERS = """
    UPDATE cases
       SET answers = $3, version = version + 1, changed_at = now()
     WHERE region = $1 AND id = $2
"""


async def update_answers(db: Connection, region: str, case_id: str, answers: bytes) -> None:
    """Write a case's form; the row is held."""
    await execute(db, UPDATE_ANSWERS, region, case_id, answers)


# Who sends it is no change of what it says: the version stays.
UPDATE_FORM = "UPDATE cases SET answers = $3 WHERE region = $1 AND id = $2"


async def update_form(db: Connection, region: str, case_id: str, answers: bytes) -> None:
    """Write a case's form without a new version; the row is held."""
    await execute(db, UPDATE_FORM, region, case_id, answers)


UPDATE_SUBMITTED = """
    UPDATE cases
       SET state = $3, due_on = $4, submitted_at = now(), version = version + 1
     WHERE region = $1 AND id = $2
"""


async def update_submitted(db: Connection, region: str, case_id: str, state: CaseState, due_on: date) -> None:
    """Write that a case was submitted; the row is held."""
    await execute(db, UPDATE_SUBMITTED, region, case_id, state, due_on)


UPDATE_STATE = """
    UPDATE cases
       SET state = $3, outcome = $4, version = version + 1,
           decided_at = CASE WHEN $3 = 'decided' THEN now() ELSE decided_at END
     WHERE region = $1 AND id = $2
"""


async def update_state(
    db: Connection, region: str, case_id: str, state: CaseState, outcome: CaseOutcome | None
) -> None:
    """Write a case's state and count its version up; the row is held."""
    await execute(db, UPDATE_STATE, region, case_id, state, outcome)


INSERT_STEPS = """
    INSERT INTO case_steps (region, case_id, code, position, department, adapter, operation, needs, state,
                            promised_days, due_on, started_at, effect_id)
    SELECT $1, $2, code, position, department, adapter, operation, string_to_array(needs, ' '), state,
           promised_days, due_on, CASE WHEN state = 'waiting' THEN NULL ELSE now() END, effect_id
      FROM unnest($3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                  $10::integer[], $11::date[], $12::text[])
           AS step (code, position, department, adapter, operation, needs, state, promised_days, due_on, effect_id)
"""


async def insert_steps(db: Connection, region: str, case_id: str, steps: Sequence[Step]) -> None:
    """Write a case's steps."""
    rows = [step_row(step) for step in steps]
    await execute(db, INSERT_STEPS, region, case_id, *columns(rows))


def step_row(step: Step) -> tuple[object, ...]:
    """Return a new step in the order of the statements that take steps by `unnest`."""
    return (
        step.code, step.position, step.department, step.adapter, step.operation, " ".join(step.needs), step.state,
        step.promised_days, step.due_on, step.effect_id,
    )  # fmt: skip


SELECT_STEPS = """
    SELECT code, position, department, adapter, operation, needs, state, promised_days, due_on, started_at, settled_at,
           round, effect_id, heard, reference, result
      FROM case_steps
     WHERE region = $1 AND case_id = $2
     ORDER BY position
     LIMIT 64
"""


async def steps(db: Db, region: str, case_id: str) -> list[Step]:
    """Read a case's steps in the item's order."""
    return await many(db, Step, SELECT_STEPS, region, case_id)


UPDATE_STEP = """
    UPDATE case_steps
       SET state = $4, due_on = $5, round = $6, effect_id = $7, heard = $8, reference = $9, result = $10,
           started_at = CASE WHEN $4 IN ('in_progress', 'at_desk') THEN coalesce(started_at, now())
                             ELSE started_at END,
           settled_at = CASE WHEN $4 IN ('completed', 'declined', 'not_started', 'withdrawn')
                             THEN coalesce(settled_at, now()) END
     WHERE region = $1 AND case_id = $2 AND code = $3
"""


async def update_step(db: Connection, region: str, case_id: str, step: Step) -> None:
    """Write what changed of a step; the case's row is held."""
    await execute(
        db, UPDATE_STEP, region, case_id, step.code, step.state, step.due_on, step.round, step.effect_id, step.heard,
        step.reference, step.result,
    )  # fmt: skip


# The case's row is held, so nobody else takes the same numbers.
INSERT_EVENTS = """
    INSERT INTO case_events (region, case_id, seq, type, by_whom, step, data, trace_id, actor, mandate)
    SELECT $1, $2, (SELECT coalesce(max(seq), 0) FROM case_events WHERE region = $1 AND case_id = $2) + nth,
           type, by_whom, step, data::jsonb, $3, actor, mandate
      FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
           WITH ORDINALITY AS event (type, by_whom, step, data, actor, mandate, nth)
"""


async def insert_events(
    db: Connection, region: str, case_id: str, trace_id: str | None, events: Sequence[NewEvent]
) -> None:
    """Write events in order after those that are there; the case's row is held."""
    if events:
        rows = [(*event_row(event), event.actor, event.mandate) for event in events]
        await execute(db, INSERT_EVENTS, region, case_id, trace_id, *columns(rows))


def event_row(event: NewEvent) -> tuple[object, ...]:
    """Return an event in the order of the statements that take events by `unnest`, without who acted."""
    return (event.type, event.by_whom, event.step, msgspec.json.encode(event.data).decode())


SELECT_EVENTS = """
    SELECT seq, at, type, by_whom, step, data, actor, mandate
      FROM case_events
     WHERE region = $1 AND case_id = $2 AND seq > $3
     ORDER BY seq
     LIMIT 500
"""


async def events(db: Db, region: str, case_id: str, after: int = 0) -> list[Event]:
    """Read a case's events after number `after`, in order; at most 500."""
    return await many(db, Event, SELECT_EVENTS, region, case_id, after)


SELECT_NEWEST_EVENTS = """
    SELECT case_id, max(seq) AS seq
      FROM case_events
     WHERE region = $1 AND case_id = ANY($2::text[])
     GROUP BY case_id
     LIMIT 1000
"""


async def newest_events(db: Db, region: str, case_ids: Sequence[str]) -> list[tuple[str, int]]:
    """Return each of these cases with the number of its newest event; at most 1,000."""
    return [(row["case_id"], row["seq"]) for row in await db.fetch(SELECT_NEWEST_EVENTS, region, list(case_ids))]
