"""Network numbers: an account of nobody's until a person proves who they are, once."""

import time

import msgspec
import pytest

from identity.conftest import CHEN, LIN, FakeProvider, Open, Portal
from onestop.identity import rules
from onestop.identity.errors import LinkUnknown
from onestop.identity.models import SESSION_COOKIE, Provider
from onestop.identity.providers import Providers

pytestmark = pytest.mark.anyio


class NetworkNumbers(FakeProvider):
    """A provider that tells a pseudonym, and more than it should."""

    issuer = "https://net.test"

    def __init__(self) -> None:
        super().__init__()
        # A name and a number it has no business to tell: neither is read.
        self.claims = {"sub": "W-0001", "acr": "face", "name": CHEN.name, "role": "operator"}
        self.claims["id_number"] = {"type": "citizen_id", "number": CHEN.number}

    @property
    def provider(self) -> Provider:
        return msgspec.structs.replace(
            super().provider,
            name="network",
            tells="pseudonym",
            level=1,
            levels={"face": 3},
            roles=("citizen", "operator"),
        )


class Both:
    """The network of two providers."""

    def __init__(self, *fakes: FakeProvider) -> None:
        self.fakes = fakes

    async def request(self, method, url, **told):
        return await next(f for f in self.fakes if url.startswith(f.issuer)).request(method, url, **told)


class Town:
    """A portal, a provider that tells who somebody is, and one that does not."""

    def __init__(self, portal: Portal, national: FakeProvider, network: NetworkNumbers) -> None:
        self.portal, self.national, self.network = portal, national, network

    async def sign_in(self, browser, by: FakeProvider, **asked):
        begun = await browser.get("/auth/sign-in", params={"provider": by.provider.name, "return_to": "/back", **asked})
        if begun.status_code != 303:
            return begun
        by.claims["auth_time"] = int(time.time())
        return await browser.get(by.answers(begun.headers["location"]))

    async def me(self, browser):
        return (await browser.get("/v1/me")).json()


@pytest.fixture
async def town(open_portal: Open, pool) -> Town:
    await pool.execute("TRUNCATE subject_links, sessions")
    national, network = FakeProvider(), NetworkNumbers()
    national.claims["acr"] = "face"
    real = msgspec.structs.replace(national.provider, level=1, levels={"face": 2})
    return Town(await open_portal(Providers([network.provider, real], Both(national, network))), national, network)


async def test_nobody_binds_without_a_session_by_a_network_number(town):
    async with town.portal.browser() as browser:
        refused = await browser.get("/auth/sign-in?bind=true")
        assert refused.status_code == 401
        await town.sign_in(browser, town.national)
        refused = await town.sign_in(browser, town.national, bind="true")
        assert (refused.status_code, refused.json()["code"]) == (409, "identity.nothing_to_bind")


async def test_a_pseudonym_is_an_account_of_level_0_whatever_else_its_provider_says(town):
    async with town.portal.browser() as browser:
        assert (await town.sign_in(browser, town.network)).status_code == 303
        me = await town.me(browser)
        assert (me["number_type"], me["level"], me["role"], me["name"]) == ("account", 0, "citizen", "")
        assert me["subject_id"] != await town.portal.sessions.know(CHEN)
        assert "/userinfo" not in town.network.asked
        first = me["subject_id"]
        await town.sign_in(browser, town.network)
        assert (await town.me(browser))["subject_id"] == first  # the same account each time


async def test_an_unbound_one_reaches_no_level_however_surely_it_signed_in(town):
    async with town.portal.browser() as browser:
        refused = await town.sign_in(browser, town.network, level="1")
        assert (refused.status_code, refused.json()["code"]) == (403, "identity.level_not_reached")
        assert SESSION_COOKIE not in browser.cookies


async def test_bound_once_it_signs_the_person_in_from_then_on(town, pool):
    async with town.portal.browser() as browser, town.portal.browser() as elsewhere:
        await town.sign_in(browser, town.network)
        account = (await town.me(browser))["subject_id"]
        done = await town.sign_in(browser, town.national, bind="true")
        assert (done.status_code, done.headers["location"]) == (303, "/back")
        me = await town.me(browser)
        assert (me["subject_id"], me["level"]) == (await town.portal.sessions.know(LIN), 2)
        [link] = (await browser.get("/v1/me/links")).json()["data"]
        assert (link["id"], link["provider"], link["proved_by"], link["level"]) == (account, "network", "fake", 2)
        # In another browser, by the network number alone: the person, and no surer than the proof was.
        await town.sign_in(elsewhere, town.network)
        there = await town.me(elsewhere)
        assert (there["subject_id"], there["level"], there["name"]) == (me["subject_id"], 2, LIN.name)
        town.network.claims["acr"] = "phone"
        await town.sign_in(elsewhere, town.network)
        assert (await town.me(elsewhere))["level"] == 1
        told = await pool.fetch("SELECT action FROM audit_entries WHERE object = $1", account)
        assert [row["action"] for row in told] == ["subject.bound"]


async def test_a_proof_below_level_two_binds_nothing(town, pool):
    async with town.portal.browser() as browser:
        await town.sign_in(browser, town.network)
        town.national.claims["acr"] = "phone"
        refused = await town.sign_in(browser, town.national, bind="true")
        assert (refused.status_code, refused.json()["code"]) == (403, "identity.level_not_reached")
        assert await pool.fetchval("SELECT count(*) FROM subject_links") == 0
        assert (await town.me(browser))["level"] == 0


async def test_another_persons_number_is_not_bound_over(town, pool):
    async with town.portal.browser() as browser, town.portal.browser() as thief:
        await town.sign_in(browser, town.network)
        # Two begin from the same account, as with a stolen cookie; the second comes too late.
        thief.cookies.set(SESSION_COOKIE, browser.cookies[SESSION_COOKIE])
        begun = await thief.get("/auth/sign-in?provider=fake&bind=true")
        assert (await town.sign_in(browser, town.national, bind="true")).status_code == 303
        town.national.claims["id_number"] = {"type": "citizen_id", "number": CHEN.number}
        late = await thief.get(town.national.answers(begun.headers["location"]))
        assert (late.status_code, late.json()["code"]) == (409, "identity.nothing_to_bind")
        assert await pool.fetchval("SELECT count(*) FROM subject_links") == 1


async def test_the_person_has_one_network_number_of_a_platform(town):
    async with town.portal.browser() as browser:
        await town.sign_in(browser, town.network)
        await town.sign_in(browser, town.national, bind="true")
        town.network.claims["sub"] = "W-0002"
        await town.sign_in(browser, town.network)
        refused = await town.sign_in(browser, town.national, bind="true")
        assert (refused.status_code, refused.json()["code"]) == (409, "identity.already_bound")
        assert (await town.me(browser))["level"] == 0


async def test_a_binding_left_open_and_finished_in_another_session_binds_nothing(town, pool):
    async with town.portal.browser() as browser:
        await town.sign_in(browser, town.network)
        begun = await browser.get("/auth/sign-in?provider=fake&bind=true")
        town.national.claims["auth_time"] = int(time.time())
        browser.cookies.delete(SESSION_COOKIE)  # the person signed out meanwhile, and somebody else sat down
        refused = await browser.get(town.national.answers(begun.headers["location"]))
        assert (refused.status_code, refused.json()["code"]) == (409, "identity.nothing_to_bind")
        assert await pool.fetchval("SELECT count(*) FROM subject_links") == 0


async def test_a_pseudonym_does_not_vouch_for_another_pseudonym(town):
    async with town.portal.browser() as browser:
        await town.sign_in(browser, town.network)
        refused = await town.sign_in(browser, town.network, bind="true")
        assert (refused.status_code, refused.json()["code"]) == (403, "identity.level_not_reached")


async def test_only_ones_own_binding_ends_and_with_it_what_it_opened(town):
    async with town.portal.browser() as browser, town.portal.browser() as by_number:
        await town.sign_in(browser, town.network)
        await town.sign_in(browser, town.national, bind="true")
        await town.sign_in(by_number, town.network)
        [link] = (await browser.get("/v1/me/links")).json()["data"]
        chen = (await town.portal.sessions.issue_bearer(CHEN)).session
        with pytest.raises(LinkUnknown):
            await town.portal.sign_in.links.unbind(chen, link["id"])
        assert (await town.portal.sign_in.links.own(chen)).data == []
        assert (await browser.delete(f"/v1/me/links/{link['id']}")).status_code == 204
        gone = await browser.delete(f"/v1/me/links/{link['id']}")
        assert (gone.status_code, gone.json()["code"]) == (404, "identity.link_unknown")
        await town.portal.sessions._poll()
        assert (await by_number.get("/v1/me")).status_code == 401
        assert (await browser.get("/v1/me")).status_code == 200
        await town.sign_in(by_number, town.network)
        assert (await town.me(by_number))["level"] == 0


def test_a_sign_in_by_pseudonym_is_worth_no_more_than_the_proof():
    assert [rules.bound_level(has, bound) for has, bound in [(3, None), (3, 2), (1, 3), (2, 2)]] == [0, 2, 1, 2]


async def test_the_pseudonym_lies_nowhere_in_the_open(town, pool):
    async with town.portal.browser() as browser:
        await town.sign_in(browser, town.network)
        await town.sign_in(browser, town.national, bind="true")
    for table in ("subject_links", "subjects", "sessions"):
        stored = await pool.fetchval(f"SELECT string_agg(t::text, ' ') FROM {table} t")
        assert "W-0001" not in stored
        assert b"W-0001".hex() not in stored
