"""A portal over departments of the tests: two citizens, three departments, one of them slow."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from onestop.app import open_portal
from onestop.http.desk import FrontDesk
from onestop.identity.models import Identified
from onestop.identity.service import Sessions
from onestop.settings import Settings
from tests.gateway.department import Behaviour, Department, Reply, department, manifest_text

ANA, BEN = "990102199203140221", "990102199008210351"
ITEM = """
code = "permit"
kind = "single"
name = { zh = "许可", en = "Permit" }
plain = { zh = "许可", en = "A permit" }
basis = { zh = "测试", en = "Test" }
lead = "one"
promised_days = 5
legal_days = 20
[[fields]]
code = "applicant.note"
type = "text"
label = { zh = "说明", en = "Note" }
[[fields]]
code = "record.one"
type = "record"
label = { zh = "登记", en = "Record" }
required = false
sources = [{ want = "one", path = "." }]
[[components]]
code = "apply_one"
name = { zh = "申办", en = "Apply" }
adapter = "one"
operation = "apply"
days = 5
inputs = { name = "answers.applicant.note" }
"""


def own_record(after_s: float = 0.0) -> Behaviour:
    """Answer with a record of whoever is asked about."""
    import asyncio
    import json

    async def behave(_: str, __: dict[str, str], body: bytes) -> Reply:
        if after_s:
            await asyncio.sleep(after_s)
        number = json.loads(body)["id_number"]
        said = {"data": {"id_number": number, "as_of": "2026-03-02T08:00:00+08:00", "answer": "42"}}
        return 200, json.dumps(said).encode()

    return behave


class World:
    """The portal, its departments, and a client for each citizen."""

    def __init__(self, desk: FrontDesk, departments: dict[str, Department], tokens: dict[str, str]) -> None:
        self.desk, self.departments, self._tokens = desk, departments, tokens

    def client(self, who: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self._tokens[who]}"}
        transport = httpx.ASGITransport(app=self.desk)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)


@pytest.fixture
async def world(settings: Settings, tmp_path: Path, pool) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        served = {}
        lines = []
        for name, behaviour in {"one": own_record(), "two": own_record(), "slow": own_record(1.0)}.items():
            served[name] = await stack.enter_async_context(department(behaviour))
            folder = tmp_path / "adapters" / name
            folder.mkdir(parents=True)
            text = manifest_text(name).replace(
                b"reply.fields = {", b"reply.fields = { id_number = 'data.id_number',", 1
            )
            (folder / "manifest.toml").write_bytes(text)
            lines.append(f'[adapters.{name}]\nurl = "http://127.0.0.1:{served[name].port}"\n')
        (tmp_path / "environment.toml").write_text("".join(lines))
        (tmp_path / "items").mkdir()
        (tmp_path / "items/permit.toml").write_text(ITEM, "utf-8")
        import msgspec

        told = msgspec.structs.replace(
            settings,
            state_dir=tmp_path,
            adapters_dir=tmp_path / "adapters",
            items_dir=tmp_path / "items",
            environment_file=tmp_path / "environment.toml",
            outbound_allow=("127.0.0.0/8",),
            profile="sandbox",
        )
        await pool.execute("TRUNCATE signing_keys")  # each test has keys of its own
        desk = await stack.enter_async_context(open_portal(told))
        sessions: Sessions = desk._sessions  # type: ignore[assignment]
        tokens = {}
        for number, name in ((ANA, "林晓舟"), (BEN, "周启明")):
            who = Identified(number_type="citizen_id", number=number, name=name)
            tokens[number] = (await sessions.issue_bearer(who)).token
        yield World(desk, served, tokens)
