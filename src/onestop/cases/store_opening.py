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
    mandate: str | None = None
    beneficiary: str | None = None
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
    use_id: str | None  # None: nothing was read of anybody, and nothing given away
    uses: str  # JSON
    digests: bytes  # of the entry and of the row of uses, 32 bytes each, as audit.service gives them
    steps: list[Row]  # as store.step_row
    effects: list[Row]  # as gateway.effects.row
    tasks: list[Row]  # as store_desk.task_row
    events: list[Row]  # as store.event_row


# The key gates everything: where it was used before, nothing of that case is written. `_column` makes the parameters.
INSERT_OPENINGS = r"""
    WITH opening AS (
        SELECT id, number, claim_code, subject, actor, item, state, answers, due_on, trace_id, principal, route, key,
               body_hash, status, reply, headers, audit_id, action, detail, use_id, uses, digests, mandate, beneficiary
          FROM unnest(string_to_array($2, E'\x1f', ''), string_to_array($3, E'\x1f', ''),
                      string_to_array($4, E'\x1f', ''), string_to_array($5, E'\x1f', ''),
                      string_to_array($6, E'\x1f', ''), string_to_array($7, E'\x1f', ''),
                      string_to_array($8, E'\x1f', ''), $9::bytea[], string_to_array($10, E'\x1f', '')::date[],
                      string_to_array($11, E'\x1f', ''), string_to_array($12, E'\x1f', ''),
                      string_to_array($13, E'\x1f', ''), string_to_array($14, E'\x1f', ''), $15::bytea[],
                      string_to_array($16, E'\x1f', '')::smallint[], $17::bytea[], string_to_array($18, E'\x1f', ''),
                      string_to_array($19, E'\x1f', ''), string_to_array($20, E'\x1f', ''),
                      string_to_array($21, E'\x1f', ''), string_to_array($22, E'\x1f', ''),
                      string_to_array($23, E'\x1f', ''), $58::bytea[], string_to_array($59, E'\x1f', ''),
                      string_to_array($60, E'\x1f', ''))
               AS o (id, number, claim_code, subject, actor, item, state, answers, due_on, trace_id, principal, route,
                     key, body_hash, status, reply, headers, audit_id, action, detail, use_id, uses, digests, mandate,
                     beneficiary)
    ), keyed AS (
        INSERT INTO idempotency_keys (region, principal, route, key, body_hash, status, reply, headers, made_id)
        SELECT $1, principal, route, key, body_hash, status, reply, headers::jsonb, id FROM opening
            ON CONFLICT (region, principal, route, key) DO NOTHING
        RETURNING made_id
    ), case_rows AS (
        INSERT INTO cases (region, id, number, claim_code, subject, actor, item, state, answers, due_on, trace_id,
                           mandate, beneficiary, submitted_at)
        SELECT $1, id, number, claim_code, subject, actor, item, state, answers, due_on, trace_id, mandate, beneficiary,
               CASE WHEN state = 'draft' THEN NULL ELSE now() END
          FROM opening JOIN keyed ON made_id = id
    ), step_rows AS (
        INSERT INTO case_steps (region, case_id, code, position, department, adapter, operation, needs, state,
                                promised_days, due_on, started_at, effect_id)
        SELECT $1, case_id, code, position, department, adapter, coalesce(operation, ''),
               string_to_array(coalesce(needs, ''), ' '), state,
               promised_days, due_on, CASE WHEN state = 'waiting' THEN NULL ELSE now() END, effect_id
          FROM unnest(string_to_array($24, E'\x1f', ''), string_to_array($25, E'\x1f', ''),
                      string_to_array($26, E'\x1f', '')::smallint[], string_to_array($27, E'\x1f', ''),
                      string_to_array($28, E'\x1f', ''), string_to_array($29, E'\x1f', ''),
                      string_to_array($30, E'\x1f', ''), string_to_array($31, E'\x1f', ''),
                      string_to_array($32, E'\x1f', '')::integer[], string_to_array($33, E'\x1f', '')::date[],
                      string_to_array($34, E'\x1f', ''))
               AS s (case_id, code, position, department, adapter, operation, needs, state, promised_days, due_on,
                     effect_id)
               JOIN keyed ON made_id = case_id
    ), effect_rows AS (
        INSERT INTO effects (region, id, case_id, step, adapter, operation, version, key, payload, trace_id, subject,
                             actor, mandate, beneficiary)
        SELECT $1, e.id, case_id, step, adapter, operation, version, e.key, payload, e.trace_id, o.subject, o.actor,
               o.mandate, o.beneficiary
          FROM unnest(string_to_array($35, E'\x1f', ''), string_to_array($36, E'\x1f', ''),
                      string_to_array($37, E'\x1f', ''), string_to_array($38, E'\x1f', ''),
                      string_to_array($39, E'\x1f', ''), string_to_array($40, E'\x1f', ''),
                      string_to_array($41, E'\x1f', ''), $42::bytea[], string_to_array($43, E'\x1f', ''))
               AS e (id, case_id, step, adapter, operation, version, key, payload, trace_id)
               JOIN keyed ON made_id = case_id JOIN opening o ON o.id = case_id
    ), task_rows AS (
        INSERT INTO desk_tasks (region, case_id, id, step, round, department, kind, reason, due_on)
        SELECT $1, case_id, id, step, round, department, kind, reason, due_on
          FROM unnest(string_to_array($44, E'\x1f', ''), string_to_array($45, E'\x1f', ''),
                      string_to_array($46, E'\x1f', ''), string_to_array($47, E'\x1f', '')::smallint[],
                      string_to_array($48, E'\x1f', ''), string_to_array($49, E'\x1f', ''),
                      string_to_array($50, E'\x1f', ''), string_to_array($51, E'\x1f', '')::date[])
               AS t (case_id, id, step, round, department, kind, reason, due_on)
               JOIN keyed ON made_id = case_id
    ), event_rows AS (
        INSERT INTO case_events (region, case_id, seq, type, by_whom, step, data, actor, mandate)
        SELECT $1, case_id, seq, type, by_whom, step, data::jsonb,
               CASE WHEN by_whom IN ('applicant', 'clerk') THEN o.actor END,
               CASE by_whom WHEN 'applicant' THEN o.mandate END
          FROM unnest(string_to_array($52, E'\x1f', ''), string_to_array($53, E'\x1f', '')::integer[],
                      string_to_array($54, E'\x1f', ''), string_to_array($55, E'\x1f', ''),
                      string_to_array($56, E'\x1f', ''), string_to_array($57, E'\x1f', ''))
               AS v (case_id, seq, type, by_whom, step, data)
               JOIN keyed ON made_id = case_id JOIN opening o ON o.id = case_id
    ), audit_rows AS (
        INSERT INTO audit_entries (region, id, actor, subject, action, object, trace_id, detail, leaf, mandate,
                                   beneficiary)
        SELECT $1, audit_id, actor, subject, action, id, trace_id, detail::jsonb,
               sha256('\x00'::bytea || substr(digests, 1, 32)
                      || int8send((extract(epoch FROM now()) * 1000000)::bigint)), mandate, beneficiary
          FROM opening JOIN keyed ON made_id = id
    ), use_rows AS (
        INSERT INTO data_uses (region, id, subject, actor, object, trace_id, content, leaf, mandate, beneficiary)
        SELECT $1, use_id, subject, actor, id, trace_id, uses,
               sha256('\x00'::bytea || substr(digests, 33)
                      || int8send((extract(epoch FROM now()) * 1000000)::bigint)), mandate, beneficiary
          FROM opening JOIN keyed ON made_id = id WHERE use_id IS NOT NULL
    )
    SELECT made_id FROM keyed LIMIT 1000
"""

_SEPARATOR = "\x1f"
_WIDTHS = {"steps": 11, "effects": 9, "tasks": 8, "events": 6}


def _column(values: Sequence[object]) -> str | Sequence[object]:
    """Return a column as the statement takes it: bytes as an array, everything else as one text, null as nothing.

    The driver looks at every element of an array several times; for the hundred and sixty of a case that cost more
    than any other step of writing it.
    """
    if isinstance(values[0], bytes):
        return values
    try:
        text = _SEPARATOR.join(values)  # type: ignore[arg-type]  # most are texts already
    except TypeError:
        text = _SEPARATOR.join(["" if value is None else str(value) for value in values])
    if text.count(_SEPARATOR) != len(values) - 1:  # ids, codes and JSON hold no such character
        raise ValueError("a value holds the separator of values")
    return text


def _columns(rows: Sequence[Row], width: int) -> list[Any]:
    return [_column(column) for column in zip(*rows, strict=True)] if rows else [None] * width


def _children(openings: Sequence[Opening]) -> list[Any]:
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
    digests = [opening.digests for opening in openings]
    whose = _columns([(opening.mandate, opening.beneficiary) for opening in openings], 2)
    rows = await db.fetch(INSERT_OPENINGS, region, *own, *_children(openings), digests, *whose)
    return {row[0] for row in rows}
