"""陈立 asks the registers for whom he may act, acts for his restaurant, and goes back; 林晓舟 lets him act for her."""

import re
from datetime import date, timedelta

from playwright.sync_api import Browser, expect

from journeys.city import City
from journeys.guest import Guest, guest
from journeys.test_birth import is_clean

SHOP = "云溪市禾家小馆餐饮有限公司"
CHILD = "陈思齐"
CHEN = "990103198506300175"


def begin(person: Guest, name: str) -> None:
    """Press the button that begins to act for somebody, and see on the page for whom."""
    person.page.get_by_role("button", name=f"替{name}办理").click()
    person.page.wait_for_url(re.compile(r"/me$"))
    expect(person.page.locator("#acting-for")).to_have_text(f"您正在替{name}办理")


def stop(person: Guest) -> None:
    person.page.get_by_role("button", name="结束代办").click()
    person.page.wait_for_url(re.compile(r"/mandates$"))
    expect(person.page.locator("#acting-for")).to_have_count(0)


def test_registers_a_friend_and_the_banner_that_says_for_whom(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url) as lin, guest(chromium, city.url) as chen:
        lin.sign_in("林晓舟", "/mandates/new")
        lin.type_into("#name", "陈立")
        lin.type_into("#number", CHEN)
        lin.tab_to("#items")
        lin.page.keyboard.press("Space")
        lin.page.fill("#ends_on", (date.today() + timedelta(days=30)).isoformat())
        lin.page.get_by_role("button", name="发出授权").click()
        expect(lin.page.locator("main")).to_contain_text("等待受托人接受")
        assert lin.overflow() <= 0

        chen.sign_in("陈立", "/mandates")
        chen.follow("#ask-registers")
        main = chen.page.locator("main")
        expect(main).to_contain_text(SHOP)
        expect(main).to_contain_text(CHILD)
        chen.picture("mandates")
        begin(chen, SHOP)
        chen.picture("acting")
        stop(chen)
        chen.page.get_by_role("button", name="接受").click()
        begin(chen, "林晓舟")
        expect(chen.page.locator("main")).to_contain_text("林晓舟")
        stop(chen)
        expect(chen.page.locator("main")).to_contain_text("林晓舟")
        is_clean(chen)
        is_clean(lin)
