"""A clerk writes for 王秀英, who confirms from her own session: unconfirmed nothing is submitted, by anybody's code."""

import asyncio

import msgspec
import pytest

from onestop.identity.models import Identified

from .conftest import NOTE, NUMBERS

pytestmark = pytest.mark.anyio
WANG = {"number": NUMBERS["wang"][0], "name": NUMBERS["wang"][1]}
CHANGED = {"answers": {"applicant": {"note": "改"}}}


def code(reply):
    return (reply.status_code, reply.json().get("code"))


@pytest.fixture
async def clerks(world, pool):
    """Two clerks of the hall, and one of another house; nobody has served anybody within the hour."""
    await pool.execute("UPDATE window_visits SET at = at - interval '2 hours'")
    for name, desk in (("clerk", "zwfw"), ("colleague", "zwfw"), ("elsewhere", "gongan")):
        who = Identified(
            number_type="account", number=f"demo {name}", name=name, role="clerk", department=desk, level=3
        )
        world.tokens[name] = (await world.sessions.issue_bearer(who)).token


async def begun(world, who="clerk", **told):
    return await world.post(who, "/v1/window/cases", WANG | {"item": "permit", "answers": NOTE} | told)


async def coded(world, case, who="clerk"):
    made = await world.post(who, f"/v1/window/cases/{case}/confirmation-code")
    assert made.status_code == 201, made.text
    return made.json()["code"]


async def confirms(world, case, told, who="wang", **headers):
    return await world.post(who, f"/v1/cases/{case}/confirmation", {"code": told}, **headers)


def another(told):
    return f"{(int(told) + 1) % 1_000_000:06d}"


async def effects(pool, case):
    return await pool.fetchval("SELECT count(*) FROM effects WHERE case_id = $1", case)


async def test_only_clerks_begin_and_only_their_house_goes_on(world, clerks):
    for who in ("wang", "ben"):
        assert (await begun(world, who)).status_code == 403
    case = (await begun(world)).json()["id"]
    path = f"/v1/window/cases/{case}"
    assert (await world.get("colleague", path)).status_code == 200
    assert code(await world.get("elsewhere", path)) == (404, "case.unknown")
    for sent in (
        await world.post("elsewhere", f"{path}/confirmation-code"),
        await world.send("elsewhere", "PATCH", f"{path}/answers", CHANGED, **{"if-match": '"v1"'}),
    ):
        assert code(sent) == (404, "case.unknown")
    # It is hers and nobody else's: not the clerk's as a citizen, not another citizen's.
    assert (await world.get("wang", f"/v1/cases/{case}")).status_code == 200
    assert code(await world.get("ben", f"/v1/cases/{case}")) == (404, "case.unknown")
    assert (await world.get("clerk", f"/v1/cases/{case}")).status_code == 403


async def test_no_clerk_submits_and_unconfirmed_nothing_is(world, pool, clerks):
    case = (await begun(world)).json()["id"]
    told = await coded(world, case)
    for path in (f"/v1/cases/{case}/submission", f"/v1/cases/{case}/confirmation"):
        refused = await world.post("clerk", path, {"code": told}, **{"if-match": '"v1"'})
        assert code(refused) == (403, "auth.role_not_allowed")
    assert await pool.fetchval("SELECT state FROM cases WHERE id = $1", case) == "draft"
    assert await effects(pool, case) == 0


async def test_she_confirms_what_it_says_and_every_hand_is_named(world, pool, clerks):
    case = (await begun(world)).json()["id"]
    changed = await world.send(
        "colleague", "PATCH", f"/v1/window/cases/{case}/answers", CHANGED, **{"if-match": '"v1"'}
    )
    assert changed.status_code == 200, changed.text
    confirmed = await confirms(world, case, await coded(world, case))
    assert confirmed.status_code == 202, confirmed.text
    rows = await pool.fetch("SELECT type, by_whom, actor FROM case_events WHERE case_id = $1 ORDER BY seq", case)
    wang = (await world.get("wang", "/v1/me")).json()["subject_id"]
    clerk = (await world.get("clerk", "/v1/me")).json()["subject_id"]
    by = {row["type"].removeprefix("cn.onestop."): (row["by_whom"], row["actor"]) for row in rows}
    assert by["case.opened"] == ("clerk", clerk)
    assert by["case.submitted"] == ("applicant", wang)
    assert await effects(pool, case) == 1
    # The house's part is over with her word.
    assert code(await world.get("clerk", f"/v1/window/cases/{case}")) == (404, "case.unknown")
    seen = (await world.get("wang", "/v1/me/data-use")).json()["data"]
    assert "office" in {one["by"] for one in seen if one["case"] == case}


async def test_a_code_is_good_once_for_one_case_and_one_person(world, pool, clerks):
    first, second = (await begun(world)).json()["id"], (await begun(world)).json()["id"]
    told = await coded(world, first)
    other = await coded(world, second)
    assert code(await confirms(world, first, told, "ben")) == (404, "case.unknown")
    if told != other:
        assert code(await confirms(world, second, told)) == (403, "window.code_wrong")
    assert (await confirms(world, first, told, **{"idempotency-key": "w1"})).status_code == 202
    assert code(await confirms(world, first, told)) == (409, "window.code_missing")
    again = await confirms(world, first, told, **{"idempotency-key": "w1"})
    assert again.headers["idempotent-replay"] == "true"
    assert await effects(pool, first) == 1


async def test_at_once_from_everywhere_it_submits_once(world, pool, clerks):
    case = (await begun(world)).json()["id"]
    told = await coded(world, case)
    replies = await asyncio.gather(*(confirms(world, case, told) for _ in range(4)))
    first, *others = sorted(code(reply) for reply in replies)
    assert first[0] == 202
    assert set(others) <= {(409, "window.code_missing"), (409, "case.not_draft"), (412, "case.version_stale")}
    assert await effects(pool, case) == 1


async def test_attempts_are_counted_and_end(world, pool, clerks):
    case = (await begun(world)).json()["id"]
    told = await coded(world, case)
    tried = [await confirms(world, case, another(told)) for _ in range(5)]
    assert [code(one) for one in tried] == [(403, "window.code_wrong")] * 5
    assert "4 attempts" in tried[0].json()["detail"]
    assert code(await confirms(world, case, told)) == (409, "window.code_missing")
    assert await effects(pool, case) == 0
    assert (await confirms(world, case, await coded(world, case))).status_code == 202


async def test_more_attempts_at_once_than_there_are_do_not_pass(world, pool, clerks):
    case = (await begun(world)).json()["id"]
    wrong = another(await coded(world, case))
    replies = await asyncio.gather(*(confirms(world, case, wrong) for _ in range(9)))
    assert sorted(code(one)[1] for one in replies) == ["window.code_missing"] * 4 + ["window.code_wrong"] * 5


async def test_what_changed_after_the_code_was_made_is_not_submitted(world, pool, clerks):
    case = (await begun(world)).json()["id"]
    told = await coded(world, case)
    await world.send("clerk", "PATCH", f"/v1/window/cases/{case}/answers", CHANGED, **{"if-match": '"v1"'})
    assert code(await confirms(world, case, told)) == (412, "window.content_changed")
    assert await effects(pool, case) == 0


async def test_a_code_lasts_minutes_and_a_newer_one_takes_its_place(world, pool, clerks):
    case = (await begun(world)).json()["id"]
    told = await coded(world, case)
    newer = await coded(world, case)
    if told != newer:
        assert code(await confirms(world, case, told)) == (403, "window.code_wrong")
    left = "SELECT extract(epoch FROM code_until - now()) FROM window_visits WHERE case_id = $1"
    assert 540 < await pool.fetchval(left, case) <= 600
    await pool.execute("UPDATE window_visits SET code_until = now() WHERE case_id = $1", case)
    assert code(await confirms(world, case, newer)) == (409, "window.code_missing")


async def test_a_draft_without_a_code_is_not_confirmed_and_hers_to_submit_herself(world, clerks):
    case = (await begun(world)).json()["id"]
    assert code(await confirms(world, case, "000000")) == (409, "window.code_missing")
    own = await world.post("wang", f"/v1/cases/{case}/submission", {}, **{"if-match": '"v1"'})
    assert own.status_code == 202
    assert code(await world.get("clerk", f"/v1/window/cases/{case}")) == (409, "case.not_draft")
    assert code(await world.post("clerk", f"/v1/window/cases/{case}/confirmation-code")) == (409, "case.not_draft")


async def test_who_acts_for_her_does_not_give_her_word(world, clerks):
    case = (await begun(world)).json()["id"]
    _, token = await world.as_agent("wang", "ben")
    assert code(await confirms(world, case, await coded(world, case), token)) == (403, "mandate.route_closed")


async def test_another_name_asks_no_department_and_looking_people_up_ends_soon(world, clerks):
    asked = len(world.served["one"].asked)
    assert code(await begun(world, name="王某")) == (403, "window.name_differs")
    assert len(world.served["one"].asked) == asked
    replies = await asyncio.gather(*(begun(world, name="王某") for _ in range(22)))
    assert sorted(code(one) for one in replies) == [(403, "window.name_differs")] * 19 + [(429, "window.too_many")] * 3
    assert code(await begun(world)) == (429, "window.too_many")
    assert (await begun(world, "colleague")).status_code == 201


async def test_no_code_lies_in_the_database(world, pool, clerks):
    case = (await begun(world)).json()["id"]
    told = await coded(world, case)
    row = await pool.fetchrow("SELECT * FROM window_visits WHERE case_id = $1", case)
    assert told not in str(msgspec.to_builtins(dict(row), enc_hook=str))
