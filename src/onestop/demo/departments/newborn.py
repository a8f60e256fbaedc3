"""The identity numbers of newborns: area, day of birth, a sequence even for girls and odd for boys, a check."""

from collections.abc import Iterator
from datetime import date

from onestop.demo.people import Sex, check_character

FIRST_SEQUENCE = 46


class Numbers:
    """Hands out numbers, each once; `given` are those given before the restart."""

    def __init__(self, given: list[str]) -> None:
        self._given = set(given)
        self._open: dict[tuple[str, date, Sex], Iterator[str]] = {}

    def next(self, division: str, born_on: date, sex: Sex) -> str:
        """Return the next free number of the division, the day and the sex."""
        series = self._open.setdefault((division, born_on, sex), _series(division, born_on, sex))
        for candidate in series:
            if candidate not in self._given:
                self._given.add(candidate)
                return candidate
        raise OverflowError("no identity number of this day and sex is left")


def _series(division: str, born_on: date, sex: Sex) -> Iterator[str]:
    first = FIRST_SEQUENCE + (sex == "male")
    # A load test may bear more children on one day than a division has numbers: areas of no division take the rest.
    for area in (division, *(f"9901{n}" for n in range(30, 100))):
        for sequence in (*range(first, 900, 2), *range(first % 2, first, 2)):
            seventeen = f"{area}{born_on:%Y%m%d}{sequence:03d}"
            yield seventeen + check_character(seventeen)
