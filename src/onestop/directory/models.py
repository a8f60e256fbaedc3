"""Nouns of the directory: a department, and the days on which it works."""

from collections.abc import Mapping
from datetime import date

import msgspec


class Department(msgspec.Struct, frozen=True, kw_only=True):
    """A department as onestop knows it, from its manifest."""

    id: str
    uscc: str
    name_zh: str
    name_en: str
    officer_zh: str = ""
    officer_en: str = ""
    desk: bool = False  # no system: a person answers at onestop's own desk

    def name(self, lang: str) -> str:
        """Return the name in one of the two languages; Chinese unless English is asked for."""
        return self.name_en if lang == "en" else self.name_zh


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """Every department of this installation, by the id of its adapter."""

    departments: Mapping[str, Department]

    def name(self, department: str, lang: str) -> str:
        """Return a department's name, or its id where it is unknown here."""
        known = self.departments.get(department)
        return known.name(lang) if known else department


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """Which days are working days; outside the published span only weekends are known."""

    holidays: frozenset[date]
    make_up_days: frozenset[date]  # Saturdays and Sundays worked in exchange (调休)
    published_from: date
    published_until: date
