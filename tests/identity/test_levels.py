"""How surely somebody signs in: what is asked of a provider, what is believed, and what becomes of the session."""

import time
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from identity.conftest import FakeProvider, Open
from onestop.errors import StepUpRequired
from onestop.identity import rules
from onestop.identity.models import SESSION_COOKIE
from onestop.identity.providers import Providers

LEVELS = {"urn:phone": 1, "urn:face": 2, "urn:counter": 3}


@pytest.fixture
def provider(fake: FakeProvider):
    return msgspec.structs.replace(fake.provider, level=0, levels=LEVELS)


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@pytest.mark.parametrize(
    ("level", "words"),
    [(0, []), (1, ["urn:phone", "urn:face", "urn:counter"]), (2, ["urn:face", "urn:counter"]), (3, ["urn:counter"])],
)
def test_a_level_is_asked_for_in_the_providers_own_words(provider, level, words):
    assert rules.acr_values(provider, level) == words


def test_a_level_below_the_one_needed_is_refused_with_the_way_back():
    for has, needs in [(0, 1), (1, 2), (2, 3)]:
        with pytest.raises(StepUpRequired) as refused:
            rules.check_level(has, needs, "/cases/case_1/check")
        assert (refused.value.level, refused.value.back) == (needs, "/cases/case_1/check")
    for has, needs in [(0, 0), (3, 3), (3, 1)]:
        rules.check_level(has, needs, "/")


class TestSigningIn:
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    async def portal(self, open_portal: Open, fake: FakeProvider, provider):
        weak = msgspec.structs.replace(provider, name="weak", level=1, levels={})
        return await open_portal(Providers([weak, provider], fake))

    async def sign_in(self, portal, fake, browser, acr, level="0", **claims):
        begun = await browser.get("/auth/sign-in", params={"provider": "fake", "level": level, "return_to": "/form"})
        fake.claims |= {"acr": acr, "auth_time": int(time.time()), **claims}
        return await browser.get(fake.answers(begun.headers["location"]))

    async def test_a_level_and_a_recent_proof_are_asked_for_only_where_a_level_is(self, portal, fake):
        async with portal.browser() as browser:
            plain = query((await browser.get("/auth/sign-in?provider=fake")).headers["location"])
            assert not {"acr_values", "max_age"} & set(plain)
            raised = query((await browser.get("/auth/sign-in?provider=fake&level=2")).headers["location"])
            assert (raised["acr_values"], raised["max_age"]) == ("urn:face urn:counter", "300")

    async def test_without_a_name_the_first_provider_that_can_vouch_for_the_level_is_asked(self, portal):
        async with portal.browser() as browser:
            assert "acr_values" not in query((await browser.get("/auth/sign-in?level=1")).headers["location"])
            raised = query((await browser.get("/auth/sign-in?level=3")).headers["location"])
            assert raised["acr_values"] == "urn:counter"
        assert [choice.name for choice in portal.sign_in.choices(2)] == ["fake"]

    async def test_a_level_that_is_none_is_refused(self, portal):
        async with portal.browser() as browser:
            for level, status in (("4", 403), ("99999999999999999999", 403), ("high", 400)):
                assert (await browser.get(f"/auth/sign-in?level={level}")).status_code == status, level

    async def test_a_provider_that_cannot_vouch_for_the_level_is_refused_at_once(self, portal):
        async with portal.browser() as browser:
            refused = await browser.get("/auth/sign-in?provider=weak&level=2")
            assert (refused.status_code, refused.json()["code"]) == (403, "identity.level_not_reached")

    async def test_the_same_person_is_raised_and_the_lower_session_ends(self, portal, fake):
        async with portal.browser() as browser:
            await self.sign_in(portal, fake, browser, "urn:phone")
            low, before = (await browser.get("/v1/me")).json(), browser.cookies[SESSION_COOKIE]
            done = await self.sign_in(portal, fake, browser, "urn:face", "2")
            assert (done.status_code, done.headers["location"]) == (303, "/form")
            high = (await browser.get("/v1/me")).json()
            assert (low["level"], high["level"]) == (1, 2)
            assert low["subject_id"] == high["subject_id"]
            portal.sessions._held.clear()
            assert await portal.sessions.resolve(None, before) is None

    async def test_a_proof_below_the_one_asked_for_raises_nobody_and_leaves_the_session(self, portal, fake):
        async with portal.browser() as browser:
            await self.sign_in(portal, fake, browser, "urn:phone")
            for acr in ("urn:phone", "urn:invented", None, ""):
                refused = await self.sign_in(portal, fake, browser, acr, "2")
                assert (refused.status_code, refused.json()["code"]) == (403, "identity.level_not_reached"), acr
                assert "set-cookie" not in refused.headers
                assert (await browser.get("/v1/me")).json()["level"] == 1

    async def test_an_old_or_unsaid_proof_is_no_step_up(self, portal, fake):
        async with portal.browser() as browser:
            for moved_s in (None, -3600, 3600):
                auth_time = None if moved_s is None else int(time.time()) + moved_s
                refused = await self.sign_in(portal, fake, browser, "urn:counter", "2", auth_time=auth_time)
                assert (refused.status_code, refused.json()["code"]) == (401, "identity.bad_token"), moved_s

    async def test_what_the_browser_says_of_the_level_on_its_way_back_is_not_read(self, portal, fake):
        async with portal.browser() as browser:
            begun = await browser.get("/auth/sign-in?provider=fake&level=3")
            fake.claims |= {"acr": "urn:phone", "auth_time": int(time.time())}
            refused = await browser.get(fake.answers(begun.headers["location"]) + "&level=1&acr=urn:counter")
            assert refused.json()["code"] == "identity.level_not_reached"
