"""Signing out at one site ends it everywhere; sites are told until they heard; no stranger signs anybody out."""

from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from identity.conftest import LIN, PORTAL, Said
from onestop.provider.service_logout import EVENT, Telling
from tests.provider.conftest import claims_in

pytestmark = pytest.mark.anyio
HOME, OUT = "https://rs.example.cn/", "https://rs.example.cn/out"


class Sites:
    """Every site's back channel, as an httpx client sees them."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.told = status, []  # type: ignore[var-annotated]

    async def request(self, method: str, url: str, *, content: Any = None, headers: Any = None) -> Said:
        if self.status == 0:
            raise httpx.ConnectError("nobody there")
        form = dict(parse_qsl(content.decode()))
        self.told.append((url, claims_in(form["logout_token"]), form["logout_token"]))
        return Said({}, self.status)


@pytest.fixture
async def telling(onestop, pool):
    await pool.execute("DELETE FROM logout_notices")
    sites = Sites()
    return Telling(pool, onestop.settings.region, onestop.provider.issuer, sites), sites


async def end_session(person, **told: str) -> httpx.Response:
    return await person.goes("/oauth/end-session?" + str(httpx.QueryParams(told)))


async def test_a_site_signs_its_person_out_and_gets_them_back(onestop, register):
    site = await register(logout_uris=(HOME,))
    person = await onestop.signed_in(LIN)
    tokens = await site.signs_in(person)
    answer = await end_session(
        person, id_token_hint=tokens["id_token"], post_logout_redirect_uri=HOME, state="s-9"
    )  # fmt: skip
    assert (answer.status_code, answer.headers["location"]) == (303, HOME + "?state=s-9")
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert (await site.userinfo(tokens["access_token"])).status_code == 401
    assert await onestop.sessions.span(person.session_id) is None
    again = await end_session(person, id_token_hint=tokens["id_token"], post_logout_redirect_uri=HOME)
    assert again.headers["location"] == HOME  # nobody is signed in any more: nothing to end


async def test_nobody_is_signed_out_without_a_token_of_that_very_session(onestop, register, lin, chen):
    site, other = await register(logout_uris=(HOME,)), await register()
    hints = [
        (await site.signs_in(lin))["id_token"],
        (await site.signs_in(await onestop.signed_in(LIN)))["id_token"],
        (await site.signs_in(chen))["access_token"],
        "x",
    ]
    for hint in hints:
        answer = await end_session(chen, id_token_hint=hint, client_id=site.id, post_logout_redirect_uri=HOME)
        assert answer.headers["location"] == "/"
    assert (await end_session(chen)).headers["location"] == "/"
    own = (await site.signs_in(chen))["id_token"]
    mixed = await end_session(chen, id_token_hint=own, client_id=other.id)
    assert mixed.json()["code"] == "provider.request_unusable"
    assert await onestop.sessions.span(chen.session_id) is not None


@pytest.mark.parametrize("uri", ["https://evil.example/", HOME + "x", "/me", "javascript:alert(1)"])
async def test_there_is_no_way_back_that_is_not_registered(register, lin, uri):
    site = await register(logout_uris=(HOME,))
    for named in ({"client_id": site.id}, {}):
        answer = await end_session(lin, post_logout_redirect_uri=uri, **named)
        assert answer.json()["code"] == "provider.request_unusable"
    assert (await end_session(lin, client_id="nobody")).json()["code"] == "provider.request_unusable"


async def test_forms_lead_to_the_same_by_get(onestop, register):
    site = await register()
    async with onestop.http() as browser:  # a form from the site brings no cookie
        asked = await browser.post("/oauth/authorize", data=site.request())
        ended = await browser.post("/oauth/end-session", data={"client_id": site.id, "state": "a b"})
    assert (asked.status_code, ended.status_code) == (303, 303)
    assert asked.headers["location"].startswith(f"/oauth/authorize?client_id={site.id}&response_type=code&")
    assert ended.headers["location"] == f"/oauth/end-session?client_id={site.id}&state=a+b"


async def test_each_site_with_an_address_for_it_is_told_once_and_in_its_own_words(onestop, register, telling, chen):
    told, sites = telling
    site, sister = await register(backchannel_logout=OUT), await register(backchannel_logout=OUT + "2", sector="x.cn")
    quiet = await register()
    person = await onestop.signed_in(LIN)
    first = await site.signs_in(person)
    for one in (site, sister, quiet):
        await one.signs_in(person)
    await site.signs_in(chen)
    await told.round()
    assert sites.told == []
    await onestop.sessions.revoke(person.session_id)
    await told.round()
    await told.round()
    assert sorted(url for url, _, _ in sites.told) == [OUT, OUT + "2"]
    by = {url: claims for url, claims, _ in sites.told}
    id_token = claims_in(first["id_token"])
    assert (by[OUT]["sub"], by[OUT]["sid"], by[OUT]["aud"]) == (id_token["sub"], id_token["sid"], site.id)
    assert by[OUT]["iss"] == PORTAL
    assert by[OUT]["events"] == {EVENT: {}}
    assert "nonce" not in by[OUT]
    assert by[OUT + "2"]["sub"] != by[OUT]["sub"]
    assert by[OUT + "2"]["sid"] != by[OUT]["sid"]


async def test_a_logout_token_is_no_id_token_and_no_access_token(onestop, register, telling, lin):
    told, sites = telling
    site = await register(backchannel_logout=OUT)
    person = await onestop.signed_in(LIN)
    await site.signs_in(person)
    await onestop.sessions.revoke(person.session_id)
    await told.round()
    token = sites.told[0][2]
    assert (await site.userinfo(token)).json()["error_description"] == "typ"
    assert await onestop.provider.issuer.read_hint(token) is None


@pytest.mark.parametrize("status", [500, 400, 302, 0])
async def test_a_notice_is_kept_until_it_is_taken(onestop, register, telling, pool, status):
    told, sites = telling
    site = await register(backchannel_logout=OUT)
    person = await onestop.signed_in(LIN)
    await site.signs_in(person)
    await onestop.sessions.revoke(person.session_id)
    sites.status = status
    await told.round()
    row = await pool.fetchrow("SELECT state, attempts, next_at > now() AS later FROM logout_notices")
    assert tuple(row) == ("due", 1, True)
    sites.status, sites.told = 204, []
    await told.round()
    assert sites.told == []  # not before its time
    await pool.execute("UPDATE logout_notices SET next_at = now()")
    await told.round()
    await told.round()
    assert len(sites.told) == 1
    assert await pool.fetchval("SELECT state FROM logout_notices") == "taken"


async def test_a_notice_is_given_up_after_a_day_or_when_its_client_is_gone(onestop, register, telling, pool):
    told, sites = telling
    sites.status = 500
    for change in (
        "UPDATE logout_notices SET made_at = now() - interval '25 hours', next_at = now()",
        "WITH gone AS (UPDATE clients SET revoked_at = now()) UPDATE logout_notices SET next_at = now()",
    ):
        site = await register(backchannel_logout=OUT)
        person = await onestop.signed_in(LIN)
        await site.signs_in(person)
        await onestop.sessions.revoke(person.session_id)
        await told.round()
        await pool.execute(change)
        await told.round()
        assert [row["state"] for row in await pool.fetch("SELECT DISTINCT state FROM logout_notices")] == ["given_up"]
