"""林晓舟 and her newborn, from signing in to the certificate, in a real browser over the whole real demo."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from journeys.city import City
from journeys.guest import DESK, PHONE, Guest, guest

LIN = "林晓舟"
NUMBER = "990102199203140221"
AXE = Path(__file__).parents[1] / ".cache/axe.min.js"


def start(person: Guest) -> None:
    """Press start on the guide, whether or not there is a draft already."""
    person.follow("main form button")
    person.page.wait_for_url(re.compile(r"/cases/case_[a-z0-9]+/form$"))


def fill(person: Guest) -> None:
    """Type what no department knows."""
    person.type_into("#baby-name", "周沐禾")
    person.type_into("#contact-phone", "15400000001")
    person.tab_to('input[name="guidance.station"]')
    person.page.keyboard.press("Space")


def send(person: Guest) -> None:
    person.tab_to("#all_true")
    person.page.keyboard.press("Space")
    person.follow("main form button")
    person.page.wait_for_url(re.compile(r"/cases/case_[a-z0-9]+$"))


def is_clean(person: Guest) -> None:
    """Nothing was asked of another host, and the browser has nothing to complain about."""
    assert person.strangers() == set()
    assert person.complaints == []
    assert not [url for url in person.asked if NUMBER in url]


def test_birth_by_keyboard_on_a_phone(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url) as lin:
        page = lin.page
        lin.open("/")
        assert page.get_attribute("html", "lang") == "zh-CN"
        lin.picture("start")
        lin.follow('main a[href="/me"]')
        expect(page).to_have_url(f"{city.url}/sign-in?return_to=/me&why=needed")
        lin.follow("main a.govuk-button")
        lin.choose(LIN)

        expect(page).to_have_url(f"{city.url}/me")
        expect(page.locator("#counts")).to_contain_text("12 项中已取得 12 项", timeout=15_000)
        expect(page.locator("#part-household")).to_contain_text("公安局")
        assert NUMBER not in page.content()
        lin.picture("my-affairs")

        lin.follow('main a[href="/items/birth"]')
        start(lin)
        expect(page.locator("main")).to_contain_text("来源：公安局")
        lin.picture("form")
        lin.type_into("#baby-name", "周沐禾")
        lin.press(".os-change:has(#father-id_number) > summary")
        lin.type_into("#father-id_number", "990102199008210352")
        lin.follow('button[value="check"]')
        slip = page.locator("#error-summary a", has_text="父亲公民身份号码")
        expect(slip).to_contain_text("最后一位")
        expect(page.locator("#error-summary")).to_be_focused()
        lin.picture("form-wrong-number")
        lin.press('#error-summary a[href="#father-id_number"]')
        lin.type_into("#father-id_number", "11010519491231002X")
        lin.follow('button[value="check"]')
        expect(slip).to_contain_text("99")
        assert page.input_value("#baby-name") == "周沐禾"
        lin.type_into("#father-id_number", "")
        fill(lin)
        lin.follow('button[value="check"]')

        page.wait_for_url(re.compile(r"/check$"))
        expect(page.locator("main")).to_contain_text("《户口登记条例》第七条")
        lin.picture("check")
        send(lin)
        follow_to_the_certificate(city, lin)
        is_clean(lin)


def follow_to_the_certificate(city: City, lin: Guest) -> None:
    """Watch the steps end without touching the page, the last one when a clerk answers."""
    page = lin.page
    expect(page.locator("#case-state")).to_contain_text("您现在不用做什么")
    lin.picture("case-begun")
    expect(page.locator(".os-step--completed")).to_have_count(6, timeout=60_000)
    expect(page.locator(".os-step--at_desk")).to_have_count(1)
    expect(page.locator("#case-picture svg")).to_contain_text("出生登记")
    lin.picture("case")
    assert city.answer_tasks() >= 1
    expect(page.locator("#case-state")).to_contain_text("全部办结", timeout=30_000)
    expect(page.locator("#case-steps")).to_contain_text("9901********0465")
    lin.follow('main a[href$="/certificate"]')
    page.wait_for_url(re.compile(r"/certificate$"))
    certificate = page.locator(".os-certificate")
    expect(certificate).to_contain_text("办结凭证")
    number = page.locator(".os-certificate dd.os-number").first.inner_text()
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}", certificate.inner_text())
    assert code is not None
    assert "990102202511180465" not in page.content()
    lin.picture("certificate")
    assert serious(lin) == []
    page.emulate_media(media="print")
    assert not page.locator("header.os-header").is_visible()
    page.emulate_media(media="screen")
    lin.open("/verify")
    lin.type_into("#number", number)
    lin.type_into("#code", code[0])
    lin.follow("main form button")
    expect(page.locator(".os-panel")).to_contain_text("真实有效")


def test_a_session_that_ends_while_typing_brings_back_what_was_typed(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url) as lin:
        lin.sign_in(LIN, "/items/birth")
        start(lin)
        form = lin.page.url
        fill(lin)
        lin.page.context.clear_cookies(name="__Host-onestop")
        lin.follow('button[value="check"]')
        expect(lin.page.locator("main")).to_contain_text("已加密保存")
        lin.follow("main a.govuk-button")
        lin.choose(LIN)
        expect(lin.page).to_have_url(form)
        assert lin.page.input_value("#baby-name") == "周沐禾"
        lin.follow('button[value="check"]')
        expect(lin.page).to_have_url(form.replace("/form", "/check"))
        is_clean(lin)


def test_late_departments_come_into_the_open_page(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url) as slow:
        slow.sign_in("trigger person: slow", "/me")
        expect(slow.page.locator("#counts")).to_contain_text("正在查询")
        slow.picture("my-affairs-waiting")
        expect(slow.page.locator("#counts")).to_contain_text("12 项中已取得 12 项", timeout=30_000)
        expect(slow.page.locator("#counts")).not_to_contain_text("正在查询")
        is_clean(slow)


def test_everything_works_without_script(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url, script=False) as lin:
        page = lin.page
        lin.sign_in(LIN, "/items/birth")
        page.locator("main form button").click()
        page.fill("#baby-name", "周沐禾")
        page.fill("#contact-phone", "15400000001")
        page.locator("#guidance-station").check()
        page.locator('button[value="check"]').click()
        page.locator("#all_true").check()
        page.locator("main form button").click()
        page.wait_for_url(re.compile(r"/cases/case_[a-z0-9]+$"))
        expect(page.locator(".os-step--completed")).to_have_count(6, timeout=60_000)  # the page asks again by itself
        is_clean(lin)


def test_a_clerk_answers_at_the_desk_page(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url, DESK) as lin, guest(chromium, city.url, DESK) as clerk:
        lin.sign_in(LIN, "/items/birth")
        start(lin)
        fill(lin)
        lin.follow('button[value="check"]')
        lin.page.wait_for_url(re.compile(r"/check$"))
        send(lin)
        clerk.sign_in("窗口03", "/desk")
        clerk.page.locator(".os-list a").last.click()
        clerk.picture("desk-task")
        assert serious(clerk) == []
        clerk.page.locator("#outcome").check()
        clerk.follow("main form button")
        expect(clerk.page).to_have_url(f"{city.url}/desk?done=1")
        expect(lin.page.locator("li.os-step", has_text="科学育儿指导")).to_contain_text("已办结", timeout=15_000)
        lin.picture("case-wide")
        is_clean(lin)
        is_clean(clerk)


def test_a_correction_is_answered_where_it_is_asked(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url) as person:
        page = person.page
        person.sign_in("trigger person: correction", "/items/birth")
        start(person)
        fill(person)
        page.locator("#baby-sex").check()
        page.fill("#baby-born_on", page.evaluate("new Date(Date.now() - 864e5).toISOString().slice(0, 10)"))
        page.fill("#birth-hospital", "云溪市妇幼保健院")
        person.follow('button[value="check"]')
        page.wait_for_url(re.compile(r"/check$"))
        send(person)
        correct = page.locator("#case-state a", has_text="去补正")
        correct.wait_for(timeout=30_000)
        person.follow("#case-state a.govuk-button")
        expect(page.locator("main")).to_contain_text("姓名与户口簿不一致")
        person.picture("correction")
        assert serious(person) == []
        person.type_into("#baby-name", "周小禾")
        person.follow("main form button")
        expect(page.locator(".os-step").first).to_contain_text("已办结", timeout=30_000)
        is_clean(person)


def test_no_page_is_wider_than_a_small_phone_in_either_language(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url, (320, 640)) as lin:
        lin.sign_in(LIN, "/items/birth")
        start(lin)
        fill(lin)
        lin.follow('button[value="check"]')
        lin.page.wait_for_url(re.compile(r"/check$"))
        send(lin)
        case = lin.page.url.removeprefix(city.url)
        lin.open("/items/birth")
        lin.page.locator("main form button").click()
        form = lin.page.url.removeprefix(city.url)
        lin.open("/me/data-use")
        lin.page.locator("section form button").first.click()  # one click disputes a use
        expect(lin.page.locator(".govuk-inset-text").first).to_contain_text("待答复")
        paths = ["/", "/sign-in", "/verify", "/me", "/me/data-use", "/my-data", "/items/birth", form]
        paths += [form.replace("form", "check"), case]
        for lang in ("zh", "en"):
            for path in paths:
                lin.open(f"{path}?lang={lang}")
                assert lin.overflow() <= 0, f"{path} in {lang} is {lin.overflow()} px too wide"
                assert lin.page.get_attribute("html", "lang") == {"zh": "zh-CN", "en": "en"}[lang]
                assert small_targets(lin) == []
        lin.picture("case-small-en")
        is_clean(lin)


def small_targets(person: Guest) -> list[str]:
    """Return what is to be pressed on the page and lower than 24 pixels, links inside sentences apart."""
    return list(
        person.page.evaluate("""() => [...document.querySelectorAll('button, summary, input:not([type=hidden]), nav a')]
            .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 24)
            .map(one => one.outerHTML.slice(0, 100))""")
    )


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there: python tests/journeys/axe.py fetches it")
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_axe_finds_nothing_serious(city: City, chromium: Browser, size: tuple[int, int]) -> None:
    with guest(chromium, city.url, size) as lin:
        lin.sign_in(LIN, "/items/birth")
        start(lin)
        fill(lin)
        lin.follow('button[value="check"]')
        lin.page.wait_for_url(re.compile(r"/check$"))
        send(lin)
        case = lin.page.url.removeprefix(city.url)
        lin.open("/items/birth")
        lin.page.locator("main form button").click()
        form = lin.page.url.removeprefix(city.url)
        for path in (
            "/",
            "/sign-in",
            "/verify",
            "/me",
            "/me/data-use",
            "/my-data",
            "/items/birth",
            form,
            form.replace("form", "check"),
            case,
        ):
            lin.open(str(path))
            assert serious(lin) == [], path
        lin.open(form)
        lin.page.locator('button[value="check"]').click()
        assert serious(lin) == [], "form with mistakes"


def serious(person: Guest) -> list[str]:
    """Return axe-core's serious and critical findings about the page; none where axe-core is not there."""
    if not AXE.exists():
        return []
    # Evaluated by the test's own hand: the page's policy forbids scripts from elsewhere.
    person.page.evaluate(AXE.read_text("utf-8"))
    found = person.page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] in ("serious", "critical")
    ]
