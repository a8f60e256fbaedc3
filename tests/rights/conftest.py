"""A portal without departments' systems over a database of its own, people of several levels, and copies of it."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest

from onestop.app import open_portal
from onestop.embedded import Server
from onestop.identity.models import Identified
from onestop.settings import Settings

ANA, BEN = "990102199203140221", "990102199008210351"
PEOPLE = {
    "ana": ("citizen_id", ANA, "citizen", 2),
    "ana_1": ("citizen_id", ANA, "citizen", 1),  # known less surely
    "ben": ("citizen_id", BEN, "citizen", 2),
    "office": ("account", "office", "governance", 1),
    "ana_office": ("citizen_id", ANA, "governance", 2),
}


class Town:
    """One portal and the people in it."""

    def __init__(self, desk) -> None:
        self.desk, self.tokens = desk, {}
        self.subjects: dict[str, str] = {}

    async def sign_in(self, *names: str) -> None:
        for name in names:
            kind, number, role, level = PEOPLE[name]
            who = Identified(number_type=kind, number=number, name="林晓舟", role=role, level=level)
            bearer = await self.desk._sessions.issue_bearer(who)
            self.tokens[name], self.subjects[name] = bearer.token, bearer.session.subject_id

    async def ask(self, who: str, method: str, path: str, body=None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens[who]}", "idempotency-key": secrets.token_hex(8)}
        transport = httpx.ASGITransport(app=self.desk)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers) as client:
            return await client.request(method, path, json=body)

    async def live_a_little(self, who: str) -> None:
        """Leave a draft and a consent behind."""
        assert (await self.ask(who, "POST", "/v1/cases", {"item": "birth"})).status_code == 201
        path = "/v1/me/consents/housing-fund-handover"
        notice = (await self.ask(who, "GET", path)).json()["notice"]["hash"]
        assert (await self.ask(who, "PUT", path, {"notice": notice})).status_code == 200


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@asynccontextmanager
async def town_on(dsn: str, state_dir: Path) -> AsyncIterator[Town]:
    settings = Settings(profile="demo", state_dir=state_dir, database_url=dsn, log_level="error", pool_size=4)
    async with open_portal(settings) as desk:
        yield Town(desk)


@pytest.fixture
def copies(server: Server) -> Iterator:
    """Return what makes a copy of a database, as restoring a base backup would; nobody may be in it meanwhile."""
    made: list[str] = []

    async def run(sql: str) -> None:
        connection = await asyncpg.connect(server.database("onestop"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def copy(name: str = "template_onestop") -> str:
        fresh = f"t_{os.getpid()}_{secrets.token_hex(4)}"
        await run(f"CREATE DATABASE {fresh} TEMPLATE {name} STRATEGY file_copy")
        made.append(fresh)
        return fresh

    yield copy
    for name in made:
        asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))
