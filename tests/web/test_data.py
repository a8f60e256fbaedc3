"""The page of one's data: every purpose and its law, and consents given and withdrawn by one press each."""

import re

import pytest

from onestop.db import Pool
from web.conftest import CHEN, SignedIn
from web.test_pages import hidden

pytestmark = pytest.mark.anyio
PAGE = "/my-data/consents/housing-fund-handover"


async def test_a_consent_is_given_and_withdrawn_on_one_page_and_is_nobody_elses(
    as_person: SignedIn, pool: Pool
) -> None:
    lin, chen = await as_person(), await as_person(CHEN, "陈立")
    page = (await lin.get("/my-data")).text
    assert page.count('value="give"') == 1, "what rests on a duty has nothing to press"
    assert "个人信息保护法" in page
    assert "9901********0221" in page
    stale = await lin.post(PAGE, {"decide": "give", "notice": "0" * 64})
    assert stale.status_code == 409
    foreign = await lin.post(PAGE, {"decide": "give", "notice": hidden(page, "notice"), "ward": "sub_other"})
    assert foreign.status_code == 404
    given = await lin.post(PAGE, {"decide": "give", "notice": hidden(page, "notice")})
    assert given.headers["location"] == "/my-data"
    assert 'value="withdraw"' in (await lin.get("/my-data")).text
    assert 'value="withdraw"' not in (await chen.get("/my-data")).text
    await lin.post(PAGE, {"decide": "withdraw"})
    page = (await lin.get("/my-data?lang=en")).text
    assert re.search(r"You have withdrawn: .* what was handed over before stays so", page)
    assert await pool.fetchval("SELECT count(*) FROM notices_shown WHERE version = 1 AND lang = 'en'") == 5
