"""A person is told what is held, deletes what may go, and nothing is kept longer than its class."""

import pytest

from onestop.cases.store import update_answers
from onestop.rights.service import Rights
from tests.rights.conftest import town_on

pytestmark = pytest.mark.anyio
CASE = """
    INSERT INTO cases (region, id, number, claim_code, subject, actor, item, state, outcome, answers, opened_at,
                       decided_at)
    VALUES ('990100', $1, $1, '', $2, $2, 'birth', $3, CASE WHEN $3 = 'decided' THEN 'granted' END, '', $4::timestamptz,
            CASE WHEN $3 = 'decided' THEN $4::timestamptz END)
"""


async def days_ago(pool, days: int):
    return await pool.fetchval("SELECT now() - make_interval(days => $1)", days)


async def test_what_is_held_is_told_what_may_go_goes_and_what_must_stay_hinders_an_erasure(dsn, state_dir, pool):
    async with town_on(dsn, state_dir) as town:
        await town.sign_in("ana", "ben")
        for who in ("ana", "ben"):
            await town.live_a_little(who)
        await pool.execute(CASE, "case_kept", town.subjects["ana"], "decided", await days_ago(pool, 1))
        await town.ask("ana", "DELETE", "/v1/me/consents/housing-fund-handover")
        held = {one["record_class"]: one for one in (await town.ask("ana", "GET", "/v1/me/held")).json()["data"]}
        assert {code: one["count"] for code, one in held.items() if code not in ("ledger", "session")} == {
            "case": 1, "draft": 1, "consent": 1,
        }  # fmt: skip
        assert held["case"]["kept_until"][:2] == "20"
        assert [held[code]["deletable"] for code in ("case", "draft")] == [False, True]
        assert held["case"]["law"]["confidence"] == "low", "how far a term is to be trusted is said with it"
        gone = (await town.ask("ana", "DELETE", "/v1/me/held")).json()
        assert gone["deleted"] == {"draft": 1, "lookup": 0, "consent": 1}
        assert "case" in {one["record_class"] for one in gone["kept"]}
        drafts = await pool.fetch("SELECT subject FROM cases WHERE state = 'draft'")
        assert [row["subject"] for row in drafts] == [town.subjects["ben"]], "another's draft stays"
        assert await pool.fetchval("SELECT count(*) FROM consents") == 1
        refused = await town.ask("ana", "POST", "/v1/me/erasure")
        assert (refused.status_code, refused.json()["code"]) == (409, "rights.must_be_kept")
        assert held["case"]["kept_until"] in refused.json()["detail"]
        await pool.execute("UPDATE cases SET decided_at = $1 WHERE id = 'case_kept'", await days_ago(pool, 3651))
        assert (await town.ask("ana", "POST", "/v1/me/erasure")).status_code == 201


async def test_a_round_deletes_what_is_due_and_says_so_and_leaves_the_rest(dsn, state_dir, pool):
    await pool.execute("TRUNCATE cases, consents, sessions, retention_runs")
    for name, state, days in (
        ("case_old_draft", "draft", 181), ("case_draft", "draft", 179),
        ("case_old", "decided", 3651), ("case_new", "decided", 3649), ("case_gone", "withdrawn", 3651),
        ("case_open", "submitted", 4000), ("case_written_on", "draft", 400),
    ):  # fmt: skip
        await pool.execute(CASE, name, "sub_1", state, await days_ago(pool, days))
    await update_answers(pool, "990100", "case_written_on", b"")
    async with town_on(dsn, state_dir) as town:
        rights: Rights = await town.desk.app.dependencies["rights"].dependency()
        assert await rights.keep_no_longer() == {"draft": 1, "case": 2, "session": 0, "consent": 0, "export": 0}
        left = {row["id"] for row in await pool.fetch("SELECT id FROM cases")}
        assert left == {"case_draft", "case_new", "case_open", "case_written_on"}
        runs = await pool.fetch("SELECT class, days, deleted FROM retention_runs ORDER BY class")
        assert [tuple(row) for row in runs] == [("case", 3650, 2), ("draft", 180, 1)]
        assert await rights.keep_no_longer() == {"draft": 0, "case": 0, "session": 0, "consent": 0, "export": 0}
