"""After everything the other tests did: nothing that onestop leaves behind holds anything of a person.

The words looked for are those of the demo's people and what they typed, with their tokens. That the looking finds
something is shown with words of its own, planted where they can be found.
"""

import asyncpg
import pytest

from onestop.demo import people
from onestop.demo.folder import Folder
from onestop.embedded import Server

from .canaries import in_files, in_tables, in_text
from .city import fresh_key

pytestmark = pytest.mark.anyio

OWN = ("gateway.log", "worker.log")
PLANTED = "990188199001010010"


@pytest.fixture
async def db(city):
    record = Folder(city.state).read()
    assert record is not None
    connection = await asyncpg.connect(record.settings["ONESTOP_DATABASE_URL"])
    yield connection
    await connection.close()


def secrets_of(city):
    found = {
        secret
        for person in people.people()
        for secret in (person.id_number, person.name, person.phone, person.mail)
        if secret
    }
    return found | {"周沐禾", "15400000001", "书院路18号", "990102202511180465"} | set(city._tokens.values())


def wrong_requests(city):
    """Return the answers to addresses and bodies that hold a number all the same."""
    lin, number = city.visitor("lin"), people.person("lin").id_number
    return [
        lin.get(f"/v1/cases/{number}"),
        lin.get(f"/v1/cases?cursor={number}"),
        lin.get(f"/v1/me/data-use/{number}"),
        lin.get(f"/v1/me/data-use?cursor={number}"),
        lin.post("/v1/me/lookups", {"wants": [number]}),
        lin.post("/v1/cases", {"item": number}, idempotency_key=number),
        lin.post("/v1/auth/tokens", {"person": number, "role": "king"}),
        lin.patch(f"/v1/cases/{number}/answers", f'{{"{number}": "林晓舟"'.encode(), if_match='"v1"'),
        lin.post("/v1/cases", {"item": "birth", "answers": {"baby": {"name": number}}}, idempotency_key=fresh_key()),
    ]


def test_no_log_holds_a_number_a_name_a_telephone_or_an_address_of_anybody(city, journeys):
    wrong_requests(city)
    city.visitor("lin").get(f"/verify?number={people.person('lin').id_number}")
    logs = city.logs()
    assert set(OWN) <= logs.keys()
    found = {(name, one) for name, log in logs.items() for one in in_text(secrets_of(city), log.encode())}
    assert found == set()


def test_no_problem_says_back_the_number_it_is_about(city, journeys):
    problems = [answer for answer in wrong_requests(city) if answer.status >= 400]
    number = people.person("lin").id_number
    assert len(problems) >= 6
    assert [answer.json()["code"] for answer in problems if in_text([number], answer.body)] == []


def test_no_health_page_holds_anything_of_anybody(city, journeys):
    for path in ("/healthz", "/readyz", "/status", "/v1/audit/anchors", "/v1/audit/keys"):
        assert in_text(secrets_of(city), city.visitor("lin").get(path).body) == set(), path


async def test_no_column_of_the_database_and_no_wal_holds_anything_of_anybody(city, journeys, db):
    for journey in journeys.values():
        journey.result()
    secrets = secrets_of(city)
    assert await in_tables(db, secrets) == set()
    assert in_files(Server(city.state).data / "pg_wal", secrets) == set()


async def test_the_looking_finds_what_is_planted(city, db):
    assert in_text([PLANTED], f'{{"event": "x", "who": "{PLANTED}"}}'.encode()) == {PLANTED}
    assert in_text(["林晓舟"], rb'{"who": "\u6797\u6653\u821f"}') == {"林晓舟"}
    await db.execute("CREATE TABLE canaries (plain text, bytes bytea, json jsonb)")
    try:
        await db.execute("INSERT INTO canaries VALUES ($1, NULL, NULL)", f"x{PLANTED}")
        assert await in_tables(db, [PLANTED]) == {("canaries", PLANTED)}
        await db.execute("UPDATE canaries SET plain = NULL, bytes = $1", f"a{PLANTED}".encode())
        assert await in_tables(db, [PLANTED]) == {("canaries", PLANTED)}
        await db.execute("UPDATE canaries SET bytes = NULL, json = jsonb_build_object('who', $1::text)", "林晓舟甲")
        assert await in_tables(db, ["林晓舟甲"]) == {("canaries", "林晓舟甲")}
    finally:
        await db.execute("DROP TABLE canaries")
    assert {one for _, one in in_files(Server(city.state).data / "pg_wal", [PLANTED])} == {PLANTED}


def test_nothing_of_onestops_own_broke_on_the_way(city, journeys):
    for name in OWN:
        log = city.logs()[name]
        assert log.strip(), name
        assert "Traceback" not in log, name
        assert "request failed" not in log, name
