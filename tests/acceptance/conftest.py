"""One city for the whole run, and three journeys through it that take place side by side."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from .city import City
from .journeys import Journey, corrected, declined, standard


@pytest.fixture(scope="session")
def city() -> Iterator[City]:
    city = City()
    try:
        city.wait()
        city.control("minzheng", "/_set", {"flaky_share": 0})  # what is tested here is not its dice
        yield city
    finally:
        code = city.stop()
    assert code == 0


@pytest.fixture(scope="session")
def journeys(city: City) -> Iterator[dict[str, Journey]]:
    """What became of the standard bundle, of one that is declined and of one that is sent back for correction."""
    told: dict[str, Any] = {"standard": standard, "declined": declined, "corrected": corrected}
    with ThreadPoolExecutor(len(told)) as together:
        begun = {name: together.submit(journey, city) for name, journey in told.items()}
        yield {name: future.result() for name, future in begun.items()}
