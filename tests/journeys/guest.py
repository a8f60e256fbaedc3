"""A person at a browser: Debian's chromium, with an eye on what it asks for and what it complains about."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
SCREENSHOTS = Path(__file__).parent / "screenshots"
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PHONE = (390, 844)
DESK = (1280, 900)
# A form that is refused is answered with 422, which the browser notes as an error of its own.
_EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of 422")


class Guest:
    """One person at one browser window."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", self._note)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, request: Request) -> None:
        self.asked.append(request.url)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _EXPECTED.match(message.text):
            self.complaints.append(message.text)

    def strangers(self) -> set[str]:
        """Return every host asked that is not this machine."""
        hosts = {urlsplit(url).hostname for url in self.asked if not url.startswith("data:")}
        return {str(host) for host in hosts} - {"127.0.0.1", "localhost"}

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def sign_in(self, who: str, back: str = "/") -> None:
        """Sign in at the national platform as somebody whose button says `who`, and come back."""
        self.open(f"/sign-in?return_to={back}")
        self.page.locator("main a.govuk-button").first.click()
        self.choose(who)

    def choose(self, who: str) -> None:
        """Choose a person on the national platform's page."""
        button = self.page.locator("button", has_text=who).first
        button.wait_for(state="attached")
        if not button.is_visible():
            self.page.locator("details", has=button).locator("summary").click()
        button.click()
        self.page.wait_for_url(f"{self.url}/**")

    def tab_to(self, selector: str, most: int = 90) -> None:
        """Press the tab key until an element that matches has the focus, as a person without a mouse does."""
        for _ in range(most):
            if self.page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is not reached with {most} tabs")

    def press(self, selector: str) -> None:
        """Go to something on this page by tab key and press enter."""
        self.tab_to(selector)
        self.page.keyboard.press("Enter")

    def follow(self, selector: str) -> None:
        """Go to a link or button by tab key, press enter and wait for the page it leads to."""
        self.tab_to(selector)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def type_into(self, selector: str, words: str) -> None:
        """Go to a field by tab key and type in place of what it holds."""
        self.tab_to(selector)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(words)

    def picture(self, name: str) -> None:
        """Keep what the whole page looks like now."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@contextmanager
def browsing() -> Iterator[Browser]:
    """Open chromium."""
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=str(CHROMIUM), args=_QUIET)


@contextmanager
def guest(
    browser: Browser, url: str, size: tuple[int, int] = PHONE, lang: str = "zh-CN", script: bool = True
) -> Iterator[Guest]:
    """Open a window that knows nobody."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, locale=lang, java_script_enabled=script, reduced_motion="reduce"
    )
    try:
        yield Guest(context.new_page(), url)
    finally:
        context.close()
