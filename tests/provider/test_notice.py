"""Nobody's data reaches a site before they were shown which, what for and on what basis; a page for people."""

import html
import re
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest

from identity.conftest import LIN, PORTAL
from onestop.app import open_portal
from onestop.identity.models import SESSION_COOKIE, Identified
from onestop.provider import service_clients
from onestop.provider.models import NewClient
from tests.provider.conftest import BACK, PURPOSE, told_back

pytestmark = pytest.mark.anyio
ZHOU = Identified(number_type="citizen_id", number="990102199008210351", name="周", level=3)


async def test_the_first_time_leads_to_the_notice_and_prompt_none_back(onestop, register, pool):
    site, person = await register(), await onestop.signed_in(ZHOU)
    assert (await site.sends(person, prompt="none"))["error"] == "interaction_required"
    asked = "/oauth/authorize?" + str(httpx.QueryParams(site.request()))
    there = urlsplit((await person.goes(asked)).headers["location"])
    told = dict(parse_qsl(there.query))
    assert there.path == "/oauth/notice"
    authorizing, session = onestop.provider.authorizing, await onestop.sessions.resolve(None, person.cookie)
    client, purposes = await authorizing.notice(told)
    assert (client.id, [one.code for one in purposes]) == (site.id, ["insurance"])
    came = await person.goes(await authorizing.go_on(told, session))
    assert (await site.redeems(told_back(came.headers["location"])["code"])).status_code == 200
    assert "code" in await site.sends(person)  # once
    acts = await pool.fetch("SELECT object FROM audit_entries WHERE subject = $1 AND action = 'client.noticed'",
                            person.subject_id)  # fmt: skip
    assert [row["object"] for row in acts] == [site.id]


async def test_a_purpose_not_shown_yet_or_in_other_words_is_shown_again(onestop, register, pool):
    site, person = await register(), await onestop.signed_in(LIN)
    assert "code" in await site.sends(person)
    other = msgspec.structs.replace(PURPOSE, claims=("name", "id_number", "subject_kind"))
    await pool.execute("UPDATE clients SET purposes = $2 WHERE id = $1", site.id, [msgspec.to_builtins(other)])
    onestop.provider.clients._held.clear()
    assert (await site.sends(person, prompt="none"))["error_description"] == "notice"
    assert "code" in await site.sends(person, prompt="none", scope="openid")  # nothing is told: nothing to notice


async def test_who_turns_back_tells_the_site_nothing(onestop, register):
    site, person = await register(), await onestop.signed_in(ZHOU)
    asked = "/oauth/authorize?" + str(httpx.QueryParams(site.request()))
    told = dict(parse_qsl(urlsplit((await person.goes(asked)).headers["location"]).query))
    back = told_back(await onestop.provider.authorizing.turn_back(told))
    assert back == {"error": "access_denied", "error_description": "notice", "state": "s-1", "iss": PORTAL}
    again = await person.goes("/oauth/authorize?" + str(httpx.QueryParams(told)))
    assert again.json()["code"] == "provider.request_unusable"


async def test_the_page_names_site_department_purpose_data_and_basis_in_both_languages(pool, settings, onestop):
    async with pool.acquire() as db, db.transaction():
        told = {"id": "site-of-a-page", "department": "gongan", "name_zh": "户籍网站", "name_en": "Household site"}
        more = {"auth_method": "none", "redirect_uris": (BACK,), "purposes": (PURPOSE,)}
        await service_clients.register(db, settings, msgspec.convert(told | more, NewClient), by="test")
    person = await onestop.signed_in(ZHOU)
    asked = {
        "client_id": "site-of-a-page", "response_type": "code", "redirect_uri": BACK, "scope": "openid insurance",
        "code_challenge": "c" * 43, "code_challenge_method": "S256",
    }  # fmt: skip
    headers = {"cookie": f"{SESSION_COOKIE}={person.cookie}", "accept": "text/html", "origin": PORTAL}
    async with (
        open_portal(settings) as desk,
        httpx.AsyncClient(transport=httpx.ASGITransport(desk), base_url=PORTAL, headers=headers) as browser,
    ):
        there = (await browser.get("/oauth/authorize", params=asked)).headers["location"]
        for lang, words in (
            ("zh", ("户籍网站", "查询社会保险", "您的姓名、您的证件号码", "社会保险法第四条")),
            ("en", ("Household site", "To look up social insurance", "your name, your identity number", "art. 4")),
        ):
            page = await browser.get(f"{there}&lang={lang}")
            assert page.status_code == 200
            shown = html.unescape(page.text)
            assert [word for word in words if word not in shown] == []
            assert ZHOU.number not in shown
        form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page.text))
        foreign = await browser.post("/oauth/notice", data=form | {"answer": "go_on"}, headers={"origin": "https://x"})
        assert (foreign.status_code, "location" in foreign.headers) == (403, False)
        gone = await browser.post("/oauth/notice", data=form | {"answer": "go_on"})
        assert gone.status_code == 303
        back = (await browser.get(gone.headers["location"])).headers["location"]
        assert back.startswith(BACK + "?code=")
        unknown = await browser.get("/oauth/notice?client_id=nobody&request_uri=x")
        assert (unknown.status_code, unknown.headers["content-type"]) == (400, "text/html; charset=utf-8")
