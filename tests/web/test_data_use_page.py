"""The page of who used my data: one's own entries in words, one click to dispute, the state beside it."""

import re

import pytest

from onestop.db import Pool
from onestop.ids import new_id
from web.conftest import CHEN, SignedIn
from web.test_pages import fill, hidden, open_draft, send

pytestmark = pytest.mark.anyio

HERE = "/me/data-use"


async def entry_of(lin) -> tuple[str, str]:
    """Send an application and return the newest entry's id and its page."""
    case = await open_draft(lin)
    await fill(lin, case)
    await send(lin, case)
    page = (await lin.get(HERE)).text
    return str(re.findall(r'<section class="os-section" id="(use_\w+)"', page)[0]), page


async def test_nobody_elses_entry_is_shown_or_disputed(as_person: SignedIn, pool: Pool) -> None:
    lin, chen = await as_person(), await as_person(CHEN, "陈立")
    use, page = await entry_of(lin)
    assert use not in (await chen.get(HERE)).text
    fields = {"key": hidden(page, "key"), "department": hidden(page, "department")}
    assert (await chen.post(f"{HERE}/{use}/challenge", fields)).status_code == 404
    assert await pool.fetchval("SELECT count(*) FROM use_challenges WHERE use_id = $1", use) == 0


async def test_an_entry_says_who_why_which_fields_and_by_what_right_and_where_its_proof_is(as_person: SignedIn) -> None:
    lin = await as_person()
    use, page = await entry_of(lin)
    for word in ("为了什么", "依据", "哪些数据", "subject.number", "提供给", "您本人办理"):
        assert word in page, word
    assert f'href="/v1{HERE}/{use}/proof" download="{use}.json"' in page
    assert (await lin.get(f"/v1{HERE}/{use}/proof")).status_code in (200, 409)  # sealed within a minute
    assert "Who used my data" in (await lin.get(f"{HERE}?lang=en")).text
    assert f'href="{HERE}"' in (await lin.get("/me")).text


async def test_one_click_disputes_a_use_and_its_state_stands_beside_it(as_person: SignedIn) -> None:
    lin = await as_person()
    use, page = await entry_of(lin)
    part = page[page.index(f'id="{use}"') :]
    fields = {"key": hidden(part, "key"), "department": hidden(part, "department")}
    reply = await lin.post(f"{HERE}/{use}/challenge", fields)
    assert (reply.status_code, reply.headers["location"]) == (303, f"{HERE}#{use}")
    again = await lin.post(f"{HERE}/{use}/challenge", fields)
    assert again.status_code == 303  # the same key: made once
    page = (await lin.get(HERE)).text
    here = page[page.index(f'id="{use}"') :].partition("</section>")[0]
    assert "待答复" in here
    assert "负责" in here
    assert f'name="department" value="{fields["department"]}"' not in here
    another = await lin.post(f"{HERE}/{use}/challenge", fields | {"key": new_id("key")})
    assert another.status_code == 409
    assert "已" in another.text


async def test_what_is_written_as_a_reason_is_kept_as_text(as_person: SignedIn) -> None:
    lin = await as_person()
    use, page = await entry_of(lin)
    part = page[page.index(f'id="{use}"') :]
    fields = {
        "key": hidden(part, "key"),
        "department": hidden(part, "department"),
        "reason": "<script>x</script>\n不是我",
    }
    assert (await lin.post(f"{HERE}/{use}/challenge", fields)).status_code == 303
    (told,) = (await lin.get(f"/v1{HERE}/{use}/challenge")).json()
    assert told["reason"] == "<script>x</script> 不是我"
    assert "<script>x" not in (await lin.get(HERE)).text
