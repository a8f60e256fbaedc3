"""Signing in loosely, filling a form, and being asked for more only where it is sent: in a real browser."""

import re

from playwright.sync_api import Browser, expect

from journeys.city import City
from journeys.guest import guest
from journeys.test_birth import LIN, fill, is_clean, send, start


def test_a_draft_survives_signing_in_again_more_surely(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url) as lin:
        page = lin.page
        lin.open("/sign-in?return_to=/items/birth")
        lin.follow("main a.govuk-button")
        page.check('input[name="acr"][value="level1"]')
        lin.choose(LIN)
        expect(page).to_have_url(f"{city.url}/items/birth")
        start(lin)
        form = page.url
        fill(lin)
        lin.follow('button[value="check"]')
        page.wait_for_url(re.compile(r"/check$"))
        check = page.url
        expect(page.locator("main form")).to_contain_text("2 级")
        assert page.locator("main form button").count() == 0

        lin.follow("main form a.govuk-button")
        expect(page.locator("main")).to_contain_text("2 级")
        lin.follow("main a.govuk-button")
        # The platform was asked for level 2: it does not even offer the weaker way.
        assert page.locator('input[name="acr"]').evaluate_all("all => all.map(one => one.value)") == [
            "level2",
            "level3",
        ]
        lin.choose(LIN)
        expect(page).to_have_url(check)
        expect(page.locator("main")).to_contain_text("周沐禾")
        expect(page.locator("main")).to_contain_text("15400000001")
        send(lin)
        expect(page.locator("#case-state")).to_contain_text("您现在不用做什么")
        lin.open(form.removeprefix(city.url))
        assert not page.url.endswith("/form")
        is_clean(lin)


def test_a_network_number_is_bound_on_the_way_to_a_form(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url) as chen:
        page = chen.page
        chen.open("/sign-in?return_to=/items/birth")
        chen.follow('main a[href*="provider=network"]')
        chen.choose("陈立")
        expect(page).to_have_url(f"{city.url}/items/birth")
        chen.follow("main form button")  # nobody knows yet who this is: the platform told a number of its own
        page.wait_for_url(re.compile(r"/sign-in\?"))
        assert page.locator('main a[href*="provider=network"]').count() == 0
        chen.follow("main a.govuk-button")
        chen.choose("陈立")
        expect(page).to_have_url(f"{city.url}/items/birth")
        start(chen)
        chen.open("/my-sessions")
        expect(page.locator("#links")).to_contain_text("network")
        is_clean(chen)
