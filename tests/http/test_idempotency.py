"""Safe repetition: one effect for one key, whoever repeats it, wherever it arrives."""

import asyncio

import asyncpg
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.errors import OnestopError
from onestop.http import idempotency
from onestop.http.app_parts import build
from onestop.http.desk import FrontDesk
from onestop.http.errors import KeyMalformed, KeyMissing
from onestop.http.idempotency import key_of
from onestop.settings import Settings

from .conftest import FakeSessions, client_of, handlers

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def clean(pool: Pool) -> None:
    await pool.execute("DELETE FROM idempotency_keys")
    await pool.execute("DELETE FROM installation")


async def make(client: httpx.AsyncClient, key: str, words: str = "a") -> httpx.Response:
    return await client.post("/v1/things", json={"words": words}, headers={"idempotency-key": key})


async def test_a_key_is_needed(ana: httpx.AsyncClient, made: list[str]) -> None:
    answer = await ana.post("/v1/things", json={"words": "a"})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.key_missing")
    assert (await make(ana, "two words")).json()["code"] == "idempotency.key_malformed"
    assert made == []


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (b"abc", "abc"),
        (b'"abc"', "abc"),
        (b'"a\\"b\\\\c"', 'a"b\\c'),
        (b"x" * 128, "x" * 128),
        (b'"' + b"x" * 128 + b'"', "x" * 128),
    ],
)
async def test_a_key_is_taken_bare_and_quoted(header: bytes, key: str) -> None:
    assert key_of(header) == key


@pytest.mark.parametrize(
    "header", [b'""', b'"abc', b"a b", b'"a b"', b"x" * 129, b"\x7f", b"\xff", b'"a\\x"', b'"a";p=1']
)
async def test_a_malformed_key_is_refused(header: bytes) -> None:
    with pytest.raises(KeyMalformed):
        key_of(header)


@given(st.binary(max_size=140))
async def test_any_header_is_a_key_or_a_refusal(header: bytes) -> None:
    try:
        key = key_of(header)
    except (KeyMalformed, KeyMissing):
        return
    assert 1 <= len(key) <= 128
    assert key.isascii()
    assert key.isprintable()


async def test_a_repeat_brings_the_same_answer_and_does_nothing(ana: httpx.AsyncClient, made: list[str]) -> None:
    first = await make(ana, "k1")
    again = await make(ana, '"k1"')
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again.headers["location"] == first.headers["location"] == "/v1/things/1"
    assert "idempotent-replay" not in first.headers
    assert again.headers["idempotent-replay"] == "true"
    assert made == ["a"]


async def test_the_same_key_with_another_body_is_422(ana: httpx.AsyncClient, made: list[str]) -> None:
    await make(ana, "k1")
    other = await make(ana, "k1", "b")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.key_reused")
    assert made == ["a"]


async def test_another_persons_key_is_another_key(
    ana: httpx.AsyncClient, ben: httpx.AsyncClient, made: list[str]
) -> None:
    await make(ana, "k1")
    answer = await make(ben, "k1", "b")
    assert answer.status_code == 201
    assert "idempotent-replay" not in answer.headers
    assert made == ["a", "b"]


async def test_a_refused_body_leaves_the_key_free(ana: httpx.AsyncClient, pool: Pool, made: list[str]) -> None:
    assert (await ana.post("/v1/things", json={"words": 5}, headers={"idempotency-key": "k1"})).status_code == 422
    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys") == 0
    assert (await make(ana, "k1")).status_code == 201


async def test_the_kept_answer_cannot_be_read_in_the_database(ana: httpx.AsyncClient, pool: Pool) -> None:
    await make(ana, "k1", "a-secret")
    row = await pool.fetchrow("SELECT * FROM idempotency_keys")
    assert row is not None
    assert b"a-secret" not in row["reply"]
    assert row["made_id"] == "thing_1"


async def test_an_answer_is_sealed_for_its_own_row(ana: httpx.AsyncClient, pool: Pool, made: list[str]) -> None:
    await make(ana, "k1")
    await pool.execute("UPDATE idempotency_keys SET key = 'k2'")
    assert (await make(ana, "k2")).status_code == 500


async def test_twenty_at_once_on_two_instances_make_one_thing(
    pool: Pool, keys: Keys, site_settings: Settings, made: list[str]
) -> None:
    desks = [
        build(handlers(keys, pool, made), settings=site_settings, pool=pool, sessions=FakeSessions()) for _ in "ab"
    ]
    for desk in desks:
        desk.app.middleware[0].limit = 100  # type: ignore[attr-defined]
    clients = [client_of(desk) for desk in desks]
    answers = await asyncio.gather(*(make(clients[n % 2], "k1") for n in range(20)))
    statuses = [a.status_code for a in answers]
    bodies = {a.content for a in answers if a.status_code == 201}
    fresh = [a for a in answers if a.status_code == 201 and "idempotent-replay" not in a.headers]
    assert set(statuses) <= {201, 409}
    assert len(bodies) == 1
    assert len(fresh) == 1
    assert await pool.fetchval("SELECT count(*) FROM installation") == 1
    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys") == 1
    late = await make(clients[0], "k1")
    assert late.headers["idempotent-replay"] == "true"
    for client in clients:
        await client.aclose()


async def test_the_second_of_two_transactions_waits_and_then_replays(pool: Pool, keys: Keys) -> None:
    keyed = idempotency.Keyed(region="990100", principal="ana/citizen", route="POST /x", key="k", body_hash=b"1")
    reply = idempotency.Reply(status=201, body=b"{}", made_id="x_1")
    async with pool.acquire() as db:
        first = db.transaction()
        await first.start()
        assert await idempotency.record(db, keys, keyed, reply)

        async def write(_: object) -> idempotency.Reply:
            return idempotency.Reply(status=201, body=b'{"second":true}', made_id="x_2")

        second = asyncio.create_task(idempotency.once(pool, keys, keyed, write))
        await asyncio.sleep(0.1)
        assert not second.done()
        await first.commit()
    answer = await second
    assert (answer.body, answer.made_id, answer.replayed) == (b"{}", "x_1", True)


async def test_a_failed_effect_leaves_no_key(pool: Pool, keys: Keys) -> None:
    keyed = idempotency.Keyed(region="990100", principal="ana/citizen", route="POST /x", key="k", body_hash=b"1")

    async def write(db: asyncpg.Connection) -> idempotency.Reply:  # type: ignore[type-arg]
        await db.execute("INSERT INTO installation (name, value) VALUES ('half', 'true')")
        raise OnestopError

    with pytest.raises(OnestopError):
        await idempotency.once(pool, keys, keyed, write)
    assert await idempotency.find(pool, keys, keyed) is None
    assert await pool.fetchval("SELECT count(*) FROM installation") == 0


async def test_a_key_under_way_is_409(desk: FrontDesk, ana: httpx.AsyncClient) -> None:
    gate = desk.app.middleware[0]  # type: ignore[attr-defined]
    gate.running.add(("ana/citizen", "POST /v1/things", "k1"))
    busy = await make(ana, "k1")
    assert (busy.status_code, busy.json()["code"], busy.json()["retry"]) == (409, "idempotency.in_progress", "same_key")
    assert (await make(ana, "k2")).status_code == 201
