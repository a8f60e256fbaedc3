"""One portal over a department of the tests, and five people in it; everybody signs in once for all tests."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from onestop.app import open_portal
from onestop.http.desk import FrontDesk
from onestop.identity.models import Identified
from onestop.identity.service import Sessions
from onestop.settings import Settings
from overview.conftest import ITEM, own_record
from tests.gateway.department import Department, Reply, department, manifest_text

NUMBERS = {
    "ana": ("990102199203140221", "林晓舟"),
    "ben": ("990102199008210351", "周启明"),
    "wang": ("990103195311020241", "王秀英"),
    "chen": ("990103198506300175", "陈立"),
    "baby": ("990102202511180465", "周沐禾"),
}
NOTE = {"applicant": {"note": "要办"}}
CHILD = ("990103201309150184", "陈思齐")
SHOP = ("91990103MA9T00018D", "云溪市禾家小馆餐饮有限公司")
STORE = ("92990103MA9T000265", "陈立便利店")
VOUCHING = """
[[operations]]
id = "vouch"
kind = "query"
mandate = "{kind}"
title = {{ zh = "核实", en = "Vouch" }}
method = "POST"
path = "/vouch"
purpose = {{ zh = "核实代理关系", en = "To confirm who may act" }}
basis = {{ zh = "《民法典》", en = "Civil Code" }}
idempotent = "safe"
total_s = 2.0
request.body = {{ id_number = "subject.number" }}
reply.found = "principals"
reply.subject = "id_number"
reply.fields = {{ principals = {{ each = "principals", fields = {{ number = "number", name = "name" }} }} }}
"""


def until(days: float = 30.0) -> str:
    """An instant that lies so many days ahead."""
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


class Register:
    """What one department says of whom people may act for; None: it does not answer."""

    def __init__(self) -> None:
        self.says: dict[str, Any] | None = {}
        self._record = own_record()

    async def __call__(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        if path != "/vouch":
            return await self._record(path, headers, body)
        if self.says is None:
            return 500, b"{}"
        number = json.loads(body)["id_number"]
        listed = self.says.get(number, [])
        named = [{"number": one[0], "name": one[1]} for one in listed] if isinstance(listed, list) else listed
        return 200, json.dumps({"id_number": number, "principals": named}).encode()


class World:
    """The portal and everybody's tokens."""

    police: Register
    market: Register

    def __init__(self, desk: FrontDesk, served: dict[str, Department], tokens: dict[str, str]) -> None:
        self.desk, self.served, self.tokens = desk, served, tokens
        self.sessions: Sessions = desk._sessions  # type: ignore[assignment]

    async def send(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Send as somebody known by name, or with a token."""
        told = {
            "authorization": f"Bearer {self.tokens.get(who, who)}",
            "idempotency-key": secrets.token_hex(8),
            "accept-language": "en",
        }
        transport = httpx.ASGITransport(app=self.desk)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            return await client.request(method, path, json=body, headers=told | headers)

    async def get(self, who: str, path: str) -> httpx.Response:
        return await self.send(who, "GET", path)

    async def post(self, who: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.send(who, "POST", path, body, **headers)

    async def offered(self, giver: str, to: str, scope: Any = None, **more: Any) -> Any:
        """Offer a mandate over the permit, or what `scope` says."""
        number, name = NUMBERS[to]
        body = {"to": {"number": number, "name": name}, "scope": scope or {"items": ["permit"]}, "ends_at": until()}
        return await self.post(giver, "/v1/me/mandates", body | more)

    async def move(self, who: str, mandate: str, move: str) -> httpx.Response:
        return await self.post(who, f"/v1/me/mandates/{mandate}/moves", {"move": move})

    async def given(self, giver: str, to: str, scope: Any = None, **more: Any) -> str:
        """Give a mandate that is accepted; return its id."""
        offered = await self.offered(giver, to, scope, **more)
        assert offered.status_code == 201, offered.text
        accepted = await self.move(to, offered.json()["id"], "accept")
        assert accepted.json()["state"] == "live", accepted.text
        return str(offered.json()["id"])

    async def acting(self, who: str, mandate: str) -> str:
        """Act under a mandate; return the token."""
        acting = await self.post(who, "/v1/me/acting", {"mandate": mandate})
        assert acting.status_code == 201, acting.text
        return str(acting.json()["access_token"])

    async def as_agent(self, giver: str, to: str, scope: Any = None, **more: Any) -> tuple[str, str]:
        """Give a mandate and act under it; return its id and the token."""
        mandate = await self.given(giver, to, scope, **more)
        return mandate, await self.acting(to, mandate)

    async def opens(self, who: str, **more: Any) -> httpx.Response:
        """Open a case for the permit."""
        return await self.post(who, "/v1/cases", {"item": "permit", "answers": NOTE} | more)


@pytest.fixture(scope="module")
async def world(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder: Path = tmp_path_factory.mktemp("mandates")
    async with AsyncExitStack() as stack:
        served, lines = {}, []
        registers = {"one": Register(), "two": Register()}
        for name, register in registers.items():
            served[name] = await stack.enter_async_context(department(register))
            (folder / "adapters" / name).mkdir(parents=True)
            (folder / "adapters" / name / "manifest.toml").write_bytes(manifest(name))
            lines.append(f'[adapters.{name}]\nurl = "http://127.0.0.1:{served[name].port}"\n')
        (folder / "environment.toml").write_text("".join(lines))
        (folder / "items").mkdir()
        (folder / "items/permit.toml").write_text(ITEM, "utf-8")
        told = Settings(
            profile="sandbox",
            state_dir=folder,
            database_url=dsn,
            log_level="error",
            adapters_dir=folder / "adapters",
            items_dir=folder / "items",
            environment_file=folder / "environment.toml",
            outbound_allow=("127.0.0.0/8",),
        )
        desk = await stack.enter_async_context(open_portal(told))
        world = World(desk, served, {})
        world.police, world.market = registers["one"], registers["two"]
        for name, (number, called) in NUMBERS.items():
            who = Identified(number_type="citizen_id", number=number, name=called, level=3)
            world.tokens[name] = (await world.sessions.issue_bearer(who)).token
        low = msgspec.structs.replace(who, number=NUMBERS["chen"][0], name="陈立", level=1)
        world.tokens["chen_low"] = (await world.sessions.issue_bearer(low)).token
        yield world


def manifest(name: str) -> bytes:
    """Return a department's manifest; its record holds the number it is about."""
    text = manifest_text(name).replace(b"reply.fields = {", b"reply.fields = { id_number = 'data.id_number',", 1)
    told = b'request.body = { key = "key", actor = "actor.number", mandate = "mandate.kind", name'
    text = text.replace(b'request.body = { key = "key", name', told, 1)
    if name == "two":
        asks = b'request.body = { id_number = "subject.number", actor = "actor.number" }'
        text = text.replace(b'request.body = { id_number = "subject.number" }', asks, 1)
    return text + VOUCHING.format(kind={"one": "guardian", "two": "officer"}[name]).encode()
