"""The pages over the real rooms, with no department's system on line: another citizen is always in the room."""

import re

import pytest

from onestop.db import Pool
from onestop.ids import new_id
from web.conftest import CHEN, LIN, Browser, SignedIn

pytestmark = pytest.mark.anyio

FILLED = {
    "mother.address": "云溪市临江区柳岸街道书院路18号2栋601室",
    "mother.insured": "no",
    "baby.name": "周沐禾",
    "baby.sex": "female",
    "baby.born_on": "2025-11-18",
    "birth.hospital": "云溪市妇幼保健院",
    "contact.phone": "154 0000 0001",
    "guidance.station": "liuan",
}


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found is not None, f"no hidden {name}"
    return found[1]


async def open_draft(browser: Browser) -> str:
    """Start an application as the page does and return the address of its case."""
    guide = await browser.get("/items/birth")
    reply = await browser.post("/items/birth", {"key": hidden(guide.text, "key")})
    assert reply.status_code == 303, reply.text
    return str(reply.headers["location"]).removesuffix("/form")


async def fill(browser: Browser, case: str, **other: str) -> None:
    form = await browser.get(f"{case}/form")
    fields = FILLED | other | {"version": hidden(form.text, "version"), "then": "check"}
    reply = await browser.post(f"{case}/form", fields)
    assert reply.headers.get("location") == f"{case}/check", reply.text


async def send(browser: Browser, case: str) -> None:
    check = await browser.get(f"{case}/check")
    fields = {"version": hidden(check.text, "version"), "key": hidden(check.text, "key"), "all_true": "yes"}
    reply = await browser.post(f"{case}/check", fields)
    assert reply.headers.get("location") == case, reply.text


# ---- refusals first


async def test_who_is_not_signed_in_is_led_to_signing_in_and_back(visitor: Browser) -> None:
    for path in ("/me", f"/cases/{new_id('case')}/form", "/desk"):
        reply = await visitor.get(path)
        assert reply.status_code == 303
        assert reply.headers["location"] == f"/sign-in?return_to={path}&why=needed"


async def test_another_citizens_case_reads_as_absent_on_every_page(as_person: SignedIn) -> None:
    lin, chen = await as_person(), await as_person(CHEN, "陈立")
    case = await open_draft(lin)
    for path in ("", "/form", "/check", "/certificate", "/withdraw", "/steps/register_birth"):
        reply = await chen.get(case + path)
        assert reply.status_code == 404, path
        assert "林晓舟" not in reply.text
    for path in ("/form", "/check", "/withdraw", "/steps/register_birth"):
        reply = await chen.post(case + path, {"version": "1", "key": new_id("key"), "baby.name": "别人"})
        assert reply.status_code == 404, path
    assert "别人" not in (await lin.get(f"{case}/form")).text


async def test_who_signed_in_too_loosely_is_told_the_level_before_and_after_sending(as_person: SignedIn) -> None:
    lin, chen = await as_person(level=1), await as_person(CHEN, "陈立", level=1)
    case = await open_draft(lin)
    await fill(lin, case)
    check = await lin.get(f"{case}/check")
    again = f"/sign-in?return_to={case.replace('/', '%2F')}%2Fcheck&why=level&level=2"
    assert "2 级" in check.text
    assert again.replace("&", "&amp;").replace("%2F", "/") in check.text
    assert "data-once" not in check.text
    fields = {"version": hidden(check.text, "version"), "key": hidden(check.text, "key"), "all_true": "yes"}
    sent = await lin.post(f"{case}/check", fields)
    assert (sent.status_code, sent.headers["location"]) == (303, again)
    page = await lin.get(again)
    assert "2 级" in page.text
    assert "周沐禾" in (await lin.get(f"{case}/check")).text  # nothing that was typed is lost
    assert (await chen.post(f"{case}/check", fields)).status_code == 404
    sure = await as_person(level=2)
    assert "data-once" in (await sure.get(f"{case}/check")).text
    await send(sure, case)


async def test_one_sees_and_ends_ones_own_sign_ins_and_nobody_elses(as_person: SignedIn) -> None:
    here, there, chen = await as_person(), await as_person(), await as_person(CHEN, "陈立")
    listed = (await here.get("/my-sessions")).text
    theirs = (await chen.get("/my-sessions")).text
    other = re.findall(r'name="end" value="(ses_[a-z0-9]+)"', listed)[0]
    assert other not in theirs
    assert "本次登录" in listed
    for absent in (other, "ses_x", ""):
        assert (await chen.post("/my-sessions", {"end": absent})).status_code == 404
    assert (await here.post("/my-sessions", {"end": other}, origin="https://evil.test")).status_code == 403
    assert (await there.get("/me")).status_code == 200
    ended = await here.post("/my-sessions", {"end": "others"})
    assert (ended.status_code, ended.headers["location"]) == (303, "/my-sessions")
    assert 'value="others"' not in (await here.get("/my-sessions")).text
    assert (await chen.get("/my-sessions")).status_code == 200


async def test_a_refusal_says_cause_fix_who_acts_and_the_request(as_person: SignedIn) -> None:
    lin = await as_person()
    reply = await lin.get(f"/cases/{new_id('case')}")
    assert reply.status_code == 404
    assert reply.headers["content-type"].startswith("text/html")
    for said in ("原因", "在“我的事项”里打开您自己的办件", "您", reply.headers["request-id"]):
        assert said in reply.text
    assert "/v1/" not in reply.text


async def test_a_program_gets_the_problem_and_not_a_page(as_person: SignedIn) -> None:
    lin = await as_person()
    reply = await lin.get(f"/cases/{new_id('case')}", accept="application/json")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "case.unknown"


async def test_a_clerk_has_no_affairs_and_a_citizen_no_desk(as_person: SignedIn) -> None:
    clerk = await as_person("window03", "窗口03", role="clerk", desk="zwfw")
    lin = await as_person()
    assert (await clerk.get("/me")).status_code == 403
    refused = await lin.get("/desk")
    assert refused.status_code == 403
    assert "退出后换一个身份登录" in refused.text


async def test_a_form_from_another_site_changes_nothing(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    reply = await lin.post(f"{case}/form", {"version": "1", "baby.name": "外站"}, origin="http://evil.test")
    assert reply.status_code == 403
    lin.cookies.clear()
    reply = await lin.post(f"{case}/form", {"version": "1", "baby.name": "外站"}, origin="http://evil.test")
    assert reply.status_code == 403
    assert not lin.cookies


# ---- language, headers


async def test_the_language_is_chosen_in_the_address_and_remembered(visitor: Browser) -> None:
    assert '<html lang="zh-CN"' in (await visitor.get("/")).text
    english = await visitor.get("/?lang=en")
    assert '<html lang="en"' in english.text
    assert "My child was born" in english.text
    assert visitor.cookies["onestop-lang"] == "en"
    assert '<html lang="en"' in (await visitor.get("/sign-in")).text


async def test_the_language_link_stays_on_the_page(visitor: Browser) -> None:
    page = await visitor.get("/sign-in?return_to=/me")
    assert 'href="/sign-in?return_to=%2Fme&amp;lang=en"' in page.text


async def test_a_page_forbids_scripts_that_are_not_its_own(visitor: Browser) -> None:
    policy = (await visitor.get("/")).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy


async def test_signing_in_only_leads_back_to_onestop(visitor: Browser) -> None:
    page = await visitor.get('/sign-in?return_to="><script>alert(1)</script>')
    assert "<script>alert" not in page.text


async def test_whoever_cannot_sign_in_learns_of_the_counter(visitor: Browser) -> None:
    page = await visitor.get("/sign-in")
    assert "154 0000 0099" in page.text
    assert page.headers["request-id"][-8:].upper() in page.text


# ---- the start, my affairs


async def test_the_start_is_open_and_says_how_the_departments_are(visitor: Browser) -> None:
    page = await visitor.get("/")
    assert page.status_code == 200
    assert "孩子出生" in page.text
    assert page.text.count("暂时无法连接") == 12
    assert "人工受理" in page.text


async def test_my_affairs_name_every_department_that_could_not_be_asked(as_person: SignedIn) -> None:
    lin = await as_person()
    page = await lin.get("/me")
    assert page.status_code == 200
    assert page.text.count('class="os-card os-card--unavailable"') == 12
    assert "9901********0221" in page.text
    assert LIN not in page.text


async def test_somebody_elses_later_parts_read_as_absent(as_person: SignedIn) -> None:
    lin = await as_person()
    assert (await lin.get(f"/me/{new_id('cmp')}")).status_code == 404


# ---- the form


async def test_pressing_start_twice_opens_one_draft(as_person: SignedIn, pool: Pool) -> None:
    lin = await as_person("990102198001019074", "演示九零七")
    key = hidden((await lin.get("/items/birth")).text, "key")
    first, second = [await lin.post("/items/birth", {"key": key}) for _ in range(2)]
    assert first.headers["location"] == second.headers["location"]
    assert "您有一份" in (await lin.get("/items/birth")).text


async def test_a_wrong_number_is_told_beside_its_field_and_keeps_what_was_typed(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    wrong = {"version": "1", "then": "check", "baby.name": "周沐禾", "father.id_number": "990102199008210352"}
    page = await lin.post(f"{case}/form", wrong)
    assert page.status_code == 422
    assert 'href="#father-id_number"' in page.text
    assert 'href="#contact-phone"' in page.text  # what is still missing is told at once
    assert 'value="周沐禾"' in page.text
    assert 'value="990102199008210352"' in page.text
    assert 'value="周沐禾"' not in (await lin.get(f"{case}/form")).text  # nothing was saved


async def test_a_real_persons_number_is_refused(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    page = await lin.post(f"{case}/form", {"version": "1", "father.id_number": "11010519491231002X"})
    assert page.status_code == 422
    assert 'id="father-id_number-error"' in page.text


async def test_a_stale_page_loses_nothing_and_the_second_press_stands(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    await lin.post(f"{case}/form", {"version": "1", "then": "leave", "baby.name": "在别处"})
    page = await lin.post(f"{case}/form", {"version": "1", "then": "leave", "baby.name": "在这里"})
    assert page.status_code == 412
    assert 'value="在这里"' in page.text
    again = await lin.post(
        f"{case}/form", {"version": hidden(page.text, "version"), "then": "leave", "baby.name": "在这里"}
    )
    assert again.headers["location"] == "/me"
    assert 'value="在这里"' in (await lin.get(f"{case}/form")).text


async def test_a_session_that_ends_while_typing_loses_nothing(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    version = hidden((await lin.get(f"{case}/form")).text, "version")
    session = lin.cookies.pop("__Host-onestop")
    reply = await lin.post(f"{case}/form", FILLED | {"version": version, "then": "check"})
    assert reply.headers["location"] == f"/sign-in?return_to={case}/form&why=kept"
    assert "周沐禾" not in lin.cookies["__Host-onestop-kept"]
    assert "已加密保存" in (await lin.get(str(reply.headers["location"]))).text
    lin.cookies["__Host-onestop"] = session
    page = await lin.get(f"{case}/form")
    assert 'value="周沐禾"' in page.text
    assert 'value="154 0000 0001"' in page.text
    assert "__Host-onestop-kept" not in lin.cookies
    saved = await lin.post(f"{case}/form", FILLED | {"version": version, "then": "check"})
    assert saved.headers["location"] == f"{case}/check"


async def test_what_was_kept_opens_for_nobody_else(as_person: SignedIn) -> None:
    lin, chen = await as_person(), await as_person(CHEN, "陈立")
    case, other = await open_draft(lin), await open_draft(chen)
    del lin.cookies["__Host-onestop"]
    await lin.post(f"{case}/form", {"version": "1", "baby.name": "周沐禾"})
    chen.cookies["__Host-onestop-kept"] = lin.cookies["__Host-onestop-kept"]
    assert (await chen.get(f"{case}/form")).status_code == 404
    assert "周沐禾" not in (await chen.get(f"{other}/form")).text


async def test_a_forged_kept_cookie_is_thrown_away(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    for forged in ("AAAA", "not base64!", "AQ=="):
        lin.cookies["__Host-onestop-kept"] = forged
        assert (await lin.get(f"{case}/form")).status_code == 200
        assert "__Host-onestop-kept" not in lin.cookies


async def test_what_is_typed_is_shown_as_text_and_never_as_markup(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    await fill(lin, case, **{"birth.hospital": '"><script>alert(1)</script>'})
    for path in ("/form", "/check"):
        page = await lin.get(case + path)
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;" in page.text


# ---- sending, following


async def test_sending_wants_the_declaration_and_twice_is_once(as_person: SignedIn, pool: Pool) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    await fill(lin, case)
    check = await lin.get(f"{case}/check")
    assert "公安局" in check.text
    assert "《户口登记条例》第七条" in check.text
    fields = {"version": hidden(check.text, "version"), "key": hidden(check.text, "key")}
    refused = await lin.post(f"{case}/check", fields)
    assert refused.status_code == 422
    assert 'href="#all_true"' in refused.text
    for _ in range(2):
        reply = await lin.post(f"{case}/check", fields | {"all_true": "yes"})
        assert reply.headers["location"] == case
    sent = await pool.fetchval(
        "SELECT count(*) FROM case_events WHERE case_id = $1 AND type LIKE '%case.submitted'", case.split("/")[-1]
    )
    assert sent == 1


async def test_an_incomplete_draft_cannot_be_sent_from_its_page(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    check = await lin.get(f"{case}/check")
    assert "提交申请" not in check.text
    fields = {"version": hidden(check.text, "version"), "key": hidden(check.text, "key"), "all_true": "yes"}
    reply = await lin.post(f"{case}/check", fields)
    assert reply.status_code == 422
    assert 'href="#baby-name"' in reply.text


async def test_a_case_says_what_it_means_and_shows_the_picture_as_a_table_too(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    await fill(lin, case)
    await send(lin, case)
    page = await lin.get(case)
    assert f'data-events="/v1{case}/events"' in page.text
    assert "您现在不用做什么" in page.text
    drawn = page.text[page.text.index("<svg") :]
    assert drawn.count("出生登记") >= 2
    assert LIN not in page.text
    assert "林晓舟" in (await lin.get("/me")).text
    assert (await lin.get(f"{case}/form")).headers["location"] == case
    assert (await lin.get(f"{case}/certificate")).status_code == 404


async def test_a_withdrawn_case_is_no_longer_followed(as_person: SignedIn) -> None:
    lin = await as_person()
    case = await open_draft(lin)
    await fill(lin, case)
    await send(lin, case)
    asked = await lin.get(f"{case}/withdraw")
    reply = await lin.post(f"{case}/withdraw", {"key": hidden(asked.text, "key")})
    assert reply.headers["location"] == case
    page = await lin.get(case)
    assert "已撤回" in page.text
    assert "data-events" not in page.text


# ---- the desk, the public check


async def test_a_clerk_answers_a_task_once_and_says_why_when_declining(as_person: SignedIn) -> None:
    lin = await as_person()
    clerk = await as_person("window03", "窗口03", role="clerk", desk="zwfw")
    other = await as_person("gongan01", "户政窗口", role="department", desk="gongan")
    case = await open_draft(lin)
    await fill(lin, case)
    await send(lin, case)
    task = re.findall(r"/desk/tasks/task_[a-z0-9]+", (await clerk.get("/desk")).text)[-1]
    assert (await other.get(task)).status_code == 404
    page = await clerk.get(task)
    assert "临江区柳岸街道便民服务站" in page.text
    key = hidden(page.text, "key")
    assert (await clerk.post(task, {"key": key})).status_code == 422
    unexplained = await clerk.post(task, {"key": key, "outcome": "declined", "text": " "})
    assert unexplained.status_code == 422
    assert "须说明理由" in unexplained.text
    answered = await clerk.post(task, {"key": key, "outcome": "declined", "text": "该站点本月停止登记"})
    assert answered.headers["location"] == "/desk?done=1"
    assert "该站点本月停止登记" in (await lin.get(case)).text
    late = await clerk.post(task, {"key": new_id("key"), "outcome": "completed"})
    assert late.status_code == 409


async def test_a_certificate_that_does_not_exist_is_not_valid_and_a_wrong_shape_is_told(visitor: Browser) -> None:
    wrong = await visitor.post("/verify", {"number": "12", "code": "x"})
    assert wrong.status_code == 422
    unknown = await visitor.post("/verify", {"number": "9901002026112400001001011", "code": "abcd-efgh"})
    assert unknown.status_code == 200
    assert "没有与该编号和查验码相符的凭证" in unknown.text
