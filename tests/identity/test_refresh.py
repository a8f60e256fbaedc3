"""Refresh tokens: used once, repeated for a lost reply, and the end of the session where two have one."""

import asyncio

import pytest

from identity.conftest import CHEN, LIN, PORTAL, Open, Portal
from onestop.identity import refresh_tokens, rules, store_refresh
from onestop.identity.errors import BadToken
from onestop.identity.refresh_tokens import Shown, judge, make, new_secret, read

SES = "ses_" + "0" * 26


SECRET = new_secret()
GOOD = make(SECRET, SES, 1)
ODD_GENERATIONS = (".0.", ".01.", ".-1.", ".1e3.", ".٣.", "..", ".9999999999.")


class TestAsText:
    secret = SECRET

    @pytest.mark.parametrize("nth", range(13))
    def test_what_is_no_refresh_token_is_not_read(self, nth):
        odd = ["", "rt_", "rt_x.1.y", GOOD[:-1], GOOD + "A", GOOD.upper()]
        assert read([*odd, *(GOOD.replace(".1.", n) for n in ODD_GENERATIONS)][nth]) is None

    def test_one_generation_is_always_the_same_token_and_no_two_are_alike(self):
        assert make(self.secret, SES, 7) == make(self.secret, SES, 7)
        tokens = {make(self.secret, SES, n) for n in range(1, 50)} | {make(new_secret(), SES, 1)}
        assert len(tokens) == 50

    @pytest.mark.parametrize(
        ("shown", "now", "rotated_s", "verdict"),
        [
            (3, 3, 0.0, "rotate"),
            (3, 3, 9e9, "rotate"),
            (2, 3, 29.9, "again"),
            (2, 3, 30.1, "reused"),
            (1, 3, 0.0, "reused"),
            (1, 3, 9e9, "reused"),
            (4, 3, 0.0, "forged"),
        ],
    )
    def test_a_token_is_judged_by_its_generation(self, shown, now, rotated_s, verdict):
        found = read(make(self.secret, SES, shown))
        assert found is not None
        assert judge(found, self.secret, now, rotated_s) == verdict

    def test_another_sessions_key_or_another_number_makes_a_forgery(self):
        told = read(make(self.secret, SES, 2))
        assert told is not None
        for odd in (Shown(SES, 1, told.mac), Shown("ses_" + "1" * 26, 2, told.mac)):
            assert judge(odd, self.secret, 2, 0.0) == "forged"
        assert judge(told, new_secret(), 2, 0.0) == "forged"
        assert told.mac not in repr(told)


class TestOverHttp:
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def portal(self, open_portal: Open, fake) -> Portal:
        portal: Portal = await open_portal(fake.providers())
        return portal

    async def ask(self, browser, **wish):
        reply = await browser.post("/v1/auth/tokens", json={"person": "lin", "refresh": True, **wish})
        assert reply.status_code == 201, reply.text
        return reply.json()

    async def refresh(self, browser, token):
        return await browser.post("/v1/auth/refreshes", json={"refresh_token": token})

    async def who(self, browser, access):
        return (await browser.get("/v1/me", headers={"authorization": f"Bearer {access}"})).status_code

    async def test_nothing_forged_or_odd_is_refreshed_and_all_are_answered_alike(self, portal):
        async with portal.browser() as browser:
            told = await self.ask(browser)
            _, _, mac = told["refresh_token"].split(".")
            known = told["refresh_token"].removesuffix(mac) + "A" * 43
            unknown = make(new_secret(), SES, 1)
            answers = [
                await self.refresh(browser, token) for token in (known, unknown, "x", told["access_token"][:200])
            ]
            assert [answer.status_code for answer in answers] == [401] * 4
            bodies = [{**answer.json(), "request_id": ""} for answer in answers]
            assert bodies[0]["code"] == "identity.bad_token"
            assert all(body == bodies[0] for body in bodies)
            alike = [{n: v for n, v in answer.headers.items() if "request-id" not in n} for answer in answers]
            assert all(set(headers) == set(alike[0]) for headers in alike)
            assert len({answer.headers["content-length"] for answer in answers}) == 1
            # A forgery under somebody's session ends nothing: only a token that was once good does.
            assert (await self.refresh(browser, told["refresh_token"])).status_code == 200

    async def test_a_pair_brings_the_next_pair_of_the_same_session(self, portal):
        async with portal.browser() as browser:
            told = await self.ask(browser)
            assert told["expires_in"] == rules.ACCESS_LIFE.total_seconds()
            answer = await self.refresh(browser, told["refresh_token"])
            assert answer.headers["cache-control"] == "no-store"
            again = answer.json()
            assert again["refresh_token"] != told["refresh_token"]
            assert [await self.who(browser, pair["access_token"]) for pair in (told, again)] == [200, 200]

    async def test_a_lost_reply_is_given_again_with_the_same_successor(self, portal):
        async with portal.browser() as browser:
            first = (await self.ask(browser))["refresh_token"]
            replies = await asyncio.gather(*(self.refresh(browser, first) for _ in range(5)))
            [successor] = {reply.json()["refresh_token"] for reply in replies}
            assert (await self.refresh(browser, successor)).status_code == 200

    async def test_a_token_two_steps_old_ends_the_session_even_within_the_grace(self, portal, pool):
        async with portal.browser() as browser:
            told = await self.ask(browser)
            other = await self.ask(browser, person="chen")
            second = (await self.refresh(browser, told["refresh_token"])).json()
            third = (await self.refresh(browser, second["refresh_token"])).json()
            assert (await self.refresh(browser, told["refresh_token"])).status_code == 401
            for pair in (told, second, third):
                assert await self.who(browser, pair["access_token"]) == 401
                assert (await self.refresh(browser, pair["refresh_token"])).status_code == 401
            assert await self.who(browser, other["access_token"]) == 200
            assert await pool.fetchval("SELECT count(*) FROM audit_entries WHERE action = 'session.reused'") == 1

    async def test_the_grace_is_over_after_thirty_seconds(self, portal, pool):
        async with portal.browser() as browser:
            told = await self.ask(browser)
            fresh = (await self.refresh(browser, told["refresh_token"])).json()
            await pool.execute("UPDATE refresh_families SET rotated_at = rotated_at - interval '31 seconds'")
            assert (await self.refresh(browser, told["refresh_token"])).status_code == 401
            assert (await self.refresh(browser, fresh["refresh_token"])).status_code == 401

    async def test_a_session_that_lay_idle_ended_or_was_revoked_is_not_refreshed(self, portal, pool):
        async with portal.browser() as browser:
            for over in (
                "UPDATE refresh_families SET rotated_at = now() - interval '25 hours'",
                "UPDATE sessions SET expires_at = now() WHERE kind = 'bearer'",
                "UPDATE sessions SET revoked_at = now() WHERE kind = 'bearer'",
            ):
                told = await self.ask(browser)
                await pool.execute(over)
                assert (await self.refresh(browser, told["refresh_token"])).status_code == 401, over

    async def test_the_session_lives_on_when_its_access_token_is_over(self, portal):
        async with portal.browser() as browser:
            told = await self.ask(browser)
            session = await portal.sessions.resolve(f"Bearer {told['access_token']}", None)
            short = portal.sessions.bearers.make(session.id, session.subject_id, "citizen", rules.ACCESS_LIFE * -1)
            assert await self.who(browser, short) == 401
            assert (await self.refresh(browser, told["refresh_token"])).status_code == 200

    async def test_no_token_is_remembered_longer_than_it_is_good(self, portal, monkeypatch):
        async with portal.browser() as browser:
            told = await self.ask(browser)
            from onestop.identity import service

            exp = (await portal.sessions.bearers.check(told["access_token"])).exp
            monkeypatch.setattr(service, "time", lambda: exp + 25)  # five seconds of the leeway are left
            assert await self.who(browser, told["access_token"]) == 200
            [held] = [held for held in portal.sessions._held.values() if held.until - service.monotonic() <= 5]
            assert held.session.kind == "bearer"

    async def test_nothing_that_is_stored_opens_a_door(self, portal, pool):
        async with portal.browser() as browser:
            told = await self.ask(browser)
            row = await pool.fetchrow("SELECT * FROM refresh_families ORDER BY rotated_at DESC LIMIT 1")
            assert told["refresh_token"].encode() not in bytes(row["secret"])
            shown = read(told["refresh_token"])
            assert shown is not None
            assert judge(shown, bytes(row["secret"]), 1, 0.0) == "forged"

    async def test_what_is_over_is_forgotten(self, portal, pool, settings):
        await portal.apps.open(CHEN, provider="demo")
        await pool.execute("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE kind = 'bearer'")
        await portal.apps.open(LIN, provider="demo")
        assert await store_refresh.delete_old_families(pool, settings.region) >= 1
        assert await pool.fetchval("SELECT count(*) FROM refresh_families") == 1
        assert await store_refresh.delete_old_families(pool, settings.region) == 0

    async def test_a_refresh_needs_no_session_and_takes_no_cookie_for_one(self, portal):
        secret, _ = await portal.sessions.open_cookie(LIN, provider="test")
        async with portal.browser() as browser:
            answer = await browser.post(
                "/v1/auth/refreshes",
                json={"refresh_token": secret},
                headers={"cookie": f"__Host-onestop={secret}", "origin": PORTAL},
            )
            assert answer.status_code == 401


@pytest.mark.anyio
async def test_a_broken_seal_is_no_session(open_portal: Open, fake, pool):
    portal = await open_portal(fake.providers())
    one, other = [await portal.apps.open(who, provider="demo") for who in (LIN, CHEN)]
    ids = [refresh_tokens.read(token.refresh_token).session_id for token in (one, other)]
    await pool.execute(
        "UPDATE refresh_families SET secret = (SELECT secret FROM refresh_families WHERE session_id = $1)"
        " WHERE session_id = $2",
        *ids,
    )
    from onestop.crypto import SealBroken

    with pytest.raises(SealBroken):
        await portal.apps.refresh(other.refresh_token)
    with pytest.raises(BadToken):
        await portal.apps.refresh(other.access_token)
