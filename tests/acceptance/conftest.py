"""One city for the whole run, and three journeys through it that take place side by side."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

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
def journeys(city: City) -> dict[str, Future[Journey]]:
    """What became of the standard bundle, of one that is declined and of one that is sent back for correction.

    All three have ended: what other tests let fail does not reach them.
    """
    with ThreadPoolExecutor(3) as together:
        told = {"standard": standard, "declined": declined, "corrected": corrected}
        return {name: together.submit(journey, city) for name, journey in told.items()}
