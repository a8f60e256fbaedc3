import asyncio
import time
from datetime import timedelta

import pytest

from identity.conftest import CHEN, CLERK, LIN, PORTAL, Open, new_secret
from onestop.crypto import Keys
from onestop.identity import errors, rules
from onestop.identity.service import Sessions

pytestmark = pytest.mark.anyio


def bearer(token: str) -> str:
    return f"Bearer {token}"


async def cookie_of(sessions, who):
    return await sessions.open_cookie(who, provider="test")


async def test_nothing_forged_or_odd_is_a_session(sessions):
    for authorization, cookie in [
        (None, None),
        ("", ""),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer a.b.c", None),
        ("Basic dTpw", None),
        ("Bearer " + "a" * 100_000, None),
        (None, new_secret()),
        (None, "x" * 10_000),
        (None, "é"),
        ("Bearer é.é.é", None),
    ]:
        assert await sessions.resolve(authorization, cookie) is None
        assert sessions.peek(authorization, cookie) is None


async def test_a_cookie_resolves_to_who_signed_in_and_only_its_hash_is_stored(sessions, pool):
    secret, opened = await cookie_of(sessions, LIN)
    found = await sessions.resolve(None, secret)
    assert found == opened
    assert (found.role, found.kind, found.level, found.actor_id) == ("citizen", "cookie", 3, found.subject_id)
    stored = await pool.fetchval("SELECT string_agg(s::text, ' ') FROM sessions s")
    assert secret not in stored
    assert secret.encode().hex() not in stored


async def test_neither_number_nor_name_lies_open_in_the_database(sessions, pool):
    await cookie_of(sessions, LIN)
    stored = await pool.fetchval("SELECT string_agg(s::text, ' ') FROM subjects s")
    for secret in (LIN.number, LIN.name):
        assert secret not in stored
        assert secret.encode().hex() not in stored
    assert LIN.number not in repr(LIN)


async def test_one_number_is_one_subject_whoever_comes_first(sessions, pool):
    ids = await asyncio.gather(*(sessions.know(CHEN) for _ in range(8)))
    assert len(set(ids)) == 1
    assert await sessions.know(LIN) != ids[0]


async def test_a_changed_name_is_kept(sessions):
    import msgspec

    subject_id = await sessions.know(msgspec.structs.replace(CHEN, name="陈丽"))
    assert (await sessions.subject(subject_id)).name == "陈丽"
    await sessions.know(CHEN)
    assert (await sessions.subject(subject_id)).name == "陈立"


async def test_a_sealed_number_moved_to_another_row_does_not_open(sessions, pool):
    from onestop.crypto import SealBroken

    lin, chen = await sessions.know(LIN), await sessions.know(CHEN)
    await pool.execute(
        "UPDATE subjects SET number = (SELECT number FROM subjects WHERE id = $1) WHERE id = $2", lin, chen
    )
    with pytest.raises(SealBroken):
        await sessions.subject(chen)
    await pool.execute("DELETE FROM subjects WHERE id = $1", chen)


async def test_the_number_is_opened_only_on_demand(sessions):
    _, session = await cookie_of(sessions, LIN)
    assert await sessions.subject_number(session) == LIN.number


async def test_a_bearer_resolves_and_ends_with_its_token(sessions, pool):
    issued = await sessions.issue_bearer(CLERK)
    found = await sessions.resolve(bearer(issued.token), None)
    assert found == issued.session
    assert (found.role, found.department, found.kind) == ("clerk", "zwfw", "bearer")
    assert found.principal == f"{found.subject_id}/clerk/zwfw"
    assert found.expires_at.timestamp() == pytest.approx(time.time() + 3600, abs=5)


async def test_a_bearer_is_no_cookie_and_a_cookie_is_no_bearer(sessions):
    secret, _ = await cookie_of(sessions, LIN)
    issued = await sessions.issue_bearer(LIN)
    assert await sessions.resolve(None, issued.token) is None
    assert await sessions.resolve(bearer(secret), None) is None


async def test_a_bad_header_is_not_made_good_by_a_good_cookie(sessions):
    secret, _ = await cookie_of(sessions, LIN)
    assert await sessions.resolve(None, secret)
    assert await sessions.resolve("Bearer a.b.c", secret) is None
    assert sessions.peek("Bearer a.b.c", secret) is None


async def test_another_installations_bearer_is_refused(sessions, pool, settings, tmp_path):
    import msgspec

    # The same signing key, another public address: the issuer differs.
    other = Sessions(pool, sessions._keys, msgspec.structs.replace(settings, public_url="https://other.test"))
    await other.signing.load()
    issued = await other.issue_bearer(LIN)
    assert await sessions.resolve(bearer(issued.token), None) is None


async def test_a_session_idle_for_half_an_hour_is_over(sessions, pool):
    secret, session = await cookie_of(sessions, LIN)
    await pool.execute("UPDATE sessions SET seen_at = now() - interval '31 minutes' WHERE id = $1", session.id)
    assert await sessions.resolve(None, secret) is None


async def test_activity_is_written_down_at_most_once_a_minute(sessions, pool):
    secret, session = await cookie_of(sessions, LIN)
    seen = "SELECT seen_at FROM sessions WHERE id = $1"
    before = await pool.fetchval(seen, session.id)
    await sessions.resolve(None, secret)
    assert await pool.fetchval(seen, session.id) == before
    await pool.execute("UPDATE sessions SET seen_at = now() - interval '29 minutes' WHERE id = $1", session.id)
    sessions._held.clear()
    assert await sessions.resolve(None, secret)
    assert await pool.fetchval(seen, session.id) > before


async def test_no_activity_carries_a_session_beyond_twelve_hours(sessions, pool):
    secret, session = await cookie_of(sessions, LIN)
    assert session.expires_at.timestamp() == pytest.approx(time.time() + 12 * 3600, abs=5)
    await pool.execute("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE id = $1", session.id)
    assert await sessions.resolve(None, secret) is None


async def test_what_is_remembered_never_outlives_the_session(sessions, pool):
    secret, session = await cookie_of(sessions, LIN)
    await pool.execute("UPDATE sessions SET expires_at = now() + interval '0.3 seconds' WHERE id = $1", session.id)
    assert await sessions.resolve(None, secret)
    assert sessions.peek(None, secret)
    await asyncio.sleep(0.4)
    assert sessions.peek(None, secret) is None
    assert await sessions.resolve(None, secret) is None


async def test_a_revocation_holds_on_another_instance_within_two_seconds(sessions, pool, keys, settings):
    async with Sessions(pool, keys, settings) as second:
        secret, session = await cookie_of(sessions, LIN)
        issued = await sessions.issue_bearer(LIN)
        assert await second.resolve(None, secret)
        assert await second.resolve(bearer(issued.token), None)
        await sessions.revoke(session.id)
        await sessions.revoke(issued.session.id)
        assert sessions.peek(None, secret) is None
        assert await sessions.resolve(None, secret) is None
        began = time.monotonic()
        while second.peek(None, secret) or second.peek(bearer(issued.token), None):
            assert time.monotonic() - began < 2
            await asyncio.sleep(0.02)
        assert await second.resolve(None, secret) is None
        assert await second.resolve(bearer(issued.token), None) is None


async def test_a_revocation_that_commits_late_is_still_seen(sessions, pool):
    secret, session = await cookie_of(sessions, LIN)
    async with pool.acquire() as db:
        change = db.transaction()
        await change.start()
        await db.execute("UPDATE sessions SET revoked_at = now() WHERE id = $1", session.id)
        await asyncio.sleep(1.3)  # at least one poll passes between its instant and its commit
        assert await sessions.resolve(None, secret)
        await change.commit()
    await asyncio.sleep(1.3)
    assert sessions.peek(None, secret) is None


async def test_an_instance_that_cannot_ask_stops_believing_what_it_remembers(sessions):
    secret, _ = await cookie_of(sessions, LIN)
    await sessions.resolve(None, secret)
    assert sessions.peek(None, secret)
    sessions._polled_at -= 6
    assert sessions.peek(None, secret) is None


async def test_without_a_watch_nothing_is_remembered(pool, keys, settings):
    sessions = Sessions(pool, keys, settings)
    await sessions.signing.load()
    secret, _ = await cookie_of(sessions, LIN)
    assert await sessions.resolve(None, secret)
    assert sessions.peek(None, secret) is None


async def test_memory_stays_bounded(sessions, monkeypatch):
    monkeypatch.setattr("onestop.identity.service._HOLD_COUNT", 20)
    _, session = await cookie_of(sessions, LIN)
    for n in range(200):
        sessions._hold(f"secret {n}", session, 30.0)
    assert len(sessions._held) <= 20
    assert sessions.peek(None, "secret 199")


async def test_a_remembered_session_costs_no_more_than_a_look_up(sessions):
    issued = await sessions.issue_bearer(LIN)
    header = bearer(issued.token)
    await sessions.resolve(header, None)
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(1000):
            sessions.peek(header, None)
        best = min(best, (time.perf_counter() - began) / 1000)
    assert best < 5e-6


async def test_only_own_sessions_are_listed_and_ended(sessions):
    lin_secret, lin = await cookie_of(sessions, LIN)
    _, other = await cookie_of(sessions, LIN)
    chen_secret, chen = await cookie_of(sessions, CHEN)
    listed = (await sessions.list_own(lin)).data
    assert {lin.id, other.id} <= {own.id for own in listed}
    assert chen.id not in {own.id for own in listed}
    assert [own.id for own in listed if own.current] == [lin.id]
    with pytest.raises(errors.SessionUnknown):
        await sessions.revoke_own(lin, chen.id)
    assert await sessions.resolve(None, chen_secret)
    await sessions.revoke_own(lin, other.id)
    with pytest.raises(errors.SessionUnknown):
        await sessions.revoke_own(lin, other.id)
    assert await sessions.resolve(None, lin_secret)


async def test_opening_and_ending_a_session_is_on_record_without_personal_data(sessions, pool):
    _, session = await cookie_of(sessions, CHEN)
    issued = await sessions.issue_bearer(CHEN)
    await sessions.revoke(session.id)
    await sessions.revoke_own(issued.session, issued.session.id)
    found = await pool.fetch("SELECT * FROM audit_entries WHERE object = ANY($1)", [session.id, issued.session.id])
    assert sorted((row["action"], row["object"]) for row in found) == sorted(
        (action, ended.id) for ended in (session, issued.session) for action in ("session.opened", "session.ended")
    )
    assert CHEN.number not in str(found)
    assert CHEN.name not in str(found)


async def test_several_starters_share_one_signing_key(pool, keys, settings):
    await pool.execute("DELETE FROM signing_keys")
    starters = [Sessions(pool, keys, settings) for _ in range(6)]
    await asyncio.gather(*(starter.signing.load() for starter in starters))
    assert len({starter.signing.active.kid for starter in starters}) == 1
    issued = await starters[0].issue_bearer(LIN)
    assert await starters[1].resolve(bearer(issued.token), None)
    assert set(starters[0].jwks()["keys"][0]) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


async def test_the_private_key_is_sealed(sessions, pool):
    stored = await pool.fetchval("SELECT private_jwk FROM signing_keys WHERE retired_at IS NULL")
    assert b'"d"' not in stored
    assert b"P-256" not in stored


async def test_after_a_rotation_old_tokens_hold_and_other_instances_learn_the_new_key(pool, keys, settings):
    first, second = Sessions(pool, keys, settings), Sessions(pool, keys, settings)
    await first.signing.load()
    await second.signing.load()
    old = await first.issue_bearer(LIN)
    await first.signing.rotate()
    new = await first.issue_bearer(LIN)
    assert old.token.split(".")[0] != new.token.split(".")[0]
    assert await first.resolve(bearer(old.token), None)
    assert await second.resolve(bearer(new.token), None) is None  # read a moment ago: not asked again at once
    second.signing.loaded_at -= 6
    assert await second.resolve(bearer(new.token), None)


async def test_other_keys_cannot_read_this_installations_people(sessions, pool, settings, tmp_path):
    from onestop.crypto import SealBroken

    subject_id = await sessions.know(LIN)
    stranger = Sessions(pool, Keys.load(tmp_path / "elsewhere"), settings)
    with pytest.raises(SealBroken):
        await stranger.subject(subject_id)


async def test_old_flows_are_forgotten(sessions, pool, settings):
    from onestop.identity import store

    await store.insert_flow(pool, settings.region, b"old", b"b", "p", b"s", timedelta(seconds=-1))
    await store.insert_flow(pool, settings.region, b"new", b"b", "p", b"s", rules.FLOW_LIFE)
    assert await store.delete_old_flows(pool, settings.region) == 1
    assert await store.take_flow(pool, settings.region, b"new", b"other browser") is None
    assert await store.take_flow(pool, settings.region, b"new", b"b")
    assert await store.take_flow(pool, settings.region, b"new", b"b") is None


async def test_routes_let_in_who_may_and_nobody_else(open_portal: Open, fake):
    portal = await open_portal(fake.providers())
    lin, clerk = [(await portal.sessions.issue_bearer(who)).token for who in (LIN, CLERK)]
    async with portal.browser() as browser:

        async def status(path: str, token: str | None = None) -> int:
            headers = {"authorization": bearer(token)} if token else {}
            return (await browser.get(path, headers=headers)).status_code

        assert [await status("/only/citizens", who) for who in (None, clerk, lin)] == [401, 403, 200]
        assert [await status("/only/by-dependency", who) for who in (None, lin, clerk)] == [401, 403, 200]
        assert [await status("/v1/me", who) for who in (None, "a.b.c", lin, clerk)] == [401, 401, 200, 200]


async def test_every_route_of_the_room_says_who_may_call_it(open_portal: Open, fake):
    from onestop.http.gate import matrix

    portal = await open_portal(fake.providers())
    rules = {
        (rule.method, rule.path): "public" if rule.public else rule.roles
        for rule in matrix(portal.app.app)
        if rule.path.startswith(("/auth", "/v1"))
    }
    everybody = ("citizen", "clerk", "department", "governance", "operator")
    assert rules == {
        ("GET", "/auth/sign-in"): "public",
        ("GET", "/auth/callback"): "public",
        ("POST", "/auth/sign-out"): "public",
        ("GET", "/auth/jwks.json"): "public",
        ("GET", "/auth/client-jwks.json"): "public",
        ("POST", "/v1/auth/tokens"): "public",
        ("GET", "/v1/me"): everybody,
        ("POST", "/v1/auth/refreshes"): "public",
        ("GET", "/v1/me/sessions"): everybody,
        ("DELETE", "/v1/me/sessions"): everybody,
        ("GET", "/v1/me/links"): everybody,
        ("DELETE", "/v1/me/links/{link_id}"): everybody,
        ("DELETE", "/v1/me/sessions/{session_id}"): everybody,
    }


async def test_who_am_i_masks_the_number(open_portal: Open, fake):
    portal = await open_portal(fake.providers())
    token = (await portal.sessions.issue_bearer(LIN)).token
    async with portal.browser(authorization=bearer(token)) as browser:
        reply = await browser.get("/v1/me")
        assert reply.json()["number_masked"] == "9901********0221"
        assert reply.json()["name"] == "林晓舟"
        assert LIN.number not in reply.text


async def test_another_citizens_session_reads_as_absent_over_http(open_portal: Open, fake):
    portal = await open_portal(fake.providers())
    lin, chen = [await portal.sessions.issue_bearer(who) for who in (LIN, CHEN)]
    async with portal.browser(authorization=bearer(lin.token)) as browser:
        listed = (await browser.get("/v1/me/sessions")).json()["data"]
        assert chen.session.id not in {own["id"] for own in listed}
        for absent in (chen.session.id, "ses_00000000000000000000000000", "x"):
            refused = await browser.delete(f"/v1/me/sessions/{absent}")
            assert (refused.status_code, refused.json()["code"]) == (404, "identity.session_unknown")
        assert (await browser.delete(f"/v1/me/sessions/{lin.session.id}")).status_code == 204
        assert (await browser.get("/v1/me")).status_code == 401
    assert await portal.sessions.resolve(bearer(chen.token), None)


async def test_tokens_by_name_are_for_the_demo_only(open_portal: Open, fake):
    demo = await open_portal(fake.providers())
    async with demo.browser() as browser:
        for person in ("lin", "林晓舟", LIN.number):
            reply = await browser.post("/v1/auth/tokens", json={"person": person})
            assert reply.status_code == 201
            told = reply.json()
            assert (told["token_type"], told["expires_in"]) == ("Bearer", 43_200)
            me = await browser.get("/v1/me", headers={"authorization": bearer(told["access_token"])})
            assert me.json()["name"] == "林晓舟"
        clerk = await browser.post("/v1/auth/tokens", json={"person": "window03", "role": "clerk"})
        me = await browser.get("/v1/me", headers={"authorization": bearer(clerk.json()["access_token"])})
        assert (me.json()["role"], me.json()["department"]) == ("clerk", "zwfw")
        real = await browser.post("/v1/auth/tokens", json={"person": "11010519491231002X"})
        assert (real.status_code, real.json()["code"]) == (422, "sandbox.real_identity")
        assert (await browser.post("/v1/auth/tokens", json={"person": "nobody"})).status_code == 404
        assert (await browser.post("/v1/auth/tokens", json={"person": "lin", "admin": True})).status_code in (400, 422)
    production = await open_portal(fake.providers(), profile="production")
    async with production.browser() as browser:
        refused = await browser.post("/v1/auth/tokens", json={"person": "lin"})
        assert (refused.status_code, refused.json()["code"]) == (403, "identity.demo_only")


async def test_keys_are_published_without_their_private_part(open_portal: Open, fake):
    portal = await open_portal(fake.providers())
    async with portal.browser() as browser:
        reply = await browser.get(f"{PORTAL}/auth/jwks.json")
    assert reply.json()["keys"]
    assert all("d" not in key for key in reply.json()["keys"])
