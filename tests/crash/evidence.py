"""Reads the accounts the checker compares: the database, opened with its keys, and the ledgers on disk."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import asyncpg
import msgspec

import onestop_verify
from onestop.audit.anchor_keys import KeyRing
from onestop.audit.export import export
from onestop.audit.sealer import Sealer, witness_of
from onestop.cases import sealing, service, store
from onestop.cases.models import Case as CaseRow
from onestop.cases.models import Step as StepRow
from onestop.db import many, value
from onestop.demo.departments import ledger
from onestop.parts import Parts

from .applicants import MARK
from .checker import Bundle, Case, Database, Entry, Row, Step

BIRTH = Bundle(
    steps={
        "issue_birth_certificate": "weijian",
        "vaccination_card": "weijian",
        "register_birth": "gongan",
        "social_security_card": "renshe",
        "enrol_resident": "yibao",
        "maternity_claim": "yibao",
        "parenting_guidance": "desk",
    },
    results={
        "issue_birth_certificate": (("certificate_no", "certificateNo"),),
        "vaccination_card": (("card_no", "cardNo"),),
        "register_birth": (("id_number", "citizen_id"),),
        "social_security_card": (("card_no", "card_no"),),
        "enrol_resident": (("enrolment_number", "EnrolmentNo"),),
        "maternity_claim": (("claim_number", "ClaimNo"), ("amount_fen", "AmountFen")),
    },
)
# What is told once and never again in a case that nobody corrects.
_ONCE = ("cn.onestop.case.opened", "cn.onestop.case.submitted", "cn.onestop.step.started", "cn.onestop.step.completed")

_UNSETTLED = """
    SELECT (SELECT count(*) FROM case_steps WHERE state IN ('waiting', 'in_progress'))
         + (SELECT count(*) FROM effects WHERE state IN ('intended', 'sent', 'unknown') OR answer = 'awaited')
"""
_CASES = """
    SELECT id, number, claim_code, subject, actor, item, state, outcome, version, answers, opened_at, submitted_at,
           due_on, decided_at, trace_id
      FROM cases
"""
_EVENTS = "SELECT case_id, type, step FROM case_events WHERE type = ANY($1)"
_ROWS = "SELECT id, case_id, step, adapter, key, state, answer FROM effects"
_TASKS = "SELECT case_id, step FROM desk_tasks WHERE state = 'open'"
_ATTEMPTS = "SELECT coalesce(sum(attempt) - count(*), 0)::bigint FROM effects WHERE attempt > 1"
_BOTH_WAYS = """
    SELECT coalesce(e.id, u.effect) AS id
      FROM effects e
      FULL JOIN (SELECT one ->> 'effect' AS effect FROM data_uses, jsonb_array_elements(content::jsonb) AS one
                  WHERE one ->> 'outcome' = 'given') u ON u.effect = e.id
     WHERE e.id IS NULL OR u.effect IS NULL
"""
_UNANCHORED = """
    SELECT (SELECT count(*) FROM audit_entries) + (SELECT count(*) FROM data_uses)
         - (SELECT max(size) FROM audit_anchors)
"""
_HANDS = "SELECT id, worker FROM effects WHERE worker IS NOT NULL"


async def in_hands(db: asyncpg.Pool) -> set[tuple[str, str]]:
    """Return the effects that workers hold now, each with its worker."""
    return {(row["id"], row["worker"]) for row in await db.fetch(_HANDS)}


async def unsettled(db: asyncpg.Pool) -> int:
    """Return how many steps and effects have not come to rest; steps at a desk have."""
    return int(await value(db, _UNSETTLED))


async def sent_again(db: asyncpg.Pool) -> int:
    """Return how many times an effect went out after its first time."""
    return int(await value(db, _ATTEMPTS))


async def unwritten(db: asyncpg.Pool) -> list[str]:
    """Return effects without an entry of data use, and entries without their effect."""
    return [row["id"] for row in await db.fetch(_BOTH_WAYS)]


async def sealed(parts: Parts) -> onestop_verify.Report:
    """Seal what is left, and have the ledger verified with the file that the killed workers wrote."""
    region, witness = parts.settings.region, witness_of(parts.settings.state_dir, parts.settings.region)
    sealer = Sealer(parts.pool, parts.keys, region, witness)
    for _ in range(300):  # a worker may be at it this very moment, and an older transaction may still be open
        await sealer.seal()
        await sealer.anchor(every_s=0)
        if not await value(parts.pool, _UNANCHORED):
            break
        await asyncio.sleep(0.2)
    text = "".join([portion async for portion in export(parts.pool, region)])
    kept = onestop_verify.read_anchors(witness.path.read_text().splitlines())
    keys = onestop_verify.read_keys((await KeyRing.load(parts.pool, parts.keys, region)).jwks())
    return onestop_verify.Verifier(keys, kept).run(text.encode().splitlines(keepends=True))


async def database(parts: Parts) -> Database:
    """Read everything the checker looks at."""
    db, keys, region = parts.pool, parts.keys, parts.settings.region
    events: defaultdict[str, list[tuple[str, str | None]]] = defaultdict(list)
    for row in await db.fetch(_EVENTS, list(_ONCE)):
        events[row["case_id"]].append((row["type"], row["step"]))
    cases, steps = [], []
    for case in await many(db, CaseRow, _CASES):
        mark = sealing.open_form(keys, case).answers.get(MARK)
        cases.append(
            Case(
                id=case.id,
                subject=case.subject,
                mark=mark and mark.value,
                state=case.state,
                events=tuple(events[case.id]),
            )
        )
        steps += [_step(parts, case.id, step) for step in await store.steps(db, region, case.id)]
    return Database(
        cases=cases,
        steps=steps,
        rows=await many(db, Row, _ROWS),
        open_tasks=frozenset((row["case_id"], row["step"]) for row in await db.fetch(_TASKS)),
        orphans=frozenset((one.case_id, one.code) for one in await service.orphans(parts.office)),
    )


def _step(parts: Parts, case_id: str, step: StepRow) -> Step:
    return Step(
        case_id=case_id,
        code=step.code,
        state=step.state,
        adapter=step.adapter,
        effect_id=step.effect_id,
        reference=step.reference,
        result=sealing.open_result(parts.keys, case_id, step).fields,
    )


def ledgers(folder: Path, departments: Iterable[str]) -> list[Entry]:
    """Read the departments' own ledgers, as their disks have them."""
    decode = msgspec.json.Decoder(ledger.Entry).decode
    found = []
    for id in departments:
        for line in (folder / f"{id}.ledger.jsonl").read_bytes().splitlines():
            entry = decode(line)
            found.append(
                Entry(
                    department=id,
                    operation=entry.operation,
                    key=entry.key,
                    outcome=entry.outcome,
                    effect_id=entry.effect_id,
                    facts=entry.facts,
                )
            )
    return found
