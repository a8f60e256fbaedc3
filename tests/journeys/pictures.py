"""Draws the pictures of the README anew: `python -m journeys.pictures` in `tests/`, with chromium installed."""

import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect

from journeys.city import running
from journeys.guest import Guest, browsing, guest
from journeys.test_birth import LIN, fill, send, start

PICTURES = Path(__file__).parents[2] / "docs/pictures"
MOST_BYTES = 150_000
_SIZE = (900, 760)


def keep(person: Guest, name: str) -> None:
    """Write what the window shows.

    Raises:
        AssertionError: the file is too large for a README.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    person.page.screenshot(path=path)
    assert path.stat().st_size <= MOST_BYTES, f"{name} has {path.stat().st_size} bytes"


def draw(url: str) -> None:
    """Walk the journey and keep a picture of each of its four stations."""
    with browsing() as browser, guest(browser, url, _SIZE) as lin:
        lin.open("/")
        keep(lin, "start")
        lin.sign_in(LIN, "/me")
        expect(lin.page.locator("#counts")).to_contain_text("12 项中已取得 12 项", timeout=15_000)
        lin.page.locator("#held").evaluate("one => one.scrollIntoView()")
        keep(lin, "my-affairs")
        lin.open("/items/birth")
        start(lin)
        fill(lin)
        lin.page.locator("#contact-phone").evaluate(
            "one => { one.focus(); scrollBy(0, one.getBoundingClientRect().top - 60) }"
        )
        keep(lin, "form")
        lin.follow('button[value="check"]')
        lin.page.wait_for_url(re.compile(r"/check$"))
        send(lin)
        expect(lin.page.locator(".os-step--completed")).to_have_count(4, timeout=60_000)
        keep(lin, "case")


def main() -> None:
    """Start a city for the pictures and end it."""
    with tempfile.TemporaryDirectory(prefix="onestop-pictures-") as folder, running(Path(folder) / "demo") as city:
        draw(city.url)
    for path in sorted(PICTURES.glob("*.png")):
        print(path.name, path.stat().st_size, file=sys.stderr)


if __name__ == "__main__":
    main()
