"""How onestop itself is started for the benchmark: the one file here that knows it.

One gateway process with everything on: sessions, idempotency keys, the data-use ledger, audit, traces, breakers,
budgets, problems, the access line. No worker runs, so effects stay intended, as the peers' stay written.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import machine
from contenders import NOTE, Ask, Contender, Given

TOP = Path(__file__).resolve().parent.parent
DEPARTMENTS = 5
_CITIZEN = 990102_1990_0101_000  # the numbers of invented people begin with 99
_CASE = {"item": "bench-five", "submit": True, "answers": {"applicant": {"note": NOTE}}}

MANIFEST = """
manifest = 1
id = "bench{n}"
version = "1.0.0"
region = "990100"
[department]
code = "11990100MB9T0002XE"
name = {{ zh = "测速局{n}", en = "Bureau {n}" }}
officer = {{ zh = "处长", en = "Head" }}
contact = "bench@example.com"
system = {{ id = "sys-bench-{n}", zh = "测速系统", en = "Bench system" }}
[limits]
concurrency = 256
waiting = 1024

[[operations]]
id = "record"
kind = "query"
want = "bench{n}"
title = {{ zh = "查询", en = "Query" }}
method = "GET"
path = "/records"
purpose = {{ zh = "办理本人事项", en = "To handle the person's own matter" }}
basis = {{ zh = "测速", en = "Benchmark" }}
idempotent = "safe"
total_s = 0.5
request_codec = "none"
reply.found = "receipt"
reply.fields = {fields}

[[operations]]
id = "apply"
kind = "submit"
title = {{ zh = "申办", en = "Apply" }}
method = "POST"
path = "/effects"
purpose = {{ zh = "办理本人事项", en = "To handle the person's own matter" }}
basis = {{ zh = "测速", en = "Benchmark" }}
idempotent = "key"
total_s = 0.5
request.headers = {{ Idempotency-Key = "key" }}
request.body = {{ note = "payload.note" }}
reply.reference = "receipt"
"""

ITEM = """
code = "bench-five"
kind = "one_thing"
name = { zh = "测速一件事", en = "Five at once" }
plain = { zh = "一次申请，五个部门", en = "One application, five departments" }
basis = { zh = "测速", en = "Benchmark" }
lead = "bench1"
promised_days = 5
legal_days = 20

[[fields]]
code = "applicant.note"
type = "text"
label = { zh = "说明", en = "Note" }
max_length = 200
"""

FIELD = """
[[fields]]
code = "record.bench{n}"
type = "record"
label = {{ zh = "登记信息{n}", en = "Record {n}" }}
required = false
sources = [{{ want = "bench{n}", path = "." }}]
"""

COMPONENT = """
[[components]]
code = "apply_{n}"
name = {{ zh = "申办{n}", en = "Apply {n}" }}
adapter = "bench{n}"
operation = "apply"
days = 5
inputs = {{ note = "answers.applicant.note" }}
"""


def why_not() -> str | None:
    """Return the reason onestop cannot be measured, or None."""
    return None if (TOP / ".venv/bin/onestop").exists() else "there is no .venv here: run `make setup`"


def prepare(given: Given) -> Contender:
    """Make everything one start of the gateway needs, untimed, and say how it is started."""
    home = given.home
    record = json.loads(machine.fetch(f"{given.departments[0]}/records")[1])
    fields = _fields(record)
    environment = []
    for n, origin in enumerate(given.departments, 1):
        _write(home / f"adapters/bench{n}/manifest.toml", MANIFEST.format(n=n, fields=fields))
        environment.append(f'[adapters.bench{n}]\nurl = "{origin}"\n')
    numbers = range(1, len(given.departments) + 1)
    item = ITEM + "".join(FIELD.format(n=n) for n in numbers) + "".join(COMPONENT.format(n=n) for n in numbers)
    _write(home / "items/bench-five.toml", item)
    _write(home / "environment.toml", "\n".join(environment))
    port = machine.free_port()
    env = {
        "PATH": "/usr/bin:/bin",
        "ONESTOP_PROFILE": "sandbox",
        "ONESTOP_STATE_DIR": str(home / "state"),
        "ONESTOP_DATABASE_URL": given.dsn,
        "ONESTOP_HOST": "127.0.0.1",
        "ONESTOP_PORT": str(port),
        "ONESTOP_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ONESTOP_ADAPTERS_DIR": str(home / "adapters"),
        "ONESTOP_ITEMS_DIR": str(home / "items"),
        "ONESTOP_ENVIRONMENT_FILE": str(home / "environment.toml"),
        "ONESTOP_OUTBOUND_ALLOW": "127.0.0.0/8",
        "ONESTOP_BUDGET_MS": "500",
        "ONESTOP_ADMISSION_LIMIT": "320",
    }
    own_events = asyncio.run(_citizens(env, given.citizens, home / "tokens"))
    body = json.dumps(_CASE, separators=(",", ":"), ensure_ascii=False)
    return Contender(
        name="onestop",
        argv=[str(TOP / ".venv/bin/onestop"), "run"],
        env=env,
        port=port,
        tokens=home / "tokens",
        me=Ask("GET", "/v1/me"),
        case=Ask("POST", "/v1/cases", body, keyed=True),
        one=Ask("POST", "/v1/me/lookups", '{"wants":["bench1"],"deadline_ms":500}'),
        events=Ask("GET", own_events),
        event_paths=home / "events",
        ready="/readyz",
        recovers_within_s=12,
        rows="SELECT (SELECT count(*) FROM cases), (SELECT count(*) FROM audit_entries), "
        "(SELECT count(*) FROM effects)",
        rows_of_one_case=(1, 1, 5),
        refused_bodies=(
            "{",
            "[]",
            '{"item":"bench-five","submit":true}',
            '{"item":"bench-five","submit":true,"answers":{"applicant":{"note":7}}}',
        ),
    )


def _fields(record: dict[str, object]) -> str:
    """Map every member of a department's record to itself, lists of records included."""
    parts = []
    for name, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            inner = ", ".join(f'{key} = "{key}"' for key in value[0])
            parts.append(f'{name} = {{ each = "{name}", fields = {{ {inner} }} }}')
        else:
            parts.append(f'{name} = "{name}"')
    return "{ " + ", ".join(parts) + " }"


async def _citizens(env: dict[str, str], count: int, tokens: Path) -> str:
    """Sign `count` citizens in, write a bearer token and an address of events a line; return the first's address."""
    from onestop import migrate
    from onestop.crypto import Keys
    from onestop.db import open_pool
    from onestop.identity.models import Identified
    from onestop.identity.service import Sessions
    from onestop.ids import new_id
    from onestop.overview import store
    from onestop.settings import load

    settings = load(env)
    dsn = env["ONESTOP_DATABASE_URL"]
    await migrate.upgrade(dsn)
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    pool = await open_pool(dsn, size=4)
    keys = Keys.load(settings.state_dir)
    handles = []
    async with Sessions(pool, keys, settings) as sessions:
        lines = []
        for nth in range(count):
            who = Identified(number_type="citizen_id", number=str(_CITIZEN + nth) + "0", name=f"测试{nth}", level=2)
            bearer = await sessions.issue_bearer(who, provider="bench", life=timedelta(hours=12))
            lines.append(bearer.token)
            handle = new_id("cmp")
            sealed = keys.seal(b"[]", f"completions.parts.{handle}")
            until = datetime.now(UTC) + timedelta(hours=12)
            subject = bearer.session.subject_id
            await store.insert_completion(pool, settings.region, handle, subject, sealed, ["bench1"], until)
            handles.append(f"/v1/completions/{handle}/events")
    await pool.close()
    _write(tokens, "\n".join(lines) + "\n")
    _write(tokens.with_name("events"), "\n".join(handles) + "\n")
    return handles[0]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit("run bench/run")
