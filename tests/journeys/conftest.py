"""One city and one chromium for all journeys."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from journeys.city import City, running
from journeys.guest import CHROMIUM, browsing


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: apt-get install chromium fonts-noto-cjk")
    with running(tmp_path_factory.mktemp("city") / "demo") as city:
        yield city


@pytest.fixture(scope="module")  # no longer: while it is open no other event loop can run in this process
def chromium(city: City) -> Iterator[Browser]:
    with browsing() as browser:
        yield browser
