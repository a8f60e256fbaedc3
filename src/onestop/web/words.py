"""How values read on a page: days, instants, money, department's records; person numbers always masked."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from onestop import clock
from onestop.identity.rules import mask_number
from onestop.texts import Language, has, text

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAY: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_MONTH: Final = re.compile(r"(20\d{2})-?(\d{2})")
# Person numbers stand under these names; anything that looks like one is masked under every name.
_NUMBERS: Final = frozenset(("id_number", "spouse_id", "student_id", "account_no"))
_NUMBER_SHAPE: Final = re.compile(r"(?<![0-9A-Z])\d{17}[0-9Xx](?![0-9A-Z])")
_SECONDS_A_DAY: Final = 86_400


def day(value: date, lang: Language) -> str:
    """Return a day in words: 2026年3月2日, 2 March 2026."""
    if lang == "zh":
        return f"{value.year}年{value.month}月{value.day}日"
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def instant(value: datetime | str | None, lang: Language) -> str:
    """Return an instant in China Standard Time, to the minute; a text that is none is returned as it came."""
    if value is None:
        return ""
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    if told.tzinfo is None:
        return day(told.date(), lang)
    local = told.astimezone(clock.CHINA)
    return f"{day(local.date(), lang)}{' ' if lang == 'zh' else ', '}{local:%H:%M}"


def days_in(sentence: str, lang: Language) -> str:
    """Return a sentence with its ISO days in words."""
    return _DAY.sub(lambda found: _day_text(found[0], lang), sentence)


def _day_text(iso: str, lang: Language) -> str:
    try:
        return day(date.fromisoformat(iso), lang)
    except ValueError:
        return iso


def age(seconds: float | None, lang: Language) -> str:
    """Return how old an answer is in the largest unit that fits; nothing where it is fresh or unknown."""
    if seconds is None or seconds < 60:
        return ""
    for unit, length in (("days", _SECONDS_A_DAY), ("hours", 3_600), ("minutes", 60)):
        if seconds >= length:
            return text(f"web.age.{unit}", lang, n=int(seconds // length))
    return ""


def value(name: str, given: Any, lang: Language) -> str:
    """Return one value of a department's record as a person reads it."""
    if isinstance(given, bool):
        return text("web.yes" if given else "web.no", lang)
    if name.endswith("_fen") and isinstance(given, int):
        return f"{'-' if given < 0 else ''}¥{abs(given) / 100:,.2f}"
    if isinstance(given, int | float):
        return f"{given:,}" if isinstance(given, int) and given >= 10_000 else str(given)
    said = str(given)
    if name in _NUMBERS:
        return mask_number(said)
    key = f"web.code.{name}.{said}"
    if has(key):
        return text(key, lang)
    if _DAY.fullmatch(said):
        return _day_text(said, lang)
    if (found := _MONTH.fullmatch(said)) and (name.endswith("_month") or name == "paid_through"):
        month = int(found[2])
        return (
            f"{found[1]}年{month}月" if lang == "zh" else f"{_MONTHS[month - 1] if 0 < month < 13 else ''} {found[1]}"
        )
    if said.startswith("20") and "T" in said:
        return instant(said, lang)
    return masked(said)


def masked(said: str) -> str:
    """Return a text with every person number in it masked."""
    return _NUMBER_SHAPE.sub(lambda found: mask_number(found[0]), said)


def label(want: str, name: str, lang: Language) -> str:
    """Return what a value of a department's record is called; its own name where the texts do not know it."""
    for key in (f"web.label.{want}.{name}", f"web.label.{name}"):
        if has(key):
            return text(key, lang)
    return name.replace("_", " ")


def record(want: str, fields: Mapping[str, Any], lang: Language) -> list[tuple[str, str]]:
    """Return the values of one record that are there, as label and words."""
    return [
        (label(want, name, lang), value(name, given, lang))
        for name, given in fields.items()
        if given not in (None, "") and not isinstance(given, list | dict)
    ]
