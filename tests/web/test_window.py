"""At the window on the pages: a clerk writes, 林晓舟 reads and confirms with the code; others see nothing of it."""

import re

import pytest

from web.conftest import CHEN, LIN, Browser, SignedIn
from web.test_pages import FILLED, hidden

pytestmark = pytest.mark.anyio


async def a_clerk(as_person: SignedIn, name: str = "窗口03", desk: str = "zwfw") -> Browser:
    return await as_person(f"demo {name}", name, "clerk", desk)


async def begin(clerk: Browser, **other: str) -> str:
    """Begin for 林晓舟 and return the case's id, or the page where it was not taken."""
    key = hidden((await clerk.get("/desk/window")).text, "key")
    typed = {"key": key, "name": "林晓舟", "number": LIN, "item": "birth"} | other
    reply = await clerk.post("/desk/window", typed)
    return reply.text if reply.status_code == 422 else str(reply.headers["location"]).rpartition("/")[2]


async def code_of(clerk: Browser, case: str, **other: str) -> str:
    """Fill the form as the page does and return the code it ends with."""
    form = await clerk.get(f"/desk/window/{case}")
    fields = FILLED | other | {"version": hidden(form.text, "version"), "then": "check"}
    reply = await clerk.post(f"/desk/window/{case}", fields)
    found = re.search(r'id="code">(\d{3}) (\d{3})<', reply.text)
    assert found is not None, reply.text
    return found[1] + found[2]


async def confirm(browser: Browser, case: str, code: str, **other: str) -> tuple[int, str]:
    page = await browser.get(f"/cases/{case}/confirm")
    fields = {"key": hidden(page.text, "key"), "code": code, "all_true": "yes"} | other
    reply = await browser.post(f"/cases/{case}/confirm", fields)
    return reply.status_code, reply.headers.get("location", reply.text)


async def test_what_a_clerk_types_wrong_is_said_beside_its_field(as_person: SignedIn) -> None:
    clerk = await a_clerk(as_person)
    assert 'id="number-error"' in await begin(clerk, number="990102199203140222")
    html = await begin(clerk, name=" ", item="nothing")
    assert 'id="name-error"' in html
    assert 'id="item-error"' in html


async def test_a_citizen_and_another_house_see_nothing_of_it(as_person: SignedIn) -> None:
    clerk, chen = await a_clerk(as_person), await as_person(CHEN, "陈立")
    other = await a_clerk(as_person, "窗口99", "gongan")
    case = await begin(clerk)
    assert (await chen.get("/desk/window")).status_code == 403
    assert (await chen.get(f"/cases/{case}/confirm")).status_code == 404
    assert (await other.get(f"/desk/window/{case}")).status_code == 404
    assert (await clerk.get(f"/cases/{case}/confirm")).status_code == 403


async def test_she_reads_it_on_her_own_device_and_confirms_with_the_code(as_person: SignedIn) -> None:
    clerk, lin = await a_clerk(as_person), await as_person()
    case = await begin(clerk)
    code = await code_of(clerk, case)
    assert f"/cases/{case}/confirm" in (await lin.get(f"/cases/{case}/check")).text
    page = (await lin.get(f"/cases/{case}/confirm")).text
    assert "周沐禾" in page
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    status, html = await confirm(lin, case, wrong)
    assert (status, 'id="code-error"' in html, "还可以再试 4 次" in html) == (422, True, True)
    status, html = await confirm(lin, case, "12ab")
    assert (status, 'id="code-error"' in html) == (422, True)
    status, html = await confirm(lin, case, code, all_true="no")
    assert (status, 'id="all_true-error"' in html) == (422, True)
    assert await confirm(lin, case, f"{code[:3]} {code[3:]}") == (303, f"/cases/{case}")
    assert (await lin.get(f"/cases/{case}/confirm")).headers["location"] == f"/cases/{case}"
    assert (await clerk.get(f"/desk/window/{case}")).status_code == 404


async def test_what_the_clerk_changes_afterwards_needs_another_code(as_person: SignedIn) -> None:
    clerk, lin = await a_clerk(as_person), await as_person()
    case = await begin(clerk)
    code = await code_of(clerk, case)
    form = await clerk.get(f"/desk/window/{case}")
    fields = FILLED | {"baby.name": "周沐荷", "version": hidden(form.text, "version"), "then": "leave"}
    assert (await clerk.post(f"/desk/window/{case}", fields)).headers["location"] == "/desk"
    status, html = await confirm(lin, case, code)
    assert status == 422
    assert "生成确认码之后申请内容有变化" in html
    newer = await code_of(clerk, case, **{"baby.name": "周沐荷"})
    assert await confirm(lin, case, newer) == (303, f"/cases/{case}")
