"""What the law gives: a parent for a child, a legal representative for a company, as departments say, and no longer."""

from datetime import UTC, datetime, timedelta

import pytest

from .conftest import CHILD, NUMBERS, SHOP, STORE, until

pytestmark = pytest.mark.anyio
CHEN, BEN = NUMBERS["chen"][0], NUMBERS["ben"][0]


@pytest.fixture(autouse=True)
def registers(world):
    """陈立 is the guardian of 陈思齐 and represents a restaurant; nobody else is anybody's."""
    world.police.says = {CHEN: [CHILD]}
    world.market.says = {CHEN: [SHOP]}


def code(reply):
    return (reply.status_code, reply.json().get("code"))


async def checked(world, who="chen"):
    told = await world.post(who, "/v1/me/mandates/checks")
    assert told.status_code == 200, told.text
    return told.json()


async def legal(world, kind, who="chen"):
    found = [one for one in (await checked(world, who))["received"] if one["kind"] == kind and one["state"] == "live"]
    assert len(found) == 1, found
    return found[0]


async def forget(pool, mandate):
    """Let a department's word be too old."""
    await pool.execute("UPDATE mandates SET valid_until = now() - interval '1 second' WHERE id = $1", mandate)


async def test_departments_say_for_whom_somebody_acts_and_nobody_else_gains_by_it(world):
    told = await checked(world)
    assert told["complete"]
    assert {(one["kind"], one["principal_name"]) for one in told["received"] if one["state"] == "live"} == {
        ("guardian", CHILD[1]),
        ("officer", SHOP[1]),
    }
    assert all("data" not in part for part in told["parts"])
    assert all(one["source"] in ("one", "two") and one["valid_until"] for one in told["received"])
    assert (await checked(world, "ben"))["received"] == []
    guardian = await legal(world, "guardian")
    assert code(await world.post("ben", "/v1/me/acting", {"mandate": guardian["id"]})) == (404, "mandate.unknown")
    uses = (await world.get("chen", "/v1/me/data-use")).json()["data"][0]["uses"]
    assert {(use["department"]["id"], use["operation"]) for use in uses} == {("one", "vouch"), ("two", "vouch")}


async def test_asked_twice_a_department_gives_one_mandate(world, pool):
    first, second = await legal(world, "guardian"), await legal(world, "guardian")
    assert first["id"] == second["id"]
    assert second["valid_until"] >= first["valid_until"]


async def test_a_guardian_applies_for_the_child_who_is_the_subject(world, pool):
    child = await legal(world, "guardian")
    token = await world.acting("chen", child["id"])
    opened = await world.opens(token, submit=True)
    assert opened.status_code == 201, opened.text
    row = await pool.fetchrow("SELECT subject, actor, mandate FROM cases WHERE id = $1", opened.json()["id"])
    me = (await world.get("chen", "/v1/me")).json()["subject_id"]
    assert row["subject"] != me
    assert (row["actor"], row["mandate"]) == (me, child["id"])
    assert code(await world.get("ben", f"/v1/cases/{opened.json()['id']}")) == (404, "case.unknown")
    # A guardian may not pass a child on.
    assert code(await world.offered(token, "ben")) == (403, "mandate.not_handed_on")
    assert code(await world.move("chen", child["id"], "end")) == (409, "mandate.move_not_open")


async def test_guardianship_ends_when_the_child_comes_of_age(world):
    ends = datetime.fromisoformat((await legal(world, "guardian"))["ends_at"])
    assert ends == datetime(2031, 9, 14, 16, tzinfo=UTC)  # 15 September 2031 in China


async def test_what_the_department_no_longer_says_ends_with_its_sessions(world, pool):
    child = await legal(world, "guardian")
    token = await world.acting("chen", child["id"])
    world.police.says = {CHEN: []}
    await checked(world)
    assert code(await world.get(token, "/v1/me")) == (401, "auth.required")
    gone = (await world.get("chen", f"/v1/me/mandates/{child['id']}")).json()
    assert gone["state"] == "ended"
    ended = "SELECT ended_by FROM mandates WHERE id = $1"
    assert await pool.fetchval(ended, child["id"]) == "department"


@pytest.mark.parametrize(
    "silence", [None, {CHEN: "later"}, {CHEN: [("123", "x")]}, {CHEN: [("99010320130915018X", "x")]}]
)
async def test_no_answer_or_one_that_cannot_be_read_is_never_a_yes(world, pool, silence):
    child = await legal(world, "guardian")
    await forget(pool, child["id"])
    world.police.says = silence
    refused = await world.post("chen", "/v1/me/acting", {"mandate": child["id"]})
    assert code(refused) == (503, "mandate.not_vouched")
    assert refused.json()["who_acts"] == "department"
    await checked(world)
    kept = (await world.get("chen", f"/v1/me/mandates/{child['id']}")).json()
    assert kept["state"] == "live"  # unknown is not a no either: it stays, and is asked for again
    world.police.says = {CHEN: [CHILD]}
    assert await world.acting("chen", child["id"])


async def test_an_answer_that_is_too_old_is_asked_for_again_and_may_have_become_a_no(world, pool):
    shop = await legal(world, "officer")
    await forget(pool, shop["id"])
    world.market.says = {CHEN: [STORE]}
    assert code(await world.post("chen", "/v1/me/acting", {"mandate": shop["id"]})) == (403, "mandate.not_live")
    now_his = await legal(world, "officer")
    assert now_his["principal_name"] == STORE[1]


async def test_while_somebody_acts_a_word_that_grows_old_ends_it(world, pool):
    shop = await legal(world, "officer")
    token = await world.acting("chen", shop["id"])
    await forget(pool, shop["id"])
    assert code(await world.opens(token)) == (403, "mandate.expired")
    await legal(world, "officer")
    assert (await world.opens(token)).status_code == 201


async def test_an_officer_hands_on_to_staff_no_further_than_declared(world, pool):
    shop = await legal(world, "officer")
    officer = await world.acting("chen", shop["id"])
    scope = {"items": ["permit"], "excluded": ["withdraw"]}
    assert code(await world.offered(officer, "ben", scope, hand_on=2, ends_at=until(30))) == (
        422,
        "mandate.offer_refused",
    )
    handler = await world.given(officer, "ben", scope, hand_on=1, ends_at=until(30))
    staff = await world.acting("ben", handler)
    seen = (await world.get("ben", f"/v1/me/mandates/{handler}")).json()
    assert (seen["kind"], seen["principal_name"]) == ("handler", SHOP[1])
    below = await world.given(staff, "ana", scope, ends_at=until(20))
    third = await world.acting("ana", below)
    assert code(await world.offered(third, "wang", scope, ends_at=until(10))) == (403, "mandate.not_handed_on")
    case = (await world.opens(third, submit=True)).json()["id"]
    assert (await world.get(officer, f"/v1/cases/{case}")).status_code == 200
    # The handler sees what was handed on; another company's people see nothing of it.
    assert {one["id"] for one in (await world.get(staff, "/v1/me/mandates")).json()["given"]} == {below}
    assert {handler, below} <= {one["id"] for one in (await world.get(officer, "/v1/me/mandates")).json()["given"]}
    world.market.says = {CHEN: [SHOP], NUMBERS["wang"][0]: [STORE]}
    other = await world.acting("wang", (await legal(world, "officer", "wang"))["id"])
    assert code(await world.get(other, f"/v1/cases/{case}")) == (404, "case.unknown")
    assert code(await world.get(other, f"/v1/me/mandates/{handler}")) == (404, "mandate.unknown")
    assert code(await world.move(other, handler, "end")) == (404, "mandate.unknown")
    # The company has another representative: all that hung on the old one ends at once.
    world.market.says = {CHEN: []}
    await checked(world)
    for token in (officer, staff, third):
        assert code(await world.get(token, "/v1/me")) == (401, "auth.required")
    assert (await world.get("ana", f"/v1/me/mandates/{below}")).json()["state"] == "ended"


async def test_staff_cannot_begin_once_the_word_their_chain_hangs_on_is_unknown(world, pool):
    shop = await legal(world, "officer")
    officer = await world.acting("chen", shop["id"])
    handler = await world.given(officer, "ben", ends_at=until(30))
    await forget(pool, shop["id"])
    world.market.says = None
    assert code(await world.post("ben", "/v1/me/acting", {"mandate": handler})) == (503, "mandate.not_vouched")
    world.market.says = {CHEN: [SHOP]}
    acting = (await world.post("ben", "/v1/me/acting", {"mandate": handler})).json()
    assert acting["principal_name"] == SHOP[1]
    assert acting["expires_in"] <= timedelta(days=1).total_seconds()
