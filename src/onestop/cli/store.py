"""What an operator's commands read straight from the database: states, numbers and times, never what is sealed."""

from datetime import date, datetime
from typing import Any

import msgspec

from onestop.db import Db, execute, many, one, value


class CaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One case, without the person and the answers."""

    id: str
    number: str
    item: str
    state: str
    outcome: str | None
    version: int
    opened_at: datetime
    submitted_at: datetime | None
    due_on: date | None
    decided_at: datetime | None
    trace_id: str | None


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a case, with what the effect ledger says of it."""

    code: str
    department: str
    operation: str
    state: str
    due_on: date | None
    started_at: datetime | None
    settled_at: datetime | None
    reference: str | None
    effect: str | None  # state in the ledger; None: nothing was owed to a department
    answer: str | None
    attempt: int | None
    next_at: datetime | None
    problem: dict[str, Any] | None


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a case."""

    seq: int
    at: datetime
    type: str
    by_whom: str
    step: str | None


class EffectRow(msgspec.Struct, frozen=True, kw_only=True):
    """One effect, as it is compared with the department's own ledger."""

    adapter: str
    operation: str
    key: str
    step: str
    state: str
    answer: str
    reference: str | None
    attempt: int


# `latest` is the newest by id: ids sort by time, and the primary key reads backwards.
SELECT_CASE = """
    SELECT id, number, item, state, outcome, version, opened_at, submitted_at, due_on, decided_at, trace_id
      FROM cases
     WHERE region = $1 AND ($2 = 'latest' OR id = $2 OR number = $2)
     ORDER BY id DESC
     LIMIT 1
"""

SELECT_STEPS = """
    SELECT s.code, s.department, s.operation, s.state, s.due_on, s.started_at, s.settled_at, s.reference,
           e.state AS effect, e.answer, e.attempt, e.next_at, e.problem
      FROM case_steps s
      LEFT JOIN effects e ON e.region = s.region AND e.id = s.effect_id
     WHERE s.region = $1 AND s.case_id = $2
     ORDER BY s.position, s.code
     LIMIT 100
"""

SELECT_EVENTS_AFTER = """
    SELECT seq, at, type, by_whom, step
      FROM case_events
     WHERE region = $1 AND case_id = $2 AND seq > $3
     ORDER BY seq
     LIMIT 500
"""

SELECT_EFFECTS_OF_CASES = """
    SELECT adapter, operation, key, step, state, answer, reference, attempt
      FROM effects
     WHERE region = $1 AND case_id = ANY($2)
     ORDER BY id
     LIMIT 1000
"""

SELECT_CLOCK = "SELECT (value->>'offset_s')::float8 FROM installation WHERE name = 'clock'"

UPSERT_CLOCK = """
    INSERT INTO installation (name, value) VALUES ('clock', jsonb_build_object('offset_s', $1::float8))
        ON CONFLICT (name) DO UPDATE SET value = excluded.value, changed_at = now()
"""

SELECT_NOW = "SELECT now()"

SELECT_VERSION = "SELECT current_setting('server_version')"


async def case(db: Db, region: str, wanted: str) -> CaseRow | None:
    """Read one case by id, by number or as `latest`."""
    return await one(db, CaseRow, SELECT_CASE, region, wanted)


async def steps(db: Db, region: str, case_id: str) -> list[StepRow]:
    """Read a case's steps in their order."""
    return await many(db, StepRow, SELECT_STEPS, region, case_id)


async def events_after(db: Db, region: str, case_id: str, seq: int) -> list[EventRow]:
    """Read what happened to a case after event `seq`, in order; at most 500."""
    return await many(db, EventRow, SELECT_EVENTS_AFTER, region, case_id, seq)


async def effects_of_cases(db: Db, region: str, case_ids: list[str]) -> list[EffectRow]:
    """Read the effects of some cases in the order they were intended; at most 1,000."""
    return await many(db, EffectRow, SELECT_EFFECTS_OF_CASES, region, case_ids)


async def clock_offset_s(db: Db) -> float:
    """Read by how many seconds the sandbox's clock was moved; 0 where it was not."""
    return await value(db, SELECT_CLOCK) or 0.0


async def move_clock(db: Db, offset_s: float) -> None:
    """Write by how many seconds the sandbox's clock is moved."""
    await execute(db, UPSERT_CLOCK, offset_s)


async def now(db: Db) -> datetime:
    """Read the database's clock."""
    told: datetime = await value(db, SELECT_NOW)
    return told


async def server_version(db: Db) -> str:
    """Read the version of the server."""
    return str(await value(db, SELECT_VERSION))
