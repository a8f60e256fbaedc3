"""The licence room over a case room's office, one for a module: issuers are stand-ins, two citizens come to it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar.di import Provide

from onestop.cases import routes as case_routes
from onestop.cases.office import Office
from onestop.certificates import routes
from onestop.db import open_pool
from onestop.gateway import manifest as manifests
from onestop.gateway.service import Gateway
from onestop.http.app_parts import build
from onestop.identity.access import provide_session
from onestop.identity.models import Subject
from onestop.ids import new_id
from onestop.items.service import load
from onestop.resources import shipped
from onestop.settings import Settings
from tests.cases.conftest import BIRTH, FILL, ITEMS, LIN, Departments, Sessions, citizen, effects_of, settle

PEOPLE = {"sub_lin": (LIN, "林晓舟"), "sub_chen": ("990103198506300175", "陈立")}
MARRIAGE = {
    "id_number": "990102199203140221",
    "name": "林晓舟",
    "status": "married",
    "spouse_name": "周启明",
    "spouse_id": "990102199008210351",
    "certificate_no": "J990102-2019-001314",
    "registered_on": "2019-05-20",
    "office": "云溪市临江区民政局婚姻登记处",
}
SHOP = {
    "uscc": "92990103MA9T000265",
    "name": "陈立便利店",
    "kind": "sole_trader",
    "status": "open",
    "registered_on": "2017-04-12",
    "address": "渡口路201号",
    "scope": "零售",
}


class Room:
    """The front desk, asked by name."""

    def __init__(self, client, office, departments):
        self.client, self.office, self.departments, self.pool = client, office, departments, office.pool

    async def get(self, who, path, lang="en"):
        headers = {"accept-language": lang, "onestop-budget-ms": "10000"} | (
            {"authorization": f"Bearer {who}"} if who else {}
        )
        return await self.client.get(path, headers=headers)

    async def post(self, who, path, body, lang="en", **headers):
        headers = {"accept-language": lang, "idempotency-key": new_id("key"), **headers}
        headers |= {"authorization": f"Bearer {who}"} if who else {}
        return await self.client.post(path, json=body, headers=headers)

    async def fetch(self, who="lin", *types):
        done = await self.post(who, "/v1/me/licence-fetches", {"types": list(types)})
        assert done.status_code == 200, done.text
        return done.json()

    async def marriage(self, who="lin"):
        """Have the marriage certificate fetched and return it as the list shows it."""
        [one] = [
            one for one in (await self.fetch(who, "marriage_certificate"))["data"] if one["type"].startswith("marr")
        ]
        return one

    async def one(self, licence, who="lin"):
        found = await self.get(who, f"/v1/me/licences/{licence['id']}")
        assert found.status_code == 200, found.text
        return found.json()

    async def change(self, who, change, reason, **rest):
        return await self.post(who, "/v1/licence-changes", {"change": change, "reason": reason, **rest})

    async def age(self, licence, days=400):
        """Let the issuer's last word be older than any type takes it."""
        await self.pool.execute(
            "UPDATE licences SET asked_at = now() - $2 * interval '1 day' WHERE id = $1", licence["id"], days
        )  # fmt: skip

    async def born(self, lin):
        """Let the first part of a birth bundle be completed, and be told so twice; return the case's id."""
        case_id = await lin.submitted(FILL)
        live = await effects_of(self.office, case_id)
        for _ in range(2):
            await settle(self.office, live["issue_birth_certificate"], "completed")
        return case_id


async def person(subject_id):
    number, name = PEOPLE[subject_id]
    return Subject(id=subject_id, kind="person", number_type="citizen_id", number=number, name=name)


@pytest.fixture(scope="module")
async def hall(dsn, keys, tmp_path_factory) -> AsyncIterator[Room]:
    """What is slow to make, once for a module: the office, the front desk, and who comes to it."""
    folder = tmp_path_factory.mktemp("state")
    settings = Settings(profile="demo", state_dir=folder, database_url=dsn)
    pool = await open_pool(dsn, size=8, name="onestop test")
    gateway = Gateway(manifests.load(shipped("adapters")), {})
    office = Office(settings, keys, pool, gateway, load([ITEMS]), person, gather=Departments(gateway))
    await office.start()
    known = {name: citizen(office, f"sub_{name}").session for name in ("lin", "chen")}
    for name in ("minzheng", "weijian", "gongan"):
        known[name] = citizen(office, f"sub_{name}", "department", name).session
    app = build(
        [*routes.CONTROLLERS, *case_routes.CONTROLLERS],
        settings=settings,
        pool=pool,
        sessions=Sessions(known),
        shared={"office": office, "pool": pool, "settings": settings},
        dependencies={"session": Provide(provide_session)},
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
        yield Room(client, office, office.gather)
    await office.close()
    await pool.close()


@pytest.fixture
async def room(hall) -> Room:
    """The room as it is in the morning: nobody holds a licence, and every issuer is there."""
    await hall.pool.execute("TRUNCATE licences, licence_events, licence_use_codes, licence_copies")
    hall.departments.data = {**BIRTH, "marriage": dict(MARRIAGE), "business": None}
    hall.departments.away.clear()
    hall.departments.asked.clear()
    return hall


@pytest.fixture
def office(hall) -> Office:
    return hall.office


@pytest.fixture
def lin(office):
    return citizen(office, "sub_lin")


@pytest.fixture
def chen(office):
    """Another citizen, always in the room."""
    return citizen(office, "sub_chen")
