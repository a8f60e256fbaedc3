"""SQL of opening a case: one statement writes everything that belongs to it, for every case waiting at the moment.

It writes tables of the front desk, the audit and the gateway besides the case room's own; the reason is in
docs/decisions/0007-one-statement-opens-a-case.md: one statement is one commit, and a case never stands half written.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec

from onestop.db import Db

Row = tuple[object, ...]


class Opening(msgspec.Struct, kw_only=True):
    """One case as rows, and the answer kept under the key it came with."""

    id: str
    number: str
    claim_code: str
    subject: str
    actor: str
    item: str
    state: str
    answers: bytes  # sealed
    due_on: date | None
    trace_id: str | None
    principal: str
    route: str
    key: str
    body_hash: bytes
    status: int
    reply: bytes  # sealed
    headers: str  # JSON
    audit_id: str
    action: str
    detail: str  # JSON
    use_id: str | None  # None: nothing was read of anybody
    uses: str  # JSON
    steps: list[Row]  # as store.step_row
    effects: list[Row]  # as gateway.effects.row
    tasks: list[Row]  # as store_desk.task_row
    events: list[Row]  # as store.event_row


# The key gates everything: where it was used before, nothing of that case is written.
INSERT_OPENINGS = """
    WITH opening AS (
        SELECT id, number, claim_code, subject, actor, item, state, answers, due_on, trace_id, principal, route, key,
               body_hash, status, reply, headers, audit_id, action, detail, use_id, uses
          FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[],
                      $10::date[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[], $16::smallint[],
                      $17::bytea[], $18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[])
               AS o (id, number, claim_code, subject, actor, item, state, answers, due_on, trace_id, principal, route,
                     key, body_hash, status, reply, headers, audit_id, action, detail, use_id, uses)
    ), keyed AS (
        INSERT INTO idempotency_keys (region, principal, route, key, body_hash, status, reply, headers, made_id)
        SELECT $1, principal, route, key, body_hash, status, reply, headers::jsonb, id FROM opening
            ON CONFLICT (region, principal, route, key) DO NOTHING
        RETURNING made_id
    ), case_rows AS (
        INSERT INTO cases (region, id, number, claim_code, subject, actor, item, state, answers, due_on, trace_id,
                           submitted_at)
        SELECT $1, id, number, claim_code, subject, actor, item, state, answers, due_on, trace_id,
               CASE WHEN state = 'draft' THEN NULL ELSE now() END
          FROM opening JOIN keyed ON made_id = id
    ), step_rows AS (
        INSERT INTO case_steps (region, case_id, code, position, department, adapter, operation, needs, state,
                                promised_days, due_on, started_at, effect_id)
        SELECT $1, case_id, code, position, department, adapter, operation, string_to_array(needs, ' '), state,
               promised_days, due_on, CASE WHEN state = 'waiting' THEN NULL ELSE now() END, effect_id
          FROM unnest($24::text[], $25::text[], $26::smallint[], $27::text[], $28::text[], $29::text[], $30::text[],
                      $31::text[], $32::integer[], $33::date[], $34::text[])
               AS s (case_id, code, position, department, adapter, operation, needs, state, promised_days, due_on,
                     effect_id)
               JOIN keyed ON made_id = case_id
    ), effect_rows AS (
        INSERT INTO effects (region, id, case_id, step, adapter, operation, version, key, payload, trace_id)
        SELECT $1, id, case_id, step, adapter, operation, version, key, payload, trace_id
          FROM unnest($35::text[], $36::text[], $37::text[], $38::text[], $39::text[], $40::text[], $41::text[],
                      $42::bytea[], $43::text[])
               AS e (id, case_id, step, adapter, operation, version, key, payload, trace_id)
               JOIN keyed ON made_id = case_id
    ), task_rows AS (
        INSERT INTO desk_tasks (region, case_id, id, step, round, department, kind, reason, due_on)
        SELECT $1, case_id, id, step, round, department, kind, reason, due_on
          FROM unnest($44::text[], $45::text[], $46::text[], $47::smallint[], $48::text[], $49::text[], $50::text[],
                      $51::date[])
               AS t (case_id, id, step, round, department, kind, reason, due_on)
               JOIN keyed ON made_id = case_id
    ), event_rows AS (
        INSERT INTO case_events (region, case_id, seq, type, by_whom, step, data)
        SELECT $1, case_id, seq, type, by_whom, step, data::jsonb
          FROM unnest($52::text[], $53::integer[], $54::text[], $55::text[], $56::text[], $57::text[])
               AS v (case_id, seq, type, by_whom, step, data)
               JOIN keyed ON made_id = case_id
    ), audit_rows AS (
        INSERT INTO audit_entries (region, id, actor, subject, action, object, trace_id, detail)
        SELECT $1, audit_id, actor, subject, action, id, trace_id, detail::jsonb FROM opening JOIN keyed ON made_id = id
    ), use_rows AS (
        INSERT INTO data_uses (region, id, subject, actor, object, trace_id, uses)
        SELECT $1, use_id, subject, actor, id, trace_id, uses::jsonb
          FROM opening JOIN keyed ON made_id = id WHERE use_id IS NOT NULL
    )
    SELECT made_id FROM keyed LIMIT 1000
"""

_WIDTHS = {"steps": 11, "effects": 9, "tasks": 8, "events": 6}


def _columns(rows: Sequence[Row], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _children(openings: Sequence[Opening]) -> list[list[Any]]:
    steps: list[Row] = []
    effects: list[Row] = []
    tasks: list[Row] = []
    events: list[Row] = []
    for opening in openings:
        own = (opening.id,)
        steps += [own + row for row in opening.steps]
        effects += opening.effects
        tasks += [own + row for row in opening.tasks]
        events += [(opening.id, nth, *row) for nth, row in enumerate(opening.events, 1)]
    return [
        *_columns(steps, _WIDTHS["steps"]),
        *_columns(effects, _WIDTHS["effects"]),
        *_columns(tasks, _WIDTHS["tasks"]),
        *_columns(events, _WIDTHS["events"]),
    ]


def _own(opening: Opening) -> Row:
    return (
        opening.id, opening.number, opening.claim_code, opening.subject, opening.actor, opening.item, opening.state,
        opening.answers, opening.due_on, opening.trace_id, opening.principal, opening.route, opening.key,
        opening.body_hash, opening.status, opening.reply, opening.headers, opening.audit_id, opening.action,
        opening.detail, opening.use_id, opening.uses,
    )  # fmt: skip


async def insert_openings(db: Db, region: str, openings: Sequence[Opening]) -> set[str]:
    """Write cases, all or none, and return the ids of those whose key was new."""
    own = _columns([_own(opening) for opening in openings], 22)
    rows = await db.fetch(INSERT_OPENINGS, region, *own, *_children(openings))
    return {row[0] for row in rows}
