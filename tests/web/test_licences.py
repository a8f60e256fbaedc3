"""The licence pages over the real rooms: what is the holder's, what anybody may check; nobody else sees them."""

import re

import pytest
from tests.certificates.conftest import MARRIAGE

from onestop import clock
from onestop.certificates.service_intake import issue_decided, take_in
from onestop.db import Pool
from onestop.http.desk import FrontDesk
from onestop.identity.models import Identified
from onestop.ids import new_id
from web.conftest import BASE, CHEN, LIN, Browser, SignedIn

pytestmark = pytest.mark.anyio


@pytest.fixture
async def licence(portal: FrontDesk, pool: Pool) -> str:
    """A marriage certificate of Lin's, as if it had been fetched; return its id."""
    await pool.execute("TRUNCATE licences, licence_events, licence_copies")
    office = await portal.app.dependencies["office"].dependency()  # type: ignore[attr-defined]
    who = Identified(number_type="citizen_id", number=LIN, name="林晓舟")
    subject = await portal._sessions.know(who)  # type: ignore[union-attr]
    type_ = office.licences.types.get("marriage_certificate")
    listed = type_.listed(MARRIAGE, clock.now(), clock.today())
    async with pool.acquire() as db, db.transaction():
        await take_in(office.licences, db, type_, listed, subject)
    return str(await pool.fetchval("SELECT id FROM licences"))


async def test_a_licence_is_seen_by_its_holder_masked_with_its_history_and_by_nobody_else(
    as_person: SignedIn, licence: str
) -> None:
    chen = await as_person(CHEN, "陈立")
    for path in ("", "/show/married", "/document"):
        reply = await chen.get(f"/licences/{licence}{path}")
        assert reply.status_code == 404, path
        assert "林晓舟" not in reply.text
    fields = {"purpose": "贷款", "taker": "银行", "key": new_id("key")}
    assert (await chen.post(f"/licences/{licence}/copies", fields)).status_code == 404
    assert licence not in (await chen.get("/licences")).text
    lin = await as_person()
    listed = await lin.get("/licences")
    assert f"/licences/{licence}" in listed.text
    assert "有效" in listed.text
    page = await lin.get(f"/licences/{licence}")
    for said in ("结婚证", "9901********0351", "从签发部门取得", "亮证", "电子证照标识"):
        assert said in page.text
    assert MARRIAGE["spouse_id"] not in page.text
    assert "Marriage certificate" in (await lin.get(f"/licences/{licence}?lang=en")).text
    fetched = await lin.post("/licences?lang=zh", {})
    assert "暂时没有答复" in fetched.text
    assert f"/licences/{licence}" in fetched.text


async def test_a_copy_is_made_once_and_a_qr_is_checked_by_anybody_without_learning_more(
    as_person: SignedIn, visitor: Browser, licence: str, pool: Pool
) -> None:
    lin = await as_person()
    wrong = await lin.post(f"/licences/{licence}/copies", {"purpose": "", "taker": "银行", "key": new_id("key")})
    assert wrong.status_code == 422
    assert 'href="#purpose"' in wrong.text
    assert 'value="银行"' in wrong.text
    fields = {"purpose": "办理贷款", "taker": "云溪银行", "key": new_id("key")}
    for _ in range(2):
        assert (await lin.post(f"/licences/{licence}/copies", fields)).status_code == 303
    assert await pool.fetchval("SELECT count(*) FROM licence_copies") == 1
    page = await lin.get(f"/licences/{licence}")
    assert re.search(r"/licence-copies/lcp_\w+", page.text)
    assert "办理贷款" in page.text
    assert "data-from-address" in (await visitor.get("/verify/licence")).text
    page = await lin.get(f"/licences/{licence}/show/married")
    assert "<svg" in page.text
    assert 'data-renew="45"' in page.text
    assert "周启明" not in page.text
    path = f"/v1/me/licences/{licence}/presentations"
    made = await lin._client.post(path, json={"scene": "married"}, headers=lin._cookie() | {"origin": BASE})
    token = made.json()["token"]
    checked = await visitor.post("/verify/licence", {"presentation": made.json()["address"]})
    assert checked.status_code == 200
    for said in ("真实有效", "林晓舟", "2019-05-20", "结婚证"):
        assert said in checked.text
    assert "周启明" not in checked.text
    assert MARRIAGE["certificate_no"] not in checked.text
    for odd in ("", "x", token[:-3], "a" * 5000):
        assert (await visitor.post("/verify/licence", {"presentation": odd})).status_code == 422
    await pool.execute("UPDATE licences SET state = 'revoked', reason = 'cancelled'")
    ended = await visitor.post("/verify/licence", {"presentation": token})
    assert ended.status_code == 422
    assert "已失效" in ended.text
    assert "林晓舟" not in ended.text


async def test_a_form_takes_a_licence_by_choice_and_says_where_one_is_had(
    as_person: SignedIn, portal: FrontDesk, pool: Pool
) -> None:
    await pool.execute("TRUNCATE licences, licence_events")
    lin = await as_person()
    form = (await opened_draft(lin))[1]
    assert "您名下还没有这种证照" in form
    office = await portal.app.dependencies["office"].dependency()  # type: ignore[attr-defined]
    who = Identified(number_type="citizen_id", number=LIN, name="林晓舟")
    subject = await portal._sessions.know(who)  # type: ignore[union-attr]
    values = {
        "answers": {"baby": {"name": "周沐禾", "born_on": "2025-11-18"}, "birth": {}, "mother": {}},
        "results": {"issue_birth_certificate": {"certificate_no": "Y990000123"}},
    }
    types = [office.licences.types.get("birth_certificate")]
    async with pool.acquire() as db, db.transaction():
        await issue_decided(office.licences, db, types, values=values, subject=subject, case_id="case_1", trace_id=None)
    licence = str(await pool.fetchval("SELECT id FROM licences"))
    case, form = await opened_draft(lin)
    assert f'value="{licence}"' in form
    told = {"child.certificate": licence, "contact.phone": "15400000001", "guidance.station": "liuan", "then": "check"}
    version = re.search(r'name="version" value="(\d+)"', form)
    assert version is not None
    saved = await lin.post(f"{case}/form", told | {"version": version[1]})
    assert saved.headers.get("location") == f"{case}/check", saved.text
    check = await lin.get(f"{case}/check")
    assert "出生医学证明 · 1.2.156.3005.2." in check.text
    assert "本人电子证照" in check.text


async def opened_draft(lin: Browser) -> tuple[str, str]:
    """Open a draft of the item that takes a licence, or go back to it; return its address and its form."""
    guide = await lin.get("/items/child-guidance")
    key = re.search(r'name="key" value="([^"]*)"', guide.text)
    assert key is not None
    started = await lin.post("/items/child-guidance", {"key": key[1]})
    case = str(started.headers["location"]).removesuffix("/form")
    return case, (await lin.get(f"{case}/form")).text
