"""A licence fetched, shown and copied by keyboard on a phone, and checked by somebody who is not signed in."""

import re

from playwright.sync_api import Browser, expect

from journeys.city import City
from journeys.guest import Guest, guest
from journeys.test_birth import is_clean, serious

LIN = "林晓舟"
PRESENT = """async (id) => {
  const body = JSON.stringify({scene: "married"});
  const init = {method: "POST", headers: {"content-type": "application/json"}, body};
  return (await (await fetch(`/v1/me/licences/${id}/presentations`, init)).json()).address;
}"""


def test_a_licence_is_shown_by_one_and_checked_by_another(city: City, chromium: Browser) -> None:
    with guest(chromium, city.url) as lin, guest(chromium, city.url) as clerk:
        page = lin.page
        lin.sign_in(LIN, "/licences")
        lin.follow("main form button")
        expect(page.locator(".os-list")).to_contain_text("结婚证")
        page.locator("main a", has_text="结婚证").first.focus()
        lin.follow('main a[href^="/licences/lic_"]:focus')
        expect(page.locator("main")).to_contain_text("9901********0351")
        assert serious(lin) == []
        lin.picture("licence")
        copied(lin)
        lin.follow('main a[href$="/show/married"]')
        expect(page.locator("#qr svg")).to_be_visible()
        assert lin.overflow() == 0
        assert serious(lin) == []
        lin.picture("licence-qr")
        address = page.evaluate(PRESENT, re.search(r"lic_\w+", page.url)[0])  # type: ignore[index]
        clerk.page.goto(address)
        expect(clerk.page.locator(".os-panel")).to_contain_text("真实有效")
        expect(clerk.page.locator("main")).to_contain_text(LIN)
        expect(clerk.page).to_have_url(f"{city.url}/verify/licence")
        assert "周启明" not in clerk.page.content()
        assert not [url for url in clerk.asked if address.partition("#")[2] in url.partition("#")[0]]
        clerk.picture("licence-checked")
        is_clean(lin)
        is_clean(clerk)


def copied(lin: Guest) -> None:
    """Make a copy for a purpose, and fetch its file."""
    lin.type_into("#purpose", "办理住房贷款")
    lin.type_into("#taker", "云溪银行")
    lin.follow('form[action$="/copies"] button')
    link = lin.page.locator('a[href^="/licence-copies/"]').first
    with lin.page.expect_download(timeout=60_000) as download:
        link.click()
    assert download.value.suggested_filename.startswith("lcp_")
