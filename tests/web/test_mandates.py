"""Giving a mandate and acting under it on the pages: each says for whom, and a third person sees nothing of it."""

import re
from datetime import date, timedelta

import pytest

from web.conftest import CHEN, Browser, SignedIn
from web.test_pages import fill, hidden, open_draft, send

pytestmark = pytest.mark.anyio
ZHOU = "990102199008210351"
ENDS = (date.today() + timedelta(days=40)).isoformat()


async def give(lin: Browser, **other: str) -> str:
    """Give 陈立 a mandate over the bundle as the page does; return the page it led to."""
    key = hidden((await lin.get("/mandates/new")).text, "key")
    typed = {"key": key, "name": "陈立", "number": CHEN, "items": "birth", "ends_on": ENDS} | other
    reply = await lin.post("/mandates/new", typed)
    return reply.text if reply.status_code == 422 else str((await lin.get(reply.headers["location"])).text)


def mandate_in(html: str) -> str:
    return str(re.findall(r'<li id="(mdt_[0-9a-z]+)"', html)[0])


async def test_what_was_typed_wrong_is_said_beside_its_field_and_stays(as_person: SignedIn) -> None:
    lin = await as_person()
    html = await give(lin, number="990103198506300176", ends_on="2020-01-01", excluded="withdraw")
    assert 'id="number-error"' in html
    assert 'id="ends_on-error"' in html
    assert 'value="陈立"' in html
    assert re.search(r'value="withdraw"[^>]* checked', html)
    assert 'id="name-error"' in await give(lin, name=" ")
    assert 'id="most_cases-error"' in await give(lin, most_cases="none")


async def test_another_person_sees_and_moves_nothing_of_a_mandate(as_person: SignedIn) -> None:
    lin, zhou = await as_person(), await as_person(ZHOU, "周启明")
    mandate = mandate_in(await give(lin))
    assert mandate not in (await zhou.get("/mandates")).text
    for path, typed in (("moves", {"move": "accept"}), ("acting", {})):
        assert (await zhou.post(f"/mandates/{mandate}/{path}", typed)).status_code == 404
    assert (await lin.post(f"/mandates/{mandate}/moves", {"move": "steal"})).status_code == 400


async def test_who_accepts_acts_and_every_page_says_for_whom_until_they_stop(as_person: SignedIn) -> None:
    lin, chen = await as_person(), await as_person(CHEN, "陈立")
    mandate = mandate_in(await give(lin))
    assert "林晓舟" in (await chen.get("/mandates")).text
    assert (await chen.post(f"/mandates/{mandate}/moves", {"move": "accept"})).status_code == 303
    own = dict(chen.cookies)
    assert (await chen.post(f"/mandates/{mandate}/acting", {})).headers["location"] == "/me"
    assert chen.cookies != own
    for path in ("/me", "/items/birth", "/mandates"):
        assert "您正在替林晓舟办理" in (await chen.get(path)).text, path
    case = await open_draft(chen)
    assert "您正在替林晓舟办理" in (await chen.get(f"{case}/form")).text
    refused = await chen.post("/mandates/checks", {})
    assert refused.status_code == 403
    assert "先点“结束代办”" in refused.text
    assert "您正在替" in refused.text
    assert "/v1/" not in refused.text
    await fill(chen, case)
    await send(chen, case)
    assert f'href="/mandates#{mandate}">由受托人办理' in (await lin.get(case)).text
    assert (await chen.post("/mandates/acting/end", {})).headers["location"] == "/mandates"
    page = (await chen.get("/mandates")).text
    assert "您正在替" not in page
    assert "陈立" not in page.split("<main")[0]
    assert (await chen.get(case)).status_code == 404
    # The old cookie is good for nothing, and neither is the acting one.
    chen.cookies = own
    assert (await chen.get("/cases/case_00000000000000000000000000")).status_code in (303, 404)


async def test_the_giver_ends_it_and_the_actor_is_led_to_signing_in(as_person: SignedIn) -> None:
    lin, chen = await as_person(), await as_person(CHEN, "陈立")
    mandate = mandate_in(await give(lin))
    await chen.post(f"/mandates/{mandate}/moves", {"move": "accept"})
    await chen.post(f"/mandates/{mandate}/acting", {})
    assert (await lin.post(f"/mandates/{mandate}/moves", {"move": "end"})).status_code == 303
    assert (await chen.get("/me")).headers["location"].startswith("/sign-in")
    assert "已终止" in (await lin.get("/mandates")).text


async def test_who_signs_out_while_acting_is_signed_out_altogether(as_person: SignedIn) -> None:
    lin, chen = await as_person(), await as_person(CHEN, "陈立")
    mandate = mandate_in(await give(lin))
    await chen.post(f"/mandates/{mandate}/moves", {"move": "accept"})
    own = dict(chen.cookies)
    await chen.post(f"/mandates/{mandate}/acting", {})
    acting = dict(chen.cookies)
    assert (await chen.post("/auth/sign-out", {})).status_code == 303
    for cookies in (own, acting):
        chen.cookies = cookies
        assert (await chen.get("/me")).status_code == 303


async def test_in_english_too(as_person: SignedIn) -> None:
    lin = await as_person()
    await give(lin)
    page = (await lin.get("/mandates?lang=en")).text
    assert "Waits for the receiver to accept." in page
    assert "Let somebody act for me" in page
