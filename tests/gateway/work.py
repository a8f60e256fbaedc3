"""Work owed to departments of the tests: manifests of every kind, effects in the ledger, a handler that remembers."""

import asyncio
import hmac
import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from onestop.gateway import callbacks, effect_verdicts, effects, store
from onestop.gateway.callback_rules import Envelope
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import parse
from onestop.gateway.models import NewEffect
from onestop.gateway.service import Gateway
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.outbound.addresses import AllowList
from tests.gateway.department import department

REGION = "990100"
SECRET = "callback-secret-of-the-tests"

HEAD = """
manifest = 1
id = "{id}"
version = "1.0.0"
region = "990100"
[department]
code = "{code}"
name = {{ zh = "测试局", en = "Test bureau" }}
officer = {{ zh = "科长", en = "Head of section" }}
contact = "x@example.com"
system = {{ id = "sys-{id}", zh = "测试系统", en = "Test system" }}
{tables}
"""
OPERATION = """
[[operations]]
id = "{id}"
kind = "{kind}"
title = {{ zh = "办", en = "Do" }}
method = "POST"
path = "/{id}"
purpose = {{ zh = "办事", en = "To serve" }}
basis = {{ zh = "测试", en = "Test" }}
idempotent = "{idempotent}"
total_s = 0.4
request.body = {{ key = "key", name = "payload.name" }}
reply.key = "key"
reply.reference = "number"
reply.outcome.path = "status"
reply.outcome.map.ok = "completed"
reply.outcome.map.wait = "pending"
reply.outcome.map.longer = "extended"
reply.outcome.map.no = "declined"
reply.outcome.map.fix = "correction"
reply.reason = "says"
reply.later = "later"
reply.fields = {{ number = "number" }}
{more}
"""
CODES = {"dep": "11990100MB9T0002XE", "other": "11990100MB9T0003XF"}


def manifest(
    name="dep", *, idempotent="key", answer="now", more="", tables="", poll=None, extra=(), callback="apply", reply=""
):
    """Return a manifest with one submission, what is needed to ask after it, and `extra` operations."""
    told = f'answer = "{answer}"\n{more}\n'
    tables += f'\n[callback]\noperation = "{callback}"\n{reply}\n' if answer == "callback" else ""
    if poll:
        told += f'poll = {{ operation = "status", {poll} }}\n'
    if idempotent == "lookup":
        told += 'lookup = "find"\n'
    parts = [OPERATION.format(id="apply", kind="submit", idempotent=idempotent, more=told)]
    parts.append(OPERATION.format(id="status", kind="status", idempotent="safe", more=""))
    found = 'reply.found = "number"\n'
    parts.append(OPERATION.format(id="find", kind="lookup", idempotent="safe", more=found))
    text = HEAD.format(id=name, code=CODES[name], tables=tables) + "".join(parts) + "".join(extra)
    return parse(text.encode())


class Work:
    """The ledger, one gateway, and what its cases hear."""

    def __init__(self, pool, keys, manifests, lines=None):
        self.pool, self.keys = pool, keys
        self.gateway = Gateway({one.id: one for one in manifests}, lines or {})
        self.heard = []
        self.fail = {}  # by key: how often the handler raises

    async def handler(self, _db, effect, settled):
        if self.fail.get(effect.key, 0) > 0:
            self.fail[effect.key] -= 1
            raise RuntimeError("the handler of the tests")
        self.heard.append((effect.key, settled.outcome))

    def of(self, key):
        return [outcome for heard, outcome in self.heard if heard == key]

    async def intend(self, key, adapter="dep", operation="apply", payload=None):
        effect_id = new_id("eff")
        new = NewEffect(
            id=effect_id,
            case_id="case_x",
            step="s",
            adapter=adapter,
            operation=operation,
            key=key,
            payload=payload or {"name": "林"},
        )
        async with self.pool.acquire() as db, db.transaction():
            await effects.intend(db, self.keys, self.gateway, REGION, [new])
        return effect_id

    def worker(self, gateway=None):
        return effects.Dispatcher(self.pool, self.keys, gateway or self.gateway, REGION, self.handler)

    async def call_back(self, body, *, nonce=None, secret=SECRET, adapter="dep"):
        """Have a department answer as it signs."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = signed_headers(data, nonce=nonce, secret=secret)
        told = Envelope(headers)
        taken = await callbacks.receive(self.pool, self.keys, self.gateway, REGION, adapter, told, data, self.handler)
        return taken.new

    async def row(self, key, adapter="dep"):
        return await self.pool.fetchrow("SELECT * FROM effects WHERE adapter = $1 AND key = $2", adapter, key)

    async def age(self, key, hours, *, sent=False):
        """Make an effect older than it is."""
        await self.pool.execute(
            "UPDATE effects SET intended_at = intended_at - $2 * interval '1 hour', next_at = now(),"
            " sent_at = CASE WHEN $3 THEN sent_at - $2 * interval '1 hour' ELSE sent_at END WHERE key = $1",
            key, hours, sent,
        )  # fmt: skip

    async def due(self, key):
        await self.pool.execute("UPDATE effects SET next_at = now() WHERE key = $1", key)


def signed_headers(data, *, nonce=None, secret=SECRET):
    """Return the headers of a callback as the department signs it."""
    stamp, nonce = str(int(time.time())), nonce or new_id("nonce")
    signature = hmac.digest(secret.encode(), f"{stamp}\n{nonce}\n".encode() + data, "sha256").hex()
    return {"x-timestamp": stamp, "x-nonce": nonce, "x-signature": signature}


@asynccontextmanager
async def served(pool, keys, behave, monkeypatch, *, workers=1, **told):
    """A called department, its line, and workers; yields the work and the department."""
    monkeypatch.setattr(effect_verdicts, "backoff_s", lambda attempt: 0.05)
    async with department(behave) as there:
        described = manifest(**told)
        line = Line(described, Where(f"http://127.0.0.1:{there.port}", {"callback_secret": SECRET}), ALLOW)
        work = Work(pool, keys, [described], {described.id: line})
        running = [work.worker() for _ in range(workers)]
        tasks = [asyncio.create_task(one.run()) for one in running]
        try:
            yield work, there
        finally:
            for one in running:
                one.stop()
            await asyncio.gather(*tasks)
            await work.gateway.close()


ALLOW = AllowList(["127.0.0.0/8"])


@asynccontextmanager
async def at_work(work):
    """One worker for as long as the block lasts."""
    worker = work.worker()
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await task


async def until(check, patience_s=5.0):
    end = asyncio.get_running_loop().time() + patience_s
    while not (found := await check()):
        assert asyncio.get_running_loop().time() < end, "it never happened"
        await asyncio.sleep(0.02)
    return found


def desk(department_id, role="department"):
    return Session(
        id=new_id("ses"),
        subject_id="sub_d",
        actor_id="sub_d",
        role=role,
        department=department_id,
        level=2,
        kind="bearer",
        expires_at=datetime.now(UTC),
        principal=f"sub_d:{role}",
    )


async def state_of(work, key, adapter="dep"):
    effect = await store.by_key_for_update(work.pool, REGION, adapter, key)
    return effect.state, effect.answer
