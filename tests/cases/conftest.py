"""The case room on PostgreSQL with the shipped manifests: departments and the worker are stand-ins."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onestop.cases import service
from onestop.cases.office import Office
from onestop.cases.views import OpenCase, Submit
from onestop.db import Pool
from onestop.gateway import manifest as manifests
from onestop.gateway.fanout import Gathered
from onestop.gateway.models import Effect, Part, PartProblem, Settled
from onestop.gateway.parts import source
from onestop.gateway.service import Gateway
from onestop.http.idempotency import Keyed
from onestop.http.models import Context
from onestop.identity.models import Session, Subject
from onestop.ids import new_id
from onestop.items.service import load
from onestop.resources import shipped

AS_OF = "2026-03-02T08:00:00+08:00"
LIN = "990102199203140221"
ITEMS = Path(__file__).parent / "items"
BIRTH = {
    "household": {
        "name": "林晓舟",
        "id_number": LIN,
        "household_no": "990102003107",
        "address": "云溪市临江区柳岸街道书院路18号2栋601室",
    },
    "medical_insurance": {"kind": "employee", "status": "active"},
    "marriage": {"spouse_name": "周启明", "spouse_id": "990102199008210351", "certificate_no": "J990102-2019-001314"},
    "birth_records": {
        "records": [{"sex": "female", "born_on": "2025-11-18", "weight_g": 3240, "hospital": "云溪市妇幼保健院"}]
    },
}
FILL = {"baby": {"name": "周沐禾"}, "contact": {"phone": "15400000001"}, "guidance": {"station": "liuan"}}
RESULTS: dict[str, dict[str, Any]] = {
    "issue_birth_certificate": {"certificate_no": "Y990000123"},
    "vaccination_card": {"card_no": "YM990102000001"},
    "register_birth": {"id_number": "990102202511180465"},
    "social_security_card": {"card_no": "990102SSC00001"},
    "enrol_resident": {"enrolment_number": "CB0001"},
    "maternity_claim": {"amount_fen": 380000},
}


class Departments:
    """Answers for departments: what each want gives, and which are away."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.data: dict[str, Any] = dict(BIRTH)
        self.away: set[str] = set()
        self.asked: list[str] = []

    async def __call__(self, asks, person, *, deadline, lang, traceparent) -> Gathered:
        parts = []
        for ask in asks:
            self.asked.append(ask.want)
            who = source(self.gateway.manifests[ask.adapter], lang)
            if ask.want in self.away:
                problem = PartProblem(code="upstream.timeout", title="t", detail="d", who_acts="department")
                parts.append(Part(want=ask.want, state="unavailable", source=who, took_ms=1.0, problem=problem))
            else:
                data = self.data.get(ask.want)
                parts.append(
                    Part(
                        want=ask.want,
                        state="ok",
                        source=who,
                        found=data is not None,
                        as_of=AS_OF,
                        took_ms=1.0,
                        data=data,
                    )
                )
        return Gathered(parts, [])


class Citizen:
    """Somebody at the counter: a session, requests and keys of their own."""

    def __init__(self, office: Office, session: Session) -> None:
        self.office = office
        self.session = session

    def context(self, lang: str = "zh", path: str = "/v1/cases", **headers: str) -> Context:
        now = asyncio.get_running_loop().time()
        told = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        return Context(
            "req_1", secrets.token_hex(16), "b" * 16, lang, 2500, now + 2.5, 0.0, path, told, session=self.session
        )

    def keyed(self, path: str = "/v1/cases", key: str | None = None, body: bytes = b"{}") -> Keyed:
        return Keyed(
            region=self.office.region,
            principal=self.session.principal,
            route=f"POST {path}",
            key=key or secrets.token_hex(8),
            body_hash=hashlib.sha256(body).digest(),
        )

    async def open(self, item: str = "birth", key: str | None = None, lang: str = "zh", **rest: Any) -> Any:
        wanted = OpenCase(item=item, **rest)
        reply = await service.open_case(
            self.office, self.session, self.context(lang), self.keyed(key=key, body=msgspec.json.encode(wanted)), wanted
        )
        return msgspec.json.decode(reply.body)

    async def change(self, case: Any, answers: Any) -> Any:
        return await service.change_answers(
            self.office, self.session, self.context(), case["id"], [case["version"]], answers
        )

    async def submit(self, case_id: str, version: int, key: str | None = None) -> Any:
        keyed = self.keyed(f"/v1/cases/{case_id}/submission", key)
        declared = Submit(declarations=("all_true",))
        return await service.submit(self.office, self.session, self.context(), keyed, case_id, [version], declared)

    async def submitted(self, fill: Any = None, **rest: Any) -> str:
        """Open a draft of the bundle, fill it and submit it; return the case's id."""
        case = await self.open(**rest)
        changed = await self.change(case, fill or FILL)
        await self.submit(case["id"], changed.version)
        return str(case["id"])

    async def case(self, case_id: str, lang: str = "zh") -> Any:
        case = await service.own_case(self.office, self.session, case_id)
        return await service.show(self.office, case, lang)


def citizen(office: Office, subject_id: str, role: str = "citizen", department: str | None = None) -> Citizen:
    return Citizen(
        office,
        Session(
            id=new_id("ses"),
            subject_id=subject_id,
            actor_id=subject_id,
            role=role,
            department=department,
            level=2,
            kind="bearer",
            expires_at=datetime.now(UTC),
            principal=f"{subject_id}:{role}",
        ),
    )


class Sessions:
    """Sessions by the name in the Authorization header."""

    def __init__(self, known):
        self.known = known

    def peek(self, authorization, cookie):
        return self.known.get((authorization or "").removeprefix("Bearer "))

    async def resolve(self, authorization, cookie):
        return None


@pytest.fixture
async def office(pool: Pool, keys, settings) -> AsyncIterator[Office]:
    gateway = Gateway(manifests.load(shipped("adapters")), {})
    people = {
        "sub_lin": Subject(id="sub_lin", kind="person", number_type="citizen_id", number=LIN, name="林晓舟"),
        "sub_chen": Subject(
            id="sub_chen", kind="person", number_type="citizen_id", number="990103198506300175", name="陈立"
        ),
    }

    async def person(subject_id: str) -> Subject:
        return people[subject_id]

    await pool.execute("TRUNCATE signing_keys")  # each test has keys of its own
    office = Office(settings, keys, pool, gateway, load([ITEMS]), person, gather=Departments(gateway))
    await office.start()
    yield office
    await office.close()


@pytest.fixture
def departments(office: Office) -> Departments:
    return office.gather


@pytest.fixture
def lin(office: Office) -> Citizen:
    return citizen(office, "sub_lin")


@pytest.fixture
def chen(office: Office) -> Citizen:
    """Another citizen, always in the room."""
    return citizen(office, "sub_chen")


@pytest.fixture
def clerk(office: Office) -> Citizen:
    return citizen(office, "sub_clerk", "clerk", "zwfw")


SELECT_LIVE = """
    SELECT region, id, case_id, step, adapter, operation, version, key, state, answer, attempt, intended_at
      FROM effects WHERE case_id = $1 ORDER BY id
"""


async def effects_of(office: Office, case_id: str) -> dict[str, Effect]:
    """The newest effect of each step."""
    rows = await office.pool.fetch(SELECT_LIVE, case_id)
    return {row["step"]: msgspec.convert(dict(row), Effect) for row in rows}


async def settle(office: Office, effect: Effect, outcome: str, **rest: Any) -> None:
    """What the gateway's worker does: settle the effect and tell the case, in one transaction."""
    waits = outcome in ("pending", "extended")
    async with office.pool.acquire() as db, db.transaction():
        await db.execute(
            "UPDATE effects SET state = $2, answer = $3, next_at = CASE WHEN $4 THEN now() END WHERE id = $1",
            effect.id,
            "done" if outcome in ("completed", "pending", "extended", "transferred") else "refused",
            "awaited" if waits else "none",
            waits,
        )
        result = RESULTS.get(effect.step) if outcome == "completed" else None
        told = Settled(outcome=outcome, **{"reference": f"REF-{effect.step}", "result": result, **rest})
        await service.outcome_handler(office)(db, effect, told)


async def tell(office: Office, case_id: str, step: str, outcome: str, **rest: Any) -> None:
    effects = await effects_of(office, case_id)
    await settle(office, effects[step], outcome, **rest)


async def play(dsn: str, keys: Any, told: Any, order: list[tuple[int, str]]) -> None:
    """Submit a bundle, let its steps hear outcomes in this order, then let whoever is left answer."""
    from onestop.cases import rules
    from onestop.cases.views import AnswerTask, Resubmit
    from onestop.db import open_pool

    pool = await open_pool(dsn, size=4)
    try:
        await pool.execute("TRUNCATE signing_keys")
        gateway = Gateway(manifests.load(shipped("adapters")), {})

        async def person(subject_id: str) -> Subject:
            return Subject(id=subject_id, kind="person", number_type="citizen_id", number=LIN, name="林晓舟")

        office = Office(told, keys, pool, gateway, load(), person, gather=Departments(gateway))
        await office.start()
        lin = citizen(office, "sub_lin")
        case_id = await lin.submitted()

        async def step(code: str, outcome: str) -> None:
            live = await effects_of(office, case_id)
            state = await pool.fetchval(
                "SELECT state FROM case_steps WHERE case_id = $1 AND code = $2", case_id, code
            )  # fmt: skip
            if state == "correcting" and outcome == "completed":
                keyed = lin.keyed(f"/r/{code}")
                await service.resubmit(office, lin.session, lin.context(), keyed, case_id, code, Resubmit())
            elif state == "at_desk":
                task = await pool.fetchrow(
                    "SELECT id, department FROM desk_tasks WHERE case_id = $1 AND step = $2 AND state = 'open'",
                    case_id,
                    code,
                )
                clerk = citizen(office, "sub_clerk", "clerk", task["department"])
                said = "declined" if outcome == "declined" else "completed"
                await service.answer_task(
                    office, clerk.session, clerk.context(), clerk.keyed(), task["id"],
                    AnswerTask(outcome=said, result=RESULTS.get(code, {}) if code != "maternity_claim" else {}),
                )  # fmt: skip
            elif code in live:
                await settle(office, live[code], outcome)
            assert await service.orphans(office) == []

        codes = [step_.code for step_ in (await lin.case(case_id)).steps]
        for index, outcome in order:
            await step(codes[index % len(codes)], outcome)
        for _ in range(4):
            for code in codes:
                await step(code, "completed")
        case = await lin.case(case_id)
        ended = [one.state for one in case.steps]
        assert case.state == "decided", ended
        assert case.outcome == rules.outcome(ended)
        assert await pool.fetchval("SELECT count(*) FROM certificates WHERE case_id = $1", case_id) == 1
        assert (
            await pool.fetchval("SELECT count(*) FROM desk_tasks WHERE case_id = $1 AND state = 'open'", case_id) == 0
        )
        keys_ = await pool.fetch("SELECT key, count(*) FROM effects WHERE case_id = $1 GROUP BY key", case_id)
        assert all(row["count"] == 1 for row in keys_)
        await office.close()
    finally:
        await pool.close()
