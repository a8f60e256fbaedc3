"""How often one may try: exact over instances, told honestly, not to be talked round, and nobody locked out."""

import asyncio
import ipaddress
from contextlib import nullcontext
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from identity.conftest import CHEN, LIN, NO_LIMITS, PORTAL, FakeProvider, Open
from onestop.identity import store_throttles
from onestop.identity.errors import TooManyAttempts
from onestop.identity.refresh_tokens import make, new_secret
from onestop.identity.throttles import DEVICE_COOKIE, LIMITS, Limit, Throttles, block_of, client_of, read_limits

FEW = {kind: Limit(3, 600.0) for kind in LIMITS}
PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")]


class TestWhoTries:
    @pytest.mark.parametrize(
        ("peer", "forwarded", "found"),
        [
            ("203.0.113.7", [], "203.0.113.7"),
            ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # nobody's proxy: its word counts for nothing
            ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),  # what stands left is the client's own word
            ("10.0.0.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", ["198.51.100.1, 203.0.113.7, 10.0.0.2"], "203.0.113.7"),
            ("10.0.0.1", ["nonsense"], "10.0.0.1"),
            ("10.0.0.1", ["203.0.113.7, nonsense"], "203.0.113.7"),
            ("10.0.0.1", ["1.1.1.1," * 5000 + "203.0.113.7"], "203.0.113.7"),
            ("::1", ["2001:db8::7"], "2001:db8::7"),
        ],
    )
    def test_the_address_is_the_last_that_a_trusted_proxy_was_told(self, peer, forwarded, found):
        assert str(client_of(peer, forwarded, PROXIES)) == found

    @pytest.mark.parametrize(
        ("address", "block"),
        [
            ("203.0.113.7", "203.0.113.0/24"),
            ("::ffff:203.0.113.7", "203.0.113.0/24"),
            ("2001:db8:0:1ff::7", "2001:db8:0:100::/56"),
        ],
    )
    def test_an_address_is_counted_with_its_block(self, address, block):
        assert block_of(ipaddress.ip_address(address)) == block

    def test_no_address_is_a_block_of_its_own(self):
        assert client_of(None, [], PROXIES) is None
        assert client_of("socket", [], PROXIES) is None
        assert block_of(None) == "-"

    def test_the_limits_shipped_are_read_and_an_unknown_kind_is_refused(self):
        assert LIMITS["failures"] == Limit(20, 600.0)
        import msgspec

        for wrong in ("[nothing]\nmost = 1\nwithin_s = 1", "[begin]\nmost = 1\nwithin_s = 1\nextra = 1"):
            with pytest.raises(msgspec.ValidationError):
                read_limits(wrong)


class TestCounting:
    pytestmark = pytest.mark.anyio

    @pytest.fixture(autouse=True)
    async def nobody_tried(self, pool):
        await pool.execute("TRUNCATE sign_in_tries")

    async def test_four_instances_at_once_let_through_exactly_as_many_as_there_may_be(self, pool, keys, settings):
        instances = [Throttles(pool, keys, settings, {"begin": Limit(10, 600.0)}) for _ in range(4)]

        async def tried(nth):
            try:
                await instances[nth % 4].count("begin", "block 203.0.113.0/24")
            except TooManyAttempts as refused:
                return refused.retry_after_s
            return None

        waits = await asyncio.gather(*(tried(n) for n in range(40)))
        assert waits.count(None) == 10
        assert all(590 < wait <= 600 for wait in waits if wait is not None)
        # Another block, and another kind of try, are not concerned.
        await instances[0].count("begin", "block 198.51.100.0/24")

    async def test_what_is_told_to_wait_is_neither_too_short_nor_too_long(self, pool, keys, settings):
        for moved_s, let_through in ((599.0, False), (600.1, True)):
            await pool.execute("TRUNCATE sign_in_tries")
            here = Throttles(pool, keys, settings, FEW)
            for _ in range(3):
                await here.count("begin", "one")
            await pool.execute("UPDATE sign_in_tries SET ends_at = ends_at - make_interval(secs => $1)", moved_s)
            if let_through:
                await here.count("begin", "one")
            else:
                with pytest.raises(TooManyAttempts) as refused:
                    await here.count("begin", "one")
                assert 0 < refused.value.retry_after_s <= 1

    async def test_trying_on_prolongs_nothing_and_costs_no_statement(self, pool, keys, settings):
        here = Throttles(pool, keys, settings, FEW)
        for _ in range(4):
            with pytest.raises(TooManyAttempts) if _ == 3 else nullcontext():
                await here.count("begin", "one")
        before = await pool.fetchrow("SELECT * FROM sign_in_tries")
        for _ in range(50):
            with pytest.raises(TooManyAttempts):
                await here.count("begin", "one")
        assert await pool.fetchrow("SELECT * FROM sign_in_tries") == before
        here._over.clear()  # as another instance, which must ask
        with pytest.raises(TooManyAttempts):
            await here.count("begin", "one")
        assert await pool.fetchrow("SELECT * FROM sign_in_tries") == before

    async def test_memory_and_table_stay_bounded(self, pool, keys, settings, monkeypatch):
        monkeypatch.setattr("onestop.identity.throttles._HELD", 10)
        here = Throttles(pool, keys, settings, {"begin": Limit(0, 600.0)})
        for n in range(30):
            with pytest.raises(TooManyAttempts):
                await here.count("begin", f"block {n}")
        assert len(here._over) == 10
        assert await pool.fetchval("SELECT count(*) FROM sign_in_tries") == 30
        await pool.execute("UPDATE sign_in_tries SET ends_at = now() - interval '1 second'")
        assert await store_throttles.delete_old_tries(pool, settings.region) == 30

    async def test_no_address_or_person_lies_in_the_table(self, pool, keys, settings):
        here = Throttles(pool, keys, settings)
        await here.count("begin", here.visitor("203.0.113.7", [], None))
        await here.count("sign_ins", f"citizen_id {LIN.number}")
        stored = await pool.fetchval("SELECT string_agg(t::text, ' ') FROM sign_in_tries t")
        for secret in ("203.0.113", LIN.number):
            assert secret not in stored
            assert secret.encode().hex() not in stored

    async def test_only_our_own_proof_makes_a_device_known(self, pool, keys, settings):
        here = Throttles(pool, keys, settings)
        cookie = here.new_device()
        name = here.known_device(cookie)
        assert here.visitor("203.0.113.7", [], cookie) == f"device {name}"
        for forged in (None, "", "a", "a.b", f"{name}.", f"{name}x.{cookie.partition('.')[2]}", cookie + "A", "é" * 9):
            assert here.known_device(forged) is None
            assert here.visitor("203.0.113.7", [], forged) == "block 203.0.113.0/24"


class TestOverHttp:
    pytestmark = pytest.mark.anyio

    @pytest.fixture(autouse=True)
    async def nobody_tried(self, pool):
        await pool.execute("TRUNCATE sign_in_tries")

    def browser(self, portal, peer="203.0.113.7", **headers):
        transport = httpx.ASGITransport(portal.app, client=(peer, 1))
        return httpx.AsyncClient(transport=transport, base_url=PORTAL, headers={"origin": PORTAL, **headers})

    async def test_beginning_too_often_is_refused_with_when_to_come_again(self, open_portal: Open, fake):
        portal = await open_portal(fake.providers(), limits=FEW)
        async with self.browser(portal) as browser, self.browser(portal, "198.51.100.9") as other:
            for _ in range(3):
                assert (await browser.get("/auth/sign-in")).status_code == 303
            refused = await browser.get("/auth/sign-in")
            assert (refused.status_code, refused.json()["code"]) == (429, "identity.too_many_attempts")
            assert 595 <= int(refused.headers["retry-after"]) <= 600
            assert refused.json()["retry_after_s"] <= int(refused.headers["retry-after"])
            assert (await other.get("/auth/sign-in")).status_code == 303

    async def test_a_made_up_forwarding_header_brings_no_try_more(self, open_portal: Open, fake):
        portal = await open_portal(fake.providers(), limits=FEW)
        let_through = 0
        for n in range(12):
            async with self.browser(portal, **{"x-forwarded-for": f"192.0.2.{n}, 192.0.{n}.1"}) as browser:
                let_through += (await browser.get("/auth/sign-in")).status_code == 303
        assert let_through == 3

    async def test_behind_a_trusted_proxy_each_block_is_counted_for_itself(self, open_portal: Open, fake):
        portal = await open_portal(fake.providers(), limits=FEW, trusted_proxies=("10.0.0.0/8",))
        for n in range(5):
            async with self.browser(portal, "10.0.0.1", **{"x-forwarded-for": f"9.9.9.9, 192.0.{n}.7"}) as browser:
                assert (await browser.get("/auth/sign-in")).status_code == 303

    async def test_a_victim_at_a_known_device_signs_in_while_the_neighbourhood_attacks(self, open_portal: Open):
        fake = FakeProvider()
        portal = await open_portal(fake.providers(), limits=FEW)
        async with self.browser(portal) as victim, self.browser(portal) as attacker:
            begun = await victim.get("/auth/sign-in")
            done = await victim.get(fake.answers(begun.headers["location"]))
            assert done.status_code == 303
            assert DEVICE_COOKIE in victim.cookies
            for _ in range(10):
                await attacker.get("/auth/sign-in")
                await attacker.get("/auth/callback?state=guess&code=guess")
            assert (await attacker.get("/auth/sign-in")).status_code == 429
            again = await victim.get("/auth/sign-in")
            assert again.status_code == 303
            done = await victim.get(fake.answers(again.headers["location"]))
            assert done.status_code == 303
            told = [line for line in done.headers.get_list("set-cookie") if line.startswith(DEVICE_COOKIE)]
            assert told == []  # it is known already

    async def test_guessing_is_stopped_and_a_good_answer_goes_through_all_the_same(self, open_portal: Open, fake):
        limits = NO_LIMITS | {"failures": Limit(3, 600.0)}
        portal = await open_portal(fake.providers(), limits=limits)
        async with self.browser(portal) as browser:
            guesses = [await browser.get(f"/auth/callback?state=guess{n}&code=x") for n in range(6)]
            assert [guess.status_code for guess in guesses] == [400] * 3 + [429] * 3
            begun = await browser.get("/auth/sign-in")
            assert (await browser.get(fake.answers(begun.headers["location"]))).status_code == 303

    async def test_refresh_tokens_are_guessed_at_a_few_times_only_and_the_owner_goes_on(self, open_portal: Open, fake):
        limits = NO_LIMITS | {"failures": Limit(3, 600.0)}
        portal = await open_portal(fake.providers(), limits=limits)
        pair = await portal.apps.open(LIN, provider="demo")
        async with self.browser(portal) as browser:

            async def refresh(token):
                return await browser.post("/v1/auth/refreshes", json={"refresh_token": token})

            forged = [make(new_secret(), "ses_" + "0" * 26, n) for n in range(1, 6)]
            assert [(await refresh(token)).status_code for token in forged] == [401] * 3 + [429] * 2
            assert (await refresh(pair.refresh_token)).status_code == 200

    async def test_one_session_is_refreshed_so_often_and_no_stranger_uses_that_up(self, open_portal: Open, fake):
        limits = NO_LIMITS | {"refreshes_of_one": Limit(2, 600.0)}
        portal = await open_portal(fake.providers(), limits=limits)
        told = await portal.apps.open(LIN, provider="demo")
        other = await portal.apps.open(CHEN, provider="demo")
        sid = told.refresh_token.split(".")[0]
        async with self.browser(portal) as browser:
            for _ in range(9):
                forged = f"{sid}.1." + "A" * 43
                await browser.post("/v1/auth/refreshes", json={"refresh_token": forged})
        for _ in range(2):
            told = await portal.apps.refresh(told.refresh_token)
        with pytest.raises(TooManyAttempts):
            await portal.apps.refresh(told.refresh_token)
        assert await portal.apps.refresh(other.refresh_token)

    async def test_one_person_gets_so_many_tokens_whoever_asks(self, open_portal: Open, fake):
        limits = NO_LIMITS | {"tokens_of_one": Limit(2, 60.0)}
        portal = await open_portal(fake.providers(), limits=limits)
        statuses = []
        for n in range(3):
            async with self.browser(portal, f"192.0.{n}.1") as browser:
                statuses.append((await browser.post("/v1/auth/tokens", json={"person": "lin"})).status_code)
        assert statuses == [201, 201, 429]
        async with self.browser(portal) as browser:
            assert (await browser.post("/v1/auth/tokens", json={"person": "chen"})).status_code == 201

    async def test_one_person_signs_in_so_often_from_anywhere(self, open_portal: Open, fake):
        portal = await open_portal(fake.providers(), limits=NO_LIMITS | {"sign_ins": Limit(2, 600.0)})
        statuses = []
        for n in range(3):
            async with self.browser(portal, f"192.0.{n}.1") as browser:
                begun = await browser.get("/auth/sign-in")
                statuses.append((await browser.get(fake.answers(begun.headers["location"]))).status_code)
        assert statuses == [303, 303, 429]

    async def test_an_unknown_session_costs_as_much_as_a_known_one(self, open_portal: Open, fake, monkeypatch):
        portal = await open_portal(fake.providers())
        pair = await portal.apps.open(LIN, provider="demo")
        work: list[str] = []
        for name in ("unseal", "mac"):
            done = getattr(type(portal.apps._keys), name)

            def counted(self, *told, done=done, name=name):
                work.append(name)
                return done(self, *told)

            monkeypatch.setattr(type(portal.apps._keys), name, counted)
        async with self.browser(portal) as browser:
            costs, answers = [], []
            known = pair.refresh_token.rpartition(".")[0] + "." + "A" * 43
            for token in (known, make(new_secret(), "ses_" + "0" * 26, 1)):
                work.clear()
                answers.append(await browser.post("/v1/auth/refreshes", json={"refresh_token": token}))
                costs.append(list(work))
        assert costs[0] == costs[1]
        assert "unseal" in costs[0]
        assert [answer.status_code for answer in answers] == [401, 401]

    async def test_a_sign_in_is_begun_alike_for_whoever_comes(self, open_portal: Open, fake):
        portal = await open_portal(fake.providers())
        await portal.sessions.know(LIN)
        async with self.browser(portal) as browser:
            begun = [await browser.get("/auth/sign-in") for _ in range(2)]
        for answer in begun:
            told = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
            assert set(told) == {
                "client_id", "response_type", "redirect_uri", "scope", "state", "nonce", "code_challenge",
                "code_challenge_method", "ui_locales",
            }  # fmt: skip
        assert len({len(answer.headers["location"]) for answer in begun}) == 1
