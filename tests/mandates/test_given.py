"""A grandmother lets a neighbour act for her: what that covers, what it does not, and how it ends at once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from onestop.gateway import facts
from onestop.http.streams import Hub
from onestop.identity.models import Identified, Session
from onestop.identity.service import Sessions
from onestop.mandates.errors import OutOfScope
from onestop.mandates.models import Asked, Matter
from onestop.mandates.service import Mandates
from tests.http.test_streams import Reader, running

from .conftest import NOTE, NUMBERS, until

pytestmark = pytest.mark.anyio


def code(reply):
    return (reply.status_code, reply.json().get("code"))


async def test_a_stranger_finds_no_mandate_and_cannot_act_under_one(world):
    mandate = await world.given("wang", "ben")
    for path, body in ((f"/v1/me/mandates/{mandate}", None), (f"/v1/me/mandates/{mandate}/moves", {"move": "end"})):
        refused = await world.send("chen", "POST" if body else "GET", path, body)
        assert code(refused) == (404, "mandate.unknown")
    assert code(await world.post("chen", "/v1/me/acting", {"mandate": mandate})) == (404, "mandate.unknown")
    # The giver is not the one who acts under it.
    assert code(await world.post("wang", "/v1/me/acting", {"mandate": mandate})) == (404, "mandate.unknown")
    told = (await world.get("chen", "/v1/me/mandates")).json()
    assert mandate not in str(told)


async def test_an_offer_names_every_fault_at_once(world):
    refused = await world.offered("wang", "wang", {"items": ["nothing"]}, ends_at=until(-1), hand_on=3)
    assert code(refused) == (422, "mandate.offer_refused")
    told = {error["pointer"]: error["code"] for error in refused.json()["errors"]}
    assert told == {
        "/to/number": "mandate.to_oneself",
        "/scope/items/0": "mandate.matter_unknown",
        "/ends_at": "mandate.period_empty",
        "/hand_on": "mandate.chain_long",
    }


async def test_before_it_is_accepted_nobody_acts_and_a_refused_one_stays_refused(world):
    offered = (await world.offered("wang", "ben")).json()
    assert code(await world.post("ben", "/v1/me/acting", {"mandate": offered["id"]})) == (403, "mandate.not_live")
    assert code(await world.move("wang", offered["id"], "accept")) == (409, "mandate.move_not_open")
    assert (await world.move("ben", offered["id"], "refuse")).json()["state"] == "refused"
    assert code(await world.move("ben", offered["id"], "accept")) == (409, "mandate.move_not_open")


async def test_a_name_typed_wrong_gives_nobody_a_right_and_tells_nobody_a_name(world):
    body = {"to": {"number": NUMBERS["ben"][0], "name": "周某"}, "scope": {"items": ["permit"]}, "ends_at": until()}
    offered = (await world.post("wang", "/v1/me/mandates", body)).json()
    assert offered["actor_name"] == "周某"
    assert NUMBERS["ben"][1] not in str(offered)
    assert code(await world.move("ben", offered["id"], "accept")) == (403, "mandate.name_differs")


async def test_it_holds_once_the_giver_confirms_at_the_level_needed(world):
    offered = (await world.offered("chen_low", "ben")).json()
    assert (await world.move("ben", offered["id"], "accept")).json()["state"] == "accepted"
    assert code(await world.post("ben", "/v1/me/acting", {"mandate": offered["id"]})) == (403, "mandate.not_live")
    assert code(await world.move("chen_low", offered["id"], "confirm")) == (403, "mandate.level_too_low")
    assert (await world.move("chen", offered["id"], "confirm")).json()["state"] == "live"


async def test_whoever_acts_below_the_level_is_not_let_in(world):
    offered = (await world.offered("wang", "chen")).json()
    assert code(await world.move("chen_low", offered["id"], "accept")) == (403, "mandate.level_too_low")
    await world.move("chen", offered["id"], "accept")
    assert code(await world.post("chen_low", "/v1/me/acting", {"mandate": offered["id"]})) == (
        403,
        "mandate.level_too_low",
    )


async def test_who_acts_sees_and_does_for_the_giver_what_is_covered_and_is_named(world, dsn, pool):
    mandate, ben = await world.as_agent("wang", "ben")
    me = (await world.get(ben, "/v1/me")).json()
    wang = (await world.get("wang", "/v1/me")).json()["subject_id"]
    assert (me["subject_id"], me["mandate"], me["name"]) == (wang, mandate, "王秀英")
    assert me["actor_id"] == (await world.get("ben", "/v1/me")).json()["subject_id"]
    opened = await world.opens(ben, submit=True)
    assert opened.status_code == 201, opened.text
    case = opened.json()["id"]
    # The giver finds it among her own; another citizen, and the actor as himself, do not.
    assert (await world.get("wang", f"/v1/cases/{case}")).status_code == 200
    assert code(await world.get("ben", f"/v1/cases/{case}")) == (404, "case.unknown")
    assert code(await world.get("chen", f"/v1/cases/{case}")) == (404, "case.unknown")
    row = await pool.fetchrow("SELECT subject, actor, mandate FROM cases WHERE id = $1", case)
    assert tuple(row) == (wang, me["actor_id"], mandate)


async def test_who_acts_does_not_see_what_is_not_covered(world):
    own = (await world.opens("wang")).json()["id"]
    _, ben = await world.as_agent("wang", "ben", {"departments": ["two"]})
    for path in (f"/v1/cases/{own}", f"/v1/cases/{own}/timeline", f"/v1/cases/{own}/events"):
        assert code(await world.get(ben, path)) == (404, "case.unknown")
    assert own not in str((await world.get(ben, "/v1/cases")).json())
    assert code(await world.opens(ben)) == (403, "mandate.out_of_scope")
    assert code(await world.post(ben, "/v1/me/lookups", {"wants": ["one"]})) == (403, "mandate.out_of_scope")
    looked = await world.post(ben, "/v1/me/lookups", {"wants": ["two"]})
    assert looked.json()["parts"][0]["data"]["id_number"].startswith("9901")
    assert looked.json()["parts"][0]["state"] == "ok"


async def test_acts_that_are_left_out_and_limits_that_are_reached_say_so(world):
    scope = {"items": ["permit"], "excluded": ["withdraw"], "most_cases": 1}
    _, ben = await world.as_agent("wang", "ben", scope)
    first = await world.opens(ben, submit=True)
    assert first.status_code == 201
    withdrawn = await world.post(ben, f"/v1/cases/{first.json()['id']}/withdrawal", {})
    assert code(withdrawn) == (403, "mandate.deed_excluded")
    assert withdrawn.json()["who_acts"] == "applicant"
    second = await world.opens(ben, submit=True)
    assert code(second) == (403, "mandate.limit_reached")
    assert "1 submissions" in second.json()["detail"]
    draft = (await world.opens(ben)).json()
    submitted = await world.post(
        ben, f"/v1/cases/{draft['id']}/submission", {"declarations": []}, **{"if-match": '"v1"'}
    )
    assert code(submitted) == (403, "mandate.limit_reached")


async def test_of_submissions_at_once_no_more_pass_than_the_limit(world, pool):
    mandate, ben = await world.as_agent("wang", "ben", {"items": ["permit"], "most_cases": 3})
    replies = await asyncio.gather(*(world.opens(ben, submit=True) for _ in range(8)))
    assert sorted(reply.status_code for reply in replies) == [201] * 3 + [403] * 5
    assert await pool.fetchval("SELECT cases FROM mandates WHERE id = $1", mandate) == 3
    assert await pool.fetchval("SELECT count(*) FROM cases WHERE mandate = $1", mandate) == 3


async def test_a_repetition_is_told_what_the_first_was_and_counts_once(world, pool):
    mandate, ben = await world.as_agent("wang", "ben", {"items": ["permit"], "most_cases": 1})
    body = {"item": "permit", "answers": NOTE, "submit": True}
    twice = [await world.post(ben, "/v1/cases", body, **{"idempotency-key": "once-1"}) for _ in range(2)]
    assert [reply.status_code for reply in twice] == [201, 201]
    assert twice[0].json()["id"] == twice[1].json()["id"]
    assert await pool.fetchval("SELECT cases FROM mandates WHERE id = $1", mandate) == 1


async def test_the_explanation_names_the_mandate_as_the_link_that_failed(world, pool):
    mandate, ben = await world.as_agent("wang", "ben", {"departments": ["two"]})
    me = (await world.get(ben, "/v1/me")).json()
    session = Session(
        id="ses", subject_id=me["subject_id"], actor_id=me["actor_id"], role="citizen", department=None, level=3,
        kind="bearer", expires_at=datetime.now(UTC), principal="p", mandate_id=mandate,
    )  # fmt: skip
    known = world.sessions
    desk = Mandates(pool, known._keys, known._settings, known, None, {})
    with pytest.raises(OutOfScope) as refused:
        await desk.check(session, Asked(deed="fill", matter=Matter(item="permit")))
    told = facts.of_refusal(refused.value)
    assert told is not None
    assert facts.FACTS[told.code] == ("mandate", "applicant")
    assert (told.params["mandate"], told.params["why"]) == (mandate, "out_of_scope")


async def test_a_period_that_has_not_begun_or_is_over_lets_nobody_act(world, pool):
    later = await world.given("wang", "ben", begins_at=until(1))
    assert code(await world.post("ben", "/v1/me/acting", {"mandate": later})) == (403, "mandate.not_begun")
    mandate, ben = await world.as_agent("wang", "ben")
    await pool.execute("UPDATE mandates SET ends_at = now() - interval '1 second' WHERE id = $1", mandate)
    assert code(await world.opens(ben)) == (403, "mandate.expired")
    assert code(await world.post("ben", "/v1/me/acting", {"mandate": mandate})) == (403, "mandate.expired")


async def test_a_session_lasts_no_longer_than_the_mandate(world, pool):
    mandate = await world.given("wang", "ben", ends_at=until(20 / 86400))
    acting = (await world.post("ben", "/v1/me/acting", {"mandate": mandate})).json()
    assert 0 < acting["expires_in"] <= 20
    ends = await pool.fetchval("SELECT expires_at FROM sessions WHERE mandate_id = $1", mandate)
    assert ends <= datetime.now(UTC) + timedelta(seconds=20)


async def test_a_stream_of_a_session_that_ended_ends_too(world, pool):
    mandate, token = await world.as_agent("wang", "ben")
    session = await world.sessions.resolve(f"Bearer {token}", None)
    own = await world.sessions.resolve(f"Bearer {world.tokens['ben']}", None)
    assert not world.sessions.over(session)
    reader, stays = Reader(), Reader()

    async def nothing(*_):
        return []

    async with running(Hub(nothing, poll_s=0.02, over=world.sessions.over)) as hub:
        streams = [
            asyncio.create_task(hub.serve("case:1", None, one.receive, one.send, whose))
            for one, whose in ((reader, session), (stays, own))
        ]
        await world.move("wang", mandate, "end")
        async with asyncio.timeout(5):
            await reader.gone.wait()
        assert (reader.ended, stays.ended) == (True, False)
        assert len(hub) == 1
    await asyncio.gather(*streams)


@pytest.mark.parametrize("ender", ["wang", "ben"])
async def test_either_side_ends_it_and_every_session_under_it_on_every_instance(world, pool, ender):
    mandate, ben = await world.as_agent("wang", "ben")
    async with Sessions(pool, world.sessions._keys, world.sessions._settings) as other:
        header = f"Bearer {ben}"
        assert await other.resolve(header, None) is not None
        assert (await world.move(ender, mandate, "end")).json()["state"] == "ended"
        assert code(await world.get(ben, "/v1/me")) == (401, "auth.required")
        await other._poll()  # what every instance does once a second, and trusts nothing older than five
        assert await other.resolve(header, None) is None
    assert code(await world.post("ben", "/v1/me/acting", {"mandate": mandate})) == (403, "mandate.not_live")


async def test_the_giver_sees_who_is_in_and_puts_them_out(world):
    mandate, ben = await world.as_agent("wang", "ben")
    seen = [one for one in (await world.get("wang", "/v1/me/sessions")).json()["data"] if one["mandate"] == mandate]
    assert len(seen) == 1
    assert seen[0]["id"] in str((await world.get("ben", "/v1/me/sessions")).json())
    assert seen[0]["id"] not in str((await world.get("chen", "/v1/me/sessions")).json())
    assert (await world.send("wang", "DELETE", f"/v1/me/sessions/{seen[0]['id']}")).status_code == 204
    assert code(await world.get(ben, "/v1/me")) == (401, "auth.required")


async def test_who_signs_in_anew_in_a_browser_that_acts_leaves_nothing_behind(world, pool):
    mandate = await world.given("wang", "ben")
    wang = (await world.get("wang", "/v1/me")).json()["subject_id"]
    number, name = NUMBERS["ben"]
    ben = Identified(number_type="citizen_id", number=number, name=name, level=3)
    cookie, own = await world.sessions.open_cookie(ben, provider="test")
    async with pool.acquire() as db, db.transaction():
        acting, _ = await world.sessions.acting.open(db, own, wang, mandate, timedelta(minutes=5))
    assert (await world.sessions.resolve(None, acting)).mandate_id == mandate
    fresh, _ = await world.sessions.open_cookie(ben, provider="test", replaces=acting)
    assert await world.sessions.resolve(None, acting) is None
    assert await world.sessions.resolve(None, cookie) is None
    assert await world.sessions.resolve(None, fresh) is not None


async def test_both_parties_read_what_became_of_it_and_nobody_else(world):
    mandate = await world.given("wang", "ben")
    await world.move("ben", mandate, "end")
    path = f"/v1/me/mandates/{mandate}/moves"
    for who in ("wang", "ben"):
        told = (await world.get(who, path)).json()["data"]
        assert [(one["move"], one["by"], one["level"]) for one in told] == [
            ("offer", "giver", 3),
            ("accept", "receiver", 3),
            ("end", "receiver", 3),
        ]
    assert code(await world.get("chen", path)) == (404, "mandate.unknown")


async def test_ones_own_affairs_are_closed_to_who_acts_for_another(world):
    _, ben = await world.as_agent("wang", "ben")
    for method, path in (
        ("GET", "/v1/me/sessions"), ("GET", "/v1/me/data-use"), ("POST", "/v1/me/acting"),
        ("GET", "/v1/explain/" + "a" * 32),
    ):  # fmt: skip
        refused = await world.send(ben, method, path, {"mandate": "mdt_" + "0" * 26} if method == "POST" else None)
        assert code(refused) == (403, "mandate.route_closed"), path


async def test_two_who_act_for_one_share_no_idempotency_key(world):
    _, ben = await world.as_agent("wang", "ben")
    _, chen = await world.as_agent("wang", "chen")
    cases = [
        (await world.post(who, "/v1/cases", {"item": "permit", "answers": NOTE}, **{"idempotency-key": "same"})).json()
        for who in (ben, chen, "wang")
    ]
    assert len({case["id"] for case in cases}) == 3


async def test_who_ends_acting_is_themselves_again(world):
    _, ben = await world.as_agent("wang", "ben")
    assert (await world.send(ben, "DELETE", "/v1/me/acting")).status_code == 200
    assert code(await world.get(ben, "/v1/me")) == (401, "auth.required")
    assert (await world.get("ben", "/v1/me")).json()["mandate"] is None
    assert code(await world.send("ben", "DELETE", "/v1/me/acting")) == (404, "mandate.unknown")


async def test_what_an_agent_hands_on_is_no_more_than_held_and_ends_with_it(world):
    mandate, ben = await world.as_agent("wang", "ben", {"items": ["permit"], "most_cases": 2}, hand_on=1)
    for scope in ({"departments": ["two"]}, {"items": ["permit"]}, {"items": ["permit"], "most_cases": 3}):
        assert code(await world.offered(ben, "chen", scope, ends_at=until(5))) == (403, "mandate.not_handed_on")
    fits = {"items": ["permit"], "most_cases": 1}
    assert code(await world.offered(ben, "chen", fits, ends_at=until(60))) == (403, "mandate.not_handed_on")
    below = await world.given(ben, "chen", fits, ends_at=until(5))
    chen = await world.acting("chen", below)
    assert (await world.opens(chen, submit=True)).status_code == 201
    spent = (await world.get("wang", f"/v1/me/mandates/{mandate}")).json()["spent_cases"]
    assert spent == 1  # what is done below counts above
    assert code(await world.offered(chen, "ben", fits, ends_at=until(2))) == (403, "mandate.not_handed_on")
    await world.move("wang", mandate, "end")
    assert code(await world.get(chen, "/v1/me")) == (401, "auth.required")
    assert (await world.get("chen", f"/v1/me/mandates/{below}")).json()["state"] == "ended"


async def test_minors_are_told_who_does_it_for_them(world):
    refused = await world.opens("baby")
    assert code(refused) == (403, "mandate.guardian_needed")
    assert "14" in refused.json()["detail"]
    for path, body in (("/v1/me/lookups", {"wants": ["one"]}),):
        assert code(await world.post("baby", path, body)) == (403, "mandate.guardian_needed")
    assert code(await world.offered("baby", "ben")) == (403, "mandate.guardian_needed")
    offered = (await world.offered("wang", "baby")).json()
    assert code(await world.move("baby", offered["id"], "accept")) == (403, "mandate.guardian_needed")
    assert (await world.get("baby", "/v1/cases")).status_code == 200
