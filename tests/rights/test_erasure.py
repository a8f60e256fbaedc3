"""Who was erased stays closed: the key is gone, and a restored backup is held against the list beside the root keys."""

import asyncpg
import pytest

from onestop.crypto import Keys, SealBroken
from onestop.identity import sealing
from onestop.identity.errors import PersonUnknown
from onestop.rights.tombstones import Tombstones
from tests.rights.conftest import ANA, town_on

pytestmark = pytest.mark.anyio
# Everything that could be opened of a person, or tells what they did.
OF_ONE = {
    "cases": "subject", "consents": "subject", "notices_shown": "subject", "completions": "subject",
    "subject_department_ids": "subject_id", "use_challenges": "subject", "certificates": "subject",
    "unmaskings": "subject", "record_doubts": "subject",
}  # fmt: skip


async def left_of(dsn: str, subject: str) -> dict[str, int]:
    """Return what a database still holds of a subject, by table."""
    connection = await asyncpg.connect(dsn)
    try:
        found = {
            table: await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {column} = $1", subject)
            for table, column in OF_ONE.items()
        }
        found["idempotency_keys"] = await connection.fetchval(
            "SELECT count(*) FROM idempotency_keys WHERE starts_with(principal, $1)", subject
        )
        return {table: count for table, count in found.items() if count}
    finally:
        await connection.close()


async def row_of(dsn: str, subject: str) -> asyncpg.Record:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchrow(
            "SELECT number, name, data_key, erased_at FROM subjects WHERE id = $1", subject
        )
    finally:
        await connection.close()


async def test_who_was_erased_stays_closed_also_in_a_backup_that_is_restored(server, copies, state_dir):
    live = await copies()
    async with town_on(server.database(live), state_dir) as town:
        await town.sign_in("ana", "ben")
        ana, ben = town.subjects["ana"], town.subjects["ben"]
        for who in ("ana", "ben"):
            await town.live_a_little(who)
    backup, forgetful = await copies(live), await copies(live)

    async with town_on(server.database(live), state_dir) as town:
        await town.sign_in("ana", "ana_1", "ben", "office", "ana_office")

        async def refused(who, method, path):
            answer = await town.ask(who, method, path)
            return answer.status_code, answer.json()["code"]

        assert await refused("ana_1", "POST", "/v1/me/erasure") == (403, "rights.level_needed")
        asked = (await town.ask("ana", "POST", "/v1/me/erasure")).json()
        assert asked["state"] == "asked"
        again = (await town.ask("ana", "POST", "/v1/me/erasure")).json()
        assert again["id"] == asked["id"]
        approval = f"/v1/erasures/{asked['id']}/approval"
        for who in ("ana", "ben"):
            assert (await town.ask(who, "POST", approval)).status_code == 403
        assert await refused("ana_office", "POST", approval) == (403, "rights.own_approval")
        assert [one["id"] for one in (await town.ask("office", "GET", "/v1/erasures")).json()["data"]] == [asked["id"]]
        assert (await town.ask("office", "POST", approval)).json()["state"] == "done"
        assert await refused("office", "POST", approval) == (404, "rights.erasure_unknown")
        with pytest.raises(PersonUnknown):
            await town.desk._sessions.subject(ana)
        assert (await town.desk._sessions.subject(ben)).name == "林晓舟", "another's stays open"
        assert await left_of(server.database(live), ana) == {}
        assert (await left_of(server.database(live), ben))["cases"] == 1
        await town.sign_in("ana")
        assert town.subjects["ana"] != ana, "who comes again is somebody new"

    # The older backup knows her whole; whoever serves from it reads the list first.
    assert (await row_of(server.database(backup), ana))["data_key"]
    async with town_on(server.database(backup), state_dir) as town:
        row = await row_of(server.database(backup), ana)
        assert (row["data_key"], row["number"], row["name"]) == (None, b"\0", b"\0")
        assert await left_of(server.database(backup), ana) == {}
        with pytest.raises(PersonUnknown):
            await town.desk._sessions.subject(ana)
        assert (await left_of(server.database(backup), ben))["cases"] == 1
        assert await town.desk._sessions.find("citizen_id", ANA) is None

    # Without the list the backup would have opened: so much for what this test can tell.
    keys, before = Keys.load(state_dir), await row_of(server.database(forgetful), ana)
    opened = sealing.subject_sealer(keys, "990100", ana, before["data_key"])
    assert opened.unseal(before["number"], sealing.number_context(ana)).decode() == ANA
    with pytest.raises(SealBroken):
        sealing.subject_sealer(keys, "990100", ana, None).unseal(before["number"], sealing.number_context(ana))


async def test_a_machine_without_the_list_learns_it_from_the_database(pool, tmp_path):
    await pool.execute(
        "INSERT INTO erasures (region, id, subject, state, done_at, approved_by)"
        " VALUES ('990100', 'era_1', 'sub_gone', 'done', now(), 'sub_office')"
    )
    (tmp_path / "keys").mkdir()
    stones = Tombstones(tmp_path, "990100")
    assert stones.read() == set()
    assert await stones.apply(pool) == 0
    assert stones.read() == {"sub_gone"}
    with (tmp_path / "keys/erased").open("a") as file:
        file.write("990100 sub_cut")  # a crash cut the line short
    stones.add("sub_after")
    assert stones.read() == {"sub_gone", "sub_after"}
    assert Tombstones(tmp_path, "990200").read() == set(), "another region's are its own"
